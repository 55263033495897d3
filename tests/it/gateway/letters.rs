//! Dead letters at the gateway: what is seen of them, by whom, and their way back.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Browser, Gateway, LIMIT, Producer, Response, Site, create_topic, ensure, eventually};

const TOKEN: &str = "open-sesame-0123456789";
/// What a stranger may send, to have a browser do something.
const EVIL: &str = "<script>window.taken=1</script><img src=x onerror=\"window.taken=1\"></td>";

/// A site with dead letters: `above-0` to `above-4`, `bad-0` and `bad-1`, and an evil one.
fn site(test: &str) -> Site {
    let site = Site::new(test).with(&["guarantee=exactly-once"]).with_topics(2);
    create_topic(&site.servers, &site.dead_letters, 2, &[]);
    let producer = Producer::existing(&site.servers, &site.source);
    (0..5).for_each(|n| producer.send(&format!("above-{n}"), Some(b"50"), Some(n % 2)));
    producer.send("bad-0", Some(b"abc"), Some(0));
    producer.send("bad-1", Some(b"def"), Some(1));
    producer.send(EVIL, Some(EVIL.as_bytes()), Some(1));
    producer.flush();
    let low = site.worker(&["operators.factorial.max_n=10"]);
    eventually(LIMIT, || {
        let letters = site.read(&site.dead_letters).len();
        ensure(letters == 8, || format!("{letters} letters"))
    });
    assert!(low.terminate().0.success());
    site
}

fn gateway(site: &Site, more: &[&str]) -> Gateway {
    let group = format!("routes.factorial.dead_letters.group={}", site.source);
    site.gateway(&[&[group.as_str()], more].concat())
}

fn listed(gateway: &Gateway) -> Value {
    let response = gateway.begin(&format!("GET /dead-letters\nauthorization: Bearer {TOKEN}"), "").response();
    assert_eq!((response.status, response.header("content-type")), (200, "application/json"), "{response:?}");
    response.json()["routes"][0].clone()
}

fn asked(gateway: &Gateway, body: &Value) -> Response {
    let head =
        format!("POST /dead-letters/replay\nauthorization: Bearer {TOKEN}\ncontent-type: application/json");
    gateway.begin(&head, &body.to_string()).response()
}

/// Replays, and returns how it ended.
fn replayed(gateway: &Gateway, body: &Value) -> Value {
    let begun = asked(gateway, body);
    assert_eq!((begun.status, begun.header("location")), (202, "/dead-letters/replay"), "{begun:?}");
    eventually(LIMIT, || {
        let head = format!("GET /dead-letters/replay\nauthorization: Bearer {TOKEN}");
        let status = gateway.begin(&head, "").response().json();
        let is_over = ["done", "failed"].contains(&status["state"].as_str().unwrap());
        ensure(is_over, || format!("{status}")).map(|()| status)
    })
}

/// The keys of the records that were sent again.
fn sent_again(site: &Site) -> Vec<String> {
    let mut source = site.read(&site.source);
    source.retain(|record| record.header("pipeline.replays").is_some());
    let mut keys: Vec<String> = source.iter().map(|record| record.key().to_owned()).collect();
    keys.sort();
    keys
}

