use super::*;
use crate::bridge::mix::MixCommand as C;
use crate::config::*;
use proptest::prelude::*;

const FADE: Transition = Transition {
    kind: TransitionKind::Fade,
    ms: 500,
    from: Side::Left,
};

fn source(id: &str, kind: SourceKind) -> Source {
    Source {
        id: id.into(),
        kind,
        slate: None,
        audio: SourceAudio::default(),
    }
}

/// Scenes a, b and c of a source each; "opener" and "trailer" play a file and go on with b.
fn spec() -> EngineSpec {
    let file = SourceKind::File {
        path: "clip.mp4".into(),
        repeat: false,
    };
    let clip = |id, source| Scene {
        then: Some("b".into()),
        ..Scene::full(id, source)
    };
    EngineSpec {
        programme: Programme {
            width: 1280,
            height: 720,
            fps: FrameRate { num: 30, den: 1 },
            video: Video {
                encoder: EncoderChoice::Auto,
                preset: "veryfast".into(),
                tune: Tune::Quality,
                bitrate_kbps: 3_000,
                min_bitrate_kbps: 2_000,
                keyframe_s: 2.0,
            },
            audio: Audio {
                bitrate_kbps: 128,
                sample_rate: 48_000,
                limiter_db: Some(Audio::LIMITER_DB),
                target_lufs: Audio::TARGET_LUFS,
            },
            stamp: true,
            alarms: Default::default(),
            multiview: None,
        },
        sources: vec![
            source("one", SourceKind::Test),
            source("two", SourceKind::Test),
            source(
                "mic",
                SourceKind::Alsa {
                    device: "hw".into(),
                },
            ),
            source("clip", file.clone()),
            source("film", file),
        ],
        scenes: vec![
            Scene::full("a", "one"),
            Scene::full("b", "two"),
            Scene {
                layers: vec![Layer::full("mic"), Layer::full("two")],
                ..Scene::full("c", "")
            },
            clip("opener", "clip"),
            clip("trailer", "film"),
        ],
        titles: Vec::new(),
        overlays: vec![Overlay {
            id: "logo".into(),
            layer: Layer::full("one"),
            on: false,
            appear: Some(Appear {
                how: AppearKind::Fade,
                ms: 200,
            }),
            vanish: None,
        }],
    }
}

struct Show {
    switcher: Switcher,
    next: i64,
}

impl Show {
    fn new() -> Self {
        let mut switcher = Switcher::new(&spec(), None).unwrap();
        assert_eq!(switcher.take_state(30).unwrap().scene, "a");
        Show { switcher, next: 30 }
    }

    fn tell(&mut self, command: C) -> Result<MixAnswer, String> {
        let now = self.switcher.fps.frame_time(self.next);
        self.switcher.handle(command, self.next, now, |_| true)
    }

    fn take(&mut self, scene: &str, transition: Option<Transition>) -> MixAnswer {
        let scene = Some(scene.to_owned());
        self.tell(C::Take { scene, transition }).unwrap()
    }

    fn plan(&mut self) -> Plan {
        let plan = self.switcher.plan(self.next);
        self.next += 1;
        plan
    }

    fn state(&mut self) -> MixState {
        self.switcher.state(self.next)
    }
}

/// What a plan's base shows, in words.
fn words(plan: &Plan) -> String {
    let id = |layers: &Layers| layers[0].id.clone();
    match &plan.base {
        Base::One { layers, dark: 0 } => id(layers),
        Base::One { layers, dark } => format!("{} dark {dark}", id(layers)),
        Base::Two { from, to, way } => format!("{}+{} {way:?}", id(from), id(to)),
    }
}

#[test]
fn a_cut_is_on_the_next_frame_and_the_scenes_swap() {
    let mut show = Show::new();
    assert_eq!(words(&show.plan()), "one");
    let none = show.tell(C::Take {
        scene: None,
        transition: None,
    });
    assert_eq!(
        none.unwrap_err(),
        "no scene is in preview: name the scene to take, or put one in preview first"
    );
    show.tell(C::Preview { scene: "b".into() }).unwrap();
    let answer = show.tell(C::Take {
        scene: None,
        transition: None,
    });
    assert_eq!(answer.unwrap().ran, Transition::CUT);
    assert_eq!(words(&show.plan()), "two");
    let state = show.state();
    assert_eq!(
        (state.scene.as_str(), state.preview.as_deref()),
        ("b", Some("a"))
    );
    assert_eq!(state.transition, None);
    let already = show.take("b", None);
    assert_eq!(already.note, "\"b\" is on air already");
    let wrong = show.tell(C::Preview { scene: "x".into() });
    assert_eq!(
        wrong.unwrap_err(),
        "there is no scene \"x\"; there are a, b, c, opener, trailer"
    );
}

