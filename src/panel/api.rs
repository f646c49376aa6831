//! `/api/v1` over the session's handle. Shell.

use super::preflight;
use crate::preflight::Preflight;
use crate::session::{SessionError, SessionHandle, Status};
use axum::extract::{FromRef, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::future::IntoFuture;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};

/// What the handlers act through.
#[derive(Clone)]
pub struct Api {
    pub session: SessionHandle,
    pub preflight: Preflight,
}

impl FromRef<Api> for SessionHandle {
    fn from_ref(api: &Api) -> Self {
        api.session.clone()
    }
}

impl FromRef<Api> for Preflight {
    fn from_ref(api: &Api) -> Self {
        api.preflight.clone()
    }
}

/// Which destinations; none named: all.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destinations {
    #[serde(default)]
    pub destinations: Vec<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// None named: all.
    #[serde(default)]
    pub destinations: Vec<String>,
    /// Why to start although pre-flight has problems.
    #[serde(default)]
    pub anyway: Option<String>,
}

/// RFC 9457 problem details.
#[derive(Debug, Serialize, Deserialize)]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    pub status: u16,
}

impl IntoResponse for SessionError {
    fn into_response(self) -> Response {
        let (status, kind) = match self {
            SessionError::UnknownDestination(_) => (StatusCode::NOT_FOUND, "unknown-destination"),
            SessionError::NoDestination => (StatusCode::CONFLICT, "no-destination"),
            SessionError::Gone => (StatusCode::SERVICE_UNAVAILABLE, "gone"),
        };
        problem(status, kind, self.to_string())
    }
}

pub(super) fn problem(status: StatusCode, kind: &str, title: String) -> Response {
    let problem = Problem {
        kind: format!("regia:{kind}"),
        title,
        status: status.as_u16(),
    };
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, kind, Json(problem)).into_response()
}

pub fn router(api: Api) -> Router {
    Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/preflight", get(preflight::report))
        .route("/api/v1/live/start", post(live_start))
        .route("/api/v1/live/stop", post(live_stop))
        .with_state(api)
}

async fn status(State(session): State<SessionHandle>) -> Json<Status> {
    Json(session.status())
}

async fn live_start(
    State(api): State<Api>,
    Json(request): Json<Start>,
) -> Result<Json<Status>, Response> {
    preflight::clear(&api.preflight, &request).await?;
    let started = api.session.start(request.destinations).await;
    started.map_err(IntoResponse::into_response)?;
    Ok(Json(api.session.status()))
}

async fn live_stop(
    State(session): State<SessionHandle>,
    Json(request): Json<Destinations>,
) -> Result<Json<Status>, SessionError> {
    session.stop(request.destinations).await?;
    Ok(Json(session.status()))
}

#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("another regia already runs with the state directory {}; stop it, or give this one its own --state", .0.display())]
    InUse(PathBuf),
    #[error("cannot open the socket {}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
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
    if UnixStream::connect(path).await.is_ok() {
        return Err(SocketError::InUse(path.parent().unwrap_or(path).to_owned()));
    }
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
