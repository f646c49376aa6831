use super::super::view::{Input, Recording, Scene, Stream, uuid};
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
        Decision::Do(Command::Mix(MixCommand::Audio { change, .. }, _)) => change.gain_db.unwrap(),
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
    let Decision::Do(Command::Stop(session, _)) = ask("ToggleStream", json!({}), &on_air) else {
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
    let Decision::Do(Command::Record { ids, on, .. }) = ask("StartRecord", json!({}), &recording)
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
