//! `/dead-letters`: what could not be computed, for people as a page and for programs as JSON; and its way back, behind the token.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{
    Problem,
    headers::{is_json, wants_page},
    page::POLICY,
    token,
};
use crate::{
    config::{Gateway, Route, Secret},
    gateway::{Letters, Replayed, Told, Wanted},
};

/// The most bytes of a request to replay.
pub const BODY: usize = 4 << 10;
/// For how long what was seen in the topics is shown again, so that many clients cost one look.
const FRESH: Duration = Duration::from_secs(2);
/// How many records one replay sends, unless the request says, and at most.
const LIMIT: u64 = 1_000;
const MOST: u64 = 100_000;
/// How a gateway gets a token.
const TOKEN: &str =
    "Set `token = \"${env:GATEWAY_TOKEN}\"` in [http] of the gateway's file, and start it again";
/// The longest name of a class.
const CLASS: usize = 100;

/// The dead letters of a gateway's routes.
pub struct DeadLetters {
    /// The routes whose letters are shown.
    routes: Vec<Route>,
    token: Option<Secret>,
    /// Whether nobody but this machine reaches the gateway.
    at_loopback: bool,
    letters: Box<dyn Letters>,
    /// What was seen last, and when. Its lock is held by the one look at a time.
    seen: Arc<tokio::sync::Mutex<Option<(Instant, Value)>>>,
    /// For the one replay, or count of what it would send, at a time.
    room: Arc<Semaphore>,
    /// The last replay.
    last: Mutex<Option<Replay>>,
    stop: CancellationToken,
}

/// A replay, under way or ended.
#[derive(Clone)]
struct Replay {
    route: String,
    wanted: Wanted,
    told: Arc<Told>,
    ended: Option<Result<Replayed, String>>,
}

/// What a client asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// The route's name; needed where there are several.
    route: Option<String>,
    class: String,
    limit: Option<u64>,
    #[serde(default)]
    dry_run: bool,
}

impl DeadLetters {
    /// Those that the file has shown. A replay ends early where `stop` is cancelled.
    pub fn new(gateway: &Gateway, letters: impl Letters, stop: CancellationToken) -> Self {
        let shown = gateway.routes.iter().filter(|route| route.dead_letters.is_some());
        DeadLetters {
            routes: shown.cloned().collect(),
            token: gateway.http.token.clone(),
            at_loopback: gateway.http.listen.ip().is_loopback(),
            letters: Box::new(letters),
            seen: Arc::default(),
            room: Arc::new(Semaphore::new(1)),
            last: Mutex::default(),
            stop,
        }
    }

    /// Resolves once no replay is under way, and lets none begin any more.
    pub async fn ended(&self) {
        // It is never closed.
        let permit = self.room.acquire().await;
        permit.into_iter().for_each(tokio::sync::SemaphorePermit::forget);
    }

    /// What a client is told that may not see what strangers have sent: only those with the token may, or this machine where there is
    /// none.
    fn refusal(&self, headers: &HeaderMap) -> Option<Response> {
        match &self.token {
            Some(token) => (!token::is_presented(token, headers)).then(token::refusal),
            None => (!self.at_loopback).then(|| Problem::letters_off(TOKEN).into_response()),
        }
    }

    /// Why nothing of a route can be replayed; `None` where it can.
    fn off(&self, route: &Route) -> Option<String> {
        if self.token.is_none() {
            return Some(format!("they need a token. {TOKEN}"));
        }
        let group = route.dead_letters.as_ref().and_then(|letters| letters.group.as_ref());
        let name = &route.name;
        group.is_none().then(|| {
            format!("set routes.{name}.dead_letters.group to the group of the route's workers (`source.group` of their file, or its `name`)")
        })
    }

    /// What is in the topics, as it was a moment ago at most.
    async fn look(self: Arc<Self>) -> Value {
        let mut seen = self.seen.clone().lock_owned().await;
        if let Some((at, value)) = &*seen
            && at.elapsed() < FRESH
        {
            return value.clone();
        }
        let mut routes = Vec::new();
        for route in &self.routes {
            let topic = route.dead_letters.as_ref().map(|letters| letters.topic.clone());
            let mut document = match self.letters.look(route).await {
                Ok(summary) => json!(summary),
                Err(trouble) => json!({ "trouble": trouble }),
            };
            document["route"] = json!(route.name);
            document["topic"] = json!(topic);
            document["replay_off"] = json!(self.off(route));
            routes.push(document);
        }
        let value = json!({ "routes": routes });
        *seen = Some((Instant::now(), value.clone()));
        value
    }

    /// The route and what of it is to be replayed.
    fn wanted(&self, request: Request) -> Result<(Route, Wanted), Problem> {
        let route = match (&request.route, self.routes.as_slice()) {
            (Some(name), routes) => routes.iter().find(|route| route.name == *name).ok_or_else(|| {
                Problem::bad_request(format!(
                    "no route of that name shows its dead letters: {}",
                    name.escape_debug()
                ))
            })?,
            (None, [only]) => only,
            (None, []) => {
                return Err(Problem::replay_off(
                    "no route shows its dead letters: see [routes.NAME.dead_letters]",
                ));
            }
            (None, _) => {
                return Err(Problem::bad_request(
                    "there are several routes: say which, such as \"route\": \"factorial\"",
                ));
            }
        };
        if let Some(off) = self.off(route) {
            return Err(Problem::replay_off(off));
        }
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let class = request.class;
        if class.is_empty() || class.len() > CLASS || !class.chars().all(legal) {
            return Err(Problem::bad_request(
                "a class is written as GET /dead-letters shows it, such as \"not-a-number\"",
            ));
        }
        let limit = request.limit.unwrap_or(LIMIT);
        if !(1..=MOST).contains(&limit) {
            return Err(Problem::bad_request(format!(
                "limit is from 1 to {MOST}; a larger replay is for `pipeline dead-letters replay`"
            )));
        }
        Ok((route.clone(), Wanted { class, limit }))
    }

