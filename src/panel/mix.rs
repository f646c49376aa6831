//! The vision mixer and the desk over `/api/v1`: scenes, keys, titles, sound, and pictures of all of it. Shell.

use super::access::Caller;
use super::problem::{Body, Problem, Refused, Segment};
use crate::bridge::mix::{MixCommand, View};
use crate::config::{
    AudioChange, Layer, Scene, Side, Source, SourceKind, Transition, TransitionKind,
};
use crate::session::{Look, SessionError, SessionHandle, Status};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

/// Each look keeps its picture being made for so long.
const LOOK: Duration = Duration::from_secs(3);
/// The first picture after nobody looked takes a moment.
const FIRST_PICTURE: Duration = Duration::from_secs(2);

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Preview {
    pub scene: String,
}

/// What to take, and how.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Take {
    /// None: what is in preview.
    #[serde(default)]
    pub scene: Option<String>,
    /// None: the scene's own, or a fade if a time is named.
    #[serde(default)]
    pub transition: Option<TransitionKind>,
    #[serde(default)]
    pub ms: Option<u32>,
    #[serde(default)]
    pub from: Option<Side>,
}

impl Take {
    fn transition(&self) -> Option<Transition> {
        let named = self.ms.is_some() || self.from.is_some();
        let usual = match self.from {
            Some(_) => TransitionKind::Slide,
            None => TransitionKind::Fade,
        };
        let kind = self.transition.or(named.then_some(usual))?;
        Some(Transition {
            kind,
            ms: match kind {
                TransitionKind::Cut => 0,
                _ => self.ms.unwrap_or(Transition::USUAL_MS),
            },
            from: self.from.unwrap_or(Transition::CUT.from),
        })
    }
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Black {
    pub on: bool,
    #[serde(default)]
    pub ms: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    pub on: bool,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Text {
    pub lines: Vec<String>,
}

/// What became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Mixed {
    pub ran: Transition,
    /// What ran instead of what was asked for, and why; empty: just that.
    pub note: String,
    pub status: Status,
}

/// A scene as it can be taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct SceneView<'a> {
    id: &'a str,
    name: &'a str,
    layers: &'a [Layer],
    transition: Transition,
    still: bool,
    then: Option<&'a str>,
    /// It plays a file once, from the take on.
    clip: bool,
}

impl<'a> SceneView<'a> {
    fn of(scene: &'a Scene, sources: &[Source]) -> Self {
        let is_file = |id: &str| {
            let mut sources = sources.iter().filter(|source| source.id == id);
            sources.any(|source| matches!(source.kind, SourceKind::File { .. }))
        };
        SceneView {
            id: &scene.id,
            name: scene.name.as_deref().unwrap_or(&scene.id),
            layers: &scene.layers,
            transition: scene.transition,
            still: scene.still,
            then: scene.then.as_deref(),
            clip: scene.then.is_some() && scene.sources().any(is_file),
        }
    }
}

pub fn router() -> Router<SessionHandle> {
    Router::new()
        .route("/api/v1/scenes", get(scenes))
        .route("/api/v1/scene/preview", post(preview))
        .route("/api/v1/scene/take", post(take))
        .route("/api/v1/scene/black", post(black))
        .route("/api/v1/overlays/{id}", post(overlay))
        .route("/api/v1/titles/{id}", post(title))
        .route("/api/v1/audio/{source}", post(audio))
        .route("/api/v1/audio/loudness/reset", post(reset_loudness))
        .route("/api/v1/thumbnails/source/{file}", get(of_source))
        .route("/api/v1/thumbnails/{file}", get(of_programme))
}

type Answer = Result<Json<Mixed>, Refused>;

async fn mix(session: &SessionHandle, caller: Caller, command: MixCommand) -> Answer {
    let answer = session.mix(command, caller.who).await?;
    Ok(Json(Mixed {
        ran: answer.ran,
        note: answer.note,
        status: session.status(),
    }))
}

