//! What other desks are told when something changes: the difference of two views, in OBS's events. Pure.

use super::codec::Subscriptions;
use super::view::{
    Chosen, Input, Phase, View, decibels, mul_of, named, scene_list, transition_name,
};
use serde_json::{Value, json};

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub kind: &'static str,
    /// What a client must have subscribed to.
    pub intent: u64,
    /// Null: there is nothing to say.
    pub data: Value,
}

fn event(kind: &'static str, intent: u64, data: Value) -> Event {
    Event { kind, intent, data }
}

/// Regia begins to end; a broadcast is still delivered to its end.
pub fn exit() -> Event {
    event("ExitStarted", Subscriptions::GENERAL, Value::Null)
}

/// Another way of takes was chosen.
pub fn chosen(before: Chosen, now: Chosen) -> Vec<Event> {
    let mut events = Vec::new();
    if before.kind != now.kind {
        let data = named("transition", transition_name(now.kind));
        events.push(event(
            "CurrentSceneTransitionChanged",
            Subscriptions::TRANSITIONS,
            data,
        ));
    }
    if before.ms != now.ms {
        events.push(event(
            "CurrentSceneTransitionDurationChanged",
            Subscriptions::TRANSITIONS,
            json!({"transitionDuration": now.ms}),
        ));
    }
    events
}

/// In the order in which it happened, as far as that can be told.
pub fn changes(before: &View, now: &View) -> Vec<Event> {
    let mut events = Vec::new();
    if before
        .scenes
        .iter()
        .map(|scene| &scene.id)
        .ne(now.scenes.iter().map(|scene| &scene.id))
    {
        events.push(event(
            "SceneListChanged",
            Subscriptions::SCENES,
            json!({"scenes": scene_list(now)}),
        ));
    }
    takes(before, now, &mut events);
    if before.preview != now.preview
        && let Some(scene) = &now.preview
    {
        let data = named("scene", scene);
        events.push(event(
            "CurrentPreviewSceneChanged",
            Subscriptions::SCENES,
            data,
        ));
    }
    for input in &now.inputs {
        if let Some(was) = before.input(&input.id) {
            sound(was, input, &mut events);
        }
        tally(before, now, &input.id, &mut events);
    }
    outputs(before, now, &mut events);
    events
}

fn takes(before: &View, now: &View, events: &mut Vec<Event>) {
    let transition = |kind: &'static str, name: &str| {
        event(kind, Subscriptions::TRANSITIONS, named("transition", name))
    };
    let over = |name: &str| {
        [
            transition("SceneTransitionVideoEnded", name),
            transition("SceneTransitionEnded", name),
        ]
    };
    let is_other = before.transition != now.transition;
    if let Some(was) = before.transition.as_ref().filter(|_| is_other) {
        events.extend(over(transition_name(Some(was.kind))));
    }
    let runs = now.transition.as_ref().filter(|_| is_other);
    let taken = before.programme != now.programme;
    // A cut is over as soon as it is seen.
    let cut = taken && before.transition.is_none() && now.transition.is_none();
    let name = match runs {
        Some(runs) => transition_name(Some(runs.kind)),
        None => "Cut",
    };
    if runs.is_some() || cut {
        events.push(transition("SceneTransitionStarted", name));
    }
    if taken && let Some(scene) = &now.programme {
        let data = named("scene", scene);
        events.push(event(
            "CurrentProgramSceneChanged",
            Subscriptions::SCENES,
            data,
        ));
    }
    if cut {
        events.extend(over(name));
    }
}

fn sound(was: &Input, now: &Input, events: &mut Vec<Event>) {
    if was.muted != now.muted {
        let mut data = named("input", &now.id);
        data["inputMuted"] = now.muted.into();
        events.push(event("InputMuteStateChanged", Subscriptions::INPUTS, data));
    }
    if was.gain_db != now.gain_db {
        let mut data = named("input", &now.id);
        data["inputVolumeDb"] = decibels(now.gain_db).into();
        data["inputVolumeMul"] = mul_of(now.gain_db).into();
        events.push(event("InputVolumeChanged", Subscriptions::INPUTS, data));
    }
}

