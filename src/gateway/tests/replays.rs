use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
};
use futures::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::{
    config::{Override, Route, parse_gateway},
    gateway::{
        Findings, Letters, Replayed, Summary, Told, Wanted,
        http::{DeadLetters, router},
    },
    settings::ProcessEnvironment,
};

/// Letters in memory. A replay waits for the test, and then ends as its class says.
#[derive(Clone)]
struct Fake {
    looks: Arc<AtomicUsize>,
    go: Arc<Semaphore>,
}

impl Letters for Fake {
    fn look(&self, _route: &Route) -> BoxFuture<'static, Result<Summary, String>> {
        self.looks.fetch_add(1, SeqCst);
        async { Err("no broker answers".to_owned()) }.boxed()
    }

    fn find(&self, _route: &Route, wanted: &Wanted) -> BoxFuture<'static, Result<Findings, String>> {
        let found = Findings { found: wanted.limit, ..Findings::default() };
        async { Ok(found) }.boxed()
    }

    fn replay(
        &self,
        _route: &Route,
        wanted: &Wanted,
        told: Arc<Told>,
        stop: CancellationToken,
    ) -> BoxFuture<'static, Result<Replayed, String>> {
        let (go, wanted) = (self.go.clone(), wanted.clone());
        async move {
            told.found.store(wanted.limit, SeqCst);
            told.sent.store(1, SeqCst);
            tokio::select! {
                permit = go.acquire() => permit.unwrap().forget(),
                () = stop.cancelled() => return Ok(Replayed { replayed: 1, some_left: true, not_looked_at: 0 }),
            }
            match wanted.class.as_str() {
                "fails" => Err("the broker refuses".to_owned()),
                "panics" => panic!("as the test wants"),
                _ => Ok(Replayed { replayed: wanted.limit, ..Replayed::default() }),
            }
        }
        .boxed()
    }
}

struct Fixture {
    router: Router,
    letters: Arc<DeadLetters>,
    fake: Fake,
    stop: CancellationToken,
}

