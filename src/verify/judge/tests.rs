use super::*;
use crate::{
    kafka::verify::Committed,
    record::ResultTopic,
    verify::history::{Asked, Deleted, OpenTransaction},
};

const EXACTLY_ONCE: Promise = Promise { guarantee: Guarantee::ExactlyOnce, order: Order::Partition };
const AT_LEAST_ONCE: Promise = Promise { guarantee: Guarantee::AtLeastOnce, order: Order::Partition };
/// The one that is bad.
const BAD: u32 = 3;

/// Ten requests in two partitions, of which number 3 is bad; all is as it must be.
fn right() -> History {
    let asked = |number: i64| Asked {
        at: number * 10,
        acknowledged: Some(number * 10 + 1),
        place: Some(place(number as i32 % 2, number / 2)),
        answered: Some(number * 10 + 5),
        ..Asked::default()
    };
    let good = (0..10).filter(|number| *number != BAD);
    History {
        asked: (0..10).map(asked).collect(),
        results: good
            .map(|number| result(number, place(number as i32 % 2, i64::from(number) + 100)))
            .collect(),
        letters: vec![letter("not-a-number")],
        ..History::default()
    }
}

fn place(partition: i32, offset: i64) -> Place {
    Place { partition, offset }
}

fn result(number: u32, place: Place) -> Found {
    Found { topic: ResultTopic(0), number: Some(number), digest: 1_000 + u64::from(number), place, at: 500 }
}

fn letter(class: &str) -> Letter {
    Letter {
        number: Some(BAD),
        digest: 2_000 + u64::from(BAD),
        class: class.to_owned(),
        says: Some(place(1, 1)),
        place: place(0, 0),
        at: 600,
    }
}

/// Results of 100 bytes; keys by twos.
fn expected(number: u32) -> Expected {
    let good = number != BAD;
    Expected {
        results: if good { vec![(1_000 + u64::from(number), 100)] } else { vec![] },
        class: (!good).then_some("not-a-number"),
        request: 2_000 + u64::from(number),
        key: u64::from(number % 4) + 1,
    }
}

/// The kinds and requests of what is broken.
fn broken(promise: Promise, history: &History) -> Vec<(AnomalyKind, Option<u32>)> {
    judge(promise, history, expected).broken.iter().map(|anomaly| (anomaly.kind, anomaly.number)).collect()
}

#[test]
fn what_is_right_is_found_right() {
    for promise in [EXACTLY_ONCE, AT_LEAST_ONCE, Promise { order: Order::Key, ..EXACTLY_ONCE }] {
        let verdict = judge(promise, &right(), expected);
        assert_eq!((verdict.broken.as_slice(), verdict.allowed.as_slice()), (&[][..], &[][..]));
        assert_eq!((verdict.requests, verdict.answered, verdict.excused, verdict.refused), (10, 10, 0, 0));
    }
}

#[test]
fn a_loss_is_found_although_another_result_is_double() {
    let mut history = right();
    let last = history.results.pop().unwrap();
    history.results.push(result(7, place(1, 200)));
    assert_eq!(last.number, Some(9));
    assert_eq!(
        broken(EXACTLY_ONCE, &history),
        [(AnomalyKind::Duplicate, Some(7)), (AnomalyKind::Lost, Some(9))]
    );
    assert_eq!(broken(AT_LEAST_ONCE, &history), [(AnomalyKind::Lost, Some(9))]);
    let verdict = judge(AT_LEAST_ONCE, &history, expected);
    assert_eq!(verdict.allowed.len(), 1);
    assert_eq!((verdict.requests, verdict.answered), (10, 9));
}

#[test]
fn a_value_that_is_not_right_is_wrong_and_the_right_one_is_lost() {
    let mut history = right();
    history.results[0].digest = 7;
    assert_eq!(broken(EXACTLY_ONCE, &history), [(AnomalyKind::Wrong, Some(0)), (AnomalyKind::Lost, Some(0))]);
    let mut history = right();
    history.results.push(Found { number: Some(BAD), ..result(0, place(0, 300)) });
    history.results.push(Found { number: None, ..result(0, place(0, 301)) });
    history.results.push(Found { number: Some(10), ..result(0, place(0, 302)) });
    assert_eq!(
        broken(EXACTLY_ONCE, &history),
        [(AnomalyKind::Wrong, None), (AnomalyKind::Wrong, None), (AnomalyKind::Wrong, Some(BAD))]
    );
}

