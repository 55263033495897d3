//! What a gateway answers: digits, events, problems, and where they are later.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{Consumed, Gateway, Response, Site, Worker, ensure, eventually, factorial};

#[test]
fn the_digits_come_as_text_and_with_everything_about_them_as_json() {
    let site = Site::new("gateway-digits").with_topics(4);
    let _worker = site.worker(&[]);
    let gateway = site.gateway(&[]);

    let text = gateway.get("/factorial/30");
    assert_eq!((text.status, text.text()), (200, "265252859812191058636308480000000"));
    assert_eq!(text.header("content-type"), "text/plain; charset=utf-8");
    assert!(text.header("server-timing").contains("total;dur="), "{text:?}");

    // A result may be read before the broker's acknowledgement of its request is.
    let mut numbers = 31..;
    let (n, answer) = eventually(Duration::from_secs(20), || {
        let n = numbers.next().unwrap();
        let answer = gateway.json(&format!("/factorial/{n}"));
        ensure(!answer["request"].is_null(), || answer.to_string()).map(|()| (n, answer))
    });
    assert_eq!((&answer["n"], &answer["digits"]), (&json!(n), &json!(factorial(n))));
    assert_eq!((&answer["topic"], &answer["known"]), (&json!(site.sink), &json!(false)));
    let seconds = |name: &str| answer["times"][name].as_f64().unwrap();
    assert!(seconds("acknowledged_seconds") > 0.0, "{answer}");
    assert!(seconds("total_seconds") >= seconds("acknowledged_seconds"), "{answer}");

    // The result is where the answer says, the request too, and the worker is named in it.
    let at = |record: &Consumed, place: &Value| {
        json!(record.partition) == place["partition"] && json!(record.offset) == place["offset"]
    };
    let results = site.read(&site.sink);
    let result = results.iter().find(|record| at(record, &answer)).unwrap();
    assert_eq!(result.value(), format!("{n};{}", factorial(n)));
    assert_eq!(json!(result.header("pipeline.worker")), answer["worker"]);
    let requests = site.read(&site.source);
    let request = requests.iter().find(|record| at(record, &answer["request"])).unwrap();
    assert_eq!((request.value(), &answer["request"]["topic"]), (n.to_string().as_str(), &json!(site.source)));
    assert_eq!(request.header("pipeline.reply-partition"), Some(result.partition.to_string().as_str()));
    assert_eq!(request.header("correlation-id"), result.header("correlation-id"));

    // What is known is not asked again.
    let known = gateway.json(&format!("/factorial/{n}"));
    assert_eq!((&known["digits"], &known["known"]), (&answer["digits"], &json!(true)));
    assert_eq!((&known["partition"], &known["offset"]), (&answer["partition"], &answer["offset"]));
    assert_eq!(site.read(&site.source).len() as u64, n - 29);
    assert_eq!(gateway.metric("pipeline_requests_known_total"), 1.0);
}

#[test]
fn a_large_result_is_compressed_where_that_is_asked_for() {
    let site = Site::new("gateway-large").with_topics(2);
    let _worker = site.worker(&[]);
    let gateway = site.gateway(&[]);
    let digits = factorial(50_000);
    assert_eq!(gateway.get("/factorial/50000").text(), digits);
    for (encoding, tool) in [("gzip", "gzip"), ("zstd", "zstd")] {
        let head = format!("GET /factorial/50000\naccept-encoding: {encoding}");
        let response = gateway.begin(&head, "").response();
        assert_eq!(response.header("content-encoding"), encoding);
        assert!(response.body.len() < digits.len() * 6 / 10, "{} bytes", response.body.len());
        assert_eq!(decompress(tool, &response), digits, "{encoding}");
    }
}

