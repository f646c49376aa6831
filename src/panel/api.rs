//! `/api/v1` over the session's handle. Shell.

use super::preflight;
use crate::preflight::Preflight;
use crate::schedule::Schedule;
use crate::session::control::Refusal;
use crate::session::event::Who;
use crate::session::{SessionError, SessionHandle, StartAsk, Status, StopAsk};
use axum::extract::{FromRef, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};

/// What the handlers act through.
#[derive(Clone)]
pub struct Api {
    pub session: SessionHandle,
    pub preflight: Preflight,
    pub schedule: Schedule,
}

impl FromRef<Api> for SessionHandle {
    fn from_ref(api: &Api) -> Self {
        api.session.clone()
    }
}

impl FromRef<Api> for Schedule {
    fn from_ref(api: &Api) -> Self {
        api.schedule.clone()
    }
}

impl FromRef<Api> for Preflight {
    fn from_ref(api: &Api) -> Self {
        api.preflight.clone()
    }
}

/// What to start.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// None named: all.
    #[serde(default)]
    pub destinations: Vec<String>,
    /// The occurrence of a show that it is for.
    #[serde(default)]
    pub occurrence: Option<String>,
    /// Why it starts in spite of pre-flight's problems.
    #[serde(default)]
    pub anyway: Option<String>,
}

/// What to stop.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// The id of the session that is meant, from the status.
    #[serde(default)]
    pub session: Option<String>,
    /// None named: all.
    #[serde(default)]
    pub destinations: Vec<String>,
    /// Where an end can't be taken back: the platform's word.
    #[serde(default)]
    pub confirm: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extend {
    pub destination: String,
    pub by_s: f64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    #[serde(default)]
    pub text: String,
}

/// RFC 9457 problem details.
#[derive(Debug, Serialize, Deserialize)]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
}

/// An answer that is no success.
pub(super) fn problem(status: StatusCode, kind: &str, title: String) -> Response {
    let problem = Problem {
        kind: format!("regia:{kind}"),
        title,
        status: status.as_u16(),
    };
    (
        status,
        [(header::CONTENT_TYPE, "application/problem+json")],
        Json(problem),
    )
        .into_response()
}

