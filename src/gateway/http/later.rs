//! For clients that do not want to wait: a place where they find the answer later.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use uuid::Uuid;

use super::{Problem, Served, answer::respond, large::Wanted};
use crate::{
    gateway::{Answered, CallerId, Permit, Wish},
    telemetry::UnderWay,
};

/// The latest answers, or what will be answers, that no client waits for.
pub struct Later {
    kept: Mutex<Kept>,
    limit: usize,
}

#[derive(Default)]
struct Kept {
    answers: HashMap<Uuid, Ticket>,
    /// The oldest first.
    order: VecDeque<Uuid>,
}

/// What was asked at a route, by that caller, and its answer once it has come.
#[derive(Clone)]
struct Ticket {
    served: Arc<Served>,
    caller: CallerId,
    answered: Option<Answered>,
}

impl Later {
    /// Keeps at most `limit` answers.
    pub fn new(limit: usize) -> Self {
        Later { kept: Mutex::default(), limit }
    }

    /// Asks, and responds with the answer if it comes within `wait`, otherwise with `202` and where the answer will be.
    pub async fn ask(
        self: &Arc<Self>,
        served: Arc<Served>,
        permit: Permit,
        wish: Wish,
        wait: Duration,
        wanted: &Wanted<'_>,
    ) -> Response {
        let caller = served.desk.caller();
        // Random, from the system: a client with some tickets cannot guess those of others.
        let ticket = Uuid::new_v4();
        self.change(|kept| {
            kept.answers.insert(ticket, Ticket { served: served.clone(), caller, answered: None });
            kept.order.push_back(ticket);
            if kept.order.len() > self.limit
                && let Some(oldest) = kept.order.pop_front()
            {
                kept.answers.remove(&oldest);
            }
        });
        let later = self.clone();
        let asked = tokio::spawn(async move {
            let answered = served.desk.ask_as(caller, permit, wish).await;
            later.change(|kept| {
                if let Some(kept) = kept.answers.get_mut(&ticket) {
                    kept.answered = Some(answered);
                }
            });
        });
        // Whether it ended in time is seen in what is kept.
        let _ = tokio::time::timeout(wait, asked).await;
        self.respond(ticket, wanted).await
    }

    /// The answer, or that it is not there yet.
    async fn respond(&self, ticket: Uuid, wanted: &Wanted<'_>) -> Response {
        match self.change(|kept| kept.answers.get(&ticket).cloned()) {
            Some(Ticket { served, answered: Some(answered), .. }) => {
                respond(&served, &answered, wanted).await
            }
            Some(Ticket { served, caller, answered: None }) => {
                pending(ticket, served.desk.how_far(caller).await)
            }
            None => Problem::no_ticket().into_response(),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> T {
        change(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// `GET /requests/{ticket}`: the answer, or `202` again.
pub async fn fetch(
    State(later): State<Arc<Later>>,
    method: Method,
    ticket: Result<Path<Uuid>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let Ok(Path(ticket)) = ticket else { return Problem::no_ticket().into_response() };
    later.respond(ticket, &Wanted { headers: &headers, head: method == Method::HEAD }).await
}

/// Where the answer will be; where it takes long, how far it is.
fn pending(ticket: Uuid, told: Option<UnderWay>) -> Response {
    let location = format!("/requests/{ticket}");
    let mut body = json!({ "location": location });
    if let Some(told) = told {
        body["progress"] = json!({
            "done": told.done,
            "seconds": told.seconds,
            "left_seconds": told.left_seconds,
            "worker": told.worker,
        });
    }
    let body = body.to_string();
    let headers = [
        (header::LOCATION, location.as_str()),
        (header::RETRY_AFTER, "1"),
        (header::CONTENT_TYPE, "application/json"),
    ];
    (StatusCode::ACCEPTED, headers, body).into_response()
}
