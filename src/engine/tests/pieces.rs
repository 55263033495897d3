//! Results that are larger than their topic takes, in pieces.

use super::harness::{Harness, Options};
use crate::{
    engine::{DeliveryError, Guarantee, Large, Order, Refusal},
    pieces::{Manifest, Pieces, Place, hex},
    record::{Destination, MANIFEST, PIECE, Record},
};
use sha2::{Digest, Sha256};

fn options() -> Options {
    Options { acknowledge: false, largest: 4_000, large: Large::Pieces(vec!["text"]), ..Options::default() }
}

/// A value that needs three pieces.
fn large() -> String {
    (0..2_000).map(|number| format!("{number:04};")).collect()
}

/// The records that were sent to the sink's own topic.
fn sent(engine: &Harness) -> Vec<Record> {
    let world = engine.world.lock().unwrap();
    world.sent.iter().filter(|(to, _)| *to == Destination::SINK).map(|(_, record)| record.clone()).collect()
}

fn manifest(record: &Record) -> Manifest {
    assert_eq!(record.headers.get(MANIFEST), Some(&b"1"[..]));
    Manifest::read(record.value.as_deref().unwrap()).unwrap()
}

/// The pieces that a manifest names.
fn named(manifest: &Manifest) -> &Pieces {
    let Place::Topic(pieces) = &manifest.place else { panic!("{manifest:?}") };
    pieces
}

/// Whether each is a piece of that manifest, and all together are the large value.
fn holds(manifest: &Manifest, pieces: &[Record]) -> bool {
    let are_named = pieces.iter().enumerate().all(|(place, piece)| {
        piece.headers.text(PIECE) == Some(&named(manifest).name_of(place))
            && piece.value.as_ref().unwrap().len() as u64 == manifest.size_of(place)
    });
    let whole: Vec<u8> = pieces.iter().flat_map(|piece| piece.value.clone().unwrap()).collect();
    are_named && whole == large().as_bytes() && manifest.sha256 == hex(&Sha256::digest(&whole))
}

#[tokio::test(start_paused = true)]
async fn the_manifest_is_sent_once_all_pieces_are_there_and_says_where() {
    let engine = Harness::start(options());
    engine.world.lock().unwrap().partition = 3;
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["before", &large(), "after"]);
    engine.settle().await;
    // All but the manifest, and what comes behind it.
    assert_eq!(sent(&engine).len(), 4);
    engine.acknowledge(3).await;
    assert_eq!(sent(&engine).len(), 4);
    engine.acknowledge(1).await;
    let sent = sent(&engine);
    assert_eq!(
        sent.iter().map(|record| record.headers.get(MANIFEST).is_some()).collect::<Vec<_>>(),
        [false, false, false, false, true, false]
    );
    let manifest = manifest(&sent[4]);
    assert!(holds(&manifest, &sent[1..4]), "{manifest:?}");
    assert_eq!((named(&manifest).partition, &named(&manifest).offsets[..]), (3, &[2, 3, 4][..]));
    assert_eq!((manifest.bytes, named(&manifest).pieces, &*manifest.format), (10_000, 3, "text"));
    engine.wait(200).await;
    assert_eq!(engine.committed(), [] as [i64; 0]);
    engine.acknowledge(2).await;
    engine.wait(200).await;
    assert_eq!(engine.committed().last(), Some(&3));
}

