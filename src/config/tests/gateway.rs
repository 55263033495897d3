use std::{path::PathBuf, time::Duration};

use super::{super::*, Empty};
use crate::settings::Diagnostics;

const GOOD: &str = r#"
[routes.factorial]
request.topic = "in"
result.topic = "out"
"#;

fn parsed(text: &str, sets: &[&str]) -> Result<(Gateway, Diagnostics), Diagnostics> {
    let overrides: Vec<Override> = sets.iter().map(|set| set.parse().unwrap()).collect();
    parse_gateway("g.toml", text, &overrides, &Empty)
}

fn good(more: &str, sets: &[&str]) -> Gateway {
    parsed(&format!("{more}{GOOD}"), sets).unwrap_or_else(|wrong| panic!("{wrong}")).0
}

#[track_caller]
fn assert_wrong(text: &str, sets: &[&str], expected: &[&str]) {
    let said = parsed(text, sets).err().unwrap_or_else(|| panic!("accepted: {text} {sets:?}")).to_string();
    for part in expected {
        assert!(said.contains(part), "{part:?} is not in\n{said}");
    }
}

#[test]
fn a_gateway_of_another_version_of_the_format_is_refused() {
    assert_eq!(good("version = 1\n", &[]).name, "gateway");
    assert_wrong(&format!("version = 3\n{GOOD}"), &[], &["this file has `version = 3`", "g.toml:1:11"]);
}

#[test]
fn a_short_file_is_safe_by_default() {
    let gateway = good("", &[]);
    assert_eq!((gateway.name.as_str(), gateway.in_flight, gateway.cache), ("gateway", 1_000, 64 << 20));
    assert!(gateway.http.listen.ip().is_loopback());
    assert_eq!((gateway.http.listen.port(), gateway.http.timeout), (8080, Duration::from_secs(30)));
    assert_eq!((gateway.http.token, gateway.http.tls), (None, None));
    let route = &gateway.routes[0];
    assert_eq!((route.path.as_str(), route.correlation), ("/factorial", Correlation::Value));
    assert_eq!((route.request.topic.as_str(), route.result.topic.as_str()), ("in", "out"));
}

#[test]
fn everything_can_be_set() {
    let text = r#"
        [http]
        listen = "[::1]:443"
        token = "${env:PASSWORD}"
        tls.certificate = "c.pem"
        tls.key = "k.pem"
    "#;
    let sets = ["routes.factorial.path=/v1/n", "http.body=5 KiB", "routes.factorial.result.format=json"];
    let gateway = good(text, &sets);
    assert_eq!(gateway.http.listen.to_string(), "[::1]:443");
    assert_eq!(gateway.http.token, Some(Secret("hunter2".to_owned())));
    let tls = Tls { certificate: PathBuf::from("c.pem"), key: PathBuf::from("k.pem") };
    assert_eq!((&gateway.http.tls, gateway.http.body), (&Some(tls), 5 << 10));
    assert_eq!(gateway.routes[0].path, "/v1/n");
    assert!(!format!("{gateway:?}").contains("hunter2"));
    let bytes = good("", &["routes.factorial.values=bytes"]);
    assert_eq!(
        (bytes.routes[0].values.clone(), bytes.routes[0].correlation),
        (Values::Bytes, Correlation::Id)
    );
}

#[test]
fn dead_letters_are_shown_where_the_file_says_so() {
    let letters = |sets: &[&str]| good("", sets).routes[0].dead_letters.clone();
    assert_eq!(letters(&[]), None);
    let expected = RouteLetters { topic: "in.dlq".to_owned(), group: Some("workers".to_owned()) };
    assert_eq!(letters(&["routes.factorial.dead_letters.group=workers"]), Some(expected));
    let expected = RouteLetters { topic: "bad".to_owned(), group: None };
    assert_eq!(letters(&["routes.factorial.dead_letters.topic=bad"]), Some(expected));
    assert_wrong(
        GOOD,
        &["routes.factorial.dead_letters.topic=a b"],
        &["`routes.factorial.dead_letters.topic` is not a topic's name"],
    );
    assert_wrong(GOOD, &["routes.factorial.path=/dead-letters"], &["cannot be a route's path"]);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    assert_wrong("name = \"g\"\n", &[], &["there is no route", "[routes.factorial]"]);
    assert_wrong(
        &format!("tiemout = 1\n{GOOD}"),
        &[],
        &["`tiemout` is not a setting of a gateway", "g.toml:1:1"],
    );
    assert_wrong(
        &format!("http.timeot = \"1 s\"\n{GOOD}"),
        &[],
        &["`timeot` is not", "did you mean `timeout`?"],
    );
    assert_wrong("[routes.a]\nrequest.topic = \"x\"\n", &[], &["`topic` is missing in `[routes.a.result]`"]);
    let two = "[routes.a]\npath = \"/x\"\nrequest.topic = \"a\"\nresult.topic = \"b\"\n\
               [routes.b]\npath = \"/x\"\nrequest.topic = \"a\"\nresult.topic = \"c\"\n";
    assert_wrong(two, &[], &["there are two routes at `/x`"]);
    for (set, sentence) in [
        ("routes.factorial.path=factorial", "`factorial` cannot be a route's path"),
        ("routes.factorial.path=/a/{b}", "`/a/{b}` cannot be a route's path"),
        ("routes.factorial.path=/readyz", "`/readyz` cannot be a route's path"),
        ("routes.factorial.result.topic=in", "requests would be taken for results: both are in `in`"),
        ("http.tls.key=k.pem", "`certificate` is missing in `[http.tls]`"),
        ("http.timeout=0 s", "`http.timeout` must be longer than nothing"),
        ("limits.in_flight=0", "`limits.in_flight` must be an integer, 1 to 1000000"),
        ("kafka.linger.msec=5", "`linger.msec` is not a property of librdkafka"),
    ] {
        assert_wrong(GOOD, &[set], &[sentence]);
    }
    let both = ["routes.factorial.values=bytes", "routes.factorial.correlation=value"];
    assert_wrong(GOOD, &both, &["cannot be seen in it", "say `correlation = \"id\"`"]);
}

#[test]
fn the_built_in_gateway_asks_what_the_built_in_workers_answer() {
    let (gateway, warnings) = load_gateway("gateway.toml", &[]).unwrap();
    assert!(warnings.is_empty(), "{warnings}");
    let (pipeline, _) = load("factorial.toml", &[]).unwrap();
    let route = &gateway.routes[0];
    assert_eq!(route.request.topic, pipeline.source.topic().topic);
    assert_eq!(route.request.partitions, pipeline.source.topic().partitions);
    assert_eq!(route.result.topic, pipeline.sink.topic.topic);
    let numbers =
        Values::Numbers { max: 200_000, request: pipeline.source.format, result: pipeline.sink.format };
    assert_eq!(route.values, numbers);
}
