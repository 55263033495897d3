use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};
use uuid::Uuid;

use crate::{
    config::{Correlation, Values},
    format::Format,
    gateway::*,
    telemetry::RequestMetrics,
};

const NUMBERS: Values = Values::Numbers { max: 1_000, request: Format::Text, result: Format::Text };

/// Keeps what is sent; refuses where the test wants it.
#[derive(Clone, Default)]
struct Sent {
    requests: Arc<Mutex<Vec<RequestRecord>>>,
    refuses: Arc<Mutex<Option<&'static str>>>,
}

impl RequestSink for Sent {
    fn send(&mut self, request: &RequestRecord) -> Result<(), String> {
        if let Some(reason) = *self.refuses.lock().unwrap() {
            return Err(reason.to_owned());
        }
        self.requests.lock().unwrap().push(request.clone());
        Ok(())
    }
}

struct Fixture {
    desk: DeskHandle,
    events: mpsc::Sender<Event>,
    sent: Sent,
    room: Arc<Semaphore>,
    /// Of what is asked.
    trace: Option<Trace>,
}

impl Fixture {
    async fn new(values: Values, correlation: Correlation) -> Fixture {
        let (sent, status) = (Sent::default(), Arc::new(Status::default()));
        let room = Arc::new(Semaphore::new(100));
        let metrics = Arc::new(RequestMetrics::new("test"));
        let (events, receiver) = mpsc::channel(16);
        let desk = Desk::new(values, correlation, 1 << 20, sent.clone(), status.clone(), metrics);
        let desk = DeskHandle::start(desk, receiver, room.clone(), status);
        let fixture = Fixture { desk, events, sent, room, trace: None };
        fixture.deliver(Event::Assigned(vec![0, 4])).await;
        fixture.deliver(Event::CaughtUp).await;
        assert_eq!(fixture.desk.status().trouble(), None);
        fixture
    }

    async fn deliver(&self, event: Event) {
        self.events.send(event).await.unwrap();
        settle().await;
    }

    async fn ask(&self, n: u64, seconds: u64) -> JoinHandle<Answered> {
        let (desk, room) = (self.desk.clone(), self.desk.permit().unwrap());
        // So that the next partition's turn comes.
        tokio::time::advance(Duration::from_millis(10)).await;
        let since = tokio::time::Instant::now().into_std();
        let deadline = since + Duration::from_secs(seconds);
        let wish = Wish { question: Question::Number(n), since, deadline, trace: self.trace.clone() };
        let asked = tokio::spawn(async move { desk.ask(room, wish).await });
        settle().await;
        asked
    }

    async fn reply(&self, id: Option<Uuid>, value: &'static str) {
        let worker = Some("w".to_owned());
        let reply = Reply { value: value.into(), partition: 4, offset: 9, worker, pieces: None };
        self.deliver(Event::Reply { id, reply, old: false }).await;
    }

    /// Value and reply partition of all that was produced.
    fn sent(&self) -> Vec<(String, i32)> {
        let sent = self.sent.requests.lock().unwrap();
        sent.iter().map(|r| (String::from_utf8(r.value.clone()).unwrap(), r.reply_partition)).collect()
    }