#[test]
fn the_sound_follows_and_is_told_when() {
    let mut show = Show::new();
    show.take("c", Some(FADE));
    let told = show.switcher.take_effects();
    let wanted = Effect::Scene {
        at: MediaTime::from_millis(1_000),
        visible: vec![1, 2],
        over: Duration::from_millis(500),
    };
    assert_eq!(told, [wanted]);
    // What is only heard is no layer.
    assert_eq!(show.switcher.layers[2].len(), 1);
    assert_eq!(show.switcher.seen(), [0, 1]);
}

#[test]
fn a_fade_begins_at_once_and_ends_exactly() {
    let mut show = Show::new();
    assert_eq!(show.take("b", Some(FADE)).ran, FADE);
    assert_eq!(show.state().transition.unwrap().to, "b");
    let mut weights = Vec::new();
    for _ in 0..14 {
        let Base::Two {
            way: Way::Mix(weight),
            ..
        } = show.plan().base
        else {
            panic!("no mix");
        };
        weights.push(weight);
    }
    assert_eq!(weights[0], 17);
    assert!(weights.is_sorted_by(|a, b| a < b) && weights[13] < WHOLE);
    assert_eq!(words(&show.plan()), "two");
    assert_eq!(show.state().transition, None);
}

#[test]
fn every_kind_ends_in_the_scene_alone() {
    for (_, kind) in TransitionKind::ALL {
        for ms in [0, 1, 34, 67, 100, 533] {
            let mut show = Show::new();
            let transition = Transition {
                kind,
                ms,
                from: Side::Top,
            };
            show.take("b", Some(transition));
            let frames = (f64::from(ms) * 0.03)
                .round()
                .max(f64::from(u32::from(ms > 0))) as usize;
            let frames = if kind == TransitionKind::Cut {
                1
            } else {
                frames.max(1)
            };
            let shown: Vec<String> = (0..frames + 1).map(|_| words(&show.plan())).collect();
            assert_eq!(shown[frames - 1], "two", "{kind} {ms}: {shown:?}");
            assert_eq!(shown[frames], "two");
            for half_way in &shown[..frames - 1] {
                assert_ne!(half_way, "two", "{kind} {ms}: {shown:?}");
                assert_ne!(half_way, "one", "{kind} {ms}: {shown:?}");
            }
        }
    }
}

#[test]
fn a_dip_goes_through_black() {
    let mut show = Show::new();
    let dip = Transition {
        kind: TransitionKind::Dip,
        ..FADE
    };
    show.take("b", Some(dip));
    let shown: Vec<String> = (0..15).map(|_| words(&show.plan())).collect();
    assert_eq!(shown[0], "one dark 36");
    assert_eq!(shown[6], "one dark 256");
    assert_eq!(shown[7], "two dark 224");
    assert_eq!(shown[14], "two");
}

#[test]
fn a_take_ends_the_transition_before_it() {
    let mut show = Show::new();
    show.take("b", Some(FADE));
    show.plan();
    let answer = show.take("c", None);
    assert_eq!(
        answer.note,
        "the transition before was still running and ended at once"
    );
    assert_eq!(words(&show.plan()), "two");
    assert_eq!(show.state().preview.as_deref(), Some("b"));
}

#[test]
fn black_covers_all_and_the_next_take_undoes_it() {
    let mut show = Show::new();
    show.tell(C::Black { on: true, ms: 100 }).unwrap();
    assert!(show.switcher.heard().is_empty());
    let blacks: Vec<u16> = (0..4).map(|_| show.plan().black).collect();
    assert_eq!(blacks, [85, 170, 256, 256]);
    assert!(show.state().black);
    let ran = show.take("b", Some(Transition { ms: 100, ..FADE })).ran;
    assert_eq!((ran.kind, ran.ms), (TransitionKind::Fade, 100));
    let plans: Vec<Plan> = (0..3).map(|_| show.plan()).collect();
    assert_eq!(plans.iter().map(words).collect::<Vec<_>>(), ["two"; 3]);
    assert_eq!(
        plans.iter().map(|p| p.black).collect::<Vec<_>>(),
        [171, 86, 0]
    );
    assert!(!show.state().black);
    // And so does a take of the scene that is there.
    show.tell(C::Black { on: true, ms: 0 }).unwrap();
    assert!(show.plan().is_black());
    show.take("b", None);
    assert_eq!(show.plan().black, 0);
    let wrong = show.tell(C::Black {
        on: true,
        ms: 9_000,
    });
    assert_eq!(
        wrong.unwrap_err(),
        "a transition takes up to 5000 ms, not 9000"
    );
}