fn decompress(tool: &str, response: &Response) -> String {
    let mut child = Command::new(tool)
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("`{tool}` is needed: {error}"));
    let (mut stdin, body) = (child.stdin.take().unwrap(), response.body.clone());
    let writing = std::thread::spawn(move || stdin.write_all(&body).unwrap());
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_cannot_be_answered_is_a_problem_document_with_its_reason() {
    let site = Site::new("gateway-problems").with_topics(2);
    let _worker = site.worker(&["operators.factorial.max_n=100", "guarantee=exactly-once"]);
    let gateway = site.gateway(&["routes.factorial.max_n=1000"]);
    let problem = |path: &str| gateway.get(path).problem();
    let (number, large) = ((400, "not-a-number".to_owned()), (413, "too-large".to_owned()));
    for path in [
        "/factorial/thirty",
        "/factorial/-5",
        "/factorial/+5",
        "/factorial/5.0",
        "/factorial/%20",
        "/factorial/0x5",
    ] {
        assert_eq!(problem(path), number, "{path}");
    }
    assert_eq!(problem("/factorial/1001"), large);
    assert_eq!(problem("/factorial/99999999999999999999999999"), large);
    assert_eq!(problem("/nothing"), (404, "not-found".to_owned()));
    assert_eq!(problem("/factorial/5/6"), (404, "not-found".to_owned()));
    assert_eq!(problem("/factorial/%ff"), (400, "bad-request".to_owned()));
    let deleted = gateway.begin("DELETE /factorial/5", "").response();
    assert_eq!(deleted.problem(), (405, "method-not-allowed".to_owned()));

    // The worker has the last word, and its reason comes at once.
    let start = Instant::now();
    let response = gateway.get("/factorial/101");
    assert_eq!(response.problem(), (422, "dead-letter".to_owned()));
    let document = response.json();
    assert_eq!(document["class"], "above-max");
    assert_eq!(document["detail"], "101 is above `max_n`, which is 100");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let letters = site.read(&site.dead_letters);
    assert_eq!(letters.iter().map(|letter| letter.value()).collect::<Vec<_>>(), ["101"]);
    assert_eq!(gateway.get("/factorial/100").text(), factorial(100));
}

#[test]
fn many_are_answered_each_as_it_arrives() {
    let site = Site::new("gateway-many").with_topics(4);
    let _worker = site.worker(&["operators.factorial.max_n=10000"]);
    let gateway = site.gateway(&["limits.batch=300"]);
    let post = |kind: &str, body: &str| {
        gateway.begin(&format!("POST /factorial\ncontent-type: {kind}"), body).response()
    };
    let numbers: Vec<u64> = (0..200).chain([10_001]).collect();
    let response = post("application/json", &json!({ "n": numbers }).to_string());
    assert_eq!((response.status, response.header("content-type")), (200, "text/event-stream"));
    let mut answered = Vec::new();
    let events: Vec<(&str, Value)> = response
        .text()
        .split("\n\n")
        .filter(|event| !event.is_empty() && !event.starts_with(':'))
        .map(|event| event.split_once('\n').unwrap())
        .map(|(event, data)| {
            let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            (event.strip_prefix("event: ").unwrap(), data)
        })
        .collect();
    let (last, rest) = events.split_last().unwrap();
    assert_eq!(last.0, "end");
    for (event, data) in rest {
        let n = data["n"].as_u64().unwrap();
        if n == 10_001 {
            assert_eq!((*event, &data["problem"]["status"]), ("problem", &json!(422)), "{data}");
        } else {
            assert_eq!((*event, &data["digits"]), ("result", &json!(factorial(n))));
        }
        answered.push(n);
    }
    answered.sort_unstable();
    assert_eq!(answered, numbers);

    assert_eq!(post("text/plain", "[1]").problem(), (415, "not-json".to_owned()));
    assert_eq!(post("application/json", "1, 2").problem(), (400, "bad-request".to_owned()));
    assert_eq!(post("application/json", "[1, \"x\"]").problem(), (400, "not-a-number".to_owned()));
    assert_eq!(post("application/json", "[1, 300000]").problem(), (413, "too-large".to_owned()));
    assert_eq!(post("application/json", &json!(vec![1; 301]).to_string()).problem().0, 413);
}

#[test]
fn whoever_does_not_want_to_wait_fetches_the_answer_later() {
    let site = Site::new("gateway-later").with_topics(2);
    let gateway = site.gateway(&[]);
    let accepted = gateway.begin("GET /factorial/25\nprefer: respond-async", "").response();
    assert_eq!(accepted.status, 202);
    let location = accepted.header("location").to_owned();
    let waiting = gateway.get(&location);
    assert_eq!((waiting.status, waiting.header("location")), (202, location.as_str()));
    assert_eq!(waiting.header("retry-after"), "1");
    let _worker = site.worker(&[]);
    let answer = eventually(Duration::from_secs(20), || {
        let answer = gateway.get(&location);
        ensure(answer.status != 202, || "the answer has not come yet".to_owned()).map(|()| answer)
    });
    assert_eq!((answer.status, answer.text()), (200, factorial(25).as_str()));
    assert_eq!(gateway.get("/requests/1").problem(), (404, "no-ticket".to_owned()));
}

