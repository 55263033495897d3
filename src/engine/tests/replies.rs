use bytes::Bytes;

use super::harness::{Harness, NOW, Options};
use crate::{
    engine::*,
    record::{
        BatchBuilder, CORRELATION_ID, DEADLINE, Destination, Headers, Offset, REPLY_PARTITION,
        TopicPartition, WORKER,
    },
};

/// Records of partition 0 from offset 0 on, each with its headers.
fn requests(engine: &Harness, requests: &[(&str, &[(&str, String)])]) {
    let mut batch = BatchBuilder::new(TopicPartition::new("in", 0));
    for (offset, (value, headers)) in requests.iter().enumerate() {
        let headers: Headers = headers.iter().map(|(name, value)| (*name, value.clone())).collect();
        batch.push(Offset(offset as i64), Some(7), None, Some(value.as_bytes()), headers);
    }
    engine.assign(0, 0, 0, "");
    engine.report(SourceEvent::Batch(batch.build(), Budget::new(0).take(0)));
}

fn header<'a>(record: &'a crate::record::Record, name: &str) -> &'a str {
    std::str::from_utf8(record.headers.get(name).unwrap_or_default()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_any_more_is_dropped_before_it_is_computed_and_committed_all_the_same() {
    let engine = Harness::start(Options { requests: true, ..Options::default() });
    let deadline = |millis: u64| [(DEADLINE, (NOW + millis).to_string())];
    let (past, future) = (deadline(0), deadline(60_000));
    let no_number = [(DEADLINE, "tomorrow".to_owned())];
    // `fatal` would stop the engine, if it were computed.
    requests(&engine, &[("fatal", &past), ("a", &future), ("b", &no_number), ("c", &[]), ("fatal", &past)]);
    engine.wait(200).await;
    assert_eq!(engine.results(), ["a", "b", "c"]);
    assert_eq!(engine.dead_letters(), [""; 0]);
    assert_eq!(engine.committed(), [5]);
    assert_eq!(engine.progress.records_expired(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_between_two_attempts_ends_them() {
    let engine = Harness::start(Options { requests: true, ..Options::default() });
    requests(&engine, &[("flaky", &[(DEADLINE, (NOW + 5).to_string())]), ("a", &[])]);
    engine.wait(200).await;
    assert_eq!(engine.results(), ["a"]);
    assert_eq!(engine.committed(), [2]);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_wanted_at_a_partition_says_who_has_computed_it() {
    let engine = Harness::start(Options { requests: true, ..Options::default() });
    let wanted = [(REPLY_PARTITION, "3".to_owned()), (CORRELATION_ID, "x".to_owned())];
    requests(&engine, &[("twice", &wanted), ("a", &[(REPLY_PARTITION, "-3".to_owned())]), ("b", &[])]);
    engine.wait(200).await;
    assert_eq!(engine.results(), ["twice", "twice", "a", "b"]);
    let world = engine.world.lock().unwrap();
    let workers: Vec<_> = world.sent.iter().map(|(_, record)| header(record, WORKER)).collect();
    assert_eq!(workers, ["worker-1", "worker-1", "", ""]);
    assert_eq!(header(&world.sent[0].1, REPLY_PARTITION), "3", "the sink looks for it");
    assert_eq!(header(&world.sent[0].1, CORRELATION_ID), "x");
}

#[tokio::test(start_paused = true)]
async fn only_who_wants_a_reply_receives_the_reason_of_a_dead_letter() {
    for guarantee in [Guarantee::AtLeastOnce, Guarantee::ExactlyOnce] {
        let engine = Harness::start(Options {
            guarantee,
            requests: true,
            ..Options { requests: true, ..Options::default() }
        });
        let wanted = [(REPLY_PARTITION, "3".to_owned()), (CORRELATION_ID, "x".to_owned())];
        requests(&engine, &[("bad", &wanted), ("bad", &[])]);
        engine.wait(200).await;
        assert_eq!(engine.dead_letters(), ["bad", "bad"]);
        assert_eq!(engine.committed(), [2]);
        let world = engine.world.lock().unwrap();
        let replies: Vec<_> = world.sent.iter().filter(|(to, _)| *to == Destination::SINK).collect();
        let [(_, reply)] = replies[..] else { panic!("{replies:?}") };
        assert_eq!(reply.value, Some(Bytes::new()), "empty, and not a tombstone");
        assert_eq!((header(reply, REPLY_PARTITION), header(reply, CORRELATION_ID)), ("3", "x"));
        assert_eq!(header(reply, "pipeline.error.class"), "bad");
        assert_eq!(header(reply, "pipeline.error.message"), "it is bad");
        assert_eq!(
            (header(reply, "pipeline.error.partition"), header(reply, "pipeline.error.offset")),
            ("0", "0")
        );
        assert_eq!(header(reply, WORKER), "worker-1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_that_the_topic_does_not_take_is_reported_too_and_the_offset_waits_for_both() {
    let engine = Harness::start(Options {
        acknowledge: false,
        requests: true,
        order: Order::None,
        ..Options::default()
    });
    // So large that the reply is not.
    let large: &'static str = "large".repeat(400).leak();
    engine.world.lock().unwrap().refuses.0 = Some(large);
    requests(&engine, &[(large, &[(REPLY_PARTITION, "3".to_owned())])]);
    engine.wait(200).await;
    // What was refused is sent with nothing else under way: the reply first, then the dead letter.
    assert_eq!(engine.results(), [""]);
    engine.acknowledge(1).await;
    engine.wait(200).await;
    assert_eq!(engine.dead_letters(), [large]);
    assert!(engine.committed().is_empty());
    engine.acknowledge(1).await;
    engine.wait(200).await;
    assert_eq!(engine.committed(), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_no_request_has_its_result_whatever_its_headers_say() {
    let engine = Harness::start(Options::default());
    let ours = [(DEADLINE, "1732500000".to_owned()), (REPLY_PARTITION, "3".to_owned())];
    requests(&engine, &[("a", &[("deadline", "1732500000".to_owned())]), ("b", &ours), ("bad", &ours)]);
    engine.wait(200).await;
    assert_eq!(engine.results(), ["a", "b"], "nothing is dropped, and no dead letter is reported");
    assert_eq!(engine.dead_letters(), ["bad"]);
    assert_eq!(engine.committed(), [3]);
    let world = engine.world.lock().unwrap();
    assert!(world.sent.iter().all(|(_, record)| record.headers.get(WORKER).is_none()), "nothing is signed");
}