#[test]
fn a_dead_letter_is_missing_double_or_not_as_it_must_be() {
    let with = |letters: Vec<Letter>| History { letters, ..right() };
    let cases = [
        (vec![], vec![(AnomalyKind::Lost, Some(BAD))]),
        (
            vec![letter("not-a-number"), letter("not-a-number")],
            vec![(AnomalyKind::LetterDuplicate, Some(BAD))],
        ),
        (vec![letter("above-max")], vec![(AnomalyKind::LetterWrong, Some(BAD))]),
        (vec![Letter { digest: 1, ..letter("not-a-number") }], vec![(AnomalyKind::LetterWrong, Some(BAD))]),
        (
            vec![Letter { says: Some(place(1, 2)), ..letter("not-a-number") }],
            vec![(AnomalyKind::LetterWrong, Some(BAD))],
        ),
        (
            vec![letter("not-a-number"), Letter { number: Some(4), ..letter("expired") }],
            vec![(AnomalyKind::LetterWrong, Some(4))],
        ),
        (
            vec![letter("not-a-number"), Letter { number: None, ..letter("x") }],
            vec![(AnomalyKind::LetterWrong, None)],
        ),
    ];
    for (letters, wrong) in cases {
        assert_eq!(broken(EXACTLY_ONCE, &with(letters.clone())), wrong, "{letters:?}");
    }
    let double = with(vec![letter("not-a-number"), letter("not-a-number")]);
    assert_eq!(broken(AT_LEAST_ONCE, &double), []);
}

/// Results of partition 0 are of 0, 2, 4, 6, 8, at offsets 100, 102 …
fn swapped(a: usize, b: usize) -> History {
    let mut history = right();
    let [first, second] = [a, b]
        .map(|number| history.results.iter().position(|found| found.number == Some(number as u32)).unwrap());
    let place = history.results[first].place;
    history.results[first].place = history.results[second].place;
    history.results[second].place = place;
    history
}

#[test]
fn of_repeats_the_one_that_was_written_first_counts_in_whichever_partition() {
    let mut history = right();
    let again = history.results[0].clone();
    // The result of 0 was in partition 1 first, and came once more behind that of 2.
    history.results[0].place = place(1, 50);
    history.results.push(Found { place: place(0, 103), at: again.at + 1, ..again });
    assert_eq!(broken(AT_LEAST_ONCE, &history), []);
    history.results[0].at += 2;
    assert_eq!(broken(AT_LEAST_ONCE, &history), [(AnomalyKind::OutOfOrder, Some(0))]);
}

#[test]
fn an_order_that_is_broken_is_found_where_it_is_promised() {
    let by = |order| Promise { order, ..EXACTLY_ONCE };
    // 2 and 4 have different keys, 2 and 6 the same.
    assert_eq!(broken(by(Order::Partition), &swapped(2, 4)), [(AnomalyKind::OutOfOrder, Some(2))]);
    assert_eq!(broken(by(Order::Key), &swapped(2, 4)), []);
    assert_eq!(broken(by(Order::Key), &swapped(2, 6)), [(AnomalyKind::OutOfOrder, Some(2))]);
    assert_eq!(broken(by(Order::None), &swapped(2, 6)), []);
    // Results of different partitions are in no order.
    let mut history = swapped(0, 2);
    history.results.iter_mut().find(|found| found.number == Some(0)).unwrap().place.partition = 5;
    assert_eq!(broken(by(Order::Partition), &history), []);
    // A repeat from behind is no break: the first ones count.
    let mut history = right();
    history.results.push(result(4, place(0, 200)));
    assert_eq!(broken(AT_LEAST_ONCE, &history), []);
}

#[test]
fn offsets_that_go_back_are_found_unless_the_topic_was_made_again() {
    let commit = |offset, at| Committed { topic: "t".to_owned(), partition: 0, offset, at };
    let commits = |offsets: &[Option<i64>]| History {
        commits: offsets.iter().zip(1..).map(|(offset, at)| commit(*offset, at)).collect(),
        ..right()
    };
    assert_eq!(broken(EXACTLY_ONCE, &commits(&[Some(5), Some(5), Some(9)])), []);
    assert_eq!(
        broken(EXACTLY_ONCE, &commits(&[Some(5), Some(4), Some(9)])),
        [(AnomalyKind::OffsetWentBack, None)]
    );
    assert_eq!(broken(EXACTLY_ONCE, &commits(&[Some(5), None, Some(0)])), []);
    let mut history = commits(&[Some(5), Some(4)]);
    history.made_again.push(2);
    assert_eq!(broken(EXACTLY_ONCE, &history), []);
}

