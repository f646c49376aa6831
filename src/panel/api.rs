//! `/api/v1` over the session's handle. Shell.

use super::access::{self, Access, Caller};
use super::configuration::{self, Configuration};
use super::events::{self, Events};
use super::gate::{self, Gate, Transport};
use super::idempotency::Replays;
use super::problem::{Body, Problem, Refused};
use super::{assets, metrics, openapi, preflight, preview, recordings, system};
use crate::preflight::Preflight;
use crate::schedule::Schedule;
use crate::session::control::Refusal;
use crate::session::{SessionError, SessionHandle, StartAsk, Status, StopAsk};
use axum::extract::{FromRef, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::net::{UnixListener, UnixStream};
use utoipa::ToSchema;

/// What the handlers act through.
#[derive(Clone)]
pub struct Api {
    pub session: SessionHandle,
    pub preflight: Preflight,
    pub schedule: Schedule,
    pub access: Access,
    pub events: Events,
    pub configuration: Configuration,
    /// The state directory.
    pub state: PathBuf,
    pub started: Instant,
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

const LONGEST_EXTENSION: Duration = Duration::from_secs(24 * 3_600);
/// A line of the log.
const MARK_LONGEST: usize = 500;

/// What to start.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
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

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Extend {
    pub destination: String,
    pub by_s: f64,
}

#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    #[serde(default)]
    pub text: String,
}

/// What the session refuses, as an answer.
pub fn session_refused(error: SessionError) -> Refused {
    let (status, code) = match &error {
        SessionError::UnknownDestination(_) => (StatusCode::NOT_FOUND, "unknown-destination"),
        SessionError::UnknownRecording(_) => (StatusCode::NOT_FOUND, "unknown-recording"),
        SessionError::NoDestination => (StatusCode::CONFLICT, "no-destination"),
        SessionError::Key(_) => (StatusCode::CONFLICT, "key"),
        SessionError::NothingDelayed => (StatusCode::CONFLICT, "nothing-delayed"),
        SessionError::Changed => (StatusCode::CONFLICT, "changed"),
        SessionError::IdempotencyReused => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-reused"),
        SessionError::Refused(refusal) => match refusal {
            Refusal::KeyUsed { .. } => (StatusCode::CONFLICT, "key-used"),
            Refusal::KeyInUse { .. } => (StatusCode::CONFLICT, "key-in-use"),
            Refusal::OtherSession { .. } => (StatusCode::CONFLICT, "other-session"),
            Refusal::NotNamed(_) => (StatusCode::CONFLICT, "session-not-named"),
            Refusal::Confirm { .. } => (StatusCode::CONFLICT, "confirm"),
            Refusal::NotOnAir { .. } => (StatusCode::CONFLICT, "not-on-air"),
            Refusal::Extend { .. } => (StatusCode::CONFLICT, "not-extended"),
        },
        SessionError::Unknown { .. } => (StatusCode::NOT_FOUND, "unknown"),
        SessionError::Mix(_) => (StatusCode::UNPROCESSABLE_ENTITY, "mix"),
        SessionError::NoEngine => (StatusCode::SERVICE_UNAVAILABLE, "no-engine"),
        SessionError::Unanswered => (StatusCode::GATEWAY_TIMEOUT, "unanswered"),
        SessionError::Gone => (StatusCode::SERVICE_UNAVAILABLE, "gone"),
    };
    Refused::new(status, code, error.to_string())
}

impl IntoResponse for SessionError {
    fn into_response(self) -> Response {
        session_refused(self).into_response()
    }
}

impl From<SessionError> for Refused {
    fn from(error: SessionError) -> Self {
        session_refused(error)
    }
}

/// Every operation, behind the gate.
pub fn router(api: Api) -> Router {
    let gate = Gate {
        access: api.access.clone(),
        replays: Replays::default(),
    };
    Router::new()
        .route("/healthz", get(system::healthz))
        .route("/metrics", get(metrics::metrics))
        .route("/api/v1/openapi.json", get(openapi::document))
        .route("/api/v1/status", get(status))
        .route("/api/v1/events", get(events::events))
        .route("/api/v1/preview/programme.flv", get(preview::programme))
        .route("/api/v1/preflight", get(preflight::report))
        .route("/api/v1/live/start", post(live_start))
        .route("/api/v1/live/stop", post(live_stop))
        .route("/api/v1/live/extend", post(live_extend))
        .route("/api/v1/live/dump", post(live_dump))
        .route("/api/v1/live/mark", post(live_mark))
        .route("/api/v1/recordings", get(recordings::list))
        .route("/api/v1/recordings/{file}", get(recordings::download))
        .route("/api/v1/system", get(system::system))
        .merge(access::router())
        .merge(configuration::router())
        .merge(super::keys::router().with_state(api.session.clone()))
        .merge(super::mix::router().with_state(api.session.clone()))
        .merge(super::log::router().with_state(api.session.clone()))
        .merge(super::reports::router().with_state(api.session.clone()))
        .merge(super::shows::router().with_state(api.schedule.clone()))
        .merge(assets::router())
        .method_not_allowed_fallback(not_allowed)
        .route_layer(middleware::from_fn_with_state(gate, gate::gate))
        .layer(middleware::from_fn(gate::protect))
        .with_state(api)
}

async fn not_allowed() -> Refused {
    let text = "this can't be done here by that method; GET /api/v1/openapi.json says what can";
    Refused::new(StatusCode::METHOD_NOT_ALLOWED, "method", text.to_owned())
}

/// The same request again, by this header, changes nothing (draft-ietf-httpapi-idempotency-key-header).
fn idempotency(headers: &HeaderMap) -> Option<String> {
    let key = headers.get("idempotency-key")?.to_str().ok()?;
    Some(key.to_owned())
}

/// How it stands.
#[utoipa::path(get, path = "/api/v1/status", tag = "broadcast", responses(
    (status = 200, body = Status), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn status(State(session): State<SessionHandle>) -> Json<Status> {
    Json(session.status())
}

type Answer = Result<Json<Status>, Refused>;

/// Go live, unless pre-flight finds a problem.
#[utoipa::path(post, path = "/api/v1/live/start", tag = "broadcast", request_body = Start,
    params(("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 200, body = Status), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn live_start(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(start): Body<Start>,
) -> Answer {
    let anyway = preflight::clear(&api.preflight, &start).await?;
    let ask = StartAsk {
        destinations: start.destinations,
        who: caller.who,
        occurrence: start.occurrence,
        slots: BTreeMap::new(),
        anyway,
        idempotency: idempotency(&headers),
    };
    api.session.start(ask).await?;
    Ok(Json(api.session.status()))
}

/// Deliver what is left, then end the broadcast in the platform's own words.
#[utoipa::path(post, path = "/api/v1/live/stop", tag = "broadcast", request_body = Stop,
    params(("Idempotency-Key" = Option<String>, Header)), responses(
    (status = 200, body = Status), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn live_stop(
    State(session): State<SessionHandle>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(stop): Body<Stop>,
) -> Answer {
    let ask = StopAsk {
        session: stop.session,
        destinations: stop.destinations,
        confirm: stop.confirm,
        who: caller.who,
        idempotency: idempotency(&headers),
        unconditional: false,
    };
    session.stop(ask).await?;
    Ok(Json(session.status()))
}

/// Put off the end that the guard has set, where the platform allows.
#[utoipa::path(post, path = "/api/v1/live/extend", tag = "broadcast", request_body = Extend, responses(
    (status = 200, body = Status), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn live_extend(
    State(session): State<SessionHandle>,
    Extension(caller): Extension<Caller>,
    Body(extend): Body<Extend>,
) -> Answer {
    let by = Duration::try_from_secs_f64(extend.by_s)
        .ok()
        .filter(|by| !by.is_zero() && *by <= LONGEST_EXTENSION)
        .ok_or_else(|| {
            let text = "by_s is a number of seconds over 0, and at most a day".to_owned();
            Refused::new(StatusCode::BAD_REQUEST, "bad-time", text)
        })?;
    session.extend(extend.destination, by, caller.who).await?;
    Ok(Json(session.status()))
}

/// Throw away what is delayed and was not sent yet.
#[utoipa::path(post, path = "/api/v1/live/dump", tag = "broadcast", responses(
    (status = 200, body = Status), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn live_dump(
    State(session): State<SessionHandle>,
    Extension(caller): Extension<Caller>,
) -> Answer {
    session.dump(caller.who).await?;
    Ok(Json(session.status()))
}

/// Set a mark in the log.
#[utoipa::path(post, path = "/api/v1/live/mark", tag = "broadcast", request_body = Mark, responses(
    (status = 200, body = Status), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn live_mark(
    State(session): State<SessionHandle>,
    Extension(caller): Extension<Caller>,
    Body(mark): Body<Mark>,
) -> Answer {
    if mark.text.chars().count() > MARK_LONGEST {
        return Err(Refused::bad(format!(
            "a mark has at most {MARK_LONGEST} characters"
        )));
    }
    session.mark(mark.text, caller.who).await?;
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
    router: Router,
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
    let router = router.layer(Extension(Transport::AT_THE_BOX));
    Ok(axum::serve(listener, router)
        .with_graceful_shutdown(shutdown)
        .into_future())
}