fn tally(before: &View, now: &View, id: &str, events: &mut Vec<Event>) {
    let active = now.active.contains(id);
    if before.active.contains(id) != active {
        let mut data = named("input", id);
        data["videoActive"] = active.into();
        events.push(event(
            "InputActiveStateChanged",
            Subscriptions::INPUT_ACTIVE,
            data,
        ));
    }
    let showing = now.showing.contains(id);
    if before.showing.contains(id) != showing {
        let mut data = named("input", id);
        data["videoShowing"] = showing.into();
        events.push(event(
            "InputShowStateChanged",
            Subscriptions::INPUT_SHOWING,
            data,
        ));
    }
}

/// OBS tells each state by its own word; what is between two that were seen is told too, so that no client misses a beginning.
fn outputs(before: &View, now: &View, events: &mut Vec<Event>) {
    let (was, is) = (before.stream.phase, now.stream.phase);
    for word in words(was, is) {
        let data = json!({"outputActive": is.is_active(), "outputState": word});
        events.push(event("StreamStateChanged", Subscriptions::OUTPUTS, data));
    }
    let (was, is) = (before.record_phase(), now.record_phase());
    let file = now.recording.first().or(before.recording.first());
    let file = file.map(|one| one.file.as_str());
    for word in words(was, is) {
        // OBS names the file when there is one, or when it is whole.
        let named = matches!(word, STARTED | STOPPED);
        let data = json!({
            "outputActive": is.is_active(),
            "outputState": word,
            "outputPath": file.filter(|_| named),
        });
        events.push(event("RecordStateChanged", Subscriptions::OUTPUTS, data));
    }
}

const STARTED: &str = "OBS_WEBSOCKET_OUTPUT_STARTED";
const STOPPED: &str = "OBS_WEBSOCKET_OUTPUT_STOPPED";

