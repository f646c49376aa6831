//! `/api/v1/sessions` and `/api/v1/log`: what happened. Shell.

use super::api::problem;
use crate::session::SessionHandle;
use crate::store::StoreError;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

const MOST: u32 = 1_000;

/// A session, as far as a list needs it.
#[derive(Debug, Serialize)]
pub struct Listed {
    session: String,
    started_ms: i64,
    /// None: under way.
    ended_ms: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// The curves' points as well.
    #[serde(default)]
    samples: bool,
}

impl IntoResponse for StoreError {
    fn into_response(self) -> Response {
        problem(StatusCode::INTERNAL_SERVER_ERROR, "store", self.to_string())
    }
}

pub fn router() -> Router<SessionHandle> {
    Router::new()
        .route("/api/v1/sessions", get(sessions))
        .route("/api/v1/sessions/{id}/log", get(of_session))
        .route("/api/v1/log", get(newest))
}

async fn sessions(State(session): State<SessionHandle>) -> Result<Json<Vec<Listed>>, StoreError> {
    let rows = session.sessions(MOST).await?.into_iter();
    let listed = rows.map(|row| Listed {
        session: row.id,
        started_ms: row.started_ms,
        ended_ms: row.ended_ms,
    });
    Ok(Json(listed.collect()))
}

async fn of_session(
    State(session): State<SessionHandle>,
    Path(id): Path<String>,
    Query(which): Query<Which>,
) -> Result<Json<Vec<Box<RawValue>>>, StoreError> {
    Ok(Json(raw(session.entries(id, which.samples).await?)))
}

async fn newest(
    State(session): State<SessionHandle>,
) -> Result<Json<Vec<Box<RawValue>>>, StoreError> {
    Ok(Json(raw(session.newest_entries(MOST).await?)))
}

/// They were written as JSON.
fn raw(entries: Vec<String>) -> Vec<Box<RawValue>> {
    entries
        .into_iter()
        .filter_map(|entry| RawValue::from_string(entry).ok())
        .collect()
}
