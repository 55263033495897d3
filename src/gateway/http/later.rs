//! For clients that do not want to wait: a place where they find the answer later.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{Path, State, rejection::PathRejection},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use uuid::Uuid;

use super::{Problem, Served, answer::respond, large::Wanted};
use crate::gateway::{Answered, Permit, Wish};

/// The latest answers, or what will be answers, that no client waits for.
pub struct Later {
    kept: Mutex<Kept>,
    limit: usize,
}

#[derive(Default)]
struct Kept {
    answers: HashMap<Uuid, (Arc<Served>, Option<Answered>)>,
    /// The oldest first.
    order: VecDeque<Uuid>,
}

impl Later {
    /// Keeps at most `limit` answers.
    pub fn new(limit: usize) -> Self {
        Later { kept: Mutex::default(), limit }
    }

    /// Asks, and responds with `202` and where the answer will be.
    pub fn ask(self: &Arc<Self>, served: Arc<Served>, permit: Permit, wish: Wish) -> Response {
        // Random, from the system: a client with some tickets cannot guess those of others.
        let ticket = Uuid::new_v4();
        self.change(|kept| {
            kept.answers.insert(ticket, (served.clone(), None));
            kept.order.push_back(ticket);
            if kept.order.len() > self.limit
                && let Some(oldest) = kept.order.pop_front()
            {
                kept.answers.remove(&oldest);
            }
        });
        let later = self.clone();
        tokio::spawn(async move {
            let answered = served.desk.ask(permit, wish).await;
            later.change(|kept| {
                if let Some((_, answer)) = kept.answers.get_mut(&ticket) {
                    *answer = Some(answered);
                }
            });
        });
        pending(ticket)
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
    match later.change(|kept| kept.answers.get(&ticket).cloned()) {
        Some((served, Some(answered))) => {
            respond(&served, &answered, &Wanted { headers: &headers, head: method == Method::HEAD }).await
        }
        Some((_, None)) => pending(ticket),
        None => Problem::no_ticket().into_response(),
    }
}

fn pending(ticket: Uuid) -> Response {
    let location = format!("/requests/{ticket}");
    let body = json!({ "location": location }).to_string();
    let headers = [
        (header::LOCATION, location.as_str()),
        (header::RETRY_AFTER, "1"),
        (header::CONTENT_TYPE, "application/json"),
    ];
    (StatusCode::ACCEPTED, headers, body).into_response()
}
