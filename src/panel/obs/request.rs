//! What becomes of a request: an answer out of the view, a command, or a refusal that says what to do. Pure.

use super::codec::{
    Asked, Failure, Outcome, RPC_VERSION, RequestStatus, STUDIO_VERSION, WEBSOCKET_VERSION,
};
use super::view::{
    Chosen, Input, Phase, View, db_of, decibels, known, mul_of, named, scene_list, timecode,
    transition_name, transition_named, uuid,
};
use crate::bridge::mix::MixCommand;
use crate::config::{AudioChange, GAIN_DB, Transition};
use serde_json::{Map, Value, json};

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

/// Shorter ones are cuts, to an eye.
const SHORTEST_TRANSITION_MS: f64 = 50.0;

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

fn missing(field: &str) -> Failure {
    failure(
        RequestStatus::MissingRequestField,
        format!("The request has no {field}."),
    )
}

fn wrong_type(field: &str, what: &str) -> Failure {
    failure(
        RequestStatus::InvalidRequestFieldType,
        format!("{field} is not {what}."),
    )
}

fn flag(data: &Map<String, Value>, field: &str) -> Result<bool, Failure> {
    match data.get(field) {
        None | Some(Value::Null) => Err(missing(field)),
        Some(Value::Bool(on)) => Ok(*on),
        Some(_) => Err(wrong_type(field, "true or false")),
    }
}

/// None: it is not there.
fn number(data: &Map<String, Value>, field: &str) -> Result<Option<f64>, Failure> {
    match data.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(number) => number
            .as_f64()
            .map(Some)
            .ok_or_else(|| wrong_type(field, "a number")),
    }
}

fn text<'a>(data: &'a Map<String, Value>, field: &str) -> Result<Option<&'a str>, Failure> {
    match data.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Err(failure(
            RequestStatus::RequestFieldEmpty,
            format!("{field} is empty."),
        )),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong_type(field, "a string")),
    }
}

/// The id of one of `all`, by `…Name` or `…Uuid`.
fn find<'a>(
    data: &Map<String, Value>,
    what: &str,
    all: impl Iterator<Item = (&'a str, String)> + Clone,
) -> Result<&'a str, Failure> {
    let (name_field, uuid_field) = (format!("{what}Name"), format!("{what}Uuid"));
    let (name, its_uuid) = (text(data, &name_field)?, text(data, &uuid_field)?);
    if name.is_none() && its_uuid.is_none() {
        return Err(missing(&name_field));
    }
    let is_it = |(id, uuid): &(&str, String)| match name {
        Some(name) => *id == name,
        None => its_uuid.is_some_and(|its| uuid.eq_ignore_ascii_case(its)),
    };
    let found = all.clone().find(is_it);
    found.map(|(id, _)| id).ok_or_else(|| {
        let asked: String = name
            .or(its_uuid)
            .unwrap_or_default()
            .chars()
            .take(60)
            .collect();
        let known = known(all.map(|(id, _)| id));
        failure(
            RequestStatus::ResourceNotFound,
            format!("There is no {what} {asked:?}; {known}."),
        )
    })
}

fn scene(data: &Map<String, Value>, view: &View) -> Result<String, Failure> {
    let all = view.scenes.iter().map(|scene| scene.id.as_str());
    find(data, "scene", all.map(|id| (id, uuid("scene", id)))).map(str::to_owned)
}

fn input<'a>(data: &Map<String, Value>, view: &'a View) -> Result<&'a Input, Failure> {
    let all = view.inputs.iter().map(|input| input.id.as_str());
    let id = find(data, "input", all.map(|id| (id, uuid("input", id))))?;
    view.input(id).ok_or_else(|| missing("inputName"))
}