#[test]
fn overlays_stay_through_takes() {
    let mut show = Show::new();
    let on = |on| C::Overlay {
        id: "logo".into(),
        on,
    };
    show.tell(on(true)).unwrap();
    let weights: Vec<u16> = (0..7).map(|_| show.plan().keys[0].weight).collect();
    assert_eq!(weights, [42, 85, 128, 170, 213, 256, 256]);
    show.take("b", None);
    assert_eq!(show.plan().keys.len(), 1);
    assert_eq!(show.switcher.heard(), [0, 1]);
    show.tell(on(false)).unwrap();
    assert!(show.plan().keys.is_empty());
    assert_eq!(show.switcher.heard(), [1]);
}

#[test]
fn a_clip_starts_with_its_take_and_goes_on_at_its_end() {
    let mut show = Show::new();
    let length = Duration::from_millis(1_000);
    show.switcher.handle_length(3, Some(length));
    show.tell(C::Preview {
        scene: "opener".into(),
    })
    .unwrap();
    show.take("opener", None);
    // Two frames on, so that its sound is whole.
    let start = Effect::Start {
        source: 3,
        at: show.switcher.fps.frame_time(32),
    };
    assert!(show.switcher.take_effects().contains(&start));
    assert_eq!(words(&show.plan()), "one");
    assert_eq!(words(&show.plan()), "one");
    for n in 0..30 {
        assert_eq!(words(&show.plan()), "clip", "{n}");
    }
    let state = show.state();
    assert_eq!(state.preview.as_deref(), Some("a"));
    assert_eq!(state.clip.unwrap().length_s, Some(1.0));
    assert_eq!(words(&show.plan()), "two");
    assert!(
        show.switcher
            .take_effects()
            .contains(&Effect::Ready { source: 3 })
    );
    let state = show.state();
    assert_eq!((state.scene.as_str(), state.clip), ("b", None));
    assert_eq!(state.preview.as_deref(), Some("a"));
}

/// One that another clip took the place of is made ready again as well.
#[test]
fn clips_one_after_the_other() {
    let mut show = Show::new();
    show.take("opener", None);
    (0..10).for_each(|_| drop(show.plan()));
    show.switcher.take_effects();
    show.take("trailer", None);
    (0..10).for_each(|_| drop(show.plan()));
    let effects = show.switcher.take_effects();
    let ready = |source| Effect::Ready { source };
    assert_eq!(effects.iter().filter(|did| **did == ready(3)).count(), 1);
    assert!(!effects.contains(&ready(4)));
}

#[test]
fn what_is_given_ahead_of_its_time_shows_at_it() {
    let mut show = Show::new();
    let take = |id: &str| C::Take {
        scene: Some(id.into()),
        transition: None,
    };
    let time = |frame| FrameRate { num: 30, den: 1 }.frame_time(frame);
    let at = MediaTime(time(40).0 - 10);
    let turn = |show: &Show, id, at| show.switcher.turn(&take(id), at);
    assert_eq!(turn(&show, "b", at), 40);
    assert_eq!(turn(&show, "b", MediaTime(at.0 + 11)), 41);
    assert!(turn(&show, "opener", MediaTime::ZERO) < show.next);
    // What its sound needs is counted in.
    assert_eq!(turn(&show, "opener", at), 36);
    let title = C::Title {
        id: "any".into(),
        lines: Vec::new(),
    };
    assert_eq!(show.switcher.turn(&title, at), 36);
    while show.next < 36 {
        show.plan();
    }
    let done = |show: &mut Show, id| {
        let now = time(show.next);
        let done = show.switcher.handle(take(id), 40, now, |_| true);
        done.unwrap().at
    };
    assert_eq!(done(&mut show, "opener"), time(40));
    let start = Effect::Start {
        source: 3,
        at: time(40),
    };
    assert!(show.switcher.take_effects().contains(&start));
    for _ in 36..40 {
        assert_eq!(words(&show.plan()), "one");
    }
    assert_eq!(words(&show.plan()), "clip");
}

#[test]
fn a_clip_of_unknown_length_goes_on_when_it_ends() {
    let mut show = Show::new();
    show.take("opener", None);
    for _ in 0..100 {
        show.plan();
    }
    show.switcher.handle_length(3, Some(Duration::from_secs(3)));
    assert_eq!(words(&show.plan()), "two");
    // One that was left before its end changes nothing.
    show.take("opener", None);
    show.plan();
    show.take("a", None);
    for _ in 0..100 {
        assert_eq!(words(&show.plan()), "one");
    }
}

