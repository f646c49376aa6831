//! What becomes of a request: an answer out of the view, a command, or a refusal that says what to do. Pure.

mod fields;
mod outputs;
mod scenes;
mod sound;
#[cfg(test)]
mod tests;

use super::codec::{
    Asked, Failure, Outcome, RPC_VERSION, RequestStatus, STUDIO_VERSION, WEBSOCKET_VERSION,
};
use super::view::{Chosen, Phase, View, decibels, mul_of};
use crate::bridge::mix::MixCommand;
use crate::config::AudioChange;
use fields::{flag, input, scene};
use outputs::{is_stopped, record, record_status, start, stop, stop_record, stream_status};
use scenes::{
    choose_length, choose_transition, current, scene_items, scenes, source_active, transition,
    transitions, trigger,
};
use serde_json::{Map, Value, json};
use sound::{gain, input_kinds, inputs, mute, sound};

/// What is answered.
pub const REQUESTS: [&str; 32] = [
    "GetVersion",
    "GetStats",
    "GetSceneList",
    "GetCurrentProgramScene",
    "SetCurrentProgramScene",
    "GetCurrentPreviewScene",
    "SetCurrentPreviewScene",
    "GetStudioModeEnabled",
    "SetStudioModeEnabled",
    "TriggerStudioModeTransition",
    "GetSceneTransitionList",
    "GetCurrentSceneTransition",
    "SetCurrentSceneTransition",
    "SetCurrentSceneTransitionDuration",
    "GetInputList",
    "GetInputMute",
    "SetInputMute",
    "ToggleInputMute",
    "GetInputVolume",
    "SetInputVolume",
    "GetStreamStatus",
    "StartStream",
    "StopStream",
    "ToggleStream",
    "GetRecordStatus",
    "StartRecord",
    "StopRecord",
    "ToggleRecord",
    "GetSourceActive",
    "GetSceneItemList",
    "GetInputKindList",
    "GetVideoSettings",
];

/// What is done before there is an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// The answer is this, once it is done.
    Mix(MixCommand, Value),
    Choose(Chosen),
    Start(Value),
    /// The id of the session that is meant.
    Stop(Option<String>, Value),
    /// Recordings by their ids.
    Record {
        ids: Vec<String>,
        on: bool,
        answer: Value,
    },
    /// What only the machine tells.
    Stats,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    Answer(Outcome),
    Do(Command),
}

impl Command {
    /// It may take many seconds: a start waits for pre-flight. Other requests of the same client go on meanwhile.
    pub fn is_slow(&self) -> bool {
        matches!(self, Command::Start(_))
    }
}

type Decided = Result<Decision, Failure>;

pub fn decide(asked: &Asked, view: &View, chosen: Chosen) -> Decision {
    decided(asked, view, chosen)
        .unwrap_or_else(|failure| Decision::Answer(Outcome::Failed(failure)))
}

pub fn failure(status: RequestStatus, comment: impl Into<String>) -> Failure {
    Failure {
        status,
        comment: comment.into(),
    }
}

fn answer(data: Value) -> Decided {
    Ok(Decision::Answer(Outcome::Done(data)))
}

fn act(command: Command) -> Decided {
    Ok(Decision::Do(command))
}