fn words(was: Phase, is: Phase) -> Vec<&'static str> {
    let word = match is {
        _ if was == is => return Vec::new(),
        Phase::Starting => "OBS_WEBSOCKET_OUTPUT_STARTING",
        Phase::Started if was == Phase::Reconnecting => "OBS_WEBSOCKET_OUTPUT_RECONNECTED",
        Phase::Started => STARTED,
        Phase::Reconnecting => "OBS_WEBSOCKET_OUTPUT_RECONNECTING",
        Phase::Stopping => "OBS_WEBSOCKET_OUTPUT_STOPPING",
        Phase::Stopped => STOPPED,
    };
    let before = match (was, is) {
        (Phase::Stopped, Phase::Started) => Some("OBS_WEBSOCKET_OUTPUT_STARTING"),
        (Phase::Stopped | Phase::Starting, Phase::Reconnecting) => Some(STARTED),
        (Phase::Starting | Phase::Started | Phase::Reconnecting, Phase::Stopped) => {
            Some("OBS_WEBSOCKET_OUTPUT_STOPPING")
        }
        _ => None,
    };
    before.into_iter().chain([word]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::view::{Recording, Stream};
    use super::*;
    use crate::bridge::mix::Running;
    use crate::config::TransitionKind;

    fn at(scene: &str) -> View {
        View {
            programme: Some(scene.to_owned()),
            ..View::default()
        }
    }

    fn kinds(before: &View, now: &View) -> Vec<&'static str> {
        changes(before, now)
            .iter()
            .map(|event| event.kind)
            .collect()
    }

    #[test]
    fn a_cut_is_told_whole() {
        let events = changes(&at("wide"), &at("near"));
        let kinds: Vec<&str> = events.iter().map(|event| event.kind).collect();
        assert_eq!(
            kinds,
            [
                "SceneTransitionStarted",
                "CurrentProgramSceneChanged",
                "SceneTransitionVideoEnded",
                "SceneTransitionEnded"
            ]
        );
        assert_eq!(events[0].data["transitionName"], "Cut");
        assert_eq!(events[1].data["sceneName"], "near");
        assert_eq!(changes(&at("near"), &at("near")), []);
    }

    #[test]
    fn a_fade_begins_and_ends() {
        let fading = View {
            transition: Some(Running {
                from: "wide".to_owned(),
                to: "near".to_owned(),
                kind: TransitionKind::Fade,
                ms: 500,
            }),
            ..at("near")
        };
        assert_eq!(
            kinds(&at("wide"), &fading),
            ["SceneTransitionStarted", "CurrentProgramSceneChanged"]
        );
        assert_eq!(
            kinds(&fading, &at("near")),
            ["SceneTransitionVideoEnded", "SceneTransitionEnded"]
        );
        assert_eq!(
            kinds(&fading, &at("other")),
            [
                "SceneTransitionVideoEnded",
                "SceneTransitionEnded",
                "CurrentProgramSceneChanged"
            ]
        );
    }

    #[test]
    fn sound_and_tally() {
        let input = |muted, gain_db| Input {
            id: "hall".to_owned(),
            kind: "regia_test",
            muted,
            gain_db,
        };
        let before = View {
            inputs: vec![input(false, 0.0)],
            ..View::default()
        };
        let mut now = View {
            inputs: vec![input(true, -6.0)],
            ..View::default()
        };
        now.active.insert("hall".to_owned());
        now.showing.insert("hall".to_owned());
        let events = changes(&before, &now);
        let told: Vec<(&str, u64)> = events.iter().map(|it| (it.kind, it.intent)).collect();
        assert_eq!(
            told,
            [
                ("InputMuteStateChanged", 1 << 3),
                ("InputVolumeChanged", 1 << 3),
                ("InputActiveStateChanged", 1 << 17),
                ("InputShowStateChanged", 1 << 18)
            ]
        );
        assert_eq!(events[0].data["inputMuted"], true);
        assert_eq!(events[2].data["videoActive"], true);
    }

    #[test]
    fn outputs_begin_and_end_by_every_word() {
        let all = |from, to| {
            words(from, to)
                .join(" ")
                .replace("OBS_WEBSOCKET_OUTPUT_", "")
        };
        assert_eq!(all(Phase::Stopped, Phase::Starting), "STARTING");
        assert_eq!(all(Phase::Starting, Phase::Started), "STARTED");
        assert_eq!(all(Phase::Stopped, Phase::Started), "STARTING STARTED");
        assert_eq!(all(Phase::Started, Phase::Reconnecting), "RECONNECTING");
        assert_eq!(all(Phase::Reconnecting, Phase::Started), "RECONNECTED");
        assert_eq!(all(Phase::Started, Phase::Stopping), "STOPPING");
        assert_eq!(all(Phase::Stopping, Phase::Stopped), "STOPPED");
        assert_eq!(all(Phase::Started, Phase::Stopped), "STOPPING STOPPED");
        assert_eq!(all(Phase::Started, Phase::Started), "");
        let on_air = View {
            stream: Stream {
                phase: Phase::Started,
                ..Stream::default()
            },
            recording: vec![Recording {
                file: "master.flv".to_owned(),
                ..Recording::default()
            }],
            ..View::default()
        };
        let events = changes(&View::default(), &on_air);
        assert_eq!(events[1].data["outputActive"], true);
        assert_eq!(events[3].data["outputPath"], "master.flv");
        assert_eq!(events[2].data["outputPath"], Value::Null);
    }

    #[test]
    fn another_way_of_takes() {
        let before = Chosen::default();
        let now = Chosen {
            kind: Some(TransitionKind::Fade),
            ms: 800,
        };
        let events = chosen(before, now);
        assert_eq!(events[0].data["transitionName"], "Fade");
        assert_eq!(events[1].data["transitionDuration"], 800);
        assert_eq!(chosen(now, now), []);
    }
}