#[test]
fn an_engine_goes_on_where_another_ended() {
    let mut show = Show::new();
    show.take("b", None);
    show.tell(C::Overlay {
        id: "logo".into(),
        on: true,
    })
    .unwrap();
    let change = AudioChange {
        mute: Some(true),
        ..AudioChange::default()
    };
    show.tell(C::Audio {
        source: "mic".into(),
        change,
    })
    .unwrap();
    let left = show.state();
    let mut switcher = Switcher::new(&spec(), Some(&left)).unwrap();
    assert_eq!(switcher.state(0), left);
    assert_eq!(words(&switcher.plan(0)), "two");
    assert_eq!(switcher.plan(1).keys.len(), 1);
    assert!(switcher.sources()[2].audio.mute);
    // A clip that was on air is over; a scene that is there no more is not.
    let mut left = left;
    left.scene = "opener".into();
    assert_eq!(
        Switcher::new(&spec(), Some(&left)).unwrap().state(0).scene,
        "b"
    );
    left.scene = "gone".into();
    assert_eq!(
        Switcher::new(&spec(), Some(&left)).unwrap().state(0).scene,
        "a"
    );
}

fn command() -> impl Strategy<Value = C> {
    let scene = prop_oneof![
        Just("a"),
        Just("b"),
        Just("c"),
        Just("opener"),
        Just("none")
    ];
    let kind = prop::sample::select(TransitionKind::ALL.map(|(_, kind)| kind).to_vec());
    let transition = (kind, 0u32..6_000).prop_map(|(kind, ms)| Transition {
        kind,
        ms,
        from: Side::Bottom,
    });
    prop_oneof![
        (
            prop::option::of(scene.clone()),
            prop::option::of(transition)
        )
            .prop_map(|(scene, transition)| C::Take {
                scene: scene.map(str::to_owned),
                transition,
            }),
        scene.prop_map(|scene| C::Preview {
            scene: scene.into()
        }),
        (any::<bool>(), 0u32..6_000).prop_map(|(on, ms)| C::Black { on, ms }),
        any::<bool>().prop_map(|on| C::Overlay {
            id: "logo".into(),
            on
        }),
    ]
}

proptest! {
    /// Whatever is told whenever: every frame has a plan whose weights are weights, and in the end all transitions end.
    #[test]
    fn nothing_breaks_it(show in prop::collection::vec((command(), 0usize..40), 0..40)) {
        let mut told = Show::new();
        for (command, frames) in show {
            let _ = told.tell(command);
            for _ in 0..frames {
                let plan = told.plan();
                prop_assert!(plan.black <= WHOLE && plan.keys.iter().all(|key| key.weight <= WHOLE));
                if let Base::Two { way: Way::Mix(weight), .. } = plan.base {
                    prop_assert!(weight > 0 && weight < WHOLE);
                }
                told.switcher.take_effects();
            }
        }
        for _ in 0..200 {
            told.plan();
        }
        prop_assert_eq!(told.state().transition, None);
        let plan = told.plan();
        prop_assert!(plan.black == 0 || plan.is_black(), "settled");
        prop_assert!(matches!(plan.base, Base::One { dark: 0, .. }), "settled");
    }
}

/// What became of the clips of `scenes`, taken one after the other before the fade of the last is over.
fn clips_of(scenes: [&str; 2]) -> Vec<Effect> {
    let mut show = Show::new();
    show.take("opener", None);
    (0..10).for_each(|_| drop(show.plan()));
    show.switcher.take_effects();
    for scene in scenes {
        show.take(scene, Some(FADE));
        (0..3).for_each(|_| drop(show.plan()));
    }
    (0..30).for_each(|_| drop(show.plan()));
    let mut effects = show.switcher.take_effects();
    effects.retain(|did| matches!(did, Effect::Ready { source: 3 } | Effect::Start { .. }));
    effects
}

#[test]
fn a_clip_that_is_taken_again_begins_anew() {
    let start = |source, frame| Effect::Start {
        source,
        at: FrameRate { num: 30, den: 1 }.frame_time(frame),
    };
    let ready = Effect::Ready { source: 3 };
    // Two frames after the command, for what its sound needs.
    assert_eq!(clips_of(["a", "opener"]), [ready.clone(), start(3, 45)]);
    assert_eq!(
        clips_of(["trailer", "opener"]),
        [start(4, 42), ready, start(3, 45)]
    );
}

#[test]
fn an_overlays_source_is_waited_for_while_it_is_seen() {
    let mut spec = spec();
    spec.overlays[0].layer = Layer::full("two");
    let mut switcher = Switcher::new(&spec, None).unwrap();
    let mut tell = |on, point: i64| {
        let overlay = C::Overlay {
            id: "logo".into(),
            on,
        };
        let now = switcher.fps.frame_time(point);
        switcher.handle(overlay, point, now, |_| true).unwrap();
        (point..point + 10).for_each(|point| drop(switcher.plan(point)));
        switcher.seen()
    };
    assert_eq!(tell(true, 30), [0, 1]);
    assert_eq!(tell(false, 60), [0]);
}
