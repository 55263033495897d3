//! `GET /state/NAME/KEY`: the newest value of a topic's key.

use crate::harness::{LIMIT, Producer, Site, ensure, eventually};

#[test]
fn the_newest_value_under_a_key_is_said_and_outlasts_a_restart() {
    let site = Site::new("kept").with_topics(2);
    let folder = tempfile::tempdir().unwrap();
    let topic = format!("{}-counts", site.source);
    let producer = Producer::new(&site.servers, &topic, 3, &[("cleanup.policy", "compact")]);
    producer.send("k 1/ü", Some(b"{\"n\":1}"), None);
    producer.send("k 1/ü", Some(b"{\"n\":2}"), None);
    producer.send("gone", Some(b"{\"n\":1}"), None);
    producer.send("gone", None, None);
    producer.flush();
    let settings = [
        format!("state.counts.topic={topic}"),
        format!("state.folder={}", folder.path().display()),
        "http.token=t".to_owned(),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let gateway = site.gateway(&settings);
    let ask = |gateway: &crate::harness::Gateway, path: &str| {
        gateway.begin(&format!("GET {path}\nauthorization: Bearer t"), "").response()
    };
    let until = |gateway: &crate::harness::Gateway, expected: &str| {
        eventually(LIMIT, || {
            let response = ask(gateway, "/state/counts/k%201%2F%C3%BC");
            let is_so = response.status == 200
                && response.header("content-type") == "application/json"
                && response.text() == expected;
            ensure(is_so, || format!("{response:?}"))
        });
    };
    until(&gateway, "{\"n\":2}");
    assert_eq!(gateway.get("/state/counts/gone").problem().0, 401);
    for (path, detail) in [
        ("/state/counts/gone", "there is nothing under this key"),
        ("/state/others/gone", "there is no state of this name: there are counts"),
    ] {
        let response = ask(&gateway, path);
        assert_eq!(response.problem(), (404, "not-found".to_owned()));
        assert_eq!(response.json()["detail"], detail);
    }
    producer.send("k 1/ü", Some(b"{\"n\":3}"), None);
    producer.flush();
    until(&gateway, "{\"n\":3}");
    gateway.terminate();
    let again = site.gateway(&settings);
    until(&again, "{\"n\":3}");
}