#[test]
fn letters_are_seen_by_class_and_replayed_once_by_who_has_the_token() {
    let site = site("gateway-letters");
    let gateway = gateway(&site, &[&format!("http.token={TOKEN}")]);
    for head in [
        "GET /dead-letters",
        "GET /dead-letters/replay",
        "POST /dead-letters/replay\ncontent-type: application/json",
    ] {
        for presented in ["", "\nauthorization: Bearer wrong"] {
            let refused = gateway.begin(&format!("{head}{presented}"), "").response();
            assert_eq!(refused.problem(), (401, "unauthorized".to_owned()), "{head}{presented}");
        }
    }
    let page = gateway.begin("GET /dead-letters\naccept: text/html", "").response();
    assert!(
        page.status == 200 && page.text().contains("<title>Dead letters") && !page.text().contains("above")
    );
    assert!(page.header("content-security-policy").contains("default-src 'none'"), "{page:?}");

    let route = listed(&gateway);
    assert_eq!((&route["route"], &route["topic"]), (&json!("factorial"), &json!(site.dead_letters)));
    assert_eq!((&route["looked_at"], &route["older"], &route["newer"]), (&json!(8), &json!(0), &json!(0)));
    assert_eq!(route["replay_off"], Value::Null);
    let classes: Vec<(&str, u64)> = route["classes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|class| (class["class"].as_str().unwrap(), class["count"].as_u64().unwrap()))
        .collect();
    assert_eq!(classes, [("above-max", 5), ("not-a-number", 3)]);
    let above = &route["classes"][0];
    // The producer's own time.
    assert_eq!(
        (&above["oldest"], &above["newest"]),
        (&json!("2023-11-14T22:13:20Z"), &json!("2023-11-14T22:13:20Z"))
    );
    let letters = site.read(&site.dead_letters);
    for example in above["examples"].as_array().unwrap() {
        let (partition, offset) =
            (example["partition"].as_i64().unwrap(), example["offset"].as_i64().unwrap());
        let letter =
            letters.iter().find(|l| i64::from(l.partition) == partition && l.offset == offset).unwrap();
        assert_eq!(example["key"]["text"], letter.key());
        assert_eq!(example["value"], json!({ "text": "50", "bytes": 2 }));
        assert_eq!(example["reason"], letter.header("pipeline.error.message").unwrap());
        assert_eq!(
            (&example["source_topic"], example["source_offset"].as_str()),
            (&json!(site.source), letter.header("pipeline.error.offset"))
        );
    }

    // What is wrong with a request is said.
    for (body, status, kind) in [
        (json!({ "class": "above-max", "limit": 0 }), 400, "bad-request"),
        (json!({ "class": "above-max", "limit": 100_001 }), 400, "bad-request"),
        (json!({ "class": "a b" }), 400, "bad-request"),
        (json!({ "class": "above-max", "what": 1 }), 400, "bad-request"),
        (json!({ "class": "above-max", "route": "other" }), 400, "bad-request"),
        (json!({ "class": "x".repeat(5_000) }), 413, "too-large"),
    ] {
        assert_eq!(asked(&gateway, &body).problem(), (status, kind.to_owned()), "{body}");
    }
    let plain = format!("POST /dead-letters/replay\nauthorization: Bearer {TOKEN}");
    assert_eq!(gateway.begin(&plain, "{}").response().problem().0, 415);

    // A count sends nothing; a limit sends so many, and the next replay goes on behind them.
    let counted = asked(&gateway, &json!({ "class": "above-max", "dry_run": true })).json();
    assert_eq!(
        (&counted["found"], &counted["to"], &counted["not_looked_at"]),
        (&json!(5), &json!(site.source), &json!(0))
    );
    assert_eq!(sent_again(&site), Vec::<String>::new());
    let first = replayed(&gateway, &json!({ "class": "above-max", "limit": 2 }));
    assert_eq!(
        (&first["state"], &first["replayed"], &first["some_left"]),
        (&json!("done"), &json!(2), &json!(false)),
        "{first}"
    );
    let two = sent_again(&site);
    assert!(two.len() == 2 && two.iter().all(|key| key.starts_with("above-")), "{two:?}");
    let counted = asked(&gateway, &json!({ "class": "above-max", "dry_run": true })).json();
    assert_eq!(counted["found"], 3);
    let second = replayed(&gateway, &json!({ "class": "above-max" }));
    assert_eq!((&second["state"], &second["replayed"]), (&json!("done"), &json!(3)), "{second}");
    let all: Vec<String> = (0..5).map(|n| format!("above-{n}")).collect();
    assert_eq!(sent_again(&site), all);
    let third = replayed(&gateway, &json!({ "class": "above-max" }));
    assert_eq!((&third["state"], &third["replayed"]), (&json!("done"), &json!(0)), "{third}");
    // The command has the same position.
    let (code, said, errors) =
        site.pipeline(&["dead-letters", "replay", "factorial.toml", "--class", "above-max"]);
    assert_eq!(
        (code, said),
        (0, format!("nothing that matches in {} is left to replay\n", site.dead_letters)),
        "{errors}"
    );
    assert_eq!(sent_again(&site), all);
    // And what the command begins, the gateway ends.
    let command = ["dead-letters", "replay", "factorial.toml", "--class", "not-a-number", "--limit", "1"];
    let (code, said, errors) = site.pipeline(&command);
    assert!(
        code == 0 && said.contains("done up to --limit") && said.contains("1 replayed"),
        "{said}{errors}"
    );
    assert_eq!(sent_again(&site).len(), 6);
    let rest = replayed(&gateway, &json!({ "class": "not-a-number" }));
    assert_eq!((&rest["state"], &rest["replayed"]), (&json!("done"), &json!(2)), "{rest}");
    let expected: BTreeSet<String> =
        all.iter().cloned().chain(["bad-0", "bad-1", EVIL].map(str::to_owned)).collect();
    let found = sent_again(&site);
    assert_eq!((found.len(), found.into_iter().collect::<BTreeSet<_>>()), (8, expected));
    let (_, log) = gateway.terminate();
    assert!(!log.contains(TOKEN), "{log}");
}

#[test]
fn without_a_token_nothing_is_replayed() {
    let site = site("gateway-letters-open");
    let gateway = gateway(&site, &[]);
    let route = listed(&gateway);
    assert_eq!(route["looked_at"], 8);
    assert!(route["replay_off"].as_str().unwrap().contains("token = \"${env:GATEWAY_TOKEN}\""), "{route}");
    let refused = asked(&gateway, &json!({ "class": "above-max" }));
    assert_eq!(refused.problem(), (403, "replay-off".to_owned()));
    assert_eq!(sent_again(&site), Vec::<String>::new());
}

#[test]
fn a_person_sees_the_letters_and_replays_a_class_and_strangers_bytes_do_nothing() {
    let site = site("gateway-letters-page");
    let gateway = gateway(&site, &[&format!("http.token={TOKEN}")]);
    let browser = Browser::start();
    browser.post("url", json!({ "url": format!("{}/dead-letters", gateway.url()) }));
    browser.until("the token's field", |browser| browser.visible("token-form"));
    assert_eq!(browser.focus(), "token");
    assert_eq!(browser.text("state"), "This gateway shows them to those who have its token.");
    browser.press(&format!("{TOKEN}\u{e007}"));
    browser.until("the letters", |browser| browser.text("routes").contains("not-a-number"));
    let shown = browser.text("routes");
    for part in [
        &format!("factorial: {}", site.dead_letters),
        "Counted in the newest 8 dead letters, which are all.",
        "above-max",
        "50 is above `max_n`, which is 10",
        "records of 2023-11-14 22:13:20 UTC",
        // Key, value and reason, as they were written.
        EVIL,
        "the value is not a number: \"<script>window.taken=1</script><img src=\"… (72 bytes)",
        "bad-1",
        "def",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    assert!(shown.matches("<script>").count() >= 3, "key, value and reason: {shown}");
    assert_eq!(
        browser.script("return [window.taken, document.querySelectorAll('img, td script').length]"),
        json!([null, 0])
    );

    let section = "[...document.querySelectorAll('section')].find(s => s.querySelector('h3').innerText === 'above-max')";
    let said = || {
        browser
            .script(&format!("return {section}.querySelector('output').innerText"))
            .as_str()
            .unwrap()
            .to_owned()
    };
    let press = |n: usize| browser.script(&format!("{section}.querySelectorAll('button')[{n}].click()"));
    press(0);
    browser.until("a count", |_| said() == format!("5 records would go to {} again.", site.source));
    assert_eq!(sent_again(&site), Vec::<String>::new());
    if let Ok(file) = std::env::var("PIPELINE_PICTURE_LETTERS") {
        browser.scheme("light");
        std::fs::write(file, browser.picture()).unwrap();
    }
    press(1);
    browser.until("the end", |_| said() == "Replayed 5 records; the letters stay in their topic.");
    assert_eq!(sent_again(&site), (0..5).map(|n| format!("above-{n}")).collect::<Vec<_>>());
    press(0);
    browser.until("another count", |_| said() == "Nothing is left to replay.");
    let unnamed = "return [...document.querySelectorAll('input, button')]\
                   .filter(e => !(e.labels?.length || e.innerText || e.ariaLabel)).length";
    assert_eq!(browser.script(unnamed), json!(0));
    if let Ok(file) = std::env::var("PIPELINE_PICTURE_LETTERS_DARK") {
        browser.scheme("dark");
        std::fs::write(file, browser.picture()).unwrap();
    }
}