impl Fixture {
    fn new(sets: &[&str]) -> Fixture {
        let text = "[routes.factorial]\nrequest.topic = \"in\"\nresult.topic = \"out\"\ndead_letters.group = \"g\"\n";
        let sets: Vec<Override> = sets.iter().map(|set| set.parse().unwrap()).collect();
        let (gateway, _) = parse_gateway("g.toml", text, &sets, &ProcessEnvironment).unwrap();
        let fake = Fake { looks: Arc::default(), go: Arc::new(Semaphore::new(0)) };
        let stop = CancellationToken::new();
        let letters = Arc::new(DeadLetters::new(&gateway, fake.clone(), stop.clone()));
        Fixture { router: router(&gateway, Vec::new(), letters.clone(), Vec::new()), letters, fake, stop }
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("authorization", "Bearer t").header("content-type", "application/json");
        let response = self.router.clone().oneshot(request.body(Body::from(body.to_string())).unwrap());
        let response = response.await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn replay(&self, body: Value) -> (u16, Value) {
        self.ask("POST", "/dead-letters/replay", body).await
    }

    /// How the last replay is, once it is so.
    async fn until(&self, state: &str) -> Value {
        loop {
            let (code, status) = self.ask("GET", "/dead-letters/replay", Value::Null).await;
            assert_eq!(code, 200);
            if status["state"] == state {
                return status;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_replay_at_a_time_and_its_end_is_known_however_it_ends() {
    let fixture = Fixture::new(&["http.token=t"]);
    assert_eq!(fixture.until("none").await, json!({ "state": "none" }));
    let (code, counted) = fixture.replay(json!({ "class": "a", "limit": 7, "dry_run": true })).await;
    assert_eq!((code, &counted["found"], &counted["to"]), (200, &json!(7), &json!("in")));
    for (class, expected) in [
        ("works", json!({ "state": "done", "replayed": 7 })),
        ("fails", json!({ "state": "failed", "reason": "the broker refuses" })),
        ("panics", json!({ "state": "failed" })),
        ("works", json!({ "state": "done", "replayed": 7 })),
    ] {
        let (code, begun) = fixture.replay(json!({ "class": class, "limit": 7 })).await;
        assert_eq!((code, &begun["class"]), (202, &json!(class)));
        let sending = fixture.until("sending").await;
        assert_eq!(
            (&sending["found"], &sending["sent"], &sending["limit"]),
            (&json!(7), &json!(1), &json!(7))
        );
        for dry_run in [true, false] {
            let (code, refused) = fixture.replay(json!({ "class": "other", "dry_run": dry_run })).await;
            assert_eq!((code, &refused["type"]), (409, &json!("urn:pipeline:problem:replay-under-way")));
        }
        fixture.fake.go.add_permits(1);
        let ended = fixture.until(expected["state"].as_str().unwrap()).await;
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&ended[name], value, "{class}");
        }
        assert!(class != "panics" || ended["reason"].as_str().unwrap().contains("broke off"), "{ended}");
        // Its place is free once its end is known, or a moment later.
        while fixture.replay(json!({ "class": "a", "dry_run": true })).await.0 == 409 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_replay_and_waits_for_it_and_none_begins_then() {
    let fixture = Fixture::new(&["http.token=t"]);
    assert_eq!(fixture.replay(json!({ "class": "a" })).await.0, 202);
    fixture.until("sending").await;
    assert!(fixture.letters.ended().now_or_never().is_none(), "it is under way");
    fixture.stop.cancel();
    fixture.letters.ended().await;
    let ended = fixture.until("done").await;
    assert_eq!((&ended["replayed"], &ended["some_left"]), (&json!(1), &json!(true)));
    assert_eq!(fixture.replay(json!({ "class": "a" })).await.0, 409);
}

#[tokio::test(start_paused = true)]
async fn many_clients_cost_one_look_and_trouble_is_said_beside_its_route() {
    let fixture = Fixture::new(&[]);
    for _ in 0..5 {
        let (code, seen) = fixture.ask("GET", "/dead-letters", Value::Null).await;
        let off = seen["routes"][0]["replay_off"].as_str().unwrap().to_owned();
        assert!(off.starts_with("they need a token. Set `token = "), "{off}");
        let expected = json!({ "routes": [{ "trouble": "no broker answers", "route": "factorial", "topic": "in.dlq", "replay_off": off }] });
        assert_eq!((code, seen), (200, expected));
    }
    assert_eq!(fixture.fake.looks.load(SeqCst), 1);
}

#[tokio::test]
async fn without_a_token_nobody_beyond_this_machine_sees_anything() {
    let fixture = Fixture::new(&["http.listen=0.0.0.0:8080"]);
    for (method, path) in
        [("GET", "/dead-letters"), ("GET", "/dead-letters/replay"), ("POST", "/dead-letters/replay")]
    {
        let (code, refused) = fixture.ask(method, path, json!({ "class": "a" })).await;
        assert_eq!(
            (code, &refused["type"]),
            (403, &json!("urn:pipeline:problem:dead-letters-off")),
            "{method} {path}"
        );
    }
    assert_eq!(fixture.fake.looks.load(SeqCst), 0);
    let (code, refused) = Fixture::new(&[]).replay(json!({ "class": "a" })).await;
    assert_eq!((code, &refused["type"]), (403, &json!("urn:pipeline:problem:replay-off")));
}

#[tokio::test]
async fn without_its_workers_group_a_route_replays_nothing() {
    let sets = [
        "http.token=t",
        "routes.sums.request.topic=a",
        "routes.sums.result.topic=b",
        "routes.sums.dead_letters.topic=c",
    ];
    let fixture = Fixture::new(&sets);
    let (code, refused) = fixture.replay(json!({ "class": "a", "route": "sums" })).await;
    assert_eq!(code, 403);
    assert!(
        refused["detail"].as_str().unwrap().contains("set routes.sums.dead_letters.group to the group"),
        "{refused}"
    );
    let (code, refused) = fixture.replay(json!({ "class": "a" })).await;
    assert_eq!(code, 400);
    assert!(refused["detail"].as_str().unwrap().contains("there are several routes"), "{refused}");
}
