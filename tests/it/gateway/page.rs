//! The page, in a real Chromium.

use serde_json::json;

use crate::harness::{Browser, Site, factorial};

const ENTER: &str = "\u{e007}";
const TAB: &str = "\u{e004}";

#[test]
fn a_person_types_a_number_and_reads_its_digits_its_way_and_what_is_wrong() {
    let site = Site::new("page").with_topics(4);
    let _worker = site.worker(&["operators.factorial.max_n=5000"]);
    let gateway = site.gateway(&[]);
    let browser = Browser::start();
    browser.post("url", json!({ "url": gateway.url() }));

    // By the keyboard alone.
    assert_eq!(browser.focus(), "n");
    browser.press(&format!("100{ENTER}"));
    browser.until("a result", |browser| browser.visible("result"));
    assert_eq!(browser.text("result-title"), "100! =");
    assert_eq!(browser.text("digits"), factorial(100));
    assert_eq!(browser.text("count"), "158 digits");
    let way = browser.text("steps");
    for part in
        ["produced", "acknowledged by the broker, at ", "computed by worker ", "arrived at ", "shown here"]
    {
        assert!(way.contains(part), "{part} is not in {way}");
    }
    assert!(way.contains(&format!("arrived at {}[", site.sink)), "{way}");
    for wanted in ["submit", "digits", "all"] {
        browser.press(TAB);
        assert_eq!(browser.focus(), wanted);
    }

    // What is wrong is said in words, to a screen reader too.
    for (typed, title, detail) in [
        ("thirty", "It is not a number", "\"thirty\" is not a whole number"),
        ("5001", "It cannot be computed", "5001 is above `max_n`, which is 5000"),
        ("200001", "It is too large", "n is above `max_n`, which is 200000"),
    ] {
        browser.script("const n = document.getElementById('n'); n.value = ''; n.focus()");
        browser.press(&format!("{typed}{ENTER}"));
        browser.until(detail, |browser| browser.text("problem-detail") == detail);
        assert_eq!((browser.text("problem-title").as_str(), browser.visible("result")), (title, false));
    }
    assert_eq!(browser.script("return document.getElementById('problem').getAttribute('role')"), "alert");
    browser.script("const n = document.getElementById('n'); n.value = '4000'; n.form.requestSubmit()");
    browser.until("a large result", |browser| browser.visible("result"));
    let digits = factorial(4_000);
    assert_eq!(browser.text("digits"), format!("{}…", &digits[..10_000]));
    let all = "return fetch(document.getElementById('all').href).then(response => response.text())";
    assert_eq!(browser.script(all), digits);
    let last = browser.text("last");
    for n in ["100", "thirty", "5001", "4000"] {
        assert!(last.lines().any(|line| line.split_whitespace().next() == Some(n)), "{n} is not in {last}");
    }

    // Nothing comes from elsewhere, every control has a name, and it is dark where that is wanted.
    let loaded = "return performance.getEntriesByType('resource').map(entry => entry.name)";
    let loaded = browser.script(loaded);
    for url in loaded.as_array().unwrap() {
        let url = url.as_str().unwrap();
        assert!(
            url.starts_with(&gateway.url()) || url.starts_with("data:") || url.starts_with("blob:"),
            "{url}"
        );
    }
    let unnamed = "return [...document.querySelectorAll('input, button')]\
                   .filter(e => !(e.labels?.length || e.innerText)).map(e => e.id)";
    assert_eq!(browser.script(unnamed), json!([]));
    let paper = "return getComputedStyle(document.body).backgroundColor";
    browser.scheme("light");
    let light = browser.script(paper);
    browser.scheme("dark");
    let dark = browser.script(paper);
    assert_eq!((light, dark), (json!("rgb(251, 251, 248)"), json!("rgb(20, 24, 26)")));

    if let Ok(file) = std::env::var("PIPELINE_PICTURE") {
        browser.scheme("light");
        browser.script("const n = document.getElementById('n'); n.value = '1000'; n.form.requestSubmit()");
        browser.until("the last result", |browser| browser.text("result-title") == "1000! =");
        std::fs::write(file, browser.picture()).unwrap();
    }
}

#[test]
fn a_person_sees_how_far_a_long_request_is_and_the_first_digits_of_its_result() {
    let site = Site::new("page-long").with_topics(4);
    let told = format!("{}.progress", site.source);
    let site = site.with(&[
        &format!("progress.topic={told}"),
        "sink.large=pieces",
        "operators.factorial.max_n=20000000",
        "limits.memory=1GiB",
    ]);
    let _worker = site.worker(&[]);
    let max = "routes.factorial.max_n=20000000";
    let gateway = site.gateway(&[max, &format!("routes.factorial.progress.topic={told}")]);
    let browser = Browser::start();
    browser.post("url", json!({ "url": gateway.url() }));
    browser.press(&format!("20000000{ENTER}"));
    browser.until("how far it is", |browser| browser.visible("progress"));
    let (said, done) =
        (browser.text("state"), browser.script("return document.getElementById('progress').value"));
    assert!(said.contains("computed by worker"), "{said}");
    assert!((0.0..=1.0).contains(&done.as_f64().unwrap()), "{done}");
    if let Ok(file) = std::env::var("PIPELINE_PICTURE_PROGRESS") {
        std::fs::write(file, browser.picture()).unwrap();
    }
    browser.until("a result", |browser| browser.visible("result"));
    assert_eq!(browser.text("count"), "the first 10,000 of 137,334,715 digits");
    let digits = gateway.begin("GET /factorial/20000000\nrange: bytes=0-9999", "").response();
    assert_eq!(browser.text("digits"), format!("{}…", digits.text()));
    assert!(!browser.visible("progress") && browser.text("state") == "done");
    let link = browser.script("return document.getElementById('all').href");
    assert_eq!(link, format!("{}/factorial/20000000", gateway.url()));
}
