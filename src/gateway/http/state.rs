//! `/state/NAME/KEY`: the newest value that a topic has under a key, such as the last count of `aggregate`.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};

use super::Problem;
use crate::{
    config::StateTable,
    operator::{OperatorError, Table},
};

/// The tables that can be asked.
pub type Tables = Vec<(StateTable, Arc<dyn Table>)>;

pub async fn get(State(tables): State<Arc<Tables>>, Path((name, key)): Path<(String, String)>) -> Response {
    let Some((of, table)) = tables.iter().find(|(of, _)| of.name == name) else {
        let names = tables.iter().map(|(of, _)| of.name.as_str()).collect::<Vec<_>>().join(", ");
        return Problem::no_state(format!("there is no state of this name: there are {names}"))
            .into_response();
    };
    let (table, content_type) = (table.clone(), of.content_type);
    // It may have to be read from the disk.
    let found = tokio::task::spawn_blocking(move || table.get(key.as_bytes(), None)).await;
    // It ends without an answer only where it has panicked.
    match found.unwrap_or_else(|error| Err(OperatorError::Fatal { message: error.to_string() })) {
        Ok(Some(value)) => ([(header::CONTENT_TYPE, content_type)], value).into_response(),
        Ok(None) => Problem::no_state("there is nothing under this key").into_response(),
        Err(OperatorError::Away { message }) => Problem::unavailable(message).into_response(),
        Err(error) => {
            tracing::error!(%error, "what is asked for under /state cannot be read");
            Problem::unavailable("it cannot be read; the gateway's log says why").into_response()
        }
    }
}
