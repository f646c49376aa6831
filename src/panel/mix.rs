//! The vision mixer and the desk over `/api/v1`: scenes, keys, titles, sound, and pictures of all of it. Shell.

use super::api::{WHO, problem};
use crate::bridge::mix::{MixCommand, View};
use crate::config::{
    AudioChange, Layer, Scene, Side, Source, SourceKind, Transition, TransitionKind,
};
use crate::session::{Look, SessionError, SessionHandle, Status};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Each look keeps its picture being made for so long.
const LOOK: Duration = Duration::from_secs(3);
/// The first picture after nobody looked takes a moment.
const FIRST_PICTURE: Duration = Duration::from_secs(2);

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preview {
    pub scene: String,
}

/// What to take, and how.
#[derive(Debug, Default, Serialize, Deserialize)]
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

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Black {
    pub on: bool,
    #[serde(default)]
    pub ms: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    pub on: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    pub lines: Vec<String>,
}

/// What became of it.
#[derive(Debug, Serialize)]
pub struct Mixed {
    pub ran: Transition,
    /// What ran instead of what was asked for, and why; empty: just that.
    pub note: String,
    pub status: Status,
}

/// A scene as it can be taken.
#[derive(Debug, Serialize)]
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
        .route("/api/v1/thumbnails/source/{picture}", get(of_source))
        .route("/api/v1/thumbnails/{picture}", get(of_programme))
}

type Answer = Result<Json<Mixed>, SessionError>;

async fn mix(session: &SessionHandle, command: MixCommand) -> Answer {
    let answer = session.mix(command, WHO).await?;
    Ok(Json(Mixed {
        ran: answer.ran,
        note: answer.note,
        status: session.status(),
    }))
}

async fn scenes(State(session): State<SessionHandle>) -> Response {
    let settings = session.settings();
    let scenes = settings.scenes.iter();
    let views: Vec<SceneView> = scenes
        .map(|scene| SceneView::of(scene, &settings.sources))
        .collect();
    Json(views).into_response()
}

async fn preview(State(session): State<SessionHandle>, Json(ask): Json<Preview>) -> Answer {
    mix(&session, MixCommand::Preview { scene: ask.scene }).await
}

async fn take(State(session): State<SessionHandle>, Json(ask): Json<Take>) -> Answer {
    let transition = ask.transition();
    let scene = ask.scene;
    mix(&session, MixCommand::Take { scene, transition }).await
}

async fn black(
    State(session): State<SessionHandle>,
    Json(Black { on, ms }): Json<Black>,
) -> Answer {
    let ms = ms.unwrap_or(Transition::USUAL_MS);
    mix(&session, MixCommand::Black { on, ms }).await
}

async fn overlay(
    State(session): State<SessionHandle>,
    Path(id): Path<String>,
    Json(Switch { on }): Json<Switch>,
) -> Answer {
    mix(&session, MixCommand::Overlay { id, on }).await
}

async fn title(
    State(session): State<SessionHandle>,
    Path(id): Path<String>,
    Json(Text { lines }): Json<Text>,
) -> Answer {
    mix(&session, MixCommand::Title { id, lines }).await
}

async fn audio(
    State(session): State<SessionHandle>,
    Path(source): Path<String>,
    Json(change): Json<AudioChange>,
) -> Answer {
    mix(&session, MixCommand::Audio { source, change }).await
}

async fn reset_loudness(State(session): State<SessionHandle>) -> Answer {
    mix(&session, MixCommand::ResetLoudness).await
}

async fn of_source(
    State(session): State<SessionHandle>,
    Path(picture): Path<String>,
) -> Result<Response, SessionError> {
    let id = picture.strip_suffix(".jpg").unwrap_or(&picture);
    let sources = &session.settings().sources;
    if !sources.iter().any(|source| source.id == id) {
        let known: Vec<&str> = sources.iter().map(|source| source.id.as_str()).collect();
        return Err(SessionError::Unknown {
            kind: "source",
            id: id.to_owned(),
            known: format!("there are {}", known.join(", ")),
        });
    }
    picture_of(&session, View::Source(id.to_owned())).await
}

async fn of_programme(
    State(session): State<SessionHandle>,
    Path(picture): Path<String>,
) -> Result<Response, SessionError> {
    let view = match picture.as_str() {
        "programme.jpg" => View::Programme,
        "preview.jpg" => View::Preview,
        "multiview.jpg" => View::Multiview,
        _ => {
            let title = "there are programme.jpg, preview.jpg, multiview.jpg and source/ID.jpg";
            let status = StatusCode::NOT_FOUND;
            return Ok(problem(status, "unknown-picture", title.to_owned()));
        }
    };
    picture_of(&session, view).await
}

/// The newest picture of a view. It is made for a while longer, for whoever asks again.
async fn picture_of(session: &SessionHandle, view: View) -> Result<Response, SessionError> {
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
    Ok(match jpeg {
        Some(jpeg) => {
            let headers = [
                (header::CONTENT_TYPE, "image/jpeg"),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (headers, jpeg).into_response()
        }
        None => problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "no-picture",
            "there is no picture yet: the engine is starting, or nothing is in preview".to_owned(),
        ),
    })
}