fn decided(asked: &Asked, view: &View, chosen: Chosen) -> Decided {
    let data = &asked.data;
    match asked.kind.as_str() {
        "GetVersion" => answer(version()),
        "GetStats" => act(Command::Stats),
        "GetVideoSettings" => answer(video_settings(view)),
        "GetStudioModeEnabled" => answer(json!({"studioModeEnabled": true})),
        "SetStudioModeEnabled" => studio_mode(data),
        "GetSceneList" => answer(scenes(view)),
        "GetCurrentProgramScene" => {
            let scene = current(view.programme.as_deref(), "currentProgramScene", view)?;
            answer(scene)
        }
        "GetCurrentPreviewScene" => {
            let scene = current(view.preview.as_deref(), "currentPreviewScene", view)?;
            answer(scene)
        }
        "SetCurrentProgramScene" => {
            let take = MixCommand::Take {
                scene: Some(scene(data, view)?),
                transition: chosen.transition(),
            };
            act(Command::Mix(take, Value::Null))
        }
        "SetCurrentPreviewScene" => {
            let scene = scene(data, view)?;
            act(Command::Mix(MixCommand::Preview { scene }, Value::Null))
        }
        "TriggerStudioModeTransition" => trigger(view, chosen),
        "GetSceneTransitionList" => answer(transitions(chosen)),
        "GetCurrentSceneTransition" => answer(transition(chosen)),
        "SetCurrentSceneTransition" => choose_transition(data, chosen),
        "SetCurrentSceneTransitionDuration" => choose_length(data, chosen),
        "GetInputList" => inputs(data, view),
        "GetInputKindList" => answer(input_kinds(view)),
        "GetInputMute" => answer(json!({"inputMuted": input(data, view)?.muted})),
        "SetInputMute" => {
            let input = input(data, view)?;
            let muted = flag(data, "inputMuted")?;
            sound(input, mute(muted), Value::Null)
        }
        "ToggleInputMute" => {
            let input = input(data, view)?;
            let muted = !input.muted;
            sound(input, mute(muted), json!({"inputMuted": muted}))
        }
        "GetInputVolume" => {
            let gain_db = input(data, view)?.gain_db;
            answer(json!({"inputVolumeMul": mul_of(gain_db), "inputVolumeDb": decibels(gain_db)}))
        }
        "SetInputVolume" => {
            let input = input(data, view)?;
            let gain = AudioChange {
                gain_db: Some(gain(data)?),
                ..AudioChange::default()
            };
            sound(input, gain, Value::Null)
        }
        "GetStreamStatus" => answer(stream_status(view)),
        "StartStream" => start(view, Value::Null),
        "StopStream" => stop(view, Value::Null),
        "ToggleStream" if is_stopped(view) => start(view, json!({"outputActive": true})),
        "ToggleStream" => stop(view, json!({"outputActive": false})),
        "GetRecordStatus" => answer(record_status(view)),
        "StartRecord" => record(view, Value::Null),
        "StopRecord" => stop_record(view, |file| json!({"outputPath": file})),
        "ToggleRecord" if view.record_phase() != Phase::Started => {
            record(view, json!({"outputActive": true}))
        }
        "ToggleRecord" => stop_record(view, |_| json!({"outputActive": false})),
        "GetSourceActive" => source_active(data, view),
        "GetSceneItemList" => scene_items(data, view),
        other => {
            // A name is repeated only as far as it is one.
            let shown: String = other
                .chars()
                .take(60)
                .filter(char::is_ascii_alphanumeric)
                .collect();
            Err(failure(
                RequestStatus::UnknownRequestType,
                format!("Regia has no {shown}; GetVersion names the requests that it has."),
            ))
        }
    }
}

fn version() -> Value {
    json!({
        "obsVersion": STUDIO_VERSION,
        "obsWebSocketVersion": WEBSOCKET_VERSION,
        "rpcVersion": RPC_VERSION,
        "availableRequests": REQUESTS,
        "supportedImageFormats": [],
        "platform": "linux",
        "platformDescription": concat!("Regia ", env!("CARGO_PKG_VERSION")),
    })
}

fn video_settings(view: &View) -> Value {
    let picture = &view.picture;
    json!({
        "fpsNumerator": picture.rate.0,
        "fpsDenominator": picture.rate.1,
        "baseWidth": picture.width,
        "baseHeight": picture.height,
        "outputWidth": picture.width,
        "outputHeight": picture.height,
    })
}

fn studio_mode(data: &Map<String, Value>) -> Decided {
    if flag(data, "studioModeEnabled")? {
        return answer(Value::Null);
    }
    let comment = "Regia always has a preview and a programme: studio mode can't be left.";
    Err(failure(RequestStatus::CannotAct, comment))
}
