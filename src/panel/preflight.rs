//! `GET /preflight`, and what a start asks of it. Shell.

use super::api::{Start, problem};
use crate::preflight::{Ask, Preflight, PreflightError, Report};
use crate::session::Anyway;
use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::time::Duration;

/// Longer than any show, and short enough for every sum of times.
const LONGEST_SHOW_S: f64 = 30.0 * 86_400.0;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
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

impl IntoResponse for PreflightError {
    fn into_response(self) -> Response {
        let (status, kind) = match self {
            PreflightError::UnknownDestination(_) => (StatusCode::NOT_FOUND, "unknown-destination"),
            PreflightError::NotReady(_) => (StatusCode::CONFLICT, "preflight"),
            PreflightError::Gone => (StatusCode::SERVICE_UNAVAILABLE, "gone"),
        };
        problem(status, kind, self.to_string())
    }
}

pub async fn report(
    State(preflight): State<Preflight>,
    Query(which): Query<Which>,
) -> Result<Json<Report>, Response> {
    let planned = match which.planned_s {
        None => None,
        Some(planned_s) if (1.0..=LONGEST_SHOW_S).contains(&planned_s) => {
            Some(Duration::from_secs_f64(planned_s))
        }
        Some(planned_s) => {
            let title = format!("planned_s = {planned_s} is no length of a show; give seconds");
            return Err(problem(StatusCode::BAD_REQUEST, "bad-request", title));
        }
    };
    let ids = which.destinations.split(',').map(str::trim);
    let ask = Ask {
        destinations: ids.filter(|id| !id.is_empty()).map(str::to_owned).collect(),
        planned,
        occurrence: which.occurrence,
        ..Ask::default()
    };
    let report = preflight.report(ask).await;
    report.map(Json).map_err(IntoResponse::into_response)
}

/// An error if pre-flight stands against this start and nobody said to start all the same; what is kept, if somebody did.
pub async fn clear(preflight: &Preflight, start: &Start) -> Result<Option<Anyway>, Response> {
    let ask = Ask {
        destinations: start.destinations.clone(),
        occurrence: start.occurrence.clone(),
        ..Ask::default()
    };
    let Some(reason) = &start.anyway else {
        let cleared = preflight.clear(ask).await;
        return cleared.map(|()| None).map_err(IntoResponse::into_response);
    };
    if reason.trim().is_empty() {
        let title = "the reason for starting anyway is empty: say it in a few words".to_owned();
        return Err(problem(StatusCode::BAD_REQUEST, "bad-request", title));
    }
    // Who is in a hurry does not wait for a measurement.
    Ok(Some(Anyway {
        reason: reason.trim().to_owned(),
        problems: preflight.known_problems(ask).await,
    }))
}
