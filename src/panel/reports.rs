//! `/api/v1/sessions/{id}` and its page: what happened in one broadcast. Shell.

use super::api::problem;
use crate::session::SessionHandle;
use crate::session::event::Entry;
use crate::session::report::{Report, page};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tracing::warn;

pub fn router() -> Router<SessionHandle> {
    Router::new()
        .route("/api/v1/sessions/{id}", get(json))
        .route("/api/v1/sessions/{id}/report.html", get(html))
}

async fn json(
    State(session): State<SessionHandle>,
    Path(id): Path<String>,
) -> Result<Json<Report>, Response> {
    Ok(Json(report(&session, id).await?))
}

async fn html(
    State(session): State<SessionHandle>,
    Path(id): Path<String>,
) -> Result<Html<String>, Response> {
    let report = report(&session, id).await?;
    Ok(Html(page(&report, &jiff::tz::TimeZone::system())))
}

async fn report(session: &SessionHandle, id: String) -> Result<Report, Response> {
    let rows = session.entries(id.clone(), true).await;
    let rows = rows.map_err(IntoResponse::into_response)?;
    if rows.is_empty() {
        let title = format!("there is no session {id:?}; `regia live report --list` names them");
        return Err(problem(StatusCode::NOT_FOUND, "unknown-session", title));
    }
    let read = |row: &String| match serde_json::from_str::<Entry>(row) {
        Ok(entry) => Some(entry),
        Err(error) => {
            // A newer Regia wrote it. The rest tells what it can.
            warn!(%error, "an entry of the log can't be read and is left out of the report");
            None
        }
    };
    let entries: Vec<Entry> = rows.iter().filter_map(read).collect();
    Ok(Report::of(&entries))
}
