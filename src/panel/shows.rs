//! `/api/v1/shows`, `/api/v1/schedule` and the calendar's feed: what is planned, and the run under way. Shell.

use super::access::Caller;
use super::problem::{Body, Params, Problem, Refused, Segment};
use crate::schedule::run::{Command, CommandError};
use crate::schedule::{FeedError, Listed, SaveError, Schedule, ShowError};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// Occurrences that are shown when nobody says how many.
const UPCOMING: usize = 50;
const UPCOMING_MOST: usize = 1_000;
/// Of a calendar that is imported, which the gate lets through.
pub(super) const CALENDAR_MOST: usize = 16 * 1024 * 1024;
pub(super) const IMPORT: &str = "/api/v1/shows/import";
const CALENDAR: &str = "text/calendar; charset=utf-8";

impl From<ShowError> for Refused {
    fn from(error: ShowError) -> Self {
        let (status, code) = match &error {
            ShowError::Unknown(_) => (StatusCode::NOT_FOUND, "unknown-show"),
            ShowError::Exists(_) => (StatusCode::CONFLICT, "show-exists"),
            ShowError::Configured(_) => (StatusCode::CONFLICT, "configured-show"),
            ShowError::Conflict(_) => (StatusCode::CONFLICT, "shows-conflict"),
            ShowError::Broken(..) => (StatusCode::UNPROCESSABLE_ENTITY, "broken-show"),
            ShowError::Running(_) | ShowError::OtherRuns(..) => (StatusCode::CONFLICT, "show-runs"),
            ShowError::NotRunning => (StatusCode::CONFLICT, "no-show-runs"),
            ShowError::Command(CommandError::NoStep) => (StatusCode::CONFLICT, "no-step"),
            ShowError::Command(CommandError::TooLate(_)) => (StatusCode::CONFLICT, "too-late"),
            ShowError::Command(_) => (StatusCode::CONFLICT, "held"),
            ShowError::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "store"),
            ShowError::Gone => (StatusCode::SERVICE_UNAVAILABLE, "gone"),
        };
        Refused::new(status, code, error.to_string())
    }
}

impl From<SaveError> for Refused {
    fn from(error: SaveError) -> Self {
        let unfit = StatusCode::UNPROCESSABLE_ENTITY;
        match error {
            SaveError::Show(errors) => {
                Refused::new(unfit, "bad-show", errors.to_string()).because_of(&errors.problems)
            }
            SaveError::Calendar(error) => Refused::new(unfit, "bad-calendar", error.to_string()),
            SaveError::Refused(error) => error.into(),
        }
    }
}

impl From<FeedError> for Refused {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::Token => {
                Refused::new(StatusCode::UNAUTHORIZED, "bad-token", error.to_string())
            }
            FeedError::Store(error) => error.into(),
            FeedError::Show(error) => error.into(),
        }
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Saving {
    /// In place of those that there are.
    #[serde(default)]
    replace: bool,
    /// Of a calendar's events that have no length.
    #[serde(default)]
    length_s: Option<f64>,
}

