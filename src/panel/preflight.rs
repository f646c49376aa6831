//! `GET /preflight`, and what a start asks of it. Shell.

use super::api::Start;
use super::problem::{Params, Problem, Refused};
use crate::preflight::{Ask, Preflight, PreflightError, Report};
use crate::session::Anyway;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use std::time::Duration;
use utoipa::IntoParams;

/// Longer than any show, and short enough for every sum of times.
const LONGEST_SHOW_S: f64 = 30.0 * 86_400.0;

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Ids, separated by commas; none: all.
    #[serde(default)]
    destinations: String,
    /// How long the show is to be.
    #[serde(default)]
    planned_s: Option<f64>,
    /// The occurrence of a show that it is for.
    #[serde(default)]
    occurrence: Option<String>,
}

impl From<PreflightError> for Refused {
    fn from(error: PreflightError) -> Self {
        let (status, code) = match error {
            PreflightError::UnknownDestination(_) => (StatusCode::NOT_FOUND, "unknown-destination"),
            PreflightError::NotReady(_) => (StatusCode::CONFLICT, "preflight"),
            PreflightError::Gone => (StatusCode::SERVICE_UNAVAILABLE, "gone"),
        };
        Refused::new(status, code, error.to_string())
    }
}

/// What would go wrong if it started now? It loads each free uplink for some seconds.
#[utoipa::path(get, path = "/api/v1/preflight", tag = "broadcast", params(Which), responses(
    (status = 200, body = Report), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn report(
    State(preflight): State<Preflight>,
    Params(which): Params<Which>,
) -> Result<Json<Report>, Refused> {
    let planned = match which.planned_s {
        None => None,
        Some(planned_s) if (1.0..=LONGEST_SHOW_S).contains(&planned_s) => {
            Some(Duration::from_secs_f64(planned_s))
        }
        Some(planned_s) => {
            let title = format!("planned_s = {planned_s} is no length of a show; give seconds");
            return Err(Refused::bad(title));
        }
    };
    let ids = which.destinations.split(',').map(str::trim);
    let ask = Ask {
        destinations: ids.filter(|id| !id.is_empty()).map(str::to_owned).collect(),
        planned,
        occurrence: which.occurrence,
        ..Ask::default()
    };
    Ok(Json(preflight.report(ask).await?))
}

/// An error if pre-flight stands against this start and nobody said to start all the same; what is kept, if somebody did.
pub async fn clear(preflight: &Preflight, start: &Start) -> Result<Option<Anyway>, Refused> {
    let ask = Ask {
        destinations: start.destinations.clone(),
        occurrence: start.occurrence.clone(),
        ..Ask::default()
    };
    let Some(reason) = &start.anyway else {
        preflight.clear(ask).await?;
        return Ok(None);
    };
    if reason.trim().is_empty() {
        let title = "the reason for starting anyway is empty: say it in a few words".to_owned();
        return Err(Refused::bad(title));
    }
    // Who is in a hurry does not wait for a measurement.
    Ok(Some(Anyway {
        reason: reason.trim().to_owned(),
        problems: preflight.known_problems(ask).await,
    }))
}
