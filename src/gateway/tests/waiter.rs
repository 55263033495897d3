use std::time::{Duration, Instant};

use crate::gateway::{waiter::Waiter, *};

const SECOND: Duration = Duration::from_secs(1);
const FIVE: Question = Question::Number(5);

fn asked<R>(answers: &[Answer<R>]) -> Vec<usize> {
    answers.iter().map(|answer| answer.caller.0).collect()
}

#[test]
fn the_first_result_answers_all_who_wait_for_it_and_nobody_else() {
    let (mut waiter, start) = (Waiter::sharing(), Instant::now());
    let end = start + 9 * SECOND;
    assert!(waiter.wait_for(CallerId(1), FIVE, start, end).is_some());
    assert!(waiter.wait_for(CallerId(2), Question::Number(6), start, end).is_some());
    assert!(waiter.wait_for(CallerId(3), FIVE, start + SECOND, end).is_none(), "one request is enough");
    let answers = waiter.result(&FIVE, &"120", start + 2 * SECOND);
    assert_eq!(asked(&answers), [1, 3]);
    assert_eq!(answers[0].outcome, Ok("120"));
    assert_eq!((answers[0].total, answers[1].total), (2 * SECOND, SECOND));
    assert!(waiter.result(&FIVE, &"120", start).is_empty(), "a late result answers nobody");
    assert_eq!(asked(&waiter.result(&Question::Number(6), &"720", start)), [2]);
    assert!(waiter.is_forgetful());
}

#[test]
fn what_is_answered_apart_is_asked_and_answered_apart() {
    let (mut waiter, start) = (Waiter::apart(), Instant::now());
    let one = waiter.wait_for(CallerId(1), FIVE, start, start + SECOND).unwrap();
    let two = waiter.wait_for(CallerId(2), FIVE, start, start + SECOND).unwrap();
    assert_ne!(one.id, two.id);
    assert_eq!(one.id.get_version_num(), 4);
    assert!(waiter.result(&FIVE, &"120", start).is_empty(), "a result without an id is nobody's");
    assert_eq!(asked(&waiter.result_of(two.id, &"a", start)), [2]);
    assert_eq!(asked(&waiter.result_of(one.id, &"b", start)), [1]);
    assert!(waiter.result_of(one.id, &"b", start).is_empty());
    assert!(waiter.is_forgetful());
}

#[test]
fn the_acknowledgement_is_timed_apart() {
    let (mut waiter, start) = (Waiter::sharing(), Instant::now());
    let request = waiter.wait_for(CallerId(1), FIVE, start, start + 9 * SECOND).unwrap().request;
    waiter.acknowledged(request, 0, 20, start + SECOND);
    let answers = waiter.result(&FIVE, &"120", start + 3 * SECOND);
    assert_eq!((answers[0].acknowledged, answers[0].total), (Some(SECOND), 3 * SECOND));
    assert_eq!(answers[0].place, Some((0, 20)));
}

#[test]
fn a_dead_letter_answers_its_request_by_place_and_by_id() {
    let (mut waiter, start) = (Waiter::sharing(), Instant::now());
    let letter = Failure::DeadLetter { class: "above-max".into(), message: "too large".into() };
    let by_place = waiter.wait_for(CallerId(1), FIVE, start, start + SECOND).unwrap();
    waiter.acknowledged(by_place.request, 0, 7, start);
    assert!(waiter.fail_place::<()>(1, 7, letter.clone(), start).is_empty());
    let answers = waiter.fail_place::<()>(0, 7, letter.clone(), start);
    assert_eq!((asked(&answers), &answers[0].outcome), (vec![1], &Err(letter.clone())));
    let by_id = waiter.wait_for(CallerId(2), FIVE, start, start + SECOND).unwrap();
    assert!(waiter.fail_id::<()>(by_place.id, letter.clone(), start).is_empty());
    assert_eq!(asked(&waiter.fail_id::<()>(by_id.id, letter, start)), [2]);
    assert!(waiter.is_forgetful());
}

#[test]
fn nobody_waits_longer_than_the_deadline_and_whoever_waits_longer_is_not_dropped_with_the_others() {
    let (mut waiter, start) = (Waiter::sharing(), Instant::now());
    let first = waiter.wait_for(CallerId(1), FIVE, start, start + 2 * SECOND).unwrap();
    waiter.wait_for(CallerId(2), FIVE, start + SECOND, start + 3 * SECOND);
    assert_eq!(waiter.next_deadline(), Some(start + 2 * SECOND));
    assert_eq!(waiter.expire::<()>(start + SECOND), (vec![], vec![]));
    let (late, again) = waiter.expire::<()>(start + 2 * SECOND);
    assert_eq!((asked(&late), late[0].total), (vec![1], 2 * SECOND));
    assert_eq!(late[0].outcome, Err(Failure::TimedOut));
    assert_eq!(
        again,
        [Produce { deadline: start + 3 * SECOND, first: CallerId(2), ..first }],
        "for the one who still waits"
    );
    let (late, again) = waiter.expire::<()>(start + 3 * SECOND);
    assert_eq!((asked(&late), again), (vec![2], vec![]));
    assert!(waiter.is_forgetful());
}

#[test]
fn whoever_goes_away_leaves_the_others_waiting_and_the_last_one_nothing() {
    let (mut waiter, start) = (Waiter::sharing(), Instant::now());
    let request = waiter.wait_for(CallerId(1), FIVE, start, start + SECOND).unwrap().request;
    waiter.wait_for(CallerId(2), FIVE, start, start + SECOND);
    waiter.forget(CallerId(1));
    assert!(waiter.again(request).is_some());
    waiter.forget(CallerId(2));
    waiter.forget(CallerId(2));
    assert_eq!(waiter.again(request), None);
    assert!(waiter.is_forgetful());
}

#[test]
fn what_would_be_answered_where_nobody_reads_is_asked_again() {
    let (mut waiter, start) = (Waiter::sharing(), Instant::now());
    let [zero, one, nowhere] = [0, 1, 2]
        .map(|n| waiter.wait_for(CallerId(n), Question::Number(n as u64), start, start + SECOND).unwrap());
    waiter.replies_at(zero.request, 0);
    waiter.replies_at(one.request, 1);
    let mut astray = waiter.astray(|partition| partition == 0);
    astray.sort_by_key(|produce| produce.request);
    assert_eq!(astray, [one, nowhere]);
}

#[test]
fn a_stop_ends_all() {
    let (mut waiter, start) = (Waiter::sharing(), Instant::now());
    for n in 0..5 {
        waiter.wait_for(CallerId(n), Question::Number(n as u64 / 2), start, start + SECOND);
    }
    let mut ended = asked(&waiter.end_all::<()>(&Failure::Stopping, start));
    ended.sort_unstable();
    assert_eq!(ended, [0, 1, 2, 3, 4]);
    assert!(waiter.is_forgetful());
}
