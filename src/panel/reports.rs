//! `/api/v1/sessions/{id}` and its page: what happened in one broadcast. Shell.

use super::problem::{Problem, Refused, Segment};
use crate::session::SessionHandle;
use crate::session::event::Entry;
use crate::session::report::{Report, page};
use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tracing::warn;

pub fn router() -> Router<SessionHandle> {
    Router::new()
        .route("/api/v1/sessions/{id}", get(json))
        .route("/api/v1/sessions/{id}/report.html", get(html))
}

/// What happened in a broadcast.
#[utoipa::path(get, path = "/api/v1/sessions/{id}", tag = "history", params(("id" = String, Path)), responses(
    (status = 200, body = Report), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn json(
    State(session): State<SessionHandle>,
    Segment(id): Segment<String>,
) -> Result<Json<Report>, Refused> {
    Ok(Json(report(&session, id).await?))
}

/// The same as one page.
#[utoipa::path(get, path = "/api/v1/sessions/{id}/report.html", tag = "history", params(("id" = String, Path)), responses(
    (status = 200, body = String, content_type = "text/html"), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn html(
    State(session): State<SessionHandle>,
    Segment(id): Segment<String>,
) -> Result<Response, Refused> {
    let report = report(&session, id).await?;
    let page = Html(page(&report, &jiff::tz::TimeZone::system()));
    // It brings its own style, and runs nothing.
    let own =
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'";
    Ok(([(header::CONTENT_SECURITY_POLICY, own)], page).into_response())
}

async fn report(session: &SessionHandle, id: String) -> Result<Report, Refused> {
    let rows = session.entries(id.clone(), true).await?;
    if rows.is_empty() {
        let title = format!("there is no session {id:?}; `regia live report --list` names them");
        return Err(Refused::not_found("unknown-session", title));
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
