use super::harness::{Harness, Options};
use crate::{
    engine::*,
    record::{BatchBuilder, Headers, Offset, TopicPartition},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test(start_paused = true)]
async fn results_and_dead_letters_belong_to_the_trace_of_their_record_and_others_to_none() {
    let engine = Harness::start(Options::default());
    engine.assign(0, 0, 0, "");
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let traced: Headers = [("id", "1".to_owned()), ("traceparent", parent.clone())].into_iter().collect();
    let mut batch = BatchBuilder::new(TopicPartition::new("in", 0));
    for (offset, value, headers) in
        [(0, "twice", traced.clone()), (1, "bad", traced), (2, "plain", Headers::default())]
    {
        batch.push(Offset(offset), None, None, Some(value.as_bytes()), headers);
    }
    engine.report(SourceEvent::Batch(batch.build(), Budget::new(0).take(0)));
    engine.wait(10).await;
    let world = engine.world.lock().unwrap();
    let traces: Vec<Option<String>> = world
        .sent
        .iter()
        .map(|(_, record)| record.headers.get("traceparent").map(|t| String::from_utf8_lossy(t).into_owned()))
        .collect();
    let [Some(first), Some(second), Some(dead), None] = &traces[..] else { panic!("{traces:?}") };
    assert_eq!(first, second, "both results have one cause");
    for child in [first, dead] {
        assert!(child.starts_with(&format!("00-{TRACE}-")) && child.ends_with("-01"), "{child}");
        assert_ne!(*child, parent);
    }
}