#[test]
fn any_format_will_do_and_any_pipeline() {
    for format in ["json", "bincode"] {
        let site = Site::new(&format!("gateway-{format}")).with_topics(2).with_format(format);
        let _worker = site.worker(&[]);
        let gateway = site.gateway(&[
            &format!("routes.factorial.request.format={format}"),
            &format!("routes.factorial.result.format={format}"),
        ]);
        assert_eq!(gateway.get("/factorial/1000").text(), factorial(1_000), "{format}");
        assert_eq!(gateway.json("/factorial/1000")["known"], true, "{format}");
    }

    // What an answer is the answer to cannot be seen in it: so it is known by the request's id, and asked each time.
    let site = Site::new("gateway-identity").with_topics(2);
    let _worker = site.start(&["run", "identity.toml"], &[]);
    let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
    let toml = format!(
        "[routes.echo]\npath = \"/v1/echo\"\nvalues = \"bytes\"\n\
         request.topic = \"{}\"\nresult.topic = \"{}\"\n",
        site.source, site.sink
    );
    std::fs::write(file.path(), toml).unwrap();
    let settings = ["http.listen=127.0.0.1:0".to_owned(), format!("name={}", site.source)];
    let arguments = ["serve", file.path().to_str().unwrap()];
    let gateway = Gateway::of(Worker::start(&site.servers, &arguments, &settings, &[]), "/v1/echo");
    gateway.wait_until_ready();
    for _ in 0..2 {
        let answer = gateway.json("/v1/echo/h%C3%A9llo");
        assert_eq!((&answer["value"], &answer["result"]), (&json!("héllo"), &json!("héllo")));
        assert_eq!(answer["known"], false);
    }
    let requests = site.read(&site.source);
    assert_eq!(requests.iter().map(|request| request.value()).collect::<Vec<_>>(), ["héllo", "héllo"]);
}

#[test]
fn what_was_computed_before_the_gateway_was_there_is_known_to_it() {
    let site = Site::new("gateway-preload").with_topics(2);
    let worker = site.worker(&[]);
    let first = site.gateway(&[]);
    for n in 0..30 {
        assert_eq!(first.get(&format!("/factorial/{n}")).text(), factorial(n));
    }
    assert!(first.terminate().0.success());
    worker.kill();
    // The ten latest of each of the two partitions, and no worker that could compute the others anew.
    let mut latest: BTreeMap<i32, Vec<u64>> = BTreeMap::new();
    for result in site.read(&site.sink) {
        let n = result.value().split(';').next().unwrap().parse().unwrap();
        latest.entry(result.partition).or_default().push(n);
    }
    let expected: BTreeSet<u64> =
        latest.values().flat_map(|numbers| numbers.iter().rev().take(10).copied()).collect();
    let second = site.gateway(&["cache.preload=20"]);
    let known: BTreeSet<u64> = (0..30)
        .filter(|n| {
            let answer = second.begin(&format!("GET /factorial/{n}\nprefer: wait=0"), "").response();
            if answer.status == 200 {
                assert_eq!(answer.text(), factorial(*n));
            }
            answer.status == 200
        })
        .collect();
    assert_eq!(known, expected);
}

#[test]
fn a_stop_lets_what_is_pending_finish_and_takes_nothing_more() {
    let site = Site::new("gateway-stop").with_topics(2);
    let mut gateway = site.gateway(&[]);
    let pending = gateway.ask(40);
    gateway.until_in_flight(1);
    gateway.process.stop();
    let answer = eventually(Duration::from_secs(10), || {
        let answer = gateway.get("/readyz");
        ensure(answer.status != 200, || "it is still ready".to_owned()).map(|()| answer)
    });
    assert_eq!(answer.text(), "not ready: factorial: the gateway is stopping\n");
    let _worker = site.worker(&[]);
    assert_eq!(pending.response().text(), factorial(40));
    let status = gateway.process.wait(Duration::from_secs(30));
    assert!(status.success(), "{}", gateway.process.log());
}
