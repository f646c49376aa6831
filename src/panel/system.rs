//! `/system` and `/healthz`: the box and the daemon. Shell.

use super::api::Api;
use super::problem::{Problem, Refused};
use crate::doctor::{self, Row};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Debug, Serialize, ToSchema)]
pub struct System {
    version: String,
    uptime_s: f64,
    host: Option<String>,
    /// What `regia doctor` says of the machine.
    doctor: Vec<Row>,
}

/// Versions, and how the box does.
#[utoipa::path(get, path = "/api/v1/system", tag = "system", responses(
    (status = 200, body = System), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn system(State(api): State<Api>) -> Result<Json<System>, Refused> {
    let (settings, state) = (api.session.settings(), api.state.clone());
    let look = move || {
        let machine = doctor::measure(Some(&settings), &state);
        doctor::judge(&machine, Some(&settings))
    };
    Ok(Json(System {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        uptime_s: api.started.elapsed().as_secs_f64(),
        host: super::tls::host_name(),
        doctor: tokio::task::spawn_blocking(look).await.unwrap_or_default(),
    }))
}

/// Whether the daemon answers.
#[utoipa::path(get, path = "/healthz", tag = "system", responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn healthz() -> &'static str {
    "ok\n"
}