impl IntoResponse for SessionError {
    fn into_response(self) -> Response {
        let (status, kind) = match &self {
            SessionError::UnknownDestination(_) => (StatusCode::NOT_FOUND, "unknown-destination"),
            SessionError::UnknownRecording(_) => (StatusCode::NOT_FOUND, "unknown-recording"),
            SessionError::NoDestination => (StatusCode::CONFLICT, "no-destination"),
            SessionError::Key(_) => (StatusCode::CONFLICT, "key"),
            SessionError::NothingDelayed => (StatusCode::CONFLICT, "nothing-delayed"),
            SessionError::IdempotencyReused => {
                (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-reused")
            }
            SessionError::Refused(refusal) => match refusal {
                Refusal::KeyUsed { .. } => (StatusCode::CONFLICT, "key-used"),
                Refusal::KeyInUse { .. } => (StatusCode::CONFLICT, "key-in-use"),
                Refusal::OtherSession { .. } => (StatusCode::CONFLICT, "other-session"),
                Refusal::NotNamed(_) => (StatusCode::CONFLICT, "session-not-named"),
                Refusal::Confirm { .. } => (StatusCode::CONFLICT, "confirm"),
                Refusal::NotOnAir { .. } => (StatusCode::CONFLICT, "not-on-air"),
                Refusal::Extend { .. } => (StatusCode::CONFLICT, "not-extended"),
            },
            SessionError::Gone => (StatusCode::SERVICE_UNAVAILABLE, "gone"),
        };
        problem(status, kind, self.to_string())
    }
}

pub fn router(api: Api) -> Router {
    Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/preflight", get(preflight::report))
        .route("/api/v1/live/start", post(live_start))
        .route("/api/v1/live/stop", post(live_stop))
        .route("/api/v1/live/extend", post(live_extend))
        .route("/api/v1/live/dump", post(live_dump))
        .route("/api/v1/live/mark", post(live_mark))
        .merge(super::keys::router().with_state(api.session.clone()))
        .merge(super::log::router().with_state(api.session.clone()))
        .merge(super::reports::router().with_state(api.session.clone()))
        .merge(super::shows::router().with_state(api.schedule.clone()))
        .merge(super::shows::feed_router().with_state(api.schedule.clone()))
        .with_state(api)
}

/// Whoever opens the socket is this user, at the box.
const WHO: Who = Who::Cli;

/// The same request again, by this header, changes nothing (draft-ietf-httpapi-idempotency-key-header).
fn idempotency(headers: &HeaderMap) -> Option<String> {
    let key = headers.get("idempotency-key")?.to_str().ok()?;
    Some(key.to_owned())
}

async fn status(State(session): State<SessionHandle>) -> Json<Status> {
    Json(session.status())
}

type Answer = Result<Json<Status>, SessionError>;

async fn live_start(
    State(api): State<Api>,
    headers: HeaderMap,
    Json(start): Json<Start>,
) -> Result<Json<Status>, Response> {
    let anyway = preflight::clear(&api.preflight, &start).await?;
    let ask = StartAsk {
        destinations: start.destinations,
        who: WHO,
        occurrence: start.occurrence,
        slots: BTreeMap::new(),
        anyway,
        idempotency: idempotency(&headers),
    };
    let started = api.session.start(ask).await;
    started.map_err(IntoResponse::into_response)?;
    Ok(Json(api.session.status()))
}

async fn live_stop(
    State(session): State<SessionHandle>,
    headers: HeaderMap,
    Json(stop): Json<Stop>,
) -> Answer {
    let ask = StopAsk {
        session: stop.session,
        destinations: stop.destinations,
        confirm: stop.confirm,
        who: WHO,
        idempotency: idempotency(&headers),
        unconditional: false,
    };
    session.stop(ask).await?;
    Ok(Json(session.status()))
}

async fn live_extend(
    State(session): State<SessionHandle>,
    Json(extend): Json<Extend>,
) -> Result<Json<Status>, Response> {
    let by = Duration::try_from_secs_f64(extend.by_s).map_err(|_| {
        let text = "by_s is a number of seconds over 0".to_owned();
        problem(StatusCode::BAD_REQUEST, "bad-time", text)
    })?;
    let extended = session.extend(extend.destination, by, WHO).await;
    extended.map_err(IntoResponse::into_response)?;
    Ok(Json(session.status()))
}

async fn live_dump(State(session): State<SessionHandle>) -> Answer {
    session.dump(WHO).await?;
    Ok(Json(session.status()))
}

async fn live_mark(State(session): State<SessionHandle>, Json(mark): Json<Mark>) -> Answer {
    session.mark(mark.text, WHO).await?;
    Ok(Json(session.status()))
}

#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("another regia already runs with the state directory {}; stop it, or give this one its own --state", .0.display())]
    InUse(PathBuf),
    #[error("cannot open the socket {}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
}

/// Whether no other daemon answers on it.
pub async fn check_free(path: &Path) -> Result<(), SocketError> {
    match UnixStream::connect(path).await {
        Ok(_) => Err(SocketError::InUse(path.parent().unwrap_or(path).to_owned())),
        Err(_) => Ok(()),
    }
}

/// Serves the API on a socket that only this user may open, until `shutdown` resolves.
pub async fn serve(
    path: &Path,
    api: Api,
    shutdown: BoxFuture<'static, ()>,
) -> Result<impl Future<Output = io::Result<()>> + use<>, SocketError> {
    let failed = |error| SocketError::Io {
        path: path.to_owned(),
        error,
    };
    check_free(path).await?;
    // Nobody answers on it: it is what a daemon that was killed left behind.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(axum::serve(listener, router(api))
        .with_graceful_shutdown(shutdown)
        .into_future())
}
