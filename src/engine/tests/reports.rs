//! What the engine says of records that lead to nothing.

use std::{sync::Mutex, time::Duration};

use tracing_subscriber::fmt::MakeWriter;

use super::harness::{Harness, Options};

#[tokio::test(start_paused = true)]
async fn dead_letters_are_warned_of_by_class_and_what_operators_drop_is_counted() {
    let lines: &'static Mutex<Vec<u8>> = Box::leak(Box::default());
    let said = || String::from_utf8(std::mem::take(&mut *lines.lock().unwrap())).unwrap();
    let keep = tracing_subscriber::fmt().with_ansi(false).with_writer(move || lines.make_writer()).finish();
    let _guard = tracing::subscriber::set_default(keep);
    // Another test may be about to log for the first time at a place that this one asks about. It has then looked for subscribers
    // before this one was there, and nobody is told of that place until it is known: so that all places are looked at once more.
    std::thread::sleep(Duration::from_millis(100));
    tracing::callsite::rebuild_interest_cache();

    let mut engine = Harness::start(Options::default());
    engine.assign(2, 7, 7, "");
    engine.values(2, 7, &["a", "bad", "drop", "bad", "drop"]);
    engine.wait(10).await;
    assert_eq!(engine.progress.records_dropped(), 2);
    let first = "WARN pipeline::telemetry::progress: a dead letter: bad: it is bad (topic in, partition 2, offset 8); \
                 it goes to in.dlq pipeline=\"test\"";
    let log = said();
    assert!(log.contains(first), "{log}");
    assert_eq!(log.matches("dead letter").count(), 1, "{log}");

    engine.wait(59_000).await;
    engine.values(2, 12, &["bad"]);
    engine.wait(500).await;
    assert_eq!(said().matches("dead letter").count(), 0);
    engine.wait(2_000).await;
    let more =
        "2 dead letters like this one: bad: it is bad (topic in, partition 2, offset 10); they go to in.dlq";
    let log = said();
    assert!(log.contains(more), "{log}");

    engine.values(2, 13, &["bad"]);
    engine.settle().await;
    engine.stop();
    engine.wait(0).await;
    engine.end();
    engine.engine.await.unwrap().unwrap();
    let log = said();
    assert!(log.contains("partition 2, offset 13"), "nothing is left unsaid at the end: {log}");
}
