//! Scenes, what is in them, and how one takes the other's place.

use super::super::codec::{Failure, RequestStatus};
use super::super::view::{
    Chosen, View, known, named, scene_list, transition_name, transition_named, uuid,
};
use super::fields::{find, missing, number, scene, text};
use super::{Command, Decided, act, answer, failure};
use crate::bridge::mix::MixCommand;
use crate::config::Transition;
use serde_json::{Map, Value, json};

/// Shorter ones are cuts, to an eye.
const SHORTEST_TRANSITION_MS: f64 = 50.0;

pub fn scenes(view: &View) -> Value {
    let mut all = json!({"scenes": scene_list(view)});
    let current = [
        ("currentProgramScene", &view.programme),
        ("currentPreviewScene", &view.preview),
    ];
    for (what, scene) in current {
        all[format!("{what}Name")] = scene.as_deref().into();
        let uuid = scene.as_deref().map(|scene| uuid("scene", scene));
        all[format!("{what}Uuid")] = uuid.into();
    }
    all
}

/// By both of OBS's names: the one that is being given up, and the other.
pub fn current(scene: Option<&str>, what: &str, view: &View) -> Result<Value, Failure> {
    let Some(scene) = scene else {
        let known = known(view.scenes.iter().map(|scene| scene.id.as_str()));
        let comment = format!("There is none now; {known}.");
        return Err(failure(RequestStatus::InvalidResourceState, comment));
    };
    let mut all = named("scene", scene);
    all[format!("{what}Name")] = scene.into();
    all[format!("{what}Uuid")] = uuid("scene", scene).into();
    Ok(all)
}

pub fn trigger(view: &View, chosen: Chosen) -> Decided {
    if view.preview.is_none() {
        let comment = "Nothing is in preview: choose a scene with SetCurrentPreviewScene first.";
        return Err(failure(RequestStatus::InvalidResourceState, comment));
    }
    let take = MixCommand::Take {
        scene: None,
        transition: chosen.transition(),
    };
    act(Command::Mix(take, Value::Null))
}

pub fn transitions(chosen: Chosen) -> Value {
    let all = Chosen::ALL.iter().map(|(kind, name, its_kind)| {
        let mut one = named("transition", name);
        one["transitionKind"] = (*its_kind).into();
        one["transitionFixed"] = Chosen::is_fixed(*kind).into();
        one["transitionConfigurable"] = false.into();
        one
    });
    let name = transition_name(chosen.kind);
    json!({
        "currentSceneTransitionName": name,
        "currentSceneTransitionUuid": uuid("transition", name),
        "currentSceneTransitionKind": kind_of(chosen),
        "transitions": all.collect::<Vec<_>>(),
    })
}

pub fn kind_of(chosen: Chosen) -> &'static str {
    let mut all = Chosen::ALL.iter();
    all.find(|(kind, ..)| *kind == chosen.kind)
        .map_or("", |(.., its_kind)| *its_kind)
}

pub fn transition(chosen: Chosen) -> Value {
    let fixed = Chosen::is_fixed(chosen.kind);
    let mut one = named("transition", transition_name(chosen.kind));
    one["transitionKind"] = kind_of(chosen).into();
    one["transitionFixed"] = fixed.into();
    one["transitionDuration"] = (!fixed).then_some(chosen.ms).into();
    one["transitionConfigurable"] = false.into();
    one["transitionSettings"] = Value::Null;
    one
}

pub fn choose_transition(data: &Map<String, Value>, chosen: Chosen) -> Decided {
    let name = text(data, "transitionName")?.ok_or_else(|| missing("transitionName"))?;
    let Some(kind) = transition_named(name) else {
        let known = known(Chosen::ALL.iter().map(|(_, name, _)| *name));
        let asked: String = name.chars().take(60).collect();
        let comment = format!("There is no transition {asked:?}; {known}.");
        return Err(failure(RequestStatus::ResourceNotFound, comment));
    };
    act(Command::Choose(Chosen { kind, ..chosen }))
}

pub fn choose_length(data: &Map<String, Value>, chosen: Chosen) -> Decided {
    let field = "transitionDuration";
    let ms = number(data, field)?.ok_or_else(|| missing(field))?;
    let longest = f64::from(Transition::LONGEST_MS);
    if !(SHORTEST_TRANSITION_MS..=longest).contains(&ms) {
        let comment = format!(
            "{field} is from {SHORTEST_TRANSITION_MS} to {longest} ms; a cut is a transition of its own."
        );
        return Err(failure(RequestStatus::RequestFieldOutOfRange, comment));
    }
    let ms = ms.round() as u32;
    act(Command::Choose(Chosen { ms, ..chosen }))
}

pub fn source_active(data: &Map<String, Value>, view: &View) -> Decided {
    let inputs = view
        .inputs
        .iter()
        .map(|input| (input.id.as_str(), uuid("input", &input.id)));
    let scenes = view
        .scenes
        .iter()
        .map(|scene| (scene.id.as_str(), uuid("scene", &scene.id)));
    let id = find(data, "source", inputs.chain(scenes))?;
    if view.input(id).is_some() {
        return answer(json!({
            "videoActive": view.active.contains(id),
            "videoShowing": view.showing.contains(id),
        }));
    }
    let active = view.programme.as_deref() == Some(id);
    let showing = active || view.preview.as_deref() == Some(id);
    answer(json!({"videoActive": active, "videoShowing": showing}))
}

pub fn scene_items(data: &Map<String, Value>, view: &View) -> Decided {
    let id = scene(data, view)?;
    let scene = view.scenes.iter().find(|scene| scene.id == id);
    let (width, height) = (
        f64::from(view.picture.width),
        f64::from(view.picture.height),
    );
    let items = scene
        .into_iter()
        .flat_map(|scene| scene.items.iter().enumerate());
    let items = items.map(|(n, (source, [x, y, w, h]))| {
        json!({
            "sceneItemId": n + 1,
            "sceneItemIndex": n,
            "sourceName": source,
            "sourceUuid": uuid("input", source),
            "sourceType": "OBS_SOURCE_TYPE_INPUT",
            "inputKind": view.input(source).map(|input| input.kind),
            "isGroup": null,
            "sceneItemEnabled": true,
            "sceneItemLocked": false,
            "sceneItemBlendMode": "OBS_BLEND_NORMAL",
            "sceneItemTransform": {
                "positionX": x * width,
                "positionY": y * height,
                "width": w * width,
                "height": h * height,
            },
        })
    });
    answer(json!({"sceneItems": items.collect::<Vec<_>>()}))
}
