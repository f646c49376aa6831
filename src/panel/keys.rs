//! `/api/v1/keys`: key slots. Keys go in, and only fingerprints come out. Shell.

use super::api::problem;
use crate::session::SessionHandle;
use crate::session::event::Who;
use crate::session::{clock, keys::fingerprint};
use crate::store::{SlotError, SlotInfo, SlotSettings};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

/// A key to save.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Save {
    key: String,
    /// It serves for one broadcast, whatever the platform.
    #[serde(default)]
    single_use: bool,
    /// The one occurrence of a recurring show that it is for.
    #[serde(default)]
    occurrence: Option<String>,
}

/// What is shown of a slot.
#[derive(Debug, Serialize, Deserialize)]
pub struct Shown {
    pub slot: String,
    /// "ends …x7Qd, saved Tuesday, not used yet"
    pub fingerprint: String,
    pub saved_ms: i64,
    pub single_use: bool,
    pub occurrence: Option<String>,
    /// Of a key that serves once: the broadcast it was used for.
    pub used: Option<String>,
}

impl Shown {
    pub fn of(slot: &SlotInfo) -> Self {
        Shown {
            slot: slot.name.clone(),
            fingerprint: fingerprint(slot, clock::wall_ms()),
            saved_ms: slot.saved_ms,
            single_use: slot.settings.single_use,
            occurrence: slot.settings.occurrence.clone(),
            used: slot.used.as_ref().map(|(session, _)| session.clone()),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub struct List {
    pub keys: Vec<Shown>,
}

impl IntoResponse for SlotError {
    fn into_response(self) -> Response {
        let (status, kind) = match &self {
            SlotError::BadName | SlotError::EmptyKey | SlotError::BadKey => {
                (StatusCode::BAD_REQUEST, "bad-key")
            }
            SlotError::Empty => (StatusCode::NOT_FOUND, "unknown-slot"),
            SlotError::Vault(_) | SlotError::Master(_) | SlotError::Store(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "store")
            }
        };
        problem(status, kind, self.to_string())
    }
}

pub fn router() -> Router<SessionHandle> {
    Router::new()
        .route("/api/v1/keys", get(list))
        .route("/api/v1/keys/{slot}", put(save).delete(delete))
}

async fn list(State(session): State<SessionHandle>) -> Result<Json<List>, SlotError> {
    let keys = session.slots().await?.iter().map(Shown::of).collect();
    Ok(Json(List { keys }))
}

async fn save(
    State(session): State<SessionHandle>,
    Path(slot): Path<String>,
    Json(save): Json<Save>,
) -> Result<Json<Shown>, SlotError> {
    let settings = SlotSettings {
        single_use: save.single_use,
        occurrence: save.occurrence,
    };
    let saved = session
        .save_key(&slot, &save.key, settings, Who::Cli)
        .await?;
    Ok(Json(Shown::of(&saved)))
}

async fn delete(
    State(session): State<SessionHandle>,
    Path(slot): Path<String>,
) -> Result<Json<List>, SlotError> {
    if !session.delete_key(&slot, Who::Cli).await? {
        return Err(SlotError::Empty);
    }
    list(State(session)).await
}