#[tokio::test(start_paused = true)]
async fn what_its_topic_takes_is_not_cut_and_what_is_not_to_be_cut_is_a_dead_letter() {
    for large in [Large::Pieces(vec!["text"]), Large::DeadLetter] {
        let is_cut = matches!(large, Large::Pieces(_));
        let engine = Harness::start(Options { acknowledge: true, large, ..options() });
        engine.assign(0, 0, 0, "");
        // 97 bytes are its frame.
        engine.values(0, 0, &[&"x".repeat(3_903), &"y".repeat(3_904)]);
        engine.wait(200).await;
        assert_eq!(sent(&engine)[0].value.as_ref().unwrap().len(), 3_903);
        assert_eq!((sent(&engine).len(), engine.dead_letters().len()), if is_cut { (4, 0) } else { (1, 1) });
        assert_eq!(engine.committed().last(), Some(&2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_manifest_never_names_a_piece_that_was_not_delivered() {
    for order in [Order::None, Order::Partition] {
        let engine = Harness::start(Options { order, ..options() });
        engine.assign(0, 0, 0, "");
        engine.values(0, 0, &[&large()]);
        engine.settle().await;
        engine.acknowledge(1).await;
        engine.fail(1, &DeliveryError::Again("purged".to_owned())).await;
        if order == Order::Partition {
            engine.world.lock().unwrap().forget_unacknowledged();
            engine.rewound(&[(0, 0)]);
            engine.values(0, 0, &[&large()]);
            engine.settle().await;
        } else {
            // The last piece of the first attempt.
            engine.acknowledge(1).await;
        }
        let before = sent(&engine).len();
        assert_eq!(before, 6, "{order:?}: the pieces of a second attempt");
        engine.acknowledge(3).await;
        let sent = sent(&engine);
        assert_eq!(sent.len(), 7, "{order:?}");
        assert!(holds(&manifest(&sent[6]), &sent[3..6]), "{order:?}");
        let first = if order == Order::None { 4 } else { 3 };
        assert_eq!(named(&manifest(&sent[6])).offsets, [first, first + 1, first + 2], "{order:?}");
        engine.acknowledge(1).await;
        engine.wait(200).await;
        assert_eq!(engine.committed().last(), Some(&1), "{order:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_has_all_pieces_and_the_manifest() {
    let engine = Harness::start(Options { guarantee: Guarantee::ExactlyOnce, ..options() });
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &["before", &large()]);
    engine.settle().await;
    engine.acknowledge(3).await;
    engine.wait(1_000).await;
    assert_eq!(engine.committed(), [] as [i64; 0], "the last piece is not there");
    engine.acknowledge(1).await;
    engine.wait(1_000).await;
    assert_eq!((sent(&engine).len(), engine.committed().len()), (5, 0), "nor is the manifest");
    engine.acknowledge(1).await;
    engine.wait(200).await;
    assert_eq!(engine.committed(), [2]);
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_in_the_middle_has_no_manifest() {
    let engine = Harness::start(options());
    engine.assign(0, 0, 0, "");
    engine.assign(1, 0, 0, "");
    engine.values(0, 0, &[&large()]);
    engine.settle().await;
    engine.acknowledge(2).await;
    drop(engine.lose(&[0]).await);
    engine.values(1, 0, &["other"]);
    engine.settle().await;
    engine.acknowledge(1).await;
    assert_eq!(engine.results().last().map(String::as_str), Some("other"));
    assert!(sent(&engine).iter().all(|record| record.headers.get(MANIFEST).is_none()));
}

#[tokio::test(start_paused = true)]
async fn pieces_that_the_broker_finds_too_large_are_cut_again_smaller() {
    let engine = Harness::start(Options { order: Order::None, largest: 8_000, ..options() });
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &[&large()]);
    engine.settle().await;
    let size = sent(&engine)[0].value.as_ref().unwrap().len();
    let refused = Refusal { too_large: Some(size as u64), reason: "too large".to_owned() };
    // In a batch with others, and then alone.
    engine.fail(2, &refused.clone().into()).await;
    assert_eq!(sent(&engine).len(), 3);
    engine.fail(1, &refused.into()).await;
    for _ in 0..30 {
        let waiting = engine.world.lock().unwrap().unacknowledged();
        engine.acknowledge(waiting).await;
        engine.wait(20).await;
    }
    let sent = sent(&engine);
    let manifest = manifest(sent.last().unwrap());
    assert!(named(&manifest).piece_bytes < size as u64 / 2, "{manifest:?}");
    let pieces = manifest.all().len();
    assert!(holds(&manifest, &sent[sent.len() - 1 - pieces..sent.len() - 1]));
    assert_eq!(engine.dead_letters(), [] as [String; 0]);
    assert_eq!(engine.committed().last(), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn pieces_that_came_into_several_partitions_are_written_again() {
    let engine = Harness::start(Options { order: Order::None, ..options() });
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &[&large()]);
    engine.settle().await;
    engine.acknowledge(2).await;
    engine.world.lock().unwrap().partition = 1;
    engine.acknowledge(1).await;
    assert_eq!(sent(&engine).len(), 6);
    engine.acknowledge(3).await;
    let sent = sent(&engine);
    assert!(holds(&manifest(&sent[6]), &sent[3..6]));
    assert_eq!(named(&manifest(&sent[6])).partition, 1);
}

#[tokio::test(start_paused = true)]
async fn a_large_result_lets_others_pass_but_none_of_its_own_partition_in_order() {
    for order in [Order::Partition, Order::None] {
        let engine = Harness::start(Options { order, ..options() });
        engine.assign(0, 0, 0, "");
        engine.assign(1, 0, 0, "");
        // Ten pieces; a costly one is a chunk of its own.
        let huge = format!("slow{}", "x".repeat(33_000));
        engine.values(0, 0, &[&huge]);
        engine.values(0, 1, &["slow behind it"]);
        engine.settle().await;
        engine.values(1, 0, &["slow beside it"]);
        engine.settle().await;
        let small = |engine: &Harness| -> Vec<String> {
            let whole =
                |record: &Record| record.headers.get(PIECE).or(record.headers.get(MANIFEST)).is_none();
            let values = sent(engine).into_iter().filter(whole);
            values.map(|record| String::from_utf8(record.value.unwrap().to_vec()).unwrap()).collect()
        };
        let pieces =
            |engine: &Harness| sent(engine).iter().filter(|r| r.headers.get(PIECE).is_some()).count();
        assert_eq!(pieces(&engine), 4, "{order:?}: no more at once");
        match order {
            Order::Partition => assert_eq!(small(&engine), ["slow beside it"]),
            _ => assert_eq!(small(&engine), ["slow behind it", "slow beside it"]),
        }
        for _ in 0..40 {
            let waiting = engine.world.lock().unwrap().unacknowledged();
            engine.acknowledge(waiting.min(1)).await;
        }
        engine.wait(200).await;
        assert_eq!(
            pieces(&engine),
            manifest(sent(&engine).iter().find(|r| r.headers.get(MANIFEST).is_some()).unwrap()).all().len()
        );
        assert_eq!(small(&engine).len(), 2, "{order:?}");
        let mut committed = engine.committed();
        committed.sort_unstable();
        assert_eq!(committed.last(), Some(&2), "{order:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_result_put_aside_is_in_the_transaction_that_is_being_ended() {
    let engine =
        Harness::start(Options { guarantee: Guarantee::ExactlyOnce, order: Order::None, ..options() });
    engine.assign(0, 0, 0, "");
    engine.values(0, 0, &[&format!("slow{}", "x".repeat(33_000))]);
    engine.values(0, 1, &["slow behind it"]);
    engine.settle().await;
    // Four pieces, and what is behind them: as that is done, the transaction is to be ended.
    engine.acknowledge(5).await;
    engine.wait(1_000).await;
    assert_eq!(engine.committed(), [] as [i64; 0]);
    // Nothing new is sent meanwhile.
    engine.values(0, 2, &["slow, later"]);
    for _ in 0..7 {
        assert!(!engine.results().iter().any(|value| value == "slow, later"));
        engine.acknowledge(1).await;
        engine.wait(50).await;
    }
    let manifests = sent(&engine).iter().filter(|record| record.headers.get(MANIFEST).is_some()).count();
    assert_eq!((manifests, engine.committed()), (1, vec![2]));
    engine.wait(200).await;
    assert_eq!(engine.results().last().map(String::as_str), Some("slow, later"));
}