    /// Counts what would be sent.
    async fn dry_run(
        self: Arc<Self>,
        route: Route,
        wanted: Wanted,
        permit: OwnedSemaphorePermit,
    ) -> Response {
        let asked = tokio::spawn(async move {
            let found = self.letters.find(&route, &wanted).await;
            drop(permit);
            found.map(|found| (found, route, wanted))
        });
        match asked.await {
            Ok(Ok((found, route, wanted))) => {
                let mut document = json!(found);
                document["route"] = json!(route.name);
                document["class"] = json!(wanted.class);
                document["to"] = json!(route.request.topic);
                document["dry_run"] = json!(true);
                json_response(StatusCode::OK, &document)
            }
            Ok(Err(trouble)) => Problem::unavailable(trouble).into_response(),
            Err(error) => Problem::unavailable(format!("it broke off: {error}")).into_response(),
        }
    }

    /// Begins a replay, which goes on without its client.
    fn begin(self: Arc<Self>, route: Route, wanted: Wanted, permit: OwnedSemaphorePermit) {
        let told = Arc::new(Told::default());
        let replay =
            Replay { route: route.name.clone(), wanted: wanted.clone(), told: told.clone(), ended: None };
        *self.last() = Some(replay);
        tokio::spawn(async move {
            let replay = self.letters.replay(&route, &wanted, told, self.stop.child_token());
            // On a task of its own, so that the end of one that panics is known too.
            let ended =
                tokio::spawn(replay).await.unwrap_or_else(|error| Err(format!("it broke off: {error}")));
            if let Err(reason) = &ended {
                tracing::warn!(
                    route = route.name,
                    class = wanted.class,
                    reason,
                    "a replay of dead letters failed"
                );
            }
            if let Some(last) = &mut *self.last() {
                last.ended = Some(ended);
            }
            drop(permit);
        });
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<Replay>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status(&self) -> Value {
        let Some(Replay { route, wanted, told, ended }) = self.last().clone() else {
            return json!({ "state": "none" });
        };
        let (found, sent) = told.get();
        let mut status = json!({
            "state": if found == 0 { "looking" } else { "sending" },
            "route": route, "class": wanted.class, "limit": wanted.limit, "found": found, "sent": sent,
        });
        match ended {
            None => {}
            Some(Ok(replayed)) => {
                status["state"] = json!("done");
                status["replayed"] = json!(replayed.replayed);
                status["some_left"] = json!(replayed.some_left);
                status["not_looked_at"] = json!(replayed.not_looked_at);
            }
            Some(Err(reason)) => {
                status["state"] = json!("failed");
                status["reason"] = json!(reason);
            }
        }
        status
    }
}

/// `GET /dead-letters`: the page for a browser, which asks for the rest; JSON for all others.
pub async fn list(State(letters): State<Arc<DeadLetters>>, headers: HeaderMap) -> Response {
    let varies = (header::VARY, "accept");
    if wants_page(&headers) {
        let html = Html(include_str!("letters.html"));
        return ([(header::CONTENT_SECURITY_POLICY, POLICY), varies], html).into_response();
    }
    if let Some(refusal) = letters.refusal(&headers) {
        return refusal;
    }
    // A client that hangs up does not have the next one begin anew.
    match tokio::spawn(letters.look()).await {
        Ok(document) => ([varies], json_response(StatusCode::OK, &document)).into_response(),
        Err(error) => Problem::unavailable(format!("the look broke off: {error}")).into_response(),
    }
}

/// `GET /dead-letters/replay`: how far the last replay is.
pub async fn how_far(State(letters): State<Arc<DeadLetters>>, headers: HeaderMap) -> Response {
    if let Some(refusal) = letters.refusal(&headers) {
        return refusal;
    }
    json_response(StatusCode::OK, &letters.status())
}

/// `POST /dead-letters/replay`: sends records to their source topic again, or counts them.
pub async fn replay(State(letters): State<Arc<DeadLetters>>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(refusal) = letters.refusal(&headers) {
        return refusal;
    }
    if !is_json(&headers) {
        return Problem::not_json().into_response();
    }
    let request: Request = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => {
            let detail =
                format!("send {{\"class\": \"not-a-number\", \"limit\": 100, \"dry_run\": true}}: {error}");
            return Problem::bad_request(detail).into_response();
        }
    };
    let dry_run = request.dry_run;
    let (route, wanted) = match letters.wanted(request) {
        Ok(wanted) => wanted,
        Err(problem) => return problem.into_response(),
    };
    let Ok(permit) = letters.room.clone().try_acquire_owned() else {
        return Problem::replay_under_way().into_response();
    };
    if dry_run {
        return letters.dry_run(route, wanted, permit).await;
    }
    letters.clone().begin(route, wanted, permit);
    let location = [(header::LOCATION, "/dead-letters/replay")];
    (location, json_response(StatusCode::ACCEPTED, &letters.status())).into_response()
}

fn json_response(status: StatusCode, document: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, document.to_string()).into_response()
}