#[test]
fn what_a_fault_deleted_is_not_expected_and_what_was_behind_it_is() {
    let mut history = right();
    // Requests 2 and 4 of partition 0 are deleted, at offsets 1 and 2; 0 was committed, and deleted too.
    history.deleted.push(Deleted { generation: 0, partition: 0, from: 1, before: 3 });
    history.results.retain(|found| !matches!(found.number, Some(0 | 2 | 4 | 5 | 6)));
    let lost = [0, 5, 6].map(|number| (AnomalyKind::Lost, Some(number)));
    assert_eq!(broken(EXACTLY_ONCE, &history), lost);
    assert_eq!(judge(EXACTLY_ONCE, &history, expected).excused, 2);
}

#[test]
fn what_no_broker_has_taken_may_be_answered_once_or_not() {
    let mut history = right();
    history.asked[6].place = None;
    history.asked[8].place = None;
    history.results.retain(|found| found.number != Some(6));
    assert_eq!(broken(EXACTLY_ONCE, &history), []);
    history.results.push(result(8, place(0, 300)));
    assert_eq!(broken(EXACTLY_ONCE, &history), [(AnomalyKind::Duplicate, Some(8))]);
}

fn too_large(number: u32) -> Letter {
    Letter {
        number: Some(number),
        digest: 2_000 + u64::from(number),
        says: Some(place(0, i64::from(number) / 2)),
        ..letter("result-too-large")
    }
}

#[test]
fn a_result_that_follows_a_dead_letter_of_its_own_is_a_repeat_and_in_no_order() {
    let mut history = swapped(2, 4);
    history.smallest_limit = Some(99);
    history.letters.push(too_large(2));
    assert_eq!(
        broken(AT_LEAST_ONCE, &history),
        [(AnomalyKind::OutOfOrder, Some(2))],
        "it came behind the result"
    );
    history.letters.last_mut().unwrap().at = 400;
    assert_eq!(broken(AT_LEAST_ONCE, &history), []);
}

#[test]
fn what_did_not_fit_may_be_a_dead_letter_and_nothing_else_may() {
    let mut history = right();
    history.results.retain(|found| found.number != Some(4));
    history.letters.push(too_large(4));
    assert_eq!(
        broken(EXACTLY_ONCE, &history),
        [(AnomalyKind::LetterWrong, Some(4)), (AnomalyKind::Lost, Some(4))]
    );
    history.smallest_limit = Some(100);
    assert_eq!(
        broken(EXACTLY_ONCE, &history),
        [(AnomalyKind::LetterWrong, Some(4)), (AnomalyKind::Lost, Some(4))]
    );
    history.smallest_limit = Some(99);
    assert_eq!(broken(EXACTLY_ONCE, &history), []);
    // Not both.
    history.letters.push(too_large(6));
    assert_eq!(broken(EXACTLY_ONCE, &history), [(AnomalyKind::Duplicate, Some(6))]);
    assert_eq!(broken(AT_LEAST_ONCE, &history), []);
}

#[test]
fn what_is_left_open_vanished_ended_or_stalled_is_said() {
    let mut history = right();
    history.open.push(OpenTransaction { topic: "t".to_owned(), place: place(0, 5), end: 9 });
    history.vanished.push("t[0] 7".to_owned());
    history.ended.push((1, "w1 ended by itself".to_owned()));
    history.stalled = vec![2, 4, 5];
    assert_eq!(
        broken(EXACTLY_ONCE, &history),
        [
            (AnomalyKind::Stalled, Some(2)),
            (AnomalyKind::Stalled, Some(5)),
            (AnomalyKind::OpenTransaction, None),
            (AnomalyKind::AbortedRead, None),
            (AnomalyKind::WorkerEnded, None),
        ]
    );
}

#[test]
fn a_request_that_is_twice_in_its_topic_is_two() {
    let mut history = right();
    for (number, again) in [(2, place(0, 70)), (BAD, place(1, 71))] {
        let asked = &mut history.asked[number as usize];
        asked.seen = [asked.place.unwrap(), again].into();
    }
    let lost = [(AnomalyKind::Lost, Some(2)), (AnomalyKind::Lost, Some(BAD))];
    assert_eq!(broken(EXACTLY_ONCE, &history), lost);
    history.results.push(result(2, place(0, 900)));
    history.letters.push(Letter { says: Some(place(1, 71)), ..letter("not-a-number") });
    assert_eq!(broken(EXACTLY_ONCE, &history), []);
    history.results.push(result(2, place(0, 901)));
    assert_eq!(broken(EXACTLY_ONCE, &history), [(AnomalyKind::Duplicate, Some(2))]);
}
