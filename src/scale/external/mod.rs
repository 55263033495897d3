//! Answers KEDA as an external scaler: `externalscaler.ExternalScaler`, by gRPC.
//!
//! KEDA makes an autoscaler of what it is told, with the target as an average over the workers: that wants ceil(metric / target)
//! of them. So the metric is how many workers are wanted, and the target is 1.

mod messages;
#[cfg(test)]
mod tests;

use std::time::Duration;

use axum::{
    Router,
    extract::Request,
    response::{IntoResponse, Response},
    routing::{MethodRouter, post},
};
use prost::Message;
use tokio::sync::watch;
use tokio_stream::{Stream, StreamExt, wrappers::WatchStream};
use tonic::{Response as Answer, Status, body::Body, server::Grpc};
use tonic_prost::ProstCodec;
use tower::service_fn;

use super::Standing;
use messages::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
    ScaledObjectRef,
};

/// The metric: how many workers are wanted.
const METRIC: &str = "workers_wanted";
/// The most bytes of a question: KEDA sends what a trigger says, which is some lines.
const QUESTION: usize = 16 << 10;
/// How long a question may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// How things stand; nothing where that is not known yet.
pub type Watch = watch::Receiver<Option<Standing>>;

/// The service's methods, each at its path.
pub fn service(standing: &Watch) -> Router {
    let path = |method: &str| format!("/externalscaler.ExternalScaler/{method}");
    Router::new()
        .route(&path("IsActive"), unary(standing, |standing, _: ScaledObjectRef| is_active(standing)))
        .route(&path("StreamIsActive"), stream(standing))
        .route(&path("GetMetricSpec"), unary(standing, |_, _: ScaledObjectRef| Ok(metric_spec())))
        .route(&path("GetMetrics"), unary(standing, |standing, asked| metrics(standing, &asked)))
}

/// A method with one answer.
fn unary<Q, A>(standing: &Watch, answer: fn(Option<Standing>, Q) -> Result<A, Status>) -> MethodRouter
where
    Q: Message + Default + 'static,
    A: Message + Default + 'static,
{
    let standing = standing.clone();
    post(async move |request: Request| {
        let service = service_fn(|asked: tonic::Request<Q>| {
            let answer = answer(*standing.borrow(), asked.into_inner());
            async { answer.map(Answer::new) }
        });
        in_time(grpc().unary(service, request)).await
    })
}

/// The method that tells each change.
fn stream(standing: &Watch) -> MethodRouter {
    let standing = standing.clone();
    post(async move |request: Request| {
        let service = service_fn(|_: tonic::Request<ScaledObjectRef>| {
            let answer = Answer::new(activity(standing.clone()));
            async { Ok::<_, Status>(answer) }
        });
        in_time(grpc().server_streaming(service, request)).await
    })
}

fn grpc<Q, A>() -> Grpc<ProstCodec<A, Q>>
where
    Q: Message + Default + 'static,
    A: Message + Default + 'static,
{
    Grpc::new(ProstCodec::default()).max_decoding_message_size(QUESTION)
}

/// Whoever does not send its question is not waited for.
async fn in_time(answer: impl Future<Output = http::Response<Body>>) -> Response {
    let late = |_| Status::deadline_exceeded("the question did not come in time").into_http();
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(late).into_response()
}

fn is_active(standing: Option<Standing>) -> Result<IsActiveResponse, Status> {
    Ok(IsActiveResponse { result: known(standing)?.wanted > 0 })
}

/// Whether workers are wanted: now, and each time that this changes.
fn activity(standing: Watch) -> impl Stream<Item = Result<IsActiveResponse, Status>> {
    let mut last = None;
    WatchStream::new(standing).filter_map(move |standing| {
        let is = is_active(standing).ok()?;
        (last.replace(is.result) != Some(is.result)).then_some(Ok(is))
    })
}

fn metric_spec() -> GetMetricSpecResponse {
    let metric_name = METRIC.to_owned();
    GetMetricSpecResponse {
        metric_specs: vec![MetricSpec { metric_name, target_size: 1, target_size_float: 1.0 }],
    }
}

fn metrics(standing: Option<Standing>, asked: &GetMetricsRequest) -> Result<GetMetricsResponse, Status> {
    if asked.metric_name != METRIC {
        let name = &asked.metric_name;
        return Err(Status::not_found(format!("there is no metric `{name}` here; ask for `{METRIC}`")));
    }
    let wanted = known(standing)?.wanted;
    Ok(GetMetricsResponse {
        metric_values: vec![MetricValue {
            metric_name: METRIC.to_owned(),
            metric_value: wanted.into(),
            metric_value_float: wanted.into(),
        }],
    })
}

/// An error leaves the workers as they are; none wanted would end them.
fn known(standing: Option<Standing>) -> Result<Standing, Status> {
    standing.ok_or_else(|| Status::unavailable("how many workers are wanted is not known yet; ask again"))
}
