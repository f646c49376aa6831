//! `/api/v1/shows`, `/api/v1/schedule` and the calendar's feed: what is planned, and the run under way. Shell.

use super::api::problem;
use crate::schedule::run::{Command, CommandError};
use crate::schedule::{FeedError, SaveError, Schedule, ShowError};
use crate::session::event::Who;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// Occurrences that are shown when nobody says how many.
const UPCOMING: usize = 50;
const UPCOMING_MOST: usize = 1_000;
/// Of a calendar that is imported.
const BODY_MOST: usize = 16 * 1024 * 1024;
const CALENDAR: &str = "text/calendar; charset=utf-8";

impl IntoResponse for ShowError {
    fn into_response(self) -> Response {
        let (status, kind) = match &self {
            ShowError::Unknown(_) => (StatusCode::NOT_FOUND, "unknown-show"),
            ShowError::Exists(_) => (StatusCode::CONFLICT, "show-exists"),
            ShowError::Configured(_) => (StatusCode::CONFLICT, "configured-show"),
            ShowError::Conflict(_) => (StatusCode::CONFLICT, "shows-conflict"),
            ShowError::Broken(..) => (StatusCode::UNPROCESSABLE_ENTITY, "broken-show"),
            ShowError::Running(_) | ShowError::OtherRuns(..) => (StatusCode::CONFLICT, "show-runs"),
            ShowError::NotRunning => (StatusCode::CONFLICT, "no-show-runs"),
            ShowError::Command(CommandError::NoStep) => (StatusCode::CONFLICT, "no-step"),
            ShowError::Command(_) => (StatusCode::CONFLICT, "held"),
            ShowError::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "store"),
            ShowError::Gone => (StatusCode::SERVICE_UNAVAILABLE, "gone"),
        };
        problem(status, kind, self.to_string())
    }
}

impl IntoResponse for SaveError {
    fn into_response(self) -> Response {
        match self {
            SaveError::Show(errors) => {
                let title = errors.to_string();
                let body = json!({
                    "type": "regia:bad-show",
                    "title": title,
                    "status": 422,
                    "problems": errors.problems,
                });
                let kind = [(header::CONTENT_TYPE, "application/problem+json")];
                (StatusCode::UNPROCESSABLE_ENTITY, kind, Json(body)).into_response()
            }
            SaveError::Calendar(error) => problem(
                StatusCode::UNPROCESSABLE_ENTITY,
                "bad-calendar",
                error.to_string(),
            ),
            SaveError::Refused(error) => error.into_response(),
        }
    }
}

