//! A real Chromium that is driven by WebDriver.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use base64::Engine;
use pipeline::broker::Watch;
use serde_json::{Value, json};

use super::{ensure, eventually};

/// A browser with one page; both end with the test.
pub struct Browser {
    driver: Child,
    _watch: Watch,
    _profile: tempfile::TempDir,
    session: String,
}

impl Browser {
    pub fn start() -> Browser {
        let mut driver = Command::new("chromedriver")
            .args(["--port=0", "--allowed-ips=127.0.0.1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("`chromedriver` is needed (Debian: chromium-driver): {error}"));
        let watch = Watch::over(&driver).unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                Some(line.split("successfully on port ").nth(1)?.trim_end_matches('.').to_owned())
            })
            .expect("chromedriver says its port");
        let profile = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--window-size=1000,1300".to_owned(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        let options = json!({ "goog:chromeOptions": { "args": arguments } });
        let capabilities = json!({ "capabilities": { "alwaysMatch": options } });
        let base = format!("http://127.0.0.1:{port}/session");
        let session = call("POST", &base, Some(capabilities));
        let session = format!("{base}/{}", session["sessionId"].as_str().unwrap());
        Browser { driver, _watch: watch, _profile: profile, session }
    }

    pub fn post(&self, path: &str, body: Value) -> Value {
        call("POST", &format!("{}/{path}", self.session), Some(body))
    }

    pub fn script(&self, script: &str) -> Value {
        self.post("execute/sync", json!({ "script": script, "args": [] }))
    }

    /// What an element shows, as a person sees it.
    pub fn text(&self, id: &str) -> String {
        self.script(&format!("return document.getElementById('{id}').innerText")).as_str().unwrap().to_owned()
    }

    pub fn visible(&self, id: &str) -> bool {
        self.script(&format!("return document.getElementById('{id}').checkVisibility()")) == true
    }

    /// Keys, as a person presses them, wherever the focus is.
    pub fn press(&self, keys: &str) {
        let keys: Vec<Value> = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key })))
            .collect();
        self.post("actions", json!({ "actions": [{ "type": "key", "id": "keys", "actions": keys }] }));
    }

    pub fn focus(&self) -> Value {
        self.script("return document.activeElement.id")
    }

    pub fn until(&self, what: &str, condition: impl Fn(&Browser) -> bool) {
        eventually(Duration::from_secs(30), || {
            let shown = || self.script("return document.body.innerText");
            ensure(condition(self), || format!("{what} is not there: {}", shown()))
        });
    }

    pub fn scheme(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        let body = json!({ "cmd": "Emulation.setEmulatedMedia", "params": { "features": features } });
        self.post("goog/cdp/execute", body);
    }

    pub fn picture(&self) -> Vec<u8> {
        let picture = call("GET", &format!("{}/screenshot", self.session), None);
        base64::prelude::BASE64_STANDARD.decode(picture.as_str().unwrap()).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = ureq::delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn call(method: &str, url: &str, body: Option<Value>) -> Value {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut response = match body {
        Some(body) => agent.post(url).content_type("application/json").send(body.to_string()).unwrap(),
        None => agent.get(url).call().unwrap(),
    };
    let text = response.body_mut().with_config().limit(50 << 20).read_to_string().unwrap();
    assert_eq!(response.status(), 200, "{method} {url}: {text}");
    let mut answer: Value = serde_json::from_str(&text).unwrap();
    answer["value"].take()
}
