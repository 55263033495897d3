//! The messages against KEDA's own file, and when activity is told.

use std::collections::HashMap;

use futures::FutureExt;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, ReflectMessage};
use tokio::sync::watch;
use tokio_stream::StreamExt;

use super::{activity, messages::*, metric_spec, metrics};
use crate::scale::Standing;

fn file() -> DescriptorPool {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/scale/external");
    let files = protox::compile(["externalscaler.proto"], [folder]).unwrap();
    DescriptorPool::from_file_descriptor_set(files).unwrap()
}

/// The message as KEDA reads it, in text. All of its fields must be set.
fn as_keda_reads(name: &str, message: &impl Message) -> String {
    let descriptor = file().get_message_by_name(&format!("externalscaler.{name}")).unwrap();
    let read = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice()).unwrap();
    assert_eq!(read.fields().count(), read.descriptor().fields().count(), "{name} lacks a field: {read}");
    assert_eq!(read.unknown_fields().count(), 0, "{name} has one more field: {read}");
    read.to_string()
}

#[test]
fn every_message_is_that_of_the_file() {
    let object = ScaledObjectRef {
        name: "worker".to_owned(),
        namespace: "pipeline".to_owned(),
        scaler_metadata: HashMap::from([("a".to_owned(), "b".to_owned())]),
    };
    let said = r#"name:"worker",namespace:"pipeline",scalerMetadata:[{key:"a",value:"b"}]"#;
    assert_eq!(as_keda_reads("ScaledObjectRef", &object), said);
    assert_eq!(as_keda_reads("IsActiveResponse", &IsActiveResponse { result: true }), "result:true");
    assert_eq!(
        as_keda_reads("GetMetricSpecResponse", &metric_spec()),
        r#"metricSpecs:[{metricName:"workers_wanted",targetSize:1,targetSizeFloat:1.0}]"#
    );
    assert_eq!(as_keda_reads("MetricSpec", &metric_spec().metric_specs[0]).matches(':').count(), 3);
    let asked =
        GetMetricsRequest { scaled_object_ref: Some(object), metric_name: "workers_wanted".to_owned() };
    assert_eq!(
        as_keda_reads("GetMetricsRequest", &asked),
        format!(r#"scaledObjectRef{{{said}}},metricName:"workers_wanted""#)
    );
    let values = metrics(Some(Standing { wanted: 7, ..Standing::default() }), &asked).unwrap();
    assert_eq!(
        as_keda_reads("GetMetricsResponse", &values),
        r#"metricValues:[{metricName:"workers_wanted",metricValue:7,metricValueFloat:7.0}]"#
    );
    assert_eq!(as_keda_reads("MetricValue", &values.metric_values[0]).matches(':').count(), 3);
    assert_eq!(file().all_messages().filter(|message| !message.is_map_entry()).count(), 7);
}

#[test]
fn nothing_known_is_an_error_and_so_is_another_metric() {
    let asked = |name: &str| GetMetricsRequest { metric_name: name.to_owned(), scaled_object_ref: None };
    let error = metrics(None, &asked("workers_wanted")).unwrap_err();
    assert_eq!(error.code(), tonic::Code::Unavailable, "{error}");
    let error = metrics(Some(Standing::default()), &asked("lag")).unwrap_err();
    assert!(error.message().contains("`lag`") && error.message().contains("`workers_wanted`"), "{error}");
}

#[tokio::test]
async fn each_change_of_activity_is_told_once() {
    let (sender, receiver) = watch::channel(None);
    let mut told = Box::pin(activity(receiver));
    for (wanted, says) in [(0, Some(false)), (0, None), (2, Some(true)), (5, None), (0, Some(false))] {
        sender.send_replace(Some(Standing { wanted, ..Standing::default() }));
        let next = told.next().now_or_never().map(|answer| answer.unwrap().unwrap().result);
        assert_eq!(next, says, "{wanted} wanted");
    }
}
