//! `/config` and what is configured. Shell.

use super::{Changed, Configuration, Current, Refused, Version, When, blocking, edit, mask};
use crate::config;
use crate::panel::access::Caller;
use crate::panel::api::Api;
use crate::panel::problem::{Body, Problem, Segment};
use crate::session::event::Event;
use axum::extract::{MatchedPath, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub fn router() -> Router<Api> {
    let mut router = Router::new()
        .route("/api/v1/config", get(config).put(put_config))
        .route("/api/v1/config/check", post(check))
        .route("/api/v1/config/undo", post(undo))
        .route("/api/v1/config/versions", get(versions))
        .route("/api/v1/sources", get(sources))
        .route("/api/v1/destinations", get(destinations))
        .route("/api/v1/uplinks", get(uplinks))
        .route("/api/v1/titles", get(titles))
        .route("/api/v1/overlays", get(overlays));
    for kind in edit::KINDS {
        let path = format!("/api/v1/config/{kind}/{{id}}");
        router = router.route(&path, put(put_entry).delete(delete_entry));
    }
    router
}

/// The configuration as it is written. Secrets are dots; dots that are put back are what they were.
#[derive(Serialize, ToSchema)]
pub struct Written {
    text: String,
    etag: String,
    /// What is wrong with it now, warnings too.
    problems: Vec<config::Problem>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewText {
    text: String,
}

/// What a text would change.
#[derive(Serialize, ToSchema)]
pub struct Checked {
    /// Warnings too.
    problems: Vec<config::Problem>,
    diff: String,
}

fn if_match(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::IF_MATCH)?.to_str().ok()
}

fn with_etag<T: Serialize>(etag: &str, body: T) -> Response {
    ([(header::ETAG, format!("\"{etag}\""))], Json(body)).into_response()
}

impl Configuration {
    async fn problems(&self, text: String) -> Vec<config::Problem> {
        match self.read(text).await {
            Ok(loaded) => loaded.warnings,
            Err(errors) => errors.problems,
        }
    }
}

/// The configuration, as text.
#[utoipa::path(get, path = "/api/v1/config", tag = "configuration", responses(
    (status = 200, body = Written), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn config(State(api): State<Api>) -> Result<Response, Refused> {
    let Current { text, etag } = api.configuration.current().await?;
    let problems = api.configuration.problems(text.clone()).await;
    let written = Written {
        text: mask::mask(&text),
        etag: etag.clone(),
        problems,
    };
    Ok(with_etag(&etag, written))
}

async fn log(api: &Api, caller: Caller, changed: &Changed, what: String) {
    if changed.diff.is_empty() {
        return;
    }
    let event = Event::ConfigChanged {
        what,
        later: changed.applies == When::AfterTheBroadcast,
    };
    api.session.note(caller.who, event).await;
}

/// Another text in the configuration's place. If-Match names the version that it is made from.
#[utoipa::path(put, path = "/api/v1/config", tag = "configuration", request_body = NewText,
    params(("If-Match" = String, Header, description = "the ETag of the version that was changed")), responses(
    (status = 200, body = Changed), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn put_config(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Body(new): Body<NewText>,
) -> Result<Response, Refused> {
    let Some(if_match) = if_match(&headers) else {
        let text = "say with If-Match which version you changed: its etag is in GET /config";
        return Err(Refused::new(
            StatusCode::PRECONDITION_REQUIRED,
            "if-match",
            text.to_owned(),
        ));
    };
    let change = |current: &Current| Configuration::unmasked(&new.text, current);
    let changed = api.configuration.change(Some(if_match), change).await?;
    log(&api, caller, &changed, "the text".to_owned()).await;
    Ok(with_etag(&changed.etag.clone(), changed))
}

/// What a text would change, and what is wrong with it. Nothing is changed.
#[utoipa::path(post, path = "/api/v1/config/check", tag = "configuration", request_body = NewText, responses(
    (status = 200, body = Checked), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn check(
    State(api): State<Api>,
    Body(new): Body<NewText>,
) -> Result<Json<Checked>, Refused> {
    let current = api.configuration.current().await?;
    let text = Configuration::unmasked(&new.text, &current)?;
    Ok(Json(Checked {
        diff: Configuration::diff(&current.text, &text),
        problems: api.configuration.problems(text).await,
    }))
}

/// The configuration as it was before the last change. Twice: as it is.
#[utoipa::path(post, path = "/api/v1/config/undo", tag = "configuration", responses(
    (status = 200, body = Changed), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn undo(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Refused> {
    let versions = api.configuration.0.versions.clone();
    let before = blocking(move || versions.newest())
        .await
        .map_err(unreadable)?;
    let Some(before) = before else {
        let text = "nothing was changed here yet, so there is nothing to undo";
        return Err(Refused::conflict("nothing-to-undo", text));
    };
    let changed = api.configuration.change(None, |_| Ok(before)).await?;
    log(
        &api,
        caller,
        &changed,
        "the last change was undone".to_owned(),
    )
    .await;
    Ok(with_etag(&changed.etag.clone(), changed))
}

fn unreadable(error: std::io::Error) -> Refused {
    let text = format!("the kept versions can't be read: {error}");
    Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "versions", text)
}

/// Versions that were replaced, the newest first.
#[utoipa::path(get, path = "/api/v1/config/versions", tag = "configuration", responses(
    (status = 200, body = Vec<Version>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn versions(State(api): State<Api>) -> Result<Json<Vec<Version>>, Refused> {
    let versions = api.configuration.0.versions.clone();
    blocking(move || versions.list())
        .await
        .map(Json)
        .map_err(unreadable)
}

/// `/api/v1/config/KIND/{id}`
fn kind_of(path: &MatchedPath) -> String {
    let kind = path.as_str().rsplit('/').nth(1);
    kind.unwrap_or_default().to_owned()
}

/// Add or change one entry: an object of its keys. Keys that are left out are taken away; comments stay.
#[utoipa::path(put, path = "/api/v1/config/{kind}/{id}", tag = "configuration", request_body = Object,
    params(("kind" = String, Path), ("id" = String, Path), ("If-Match" = Option<String>, Header)), responses(
    (status = 200, body = Changed), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn put_entry(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    path: MatchedPath,
    Segment(id): Segment<String>,
    headers: HeaderMap,
    Body(object): Body<Map<String, Value>>,
) -> Result<Response, Refused> {
    let kind = kind_of(&path);
    let change = |current: &Current| Ok(edit::put(&current.text, &kind, &id, &object)?);
    let changed = api.configuration.change(if_match(&headers), change).await?;
    log(&api, caller, &changed, format!("{kind} {id}")).await;
    Ok(with_etag(&changed.etag.clone(), changed))
}

/// Take one entry away.
#[utoipa::path(delete, path = "/api/v1/config/{kind}/{id}", tag = "configuration",
    params(("kind" = String, Path), ("id" = String, Path), ("If-Match" = Option<String>, Header)), responses(
    (status = 200, body = Changed), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn delete_entry(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    path: MatchedPath,
    Segment(id): Segment<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let kind = kind_of(&path);
    let change = |current: &Current| Ok(edit::delete(&current.text, &kind, &id)?);
    let changed = api.configuration.change(if_match(&headers), change).await?;
    log(
        &api,
        caller,
        &changed,
        format!("{kind} {id} was taken away"),
    )
    .await;
    Ok(with_etag(&changed.etag.clone(), changed))
}

async fn entries(api: &Api, kind: &str) -> Result<Json<Vec<Value>>, Refused> {
    let current = api.configuration.current().await?;
    Ok(Json(edit::list(&current.text, kind)?))
}

/// The sources, as configured.
#[utoipa::path(get, path = "/api/v1/sources", tag = "configuration", responses(
    (status = 200, body = Vec<Object>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn sources(State(api): State<Api>) -> Result<Json<Vec<Value>>, Refused> {
    entries(&api, "source").await
}

/// The destinations, as configured. Secrets are dots.
#[utoipa::path(get, path = "/api/v1/destinations", tag = "configuration", responses(
    (status = 200, body = Vec<Object>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn destinations(State(api): State<Api>) -> Result<Json<Vec<Value>>, Refused> {
    entries(&api, "destination").await
}

/// The uplinks, as configured, whether a destination names them or not.
#[utoipa::path(get, path = "/api/v1/uplinks", tag = "configuration", responses(
    (status = 200, body = Vec<Object>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn uplinks(State(api): State<Api>) -> Result<Json<Vec<Value>>, Refused> {
    entries(&api, "uplink").await
}

/// The titles, as configured.
#[utoipa::path(get, path = "/api/v1/titles", tag = "configuration", responses(
    (status = 200, body = Vec<Object>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn titles(State(api): State<Api>) -> Result<Json<Vec<Value>>, Refused> {
    entries(&api, "title").await
}

/// The overlays, as configured.
#[utoipa::path(get, path = "/api/v1/overlays", tag = "configuration", responses(
    (status = 200, body = Vec<Object>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn overlays(State(api): State<Api>) -> Result<Json<Vec<Value>>, Refused> {
    entries(&api, "overlay").await
}