    fn id(&self, index: usize) -> Uuid {
        self.sent.requests.lock().unwrap()[index].id
    }
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

async fn value(asked: JoinHandle<Answered>) -> Result<String, Failure> {
    let answered = asked.await.unwrap();
    answered.answer.outcome.map(|reply| String::from_utf8(reply.value.to_vec()).unwrap())
}

fn pair(value: &str, partition: i32) -> (String, i32) {
    (value.to_owned(), partition)
}

#[tokio::test(start_paused = true)]
async fn who_asks_the_same_shares_a_request_and_what_is_known_is_not_asked_again() {
    let fixture = Fixture::new(NUMBERS, Correlation::Value).await;
    let (one, two, other) = (fixture.ask(5, 9).await, fixture.ask(5, 9).await, fixture.ask(6, 9).await);
    assert_eq!(fixture.sent(), [pair("5", 0), pair("6", 4)], "in turn");
    fixture.reply(None, "5;120").await;
    assert_eq!((value(one).await, value(two).await), (Ok("5;120".into()), Ok("5;120".into())));
    let known = fixture.ask(5, 9).await.await.unwrap();
    assert!(known.known);
    assert_eq!(known.answer.outcome.unwrap().worker.as_deref(), Some("w"));
    assert_eq!(fixture.sent().len(), 2);
    fixture.reply(None, "6;720").await;
    assert_eq!(value(other).await, Ok("6;720".into()));
    assert_eq!(fixture.room.available_permits(), 100, "all room is given back");
}

#[tokio::test(start_paused = true)]
async fn a_request_belongs_to_the_trace_of_the_first_who_waits_for_it() {
    let mut fixture = Fixture::new(NUMBERS, Correlation::Value).await;
    let mut traces = Vec::new();
    for trace in ["4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000001"] {
        let parent = format!("00-{trace}-00f067aa0ba902b7-01");
        fixture.trace = Trace::below(parent.as_bytes(), Some("a=1"));
        traces.push(fixture.trace.clone());
        assert!(fixture.trace.is_some());
        let asked = fixture.ask(5, 9).await;
        if traces.len() == 2 {
            fixture.deliver(Event::Revoked(vec![0])).await;
            fixture.reply(None, "5;120").await;
            assert_eq!(value(asked).await, Ok("5;120".into()));
        }
    }
    fixture.trace = None;
    let _plain = fixture.ask(6, 9).await;
    let sent = fixture.sent.requests.lock().unwrap();
    let sent: Vec<Option<Trace>> = sent.iter().map(|request| request.trace.clone()).collect();
    assert_eq!(sent, [traces[0].clone(), traces[0].clone(), None], "produced, again, and one without");
}

#[test]
fn a_state_that_is_too_long_is_left_out() {
    let parent = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let state = |length: usize| Trace::below(parent, Some(&"a".repeat(length))).unwrap().state.is_some();
    assert_eq!([0, 1, 512, 513].map(state), [false, true, true, false]);
}

#[tokio::test(start_paused = true)]
async fn by_id_each_has_an_answer_of_its_own() {
    let fixture = Fixture::new(NUMBERS, Correlation::Id).await;
    let (one, two) = (fixture.ask(5, 9).await, fixture.ask(5, 9).await);
    fixture.reply(None, "5;nobody's").await;
    fixture.reply(Some(fixture.id(1)), "5;second").await;
    fixture.reply(Some(fixture.id(0)), "5;first").await;
    assert_eq!((value(one).await, value(two).await), (Ok("5;first".into()), Ok("5;second".into())));
    let again = fixture.ask(5, 9).await;
    assert_eq!(fixture.sent().len(), 3, "nothing is kept");
    fixture.reply(Some(fixture.id(2)), "5;third").await;
    assert_eq!(value(again).await, Ok("5;third".into()));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_and_a_producer_that_refuses_are_reported_at_once() {
    let fixture = Fixture::new(NUMBERS, Correlation::Value).await;
    let asked = fixture.ask(5, 9).await;
    let (class, message) = ("above-max".to_owned(), "5 is too much".to_owned());
    let refused = Event::Refused { id: Some(fixture.id(0)), class: class.clone(), message: message.clone() };
    fixture.deliver(refused).await;
    assert_eq!(value(asked).await, Err(Failure::DeadLetter { class, message }));
    *fixture.sent.refuses.lock().unwrap() = Some("its queue is full");
    assert_eq!(value(fixture.ask(6, 9).await).await, Err(Failure::NotProduced("its queue is full".into())));
}

#[tokio::test(start_paused = true)]
async fn what_was_pending_on_a_partition_that_moved_is_asked_again_with_another() {
    let fixture = Fixture::new(NUMBERS, Correlation::Value).await;
    let (one, two) = (fixture.ask(5, 9).await, fixture.ask(6, 9).await);
    fixture.deliver(Event::Revoked(vec![0])).await;
    assert_eq!(fixture.sent(), [pair("5", 0), pair("6", 4), pair("5", 4)]);
    assert_eq!(fixture.id(0), fixture.id(2));
    fixture.deliver(Event::Revoked(vec![4])).await;
    assert!(fixture.desk.status().trouble().unwrap().contains("no partition"));
    assert_eq!(fixture.sent().len(), 3, "there is nowhere to ask for a reply");
    fixture.deliver(Event::Assigned(vec![4, 7])).await;
    let mut again = fixture.sent().split_off(3);
    again.sort();
    assert_eq!(again, [pair("5", 4), pair("6", 4)], "what came while it was not ours may never be read");
    fixture.deliver(Event::Revoked(vec![4])).await;
    let mut again = fixture.sent().split_off(5);
    again.sort();
    assert_eq!(again, [pair("5", 7), pair("6", 7)]);
    fixture.reply(None, "5;120").await;
    fixture.reply(None, "6;720").await;
    assert_eq!((value(one).await, value(two).await), (Ok("5;120".into()), Ok("6;720".into())));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_beyond_the_deadline_nor_is_remembered_after_going_away() {
    let fixture = Fixture::new(NUMBERS, Correlation::Value).await;
    let (short, gone) = (fixture.ask(5, 2).await, fixture.ask(6, 60).await);
    gone.abort();
    settle().await;
    assert_eq!(fixture.room.available_permits(), 99);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(value(short).await, Err(Failure::TimedOut));
    assert_eq!(fixture.room.available_permits(), 100);
    let pending = fixture.ask(7, 60).await;
    fixture.desk.end();
    assert_eq!(value(pending).await, Err(Failure::Stopping));
}