fn scenes(view: &View) -> Value {
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
fn current(scene: Option<&str>, what: &str, view: &View) -> Result<Value, Failure> {
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

fn trigger(view: &View, chosen: Chosen) -> Decided {
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

fn transitions(chosen: Chosen) -> Value {
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

fn kind_of(chosen: Chosen) -> &'static str {
    let mut all = Chosen::ALL.iter();
    all.find(|(kind, ..)| *kind == chosen.kind)
        .map_or("", |(.., its_kind)| *its_kind)
}

fn transition(chosen: Chosen) -> Value {
    let fixed = Chosen::is_fixed(chosen.kind);
    let mut one = named("transition", transition_name(chosen.kind));
    one["transitionKind"] = kind_of(chosen).into();
    one["transitionFixed"] = fixed.into();
    one["transitionDuration"] = (!fixed).then_some(chosen.ms).into();
    one["transitionConfigurable"] = false.into();
    one["transitionSettings"] = Value::Null;
    one
}

fn choose_transition(data: &Map<String, Value>, chosen: Chosen) -> Decided {
    let name = text(data, "transitionName")?.ok_or_else(|| missing("transitionName"))?;
    let Some(kind) = transition_named(name) else {
        let known = known(Chosen::ALL.iter().map(|(_, name, _)| *name));
        let asked: String = name.chars().take(60).collect();
        let comment = format!("There is no transition {asked:?}; {known}.");
        return Err(failure(RequestStatus::ResourceNotFound, comment));
    };
    act(Command::Choose(Chosen { kind, ..chosen }))
}

fn choose_length(data: &Map<String, Value>, chosen: Chosen) -> Decided {
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

fn inputs(data: &Map<String, Value>, view: &View) -> Decided {
    let kind = text(data, "inputKind")?;
    let wanted = view
        .inputs
        .iter()
        .filter(|input| kind.is_none_or(|kind| input.kind == kind));
    let all = wanted.map(|input| {
        let mut one = named("input", &input.id);
        one["inputKind"] = input.kind.into();
        one["unversionedInputKind"] = input.kind.into();
        one
    });
    answer(json!({"inputs": all.collect::<Vec<_>>()}))
}

fn input_kinds(view: &View) -> Value {
    let mut kinds: Vec<&str> = view.inputs.iter().map(|input| input.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    json!({"inputKinds": kinds})
}

fn mute(on: bool) -> AudioChange {
    AudioChange {
        mute: Some(on),
        ..AudioChange::default()
    }
}

fn sound(input: &Input, change: AudioChange, answer: Value) -> Decided {
    let source = input.id.clone();
    act(Command::Mix(MixCommand::Audio { source, change }, answer))
}

/// In dB. What is below Regia's lowest is its lowest: nobody hears either.
fn gain(data: &Map<String, Value>) -> Result<f32, Failure> {
    let (mul, db) = (
        number(data, "inputVolumeMul")?,
        number(data, "inputVolumeDb")?,
    );
    let db = match (mul, db) {
        (None, None) => return Err(missing("inputVolumeDb")),
        (_, Some(db)) => db,
        (Some(mul), None) if mul < 0.0 => {
            let comment = "inputVolumeMul is 0 or more.";
            return Err(failure(RequestStatus::RequestFieldOutOfRange, comment));
        }
        (Some(mul), None) => db_of(mul),
    };
    let (lowest, highest) = (*GAIN_DB.start(), *GAIN_DB.end());
    if db > f64::from(highest) {
        let comment = format!("Regia turns an input up by {highest} dB at most.");
        return Err(failure(RequestStatus::RequestFieldOutOfRange, comment));
    }
    Ok((db as f32).max(lowest))
}

fn is_stopped(view: &View) -> bool {
    view.stream.phase == Phase::Stopped
}

fn stream_status(view: &View) -> Value {
    let stream = &view.stream;
    json!({
        "outputActive": stream.phase.is_active(),
        "outputReconnecting": stream.phase == Phase::Reconnecting,
        "outputTimecode": timecode(stream.elapsed_s),
        "outputDuration": (stream.elapsed_s.max(0.0) * 1_000.0) as u64,
        "outputCongestion": stream.congestion,
        "outputBytes": stream.bytes,
        "outputSkippedFrames": stream.skipped_frames,
        "outputTotalFrames": view.picture.frames,
    })
}

fn start(view: &View, answer: Value) -> Decided {
    if is_stopped(view) {
        return act(Command::Start(answer));
    }
    let comment = "A broadcast is under way already.";
    Err(failure(RequestStatus::OutputRunning, comment))
}

fn stop(view: &View, answer: Value) -> Decided {
    if is_stopped(view) {
        let comment = "Nothing is on air.";
        return Err(failure(RequestStatus::OutputNotRunning, comment));
    }
    act(Command::Stop(view.stream.session.clone(), answer))
}

fn record_status(view: &View) -> Value {
    let for_s = view
        .recording
        .iter()
        .map(|one| one.for_s)
        .fold(0.0, f64::max);
    json!({
        "outputActive": !view.recording.is_empty(),
        "outputPaused": false,
        "outputTimecode": timecode(for_s),
        "outputDuration": (for_s * 1_000.0) as u64,
        "outputBytes": 0,
    })
}

fn record(view: &View, answer: Value) -> Decided {
    if view.recordings.is_empty() {
        let comment = "The configuration has no [[recording]]: add one in the panel.";
        return Err(failure(RequestStatus::OutputDisabled, comment));
    }
    let under_way = |id: &String| {
        view.recording
            .iter()
            .any(|one| one.id == *id && !one.ending)
    };
    let ids: Vec<String> = view
        .recordings
        .iter()
        .filter(|id| !under_way(id))
        .cloned()
        .collect();
    if ids.is_empty() {
        let comment = "Everything that can be recorded is being recorded.";
        return Err(failure(RequestStatus::OutputRunning, comment));
    }
    act(Command::Record {
        ids,
        on: true,
        answer,
    })
}

fn stop_record(view: &View, answer: impl Fn(&str) -> Value) -> Decided {
    let going_on = || view.recording.iter().filter(|one| !one.ending);
    let by_hand: Vec<_> = going_on().filter(|one| one.by_hand).collect();
    let Some(first) = by_hand.first() else {
        return Err(match going_on().next() {
            None => failure(
                RequestStatus::OutputNotRunning,
                "Nothing is being recorded.",
            ),
            Some(own) => failure(
                RequestStatus::CannotAct,
                format!(
                    "The recording {:?} is the broadcast's own: it ends with it.",
                    own.id
                ),
            ),
        });
    };
    act(Command::Record {
        answer: answer(&first.file),
        ids: by_hand.iter().map(|one| one.id.clone()).collect(),
        on: false,
    })
}

fn source_active(data: &Map<String, Value>, view: &View) -> Decided {
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

fn scene_items(data: &Map<String, Value>, view: &View) -> Decided {
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

#[cfg(test)]
mod tests {
    use super::super::view::{Recording, Scene, Stream};
    use super::*;
    use crate::config::TransitionKind;

    fn view() -> View {
        let scene = |id: &str| Scene {
            id: id.to_owned(),
            items: vec![("cam".to_owned(), [0.0, 0.0, 1.0, 1.0])],
        };
        View {
            scenes: vec![scene("wide"), scene("near")],
            inputs: vec![Input {
                id: "cam".to_owned(),
                kind: "regia_test",
                muted: false,
                gain_db: -6.0,
            }],
            programme: Some("wide".to_owned()),
            ..View::default()
        }
    }

    fn ask(kind: &str, data: Value, view: &View) -> Decision {
        let Value::Object(data) = data else { panic!() };
        let kind = kind.to_owned();
        decide(&Asked { kind, data }, view, Chosen::default())
    }

    fn done(kind: &str, data: Value, view: &View) -> Value {
        match ask(kind, data, view) {
            Decision::Answer(Outcome::Done(data)) => data,
            other => panic!("{other:?}"),
        }
    }

    fn refused(kind: &str, data: Value, view: &View) -> (u16, String) {
        match ask(kind, data, view) {
            Decision::Answer(Outcome::Failed(failure)) => (failure.status as u16, failure.comment),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn whatever_is_named_is_answered_and_nothing_else() {
        for kind in REQUESTS {
            let decision = ask(kind, json!({}), &view());
            if let Decision::Answer(Outcome::Failed(failure)) = decision {
                assert_ne!(failure.status, RequestStatus::UnknownRequestType, "{kind}");
            }
        }
        let (code, text) = refused("SetVideoSettings", json!({}), &view());
        assert_eq!(code, 204);
        assert_eq!(
            text,
            "Regia has no SetVideoSettings; GetVersion names the requests that it has."
        );
    }

    #[test]
    fn a_scene_is_found_by_name_or_uuid() {
        let take = |data| ask("SetCurrentProgramScene", data, &view());
        let expected = Decision::Do(Command::Mix(
            MixCommand::Take {
                scene: Some("near".to_owned()),
                transition: None,
            },
            Value::Null,
        ));
        assert_eq!(take(json!({"sceneName": "near"})), expected);
        assert_eq!(take(json!({"sceneUuid": uuid("scene", "near")})), expected);
        let no = |data| refused("SetCurrentProgramScene", data, &view());
        assert_eq!(
            no(json!({})),
            (300, "The request has no sceneName.".to_owned())
        );
        assert_eq!(no(json!({"sceneName": 7})).0, 401);
        assert_eq!(no(json!({"sceneName": ""})).0, 403);
        assert_eq!(
            no(json!({"sceneName": "far"})),
            (
                600,
                "There is no scene \"far\"; there are wide, near.".to_owned()
            )
        );
        assert_eq!(refused("GetCurrentPreviewScene", json!({}), &view()).0, 604);
        assert_eq!(
            refused("TriggerStudioModeTransition", json!({}), &view()).0,
            604
        );
    }

    #[test]
    fn takes_go_the_way_that_was_chosen() {
        let asked = Asked {
            kind: "SetCurrentProgramScene".to_owned(),
            data: Map::from_iter([("sceneName".to_owned(), json!("near"))]),
        };
        let chosen = Chosen {
            kind: Some(TransitionKind::Fade),
            ms: 900,
        };
        let Decision::Do(Command::Mix(MixCommand::Take { transition, .. }, _)) =
            decide(&asked, &view(), chosen)
        else {
            panic!();
        };
        assert_eq!(
            transition.map(|its| (its.kind, its.ms)),
            Some((TransitionKind::Fade, 900))
        );
        let length = |ms| {
            ask(
                "SetCurrentSceneTransitionDuration",
                json!({"transitionDuration": ms}),
                &view(),
            )
        };
        let Decision::Do(Command::Choose(chosen)) = length(750.4) else {
            panic!();
        };
        assert_eq!(chosen.ms, 750);
        for wrong in [json!(20), json!(60_000), json!("x"), json!(null)] {
            let data = json!({"transitionDuration": wrong});
            let (code, _) = refused("SetCurrentSceneTransitionDuration", data, &view());
            assert!(matches!(code, 300 | 401 | 402), "{code}");
        }
        assert_eq!(
            refused(
                "SetCurrentSceneTransition",
                json!({"transitionName": "Stinger"}),
                &view()
            )
            .0,
            600
        );
    }

    #[test]
    fn volumes_are_kept_within_what_regia_has() {
        let set = |data: Value| match ask("SetInputVolume", data, &view()) {
            Decision::Do(Command::Mix(MixCommand::Audio { change, .. }, _)) => {
                change.gain_db.unwrap()
            }
            other => panic!("{other:?}"),
        };
        let with = |field: &str, value: f64| json!({"inputName": "cam", field: value});
        assert_eq!(set(with("inputVolumeDb", -12.5)), -12.5);
        assert_eq!(set(with("inputVolumeDb", -100.0)), -60.0);
        assert_eq!(set(with("inputVolumeMul", 0.0)), -60.0);
        assert!((set(with("inputVolumeMul", 0.5)) + 6.02).abs() < 0.01);
        for bad in [with("inputVolumeDb", 26.0), with("inputVolumeMul", -1.0)] {
            assert_eq!(refused("SetInputVolume", bad, &view()).0, 402);
        }
        let volume = done("GetInputVolume", json!({"inputName": "cam"}), &view());
        assert_eq!(volume["inputVolumeDb"], -6.0);
    }

    #[test]
    fn outputs_begin_and_end_only_where_they_can() {
        let on_air = View {
            stream: Stream {
                phase: Phase::Started,
                session: Some("20260731-193000".to_owned()),
                elapsed_s: 61.5,
                ..Stream::default()
            },
            ..view()
        };
        assert_eq!(
            ask("StartStream", json!({}), &view()),
            Decision::Do(Command::Start(Value::Null))
        );
        assert_eq!(refused("StartStream", json!({}), &on_air).0, 500);
        assert_eq!(refused("StopStream", json!({}), &view()).0, 501);
        let Decision::Do(Command::Stop(session, _)) = ask("ToggleStream", json!({}), &on_air)
        else {
            panic!();
        };
        assert_eq!(
            session.as_deref(),
            Some("20260731-193000"),
            "the one that was seen"
        );
        let status = done("GetStreamStatus", json!({}), &on_air);
        assert_eq!(
            (&status["outputActive"], &status["outputTimecode"]),
            (&json!(true), &json!("00:01:01.500"))
        );

        assert_eq!(refused("StartRecord", json!({}), &view()).0, 504);
        assert_eq!(refused("StopRecord", json!({}), &view()).0, 501);
        let mut recording = View {
            recordings: vec!["master".to_owned()],
            ..view()
        };
        let Decision::Do(Command::Record { ids, on, .. }) =
            ask("StartRecord", json!({}), &recording)
        else {
            panic!();
        };
        assert_eq!((ids, on), (vec!["master".to_owned()], true));
        recording.recording.push(Recording {
            id: "master".to_owned(),
            file: "master-1.flv".to_owned(),
            ..Recording::default()
        });
        assert_eq!(refused("StartRecord", json!({}), &recording).0, 500);
        assert_eq!(
            refused("StopRecord", json!({}), &recording).0,
            703,
            "the broadcast's own"
        );
        recording.recording[0].by_hand = true;
        let Decision::Do(Command::Record { answer, .. }) = ask("StopRecord", json!({}), &recording)
        else {
            panic!();
        };
        assert_eq!(answer["outputPath"], "master-1.flv");
    }
}