impl IntoResponse for FeedError {
    fn into_response(self) -> Response {
        match self {
            FeedError::Token => problem(StatusCode::UNAUTHORIZED, "bad-token", self.to_string()),
            FeedError::Store(error) => error.into_response(),
            FeedError::Show(error) => error.into_response(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saving {
    /// In place of those that there are.
    #[serde(default)]
    replace: bool,
    /// Of a calendar's events that have no length.
    #[serde(default)]
    length_s: Option<f64>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Only says what would happen.
    #[serde(default)]
    pub dry_run: bool,
    /// Leaves out what is before the start, but for how it leaves the programme.
    #[serde(default)]
    pub at_start: bool,
}

/// skip, hold, release or next
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub step: Command,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Most {
    #[serde(default)]
    most: Option<usize>,
}

#[derive(Debug, Deserialize)]
pub struct Token {
    #[serde(default)]
    token: String,
}

pub fn router() -> Router<Schedule> {
    Router::new()
        .route("/api/v1/schedule", get(schedule))
        .route("/api/v1/schedule/token", post(token))
        .route("/api/v1/shows", get(list).post(save))
        .route("/api/v1/shows/import", post(import))
        .route("/api/v1/shows/export", get(export))
        .route("/api/v1/shows/{id}", get(show).put(put).delete(delete))
        .route("/api/v1/shows/{id}/run", post(run))
        .route("/api/v1/shows/{id}/step", post(step))
        .layer(DefaultBodyLimit::max(BODY_MOST))
}

/// Outside the API, and open to whoever has the token: a phone's calendar has nothing else.
pub fn feed_router() -> Router<Schedule> {
    Router::new().route("/calendar.ics", get(feed))
}

/// Whoever opens the socket is this user, at the box.
const WHO: Who = Who::Cli;

/// What comes next, and the run under way.
async fn schedule(
    State(schedule): State<Schedule>,
    Query(which): Query<Most>,
) -> Result<Json<Value>, ShowError> {
    let most = which.most.unwrap_or(UPCOMING).min(UPCOMING_MOST);
    let upcoming = schedule.upcoming(most).await?;
    let running = schedule.running().await?;
    Ok(Json(json!({ "running": running, "upcoming": upcoming })))
}

async fn list(State(schedule): State<Schedule>) -> Result<Json<Value>, ShowError> {
    Ok(Json(json!({ "shows": schedule.list().await? })))
}

async fn show(
    State(schedule): State<Schedule>,
    Path(id): Path<String>,
) -> Result<Response, ShowError> {
    Ok(Json(schedule.show(id).await?).into_response())
}

/// As JSON, or as the configuration's own text.
async fn save_body(
    schedule: &Schedule,
    headers: &HeaderMap,
    body: &Bytes,
    replace: bool,
) -> Result<String, Response> {
    let bad = |title: String| problem(StatusCode::BAD_REQUEST, "bad-request", title);
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    let saved = if kind.starts_with("application/toml") || kind.starts_with("text/") {
        let text =
            std::str::from_utf8(body).map_err(|_| bad("the show is not UTF-8 text".to_owned()))?;
        schedule.save(text, replace).await
    } else {
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| bad(format!("the show is no JSON: {error}")))?;
        if !value.is_object() {
            return Err(bad("a show is an object of its keys".to_owned()));
        }
        schedule.save_value(&value, replace).await
    };
    saved.map_err(IntoResponse::into_response)
}

async fn save(
    State(schedule): State<Schedule>,
    Query(saving): Query<Saving>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Response> {
    let id = save_body(&schedule, &headers, &body, saving.replace).await?;
    let detail = schedule
        .show(id)
        .await
        .map_err(IntoResponse::into_response)?;
    Ok((StatusCode::CREATED, Json(detail)).into_response())
}

async fn put(
    State(schedule): State<Schedule>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Response> {
    // Looked at first: a show under another id would be saved beside it.
    let named = named(&headers, &body);
    if let Some(other) = named.filter(|named| *named != id) {
        let title = format!("the text is of the show {other:?}, and not of {id:?}");
        return Err(problem(StatusCode::BAD_REQUEST, "other-show", title));
    }
    let id = save_body(&schedule, &headers, &body, true).await?;
    let detail = schedule
        .show(id)
        .await
        .map_err(IntoResponse::into_response)?;
    Ok(Json(detail).into_response())
}

/// The id inside, if it can be seen.
fn named(headers: &HeaderMap, body: &Bytes) -> Option<String> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or_default();
    if kind.starts_with("application/toml") || kind.starts_with("text/") {
        let table: toml::Table = std::str::from_utf8(body).ok()?.parse().ok()?;
        let show = match table.get("show") {
            Some(toml::Value::Array(shows)) => shows.first()?.as_table()?.clone(),
            _ => table,
        };
        return show.get("id")?.as_str().map(str::to_owned);
    }
    let value: Value = serde_json::from_slice(body).ok()?;
    value.get("id")?.as_str().map(str::to_owned)
}

async fn delete(
    State(schedule): State<Schedule>,
    Path(id): Path<String>,
) -> Result<Json<Value>, ShowError> {
    schedule.delete(id).await?;
    list(State(schedule)).await
}

async fn import(
    State(schedule): State<Schedule>,
    Query(saving): Query<Saving>,
    body: Bytes,
) -> Result<Response, Response> {
    let text = std::str::from_utf8(&body).map_err(|_| {
        problem(
            StatusCode::BAD_REQUEST,
            "bad-calendar",
            "the calendar is not UTF-8 text".to_owned(),
        )
    })?;
    let length = saving
        .length_s
        .and_then(|s| Duration::try_from_secs_f64(s).ok());
    let imported = schedule
        .import(text, length, saving.replace)
        .await
        .map_err(IntoResponse::into_response)?;
    Ok((StatusCode::CREATED, Json(imported)).into_response())
}

async fn export(State(schedule): State<Schedule>) -> Result<Response, ShowError> {
    let text = schedule.calendar().await?;
    Ok(([(header::CONTENT_TYPE, CALENDAR)], text).into_response())
}

async fn run(
    State(schedule): State<Schedule>,
    Path(id): Path<String>,
    Json(run): Json<Run>,
) -> Result<Response, ShowError> {
    if run.dry_run {
        return Ok(Json(schedule.dry_run(id).await?).into_response());
    }
    Ok(Json(schedule.run(id, run.at_start).await?).into_response())
}

/// `-` is whichever show runs.
async fn step(
    State(schedule): State<Schedule>,
    Path(id): Path<String>,
    Json(step): Json<Step>,
) -> Result<Response, ShowError> {
    let id = Some(id).filter(|id| id != "-");
    Ok(Json(schedule.command(id, step.step, WHO).await?).into_response())
}

async fn token(State(schedule): State<Schedule>) -> Result<Json<Value>, ShowError> {
    let token = schedule.new_feed_token().await?;
    Ok(Json(
        json!({ "token": token, "path": format!("/calendar.ics?token={token}") }),
    ))
}

async fn feed(
    State(schedule): State<Schedule>,
    Query(token): Query<Token>,
) -> Result<Response, FeedError> {
    let text = schedule.feed(&token.token).await?;
    let headers = [
        (header::CONTENT_TYPE, CALENDAR),
        (header::CACHE_CONTROL, "private, max-age=300"),
    ];
    Ok((headers, text).into_response())
}
