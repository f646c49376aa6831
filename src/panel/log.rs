//! `/api/v1/sessions` and `/api/v1/log`: what happened. Shell.

use super::events::entry_for_people;
use super::problem::{Params, Problem, Refused, Segment};
use crate::session::SessionHandle;
use crate::session::event::Entry;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

const MOST: u32 = 1_000;

/// A session, as far as a list needs it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Listed {
    session: String,
    started_ms: i64,
    /// None: under way.
    ended_ms: Option<i64>,
}

/// An entry with its sentence.
#[derive(Debug, Serialize, ToSchema)]
pub struct Line {
    #[serde(flatten)]
    entry: Entry,
    /// For people.
    text: String,
    /// Of a marker: its own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// The curves' points as well.
    #[serde(default)]
    samples: bool,
}

pub fn router() -> Router<SessionHandle> {
    Router::new()
        .route("/api/v1/sessions", get(sessions))
        .route("/api/v1/sessions/{id}/log", get(of_session))
        .route("/api/v1/log", get(newest))
}

/// The broadcasts that are kept, the newest first.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "history", responses(
    (status = 200, body = Vec<Listed>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn sessions(State(session): State<SessionHandle>) -> Result<Json<Vec<Listed>>, Refused> {
    let rows = session.sessions(MOST).await?.into_iter();
    let listed = rows.map(|row| Listed {
        session: row.id,
        started_ms: row.started_ms,
        ended_ms: row.ended_ms,
    });
    Ok(Json(listed.collect()))
}

/// The log of a broadcast, oldest first.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/log", tag = "history", params(("id" = String, Path), Which), responses(
    (status = 200, body = Vec<Line>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn of_session(
    State(session): State<SessionHandle>,
    Segment(id): Segment<String>,
    Params(which): Params<Which>,
) -> Result<Json<Vec<Value>>, Refused> {
    Ok(Json(told(session.entries(id, which.samples).await?)))
}

/// The newest lines of the log, oldest first.
#[utoipa::path(get, path = "/api/v1/log", tag = "history", responses(
    (status = 200, body = Vec<Line>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn newest(State(session): State<SessionHandle>) -> Result<Json<Vec<Value>>, Refused> {
    Ok(Json(told(session.newest_entries(MOST).await?)))
}

/// They were written as JSON. What an older Regia wrote and this one can't read is left as it is.
fn told(entries: Vec<String>) -> Vec<Value> {
    let line = |entry: String| match serde_json::from_str::<Entry>(&entry) {
        Ok(entry) => Some(entry_for_people(&entry)),
        Err(_) => serde_json::from_str(&entry).ok(),
    };
    entries.into_iter().filter_map(line).collect()
}