#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    #[schema(value_type = String)]
    pub step: Command,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Most {
    #[serde(default)]
    most: Option<usize>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Token {
    #[serde(default)]
    token: String,
}

#[derive(Debug, Serialize)]
pub struct List {
    #[serde(serialize_with = "each")]
    shows: Vec<Arc<Listed>>,
}

fn each<S: Serializer>(shows: &[Arc<Listed>], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(shows.iter().map(|show| &**show))
}

pub fn router() -> Router<Schedule> {
    Router::new()
        .route("/api/v1/schedule", get(schedule))
        .route("/api/v1/schedule/token", post(token))
        .route("/api/v1/shows", get(list).post(save))
        .route(IMPORT, post(import))
        .route("/api/v1/shows/export", get(export))
        .route("/api/v1/shows/{id}", get(show).put(put).delete(delete))
        .route("/api/v1/shows/{id}/run", post(run))
        .route("/api/v1/shows/{id}/step", post(step))
        // Open to whoever has the token: a phone's calendar has nothing else.
        .route("/calendar.ics", get(feed))
        .route("/api/v1/calendar.ics", get(feed))
        .layer(DefaultBodyLimit::max(CALENDAR_MOST))
}

/// What comes next, and the run under way.
#[utoipa::path(get, path = "/api/v1/schedule", tag = "shows", params(Most), responses(
    (status = 200, body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn schedule(
    State(schedule): State<Schedule>,
    Params(which): Params<Most>,
) -> Result<Json<Value>, Refused> {
    let most = which.most.unwrap_or(UPCOMING).min(UPCOMING_MOST);
    let upcoming = schedule.upcoming(most).await?;
    let running = schedule.running().await?;
    Ok(Json(json!({ "running": running, "upcoming": upcoming })))
}

/// All shows, and when each is next.
#[utoipa::path(get, path = "/api/v1/shows", tag = "shows", responses((status = 200, body = Object)))]
pub async fn list(State(schedule): State<Schedule>) -> Result<Json<List>, Refused> {
    let shows = schedule.list().await?;
    Ok(Json(List { shows }))
}

/// A show: its text, and what that says.
#[utoipa::path(get, path = "/api/v1/shows/{id}", tag = "shows", params(("id" = String, Path)), responses(
    (status = 200, body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show(
    State(schedule): State<Schedule>,
    Segment(id): Segment<String>,
) -> Result<Response, Refused> {
    Ok(Json(schedule.show(id).await?).into_response())
}

fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.starts_with("application/toml") || kind.starts_with("text/")
}

/// As JSON, or as the configuration's own text.
async fn save_body(
    schedule: &Schedule,
    headers: &HeaderMap,
    body: &Bytes,
    replace: bool,
) -> Result<String, Refused> {
    if is_text(headers) {
        let text = std::str::from_utf8(body);
        let text = text.map_err(|_| Refused::bad("the show is not UTF-8 text"))?;
        return Ok(schedule.save(text, replace).await?);
    }
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Refused::bad(format!("the show is no JSON: {error}")))?;
    if !value.is_object() {
        return Err(Refused::bad("a show is an object of its keys"));
    }
    Ok(schedule.save_value(&value, replace).await?)
}

/// Save a show: an object of a [[show]]'s keys, or their text as application/toml.
#[utoipa::path(post, path = "/api/v1/shows", tag = "shows", request_body = Object, params(Saving), responses(
    (status = 201, body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn save(
    State(schedule): State<Schedule>,
    Params(saving): Params<Saving>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let id = save_body(&schedule, &headers, &body, saving.replace).await?;
    let detail = schedule.show(id).await?;
    Ok((StatusCode::CREATED, Json(detail)).into_response())
}

/// Save a show in place of the one with its id.
#[utoipa::path(put, path = "/api/v1/shows/{id}", tag = "shows", request_body = Object, params(("id" = String, Path)), responses(
    (status = 200, body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn put(
    State(schedule): State<Schedule>,
    Segment(id): Segment<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    // Looked at first: a show under another id would be saved beside it.
    if let Some(other) = named(&headers, &body).filter(|named| *named != id) {
        let title = format!("the text is of the show {other:?}, and not of {id:?}");
        return Err(Refused::new(StatusCode::BAD_REQUEST, "other-show", title));
    }
    let id = save_body(&schedule, &headers, &body, true).await?;
    Ok(Json(schedule.show(id).await?).into_response())
}

/// The id inside, if it can be seen.
fn named(headers: &HeaderMap, body: &Bytes) -> Option<String> {
    if is_text(headers) {
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

/// Forget a show.
#[utoipa::path(delete, path = "/api/v1/shows/{id}", tag = "shows", params(("id" = String, Path)), responses(
    (status = 200, body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn delete(
    State(schedule): State<Schedule>,
    Segment(id): Segment<String>,
) -> Result<Json<List>, Refused> {
    schedule.delete(id).await?;
    list(State(schedule)).await
}

/// Save a calendar's events (iCalendar) as shows, all or none.
#[utoipa::path(post, path = "/api/v1/shows/import", tag = "shows", request_body(content = String, content_type = "text/calendar"),
    params(Saving), responses(
    (status = 201, body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn import(
    State(schedule): State<Schedule>,
    Params(saving): Params<Saving>,
    body: Bytes,
) -> Result<Response, Refused> {
    let text = std::str::from_utf8(&body);
    let text = text.map_err(|_| Refused::bad("the calendar is not UTF-8 text"))?;
    let length = saving.length_s;
    let length = length.and_then(|s| Duration::try_from_secs_f64(s).ok());
    let imported = schedule.import(text, length, saving.replace).await?;
    Ok((StatusCode::CREATED, Json(imported)).into_response())
}

/// All shows as a calendar (iCalendar).
#[utoipa::path(get, path = "/api/v1/shows/export", tag = "shows", responses(
    (status = 200, body = String, content_type = "text/calendar")))]
pub async fn export(State(schedule): State<Schedule>) -> Result<Response, Refused> {
    let text = schedule.calendar().await?;
    Ok(([(header::CONTENT_TYPE, CALENDAR)], text).into_response())
}

/// Run a show now, or say what would happen.
#[utoipa::path(post, path = "/api/v1/shows/{id}/run", tag = "shows", request_body = Run, params(("id" = String, Path)), responses(
    (status = 200, body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn run(
    State(schedule): State<Schedule>,
    Extension(caller): Extension<Caller>,
    Segment(id): Segment<String>,
    Body(run): Body<Run>,
) -> Result<Response, Refused> {
    if run.dry_run {
        return Ok(Json(schedule.dry_run(id).await?).into_response());
    }
    let view = schedule.run(id, run.at_start, caller.who).await?;
    Ok(Json(view).into_response())
}

/// Tell the run: next, skip, hold or release. The id may be - for whichever show runs.
#[utoipa::path(post, path = "/api/v1/shows/{id}/step", tag = "shows", request_body = Step, params(("id" = String, Path)), responses(
    (status = 200, body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn step(
    State(schedule): State<Schedule>,
    Extension(caller): Extension<Caller>,
    Segment(id): Segment<String>,
    Body(step): Body<Step>,
) -> Result<Response, Refused> {
    let id = Some(id).filter(|id| id != "-");
    Ok(Json(schedule.command(id, step.step, caller.who).await?).into_response())
}

/// A new token for the calendar's feed; the one before is good no more.
#[utoipa::path(post, path = "/api/v1/schedule/token", tag = "shows", responses((status = 200, body = Object)))]
pub async fn token(State(schedule): State<Schedule>) -> Result<Json<Value>, Refused> {
    let token = schedule.new_feed_token().await?;
    Ok(Json(
        json!({ "token": token, "path": format!("/calendar.ics?token={token}") }),
    ))
}

/// The shows as a calendar that a phone subscribes to.
#[utoipa::path(get, path = "/calendar.ics", tag = "shows", params(Token), responses(
    (status = 200, body = String, content_type = "text/calendar"), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn feed(
    State(schedule): State<Schedule>,
    Params(token): Params<Token>,
) -> Result<Response, Refused> {
    let text = schedule.feed(&token.token).await?;
    let headers = [
        (header::CONTENT_TYPE, CALENDAR),
        (header::CACHE_CONTROL, "private, max-age=300"),
    ];
    Ok((headers, text).into_response())
}
