//! A component that makes the trouble that a record's value asks for, and passes all other records on.

use std::cell::RefCell;

wit_bindgen::generate!({ path: "../../../wit", world: "operator-with-clock" });

use pipeline::operator::{clock, config, log, records::{Header, Output}};

struct Trouble;

thread_local! {
    /// What is never given back.
    static KEPT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static CALLS: RefCell<u64> = const { RefCell::new(0) };
}

impl Guest for Trouble {
    fn apply(origin: Option<Place>, records: Vec<Input>) -> Vec<Answer> {
        CALLS.with_borrow_mut(|calls| *calls += 1);
        if records.iter().any(|record| record.value == b"no answers") {
            return Vec::new();
        }
        records.into_iter().map(|record| answer(&origin, record)).collect()
    }
}

fn text(text: String) -> Answer {
    Answer::Value(text.into_bytes())
}

fn answer(origin: &Option<Place>, record: Input) -> Answer {
    match record.value.as_slice() {
        b"loop" => loop {
            std::hint::black_box(0);
        },
        b"fill" => loop {
            std::hint::black_box(vec![1_u8; 8 << 20]);
        },
        b"allocate" => loop {
            KEPT.with_borrow_mut(|kept| kept.push(vec![1; 1 << 20]));
        },
        // A megabyte each time: after some records there is no room.
        b"leak" => {
            KEPT.with_borrow_mut(|kept| kept.push(vec![1; 1 << 20]));
            text("leaked".to_owned())
        }
        b"panic" => {
            log::write("about to panic");
            panic!("as the test wants it")
        }
        b"recurse" => text(recurse(1).to_string()),
        b"refuse" => Answer::Refused("it is refused".to_owned()),
        b"large" => Answer::Value(vec![b'x'; 3 << 20]),
        b"binary" => Answer::Value(vec![0xff, 0xfe]),
        b"drop" => Answer::Records(Vec::new()),
        b"two" => Answer::Records((0..2).map(|n| output(&record, n)).collect()),
        b"tombstone" => Answer::Records(vec![Output { key: record.key, value: None, headers: record.headers }]),
        b"chatter" => {
            (0..100).for_each(|line| log::write(&format!("line {line}")));
            Answer::Value(record.value)
        }
        b"config" => text(format!("{:?} {:?}", config::get("model"), config::get("none"))),
        b"clock" => text(clock::now().to_string()),
        b"calls" => text(CALLS.with_borrow(|calls| calls.to_string())),
        b"place" => {
            let origin = origin.as_ref().map(|place| format!("{}[{}]", place.topic, place.partition));
            text(format!("{} {} {:?}", origin.unwrap_or_default(), record.offset, record.timestamp))
        }
        _ => Answer::Value(record.value),
    }
}

fn output(record: &Input, n: u8) -> Output {
    let mut headers = record.headers.clone().unwrap_or_default();
    headers.push(Header { name: "n".to_owned(), value: Some(vec![b'0' + n]) });
    Output { key: Some(vec![b'0' + n]), value: Some(record.value.clone()), headers: Some(headers) }
}

fn recurse(depth: u64) -> u64 {
    std::hint::black_box(if depth == 0 { 0 } else { recurse(depth + 1) + 1 })
}

export!(Trouble);