/// The scenes, as they can be taken.
#[utoipa::path(get, path = "/api/v1/scenes", tag = "mix", responses(
    (status = 200, body = Vec<SceneView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn scenes(State(session): State<SessionHandle>) -> Response {
    let settings = session.settings();
    let scenes = settings.scenes.iter();
    let views: Vec<SceneView> = scenes
        .map(|scene| SceneView::of(scene, &settings.sources))
        .collect();
    Json(views).into_response()
}

/// Make a scene ready.
#[utoipa::path(post, path = "/api/v1/scene/preview", tag = "mix", request_body = Preview, responses(
    (status = 200, body = Mixed), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn preview(
    State(session): State<SessionHandle>,
    Extension(caller): Extension<Caller>,
    Body(ask): Body<Preview>,
) -> Answer {
    mix(&session, caller, MixCommand::Preview { scene: ask.scene }).await
}

/// Put a scene on air, from the next frame on: without a name, what is in preview.
#[utoipa::path(post, path = "/api/v1/scene/take", tag = "mix", request_body = Take, responses(
    (status = 200, body = Mixed), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn take(
    State(session): State<SessionHandle>,
    Extension(caller): Extension<Caller>,
    Body(ask): Body<Take>,
) -> Answer {
    let transition = ask.transition();
    let scene = ask.scene;
    mix(&session, caller, MixCommand::Take { scene, transition }).await
}

/// Fade everything to black, or back.
#[utoipa::path(post, path = "/api/v1/scene/black", tag = "mix", request_body = Black, responses(
    (status = 200, body = Mixed), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn black(
    State(session): State<SessionHandle>,
    Extension(caller): Extension<Caller>,
    Body(Black { on, ms }): Body<Black>,
) -> Answer {
    let ms = ms.unwrap_or(Transition::USUAL_MS);
    mix(&session, caller, MixCommand::Black { on, ms }).await
}

/// Let a key over the programme come or go.
#[utoipa::path(post, path = "/api/v1/overlays/{id}", tag = "mix", request_body = Switch, params(("id" = String, Path)), responses(
    (status = 200, body = Mixed), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn overlay(
    State(session): State<SessionHandle>,
    Extension(caller): Extension<Caller>,
    Segment(id): Segment<String>,
    Body(Switch { on }): Body<Switch>,
) -> Answer {
    mix(&session, caller, MixCommand::Overlay { id, on }).await
}

/// Give a title other text, from the next frame on.
#[utoipa::path(post, path = "/api/v1/titles/{id}", tag = "mix", request_body = Text, params(("id" = String, Path)), responses(
    (status = 200, body = Mixed), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn title(
    State(session): State<SessionHandle>,
    Extension(caller): Extension<Caller>,
    Segment(id): Segment<String>,
    Body(Text { lines }): Body<Text>,
) -> Answer {
    mix(&session, caller, MixCommand::Title { id, lines }).await
}

/// Change an input of the desk.
#[utoipa::path(post, path = "/api/v1/audio/{source}", tag = "mix", request_body = AudioChange, params(("source" = String, Path)), responses(
    (status = 200, body = Mixed), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn audio(
    State(session): State<SessionHandle>,
    Extension(caller): Extension<Caller>,
    Segment(source): Segment<String>,
    Body(change): Body<AudioChange>,
) -> Answer {
    mix(&session, caller, MixCommand::Audio { source, change }).await
}

/// Count integrated loudness and true peak from now.
#[utoipa::path(post, path = "/api/v1/audio/loudness/reset", tag = "mix", responses(
    (status = 200, body = Mixed), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn reset_loudness(
    State(session): State<SessionHandle>,
    Extension(caller): Extension<Caller>,
) -> Answer {
    mix(&session, caller, MixCommand::ResetLoudness).await
}

/// A source's newest picture, 320 wide: `ID.jpg`.
#[utoipa::path(get, path = "/api/v1/thumbnails/source/{file}", tag = "mix", params(("file" = String, Path)), responses(
    (status = 200, body = Vec<u8>, content_type = "image/jpeg"), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn of_source(
    State(session): State<SessionHandle>,
    Segment(picture): Segment<String>,
) -> Result<Response, Refused> {
    let id = picture.strip_suffix(".jpg").unwrap_or(&picture);
    let settings = session.settings();
    let sources = &settings.sources;
    if !sources.iter().any(|source| source.id == id) {
        let known: Vec<&str> = sources.iter().map(|source| source.id.as_str()).collect();
        let unknown = SessionError::Unknown {
            kind: "source",
            id: id.to_owned(),
            known: format!("there are {}", known.join(", ")),
        };
        return Err(unknown.into());
    }
    picture_of(&session, View::Source(id.to_owned())).await
}

/// The newest picture of programme, preview or all of it: `programme.jpg`, `preview.jpg`, `multiview.jpg`.
#[utoipa::path(get, path = "/api/v1/thumbnails/{file}", tag = "mix", params(("file" = String, Path)), responses(
    (status = 200, body = Vec<u8>, content_type = "image/jpeg"), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn of_programme(
    State(session): State<SessionHandle>,
    Segment(picture): Segment<String>,
) -> Result<Response, Refused> {
    let view = match picture.as_str() {
        "programme.jpg" => View::Programme,
        "preview.jpg" => View::Preview,
        "multiview.jpg" => View::Multiview,
        _ => {
            let title = "there are programme.jpg, preview.jpg, multiview.jpg and source/ID.jpg";
            return Err(Refused::not_found("unknown-picture", title));
        }
    };
    picture_of(&session, view).await
}

/// The newest picture of a view. It is made for a while longer, for whoever asks again.
async fn picture_of(session: &SessionHandle, view: View) -> Result<Response, Refused> {
    let look = Look {
        multiview: view == View::Multiview,
    };
    let looking = session.look(look).await?;
    let mut thumbnails = session.thumbnails();
    tokio::spawn(async move {
        tokio::time::sleep(LOOK).await;
        drop(looking);
    });
    let made = thumbnails.wait_for(|newest| newest.contains_key(&view));
    let jpeg = match tokio::time::timeout(FIRST_PICTURE, made).await {
        Ok(Ok(newest)) => newest.get(&view).cloned(),
        Ok(Err(_)) | Err(_) => None,
    };
    let jpeg = jpeg.ok_or_else(|| {
        let text = "there is no picture yet: the engine is starting, or nothing is in preview";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Refused::new(status, "no-picture", text.to_owned())
    })?;
    let headers = [
        (header::CONTENT_TYPE, "image/jpeg"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, jpeg).into_response())
}
