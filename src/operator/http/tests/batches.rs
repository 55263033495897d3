//! Several records in one call.

use std::sync::{Arc, Mutex};

use axum::{extract::State, response::IntoResponse};
use serde_json::{Value, json};

use super::*;

/// The bodies that a service was asked with.
type Asked = Arc<Mutex<Vec<Value>>>;

/// A service that marks objects; those that have a field `does` do what it says.
async fn service() -> (String, Asked) {
    let asked = Asked::default();
    let answer = |State(asked): State<Asked>, body: Bytes| async move {
        let body: Value = serde_json::from_slice(&body).unwrap();
        asked.lock().unwrap().push(body.clone());
        let records = body.as_array().unwrap();
        let does = |what: &str| records.iter().any(|record| record["value"]["does"] == what);
        if does("refuse all") {
            return (StatusCode::UNPROCESSABLE_ENTITY, "one of them is bad").into_response();
        }
        if does("fail") {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        if does("garbage") {
            return "this is no array".into_response();
        }
        let answers = records.iter().rev().filter_map(|record| match record["value"]["does"].as_str() {
            Some("refuse") => Some(json!({ "id": record["id"], "error": "it is bad" })),
            Some("drop") => Some(json!({ "id": record["id"], "values": [] })),
            Some("two") => Some(json!({ "id": record["id"], "values": [1, 2] })),
            Some("forget") => None,
            _ => Some(json!({ "id": record["id"], "value": { "n": record["value"]["n"], "seen": true } })),
        });
        answers.collect::<Value>().to_string().into_response()
    };
    let url = serve(Router::new().route("/", post(answer)).with_state(asked.clone())).await;
    (url, asked)
}

/// What becomes of values that are given at once, and the numbers of records that each call had.
async fn all(values: &[Value]) -> (Vec<String>, Vec<usize>) {
    let (url, asked) = service().await;
    let operator = build(&format!("url = '{url}'\nbatch = 4"), json());
    let calls = values.iter().map(|value| {
        let record =
            Record { value: (!value.is_null()).then(|| value.to_string().into()), ..call("").record };
        Call { record, ..call("") }
    });
    let answers = operator.asynchronous().unwrap().call(calls.collect()).await;
    let text = |record: &Record| {
        record.value.as_ref().map_or("none".to_owned(), |value| String::from_utf8_lossy(value).into_owned())
    };
    let became = answers.iter().map(|answer| match answer {
        Ok(records) => records.iter().map(text).collect::<Vec<_>>().join(" "),
        Err(OperatorError::BadInput { class, message }) => {
            format!("{class}: {}", message.replace(&url, "URL"))
        }
        Err(OperatorError::Passing { failure, .. }) => (*failure).to_owned(),
        Err(error) => error.to_string(),
    });
    let sizes = asked.lock().unwrap().iter().map(|body| body.as_array().unwrap().len()).collect();
    (became.collect(), sizes)
}

fn n(n: u32) -> Value {
    json!({ "n": n })
}

fn does(what: &str) -> Value {
    json!({ "does": what })
}

#[tokio::test]
async fn records_go_together_with_where_they_were_read_and_answers_come_in_any_order() {
    let (became, sizes) = all(&[n(1), n(2), n(3), n(4), n(5)]).await;
    let expected: Vec<String> = (1..=5).map(|n| format!("{{\"n\":{n},\"seen\":true}}")).collect();
    assert_eq!(became, expected);
    let mut sizes = sizes;
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 4]);
    let (url, asked) = service().await;
    build(&format!("url = '{url}'\nbatch = 4"), json()).asynchronous().unwrap().call(vec![call("{}")]).await;
    let expected =
        json!([{ "id": 0, "topic": "orders", "partition": 3, "offset": 1042, "key": "k", "value": {} }]);
    assert_eq!(*asked.lock().unwrap(), [expected]);
}

#[tokio::test]
async fn each_record_has_an_answer_of_its_own() {
    let (became, sizes) = all(&[does("refuse"), Value::Null, does("two"), does("drop")]).await;
    assert_eq!(became, ["refused-by-service: the service refuses it: it is bad", "none", "1 2", ""]);
    assert_eq!(sizes, [3], "a tombstone is not asked about");
}

#[tokio::test]
async fn where_all_are_refused_each_is_asked_about_alone() {
    let (became, sizes) = all(&[n(1), does("refuse all"), n(3)]).await;
    assert_eq!(became[0], "{\"n\":1,\"seen\":true}");
    assert_eq!(became[1], "refused-by-service: URL/ answered 422 Unprocessable Entity: one of them is bad");
    assert_eq!(became[2], "{\"n\":3,\"seen\":true}");
    assert_eq!(sizes, [3, 1, 1, 1]);
    let (became, _) = all(&[n(1), does("garbage")]).await;
    assert!(became[1].starts_with("bad-answer: URL/ must answer an array of objects"), "{became:?}");
    assert_eq!(became[0], "{\"n\":1,\"seen\":true}");
}

#[tokio::test]
async fn one_that_nothing_is_said_about_is_no_record_that_is_dropped() {
    let (became, sizes) = all(&[n(1), does("forget"), n(3)]).await;
    assert_eq!(became[1], "bad-answer: URL/ has not answered about `id` 1");
    assert_eq!((&*became[0], &*became[2]), ("{\"n\":1,\"seen\":true}", "{\"n\":3,\"seen\":true}"));
    assert_eq!(sizes, [3, 1], "what is answered already is not asked again");
}

#[tokio::test]
async fn a_failure_that_passes_is_that_of_all_but_what_was_not_asked() {
    let (became, sizes) = all(&[n(1), Value::Null, does("fail")]).await;
    assert_eq!((became, sizes), (vec!["status-5xx".into(), "none".into(), "status-5xx".into()], vec![2]));
}

#[test]
fn what_is_of_one_record_does_not_go_with_several() {
    let wrong = |more: &str| {
        let toml = format!("url = 'http://127.0.0.1:1'\n{more}");
        let error = Http::build(toml.parse().unwrap(), json()).err().unwrap();
        format!("{}: {}", error.key.unwrap(), error.reason)
    };
    assert_eq!(wrong("batch = 0"), "batch: it must be 1 to 2,000");
    assert_eq!(
        wrong("batch = 2\npath = \"'a'\""),
        "path: it is of one record, and `batch` sends several at once"
    );
}
