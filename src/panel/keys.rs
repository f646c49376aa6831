//! `/api/v1/keys`: key slots. Keys go in, and only fingerprints come out. Shell.

use super::access::Caller;
use super::problem::{Body, Problem, Refused, Segment};
use crate::session::SessionHandle;
use crate::session::{clock, keys::fingerprint};
use crate::store::{SlotError, SlotInfo, SlotSettings};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, put};
use axum::{Extension, Json, Router};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A key to save.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Save {
    #[schema(format = Password)]
    key: String,
    /// It serves for one broadcast, whatever the platform.
    #[serde(default)]
    single_use: bool,
    /// The one occurrence of a recurring show that it is for.
    #[serde(default)]
    occurrence: Option<String>,
}

/// What is shown of a slot.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
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

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct List {
    pub keys: Vec<Shown>,
}

impl From<SlotError> for Refused {
    fn from(error: SlotError) -> Self {
        let (status, code) = match &error {
            SlotError::BadName | SlotError::EmptyKey | SlotError::BadKey => {
                (StatusCode::BAD_REQUEST, "bad-key")
            }
            SlotError::Empty => (StatusCode::NOT_FOUND, "unknown-slot"),
            SlotError::Vault(_) | SlotError::Master(_) | SlotError::Store(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "store")
            }
        };
        Refused::new(status, code, error.to_string())
    }
}

pub fn router() -> Router<SessionHandle> {
    Router::new()
        .route("/api/v1/keys", get(list))
        .route("/api/v1/keys/{slot}", put(save).delete(delete))
}

/// The key slots: fingerprints only.
#[utoipa::path(get, path = "/api/v1/keys", tag = "keys", responses(
    (status = 200, body = List), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(session): State<SessionHandle>) -> Result<Json<List>, Refused> {
    let keys = session.slots().await?.iter().map(Shown::of).collect();
    Ok(Json(List { keys }))
}

/// Save a key in a slot.
#[utoipa::path(put, path = "/api/v1/keys/{slot}", tag = "keys", request_body = Save, params(("slot" = String, Path)), responses(
    (status = 200, body = Shown), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn save(
    State(session): State<SessionHandle>,
    Extension(caller): Extension<Caller>,
    Segment(slot): Segment<String>,
    Body(save): Body<Save>,
) -> Result<Json<Shown>, Refused> {
    let settings = SlotSettings {
        single_use: save.single_use,
        occurrence: save.occurrence,
    };
    let saved = session
        .save_key(&slot, &save.key, settings, caller.who)
        .await?;
    Ok(Json(Shown::of(&saved)))
}

/// Forget the key of a slot.
#[utoipa::path(delete, path = "/api/v1/keys/{slot}", tag = "keys", params(("slot" = String, Path)), responses(
    (status = 200, body = List), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn delete(
    State(session): State<SessionHandle>,
    Extension(caller): Extension<Caller>,
    Segment(slot): Segment<String>,
) -> Result<Json<List>, Refused> {
    if !session.delete_key(&slot, caller.who).await? {
        return Err(SlotError::Empty.into());
    }
    list(State(session)).await
}
