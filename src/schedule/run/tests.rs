use super::*;
use crate::calendar::Recurrence;
use crate::config::show::{Missed, Wait};
use crate::session::moment::Stamp;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn step(timing: Timing, action: Action) -> Step {
    Step {
        timing,
        wait: None,
        action,
    }
}

fn at(s: i64, action: Action) -> Step {
    step(Timing::At(s * 1_000), action)
}

fn waits(timing: Timing, condition: Condition, time_out: Option<u64>, action: Action) -> Step {
    let wait = Wait {
        condition,
        time_out: time_out.map(Duration::from_secs),
        on_time_out: OnTimeOut::Go,
    };
    Step {
        timing,
        wait: Some(wait),
        action,
    }
}

fn scene(id: &str) -> Action {
    Action::Scene {
        scene: id.into(),
        transition: None,
    }
}

fn mark(text: &str) -> Action {
    Action::Mark { text: text.into() }
}

fn show(overrun: Overrun, steps: Vec<Step>) -> Show {
    Show {
        id: "talk".into(),
        name: None,
        destinations: Vec::new(),
        keys: BTreeMap::new(),
        scenes: Vec::new(),
        zone: "UTC".into(),
        recurrence: Recurrence::once("2026-08-02T10:00".parse().unwrap()),
        length: Duration::from_secs(120),
        missed: Missed::Skip,
        overrun,
        steps,
    }
}

/// The show's start is at 1000 s of the clock.
const START: i64 = 1_000;

fn second(s: f64) -> Moment {
    Moment((s * 1e6) as i64)
}

/// A run, the time, and all that it did: (seconds from the start, what).
struct World {
    run: Run,
    now: Moment,
    did: Vec<(f64, String)>,
    alerts: Vec<String>,
    /// As of the last `Save`: what a crash leaves.
    disk: String,
}

impl World {
    fn new(show: &Show) -> Self {
        World {
            run: Run::new(show, "talk/1".into(), second(START as f64)),
            now: second(0.0),
            did: Vec::new(),
            alerts: Vec::new(),
            disk: String::new(),
        }
    }

    fn take(&mut self, outputs: Vec<Output>) {
        let mut queue: std::collections::VecDeque<Output> = outputs.into();
        // What is saved is the state after the whole batch or, before a step, one that has its intent: as the shell does it.
        while let Some(output) = queue.pop_front() {
            match output {
                Output::Save => self.disk = serde_json::to_string(&self.run).unwrap(),
                Output::Do { step, action, at } => {
                    // Whoever carries it out waits until then.
                    let began = self.now.max(at);
                    assert!(began.since(self.now) <= HAND_OVER_AHEAD);
                    let since = (began.0 - START * 1_000_000) as f64 / 1e6;
                    self.did.push((since, action.to_string()));
                    let input = Input::Result {
                        step,
                        began,
                        result: Ok(String::new()),
                    };
                    queue.extend(self.run.take(self.now, input));
                }
                Output::Restore(actions) => {
                    for action in actions {
                        self.did.push((-1e9, format!("restore {action}")));
                    }
                }
                Output::Alert(_, text) => self.alerts.push(text),
                Output::Log(_) | Output::Over => {}
            }
        }
    }

    fn until(&mut self, s: f64) {
        let end = second(START as f64 + s);
        let mut rounds = 0;
        loop {
            rounds += 1;
            assert!(rounds < 10_000, "it never rests: {:?}", self.run);
            match self.run.poll_timeout().filter(|due| *due <= end) {
                Some(due) => {
                    self.now = self.now.max(due);
                    let outputs = self.run.poll(self.now);
                    self.take(outputs);
                }
                None => break,
            }
        }
        self.now = end;
    }

    fn input(&mut self, input: Input) {
        let outputs = self.run.take(self.now, input);
        self.take(outputs);
    }

    fn command(&mut self, command: Command) {
        let outputs = self.run.command(self.now, command).unwrap();
        self.take(outputs);
    }

    fn did(&self) -> Vec<(f64, &str)> {
        self.did
            .iter()
            .map(|(at, what)| (*at, what.as_str()))
            .collect()
    }

    /// The process ends, and another goes on after `away` seconds.
    fn crash(&mut self, away: f64) {
        let stamp = |now| Stamp {
            wall_ms: 0,
            boot: "a".into(),
            moment: now,
        };
        let mut run: Run = serde_json::from_str(&self.disk).unwrap();
        let written = stamp(self.now);
        self.now = Moment(self.now.0 + (away * 1e6) as i64);
        run.rebase(&written, &stamp(self.now)).unwrap();
        self.run = run;
        let outputs = self.run.resume(self.now);
        self.take(outputs);
    }
}

#[test]
fn steps_at_their_times() {
    let show = show(
        Overrun::End,
        vec![
            at(-600, Action::Preflight),
            step(Timing::After(Duration::ZERO), scene("slate")),
            at(0, Action::Live),
            step(Timing::After(Duration::from_millis(1_500)), scene("opener")),
            at(10, scene("wide")),
            at(
                100,
                Action::End {
                    scene: Some("closer".into()),
                    closing: Duration::from_secs(5),
                },
            ),
        ],
    );
    let mut world = World::new(&show);
    world.until(300.0);
    assert_eq!(
        world.did(),
        [
            (-600.0, "pre-flight"),
            (-600.0, "scene slate"),
            (0.0, "go live"),
            (1.5, "scene opener"),
            (10.0, "scene wide"),
            (100.0, "scene closer"),
            (105.0, "end"),
        ]
    );
    assert!(
        world.run.is_over() && world.alerts.is_empty(),
        "{:?}",
        world.alerts
    );
}

#[test]
fn conditions() {
    let sound = Condition::Sound {
        source: "desk".into(),
        over_db: -40.0,
        lasting: Duration::from_millis(300),
    };
    let now = Timing::After(Duration::ZERO);
    let show = show(
        Overrun::Yield,
        vec![
            at(0, Action::Live),
            step(now, scene("opener")),
            waits(now, Condition::Clip, None, scene("wide")),
            waits(now, sound, Some(30), mark("speaker")),
            waits(now, Condition::Next, None, mark("next")),
            waits(now, Condition::Next, Some(5), mark("timed out")),
        ],
    );
    let mut world = World::new(&show);
    world.until(1.0);
    world.input(Input::Clip {
        scene: Some("opener".into()),
    });
    world.until(12.0);
    world.input(Input::Clip { scene: None });
    world.until(13.0);
    let heard = |db| Input::Heard {
        source: "desk".into(),
        db,
    };
    // Too short, another source, too quiet, and then long enough.
    world.input(heard(Some(-20.0)));
    world.until(13.2);
    world.input(heard(None));
    world.input(Input::Heard {
        source: "hall".into(),
        db: Some(0.0),
    });
    world.until(14.0);
    world.input(heard(Some(-41.0)));
    world.until(15.0);
    world.input(heard(Some(-30.0)));
    world.until(20.0);
    world.command(Command::Next);
    world.until(60.0);
    assert_eq!(
        world.did(),
        [
            (0.0, "go live"),
            (0.0, "scene opener"),
            (12.0, "scene wide"),
            (15.3, "mark \"speaker\""),
            (20.0, "mark \"next\""),
            (25.0, "mark \"timed out\""),
        ]
    );
}

/// Until its time comes, a step that waits for something is no reason to look again and again.
#[test]
fn a_wait_with_a_time() {
    let show = show(
        Overrun::Yield,
        vec![
            at(0, Action::Live),
            waits(
                Timing::At(10_000),
                Condition::Next,
                Some(3),
                mark("timed out"),
            ),
        ],
    );
    let mut world = World::new(&show);
    world.until(9.5);
    assert_eq!(world.run.poll_timeout(), Some(second(START as f64 + 10.0)));
    world.until(60.0);
    assert_eq!(
        world.did(),
        [(0.0, "go live"), (13.0, "mark \"timed out\"")]
    );
}

#[test]
fn a_clip_that_never_plays_holds_nobody_up() {
    let now = Timing::After(Duration::ZERO);
    let show = show(
        Overrun::End,
        vec![
            at(0, scene("a")),
            waits(now, Condition::Clip, None, scene("b")),
        ],
    );
    let mut world = World::new(&show);
    world.until(20.0);
    assert_eq!(
        world.did(),
        [(0.0, "go live"), (0.0, "scene a"), (5.0, "scene b")]
    );
}

#[test]
fn by_hand() {
    let show = show(
        Overrun::Yield,
        vec![
            at(0, Action::Live),
            at(10, scene("a")),
            at(20, scene("b")),
            at(30, scene("c")),
        ],
    );
    let mut world = World::new(&show);
    world.until(5.0);
    world.command(Command::Next);
    world.until(15.0);
    world.command(Command::Hold);
    assert_eq!(
        world.run.command(world.now, Command::Hold),
        Err(CommandError::Held)
    );
    world.until(100.0);
    // One step while it is held, and it stays held.
    world.command(Command::Next);
    world.until(110.0);
    world.command(Command::Release);
    world.until(120.0);
    world.command(Command::Skip);
    world.until(400.0);
    assert_eq!(
        world.did(),
        [
            (0.0, "go live"),
            (5.0, "scene a"),
            (100.0, "scene b"),
            // c is left out; the end, planned for 120, is as much later as the hold was long.
            (215.0, "end"),
        ]
    );
    assert_eq!(
        world.run.command(world.now, Command::Next),
        Err(CommandError::NoStep)
    );
    assert_eq!(
        world.run.command(world.now, Command::Release),
        Err(CommandError::NotHeld)
    );
}

#[test]
fn steps_are_handed_over_ahead_of_their_time() {
    let show = show(
        Overrun::Yield,
        vec![
            at(0, Action::Live),
            at(10, mark("m")),
            step(Timing::After(Duration::ZERO), scene("a")),
            at(20, scene("b")),
        ],
    );
    let mut world = World::new(&show);
    world.until(9.7);
    assert_eq!(world.did(), [(0.0, "go live")]);
    world.until(9.8);
    let two = [(0.0, "go live"), (10.0, "mark \"m\""), (10.0, "scene a")];
    assert_eq!(world.did(), two);
    // Until then people see it to come, and whoever says "next" means it.
    let view = world.run.view(world.now);
    assert_eq!(view.next, Some(2));
    world.command(Command::Next);
    assert_eq!(world.did(), two);
    assert_eq!(
        world.run.command(world.now, Command::Skip),
        Err(CommandError::TooLate(2))
    );
    world.until(15.0);
    assert_eq!(world.run.view(world.now).next, Some(4));
    world.command(Command::Next);
    assert_eq!(world.did()[3..], [(15.0, "scene b")]);
}

#[test]
fn overruns() {
    let now = Timing::After(Duration::ZERO);
    let steps = || {
        vec![
            at(0, Action::Live),
            waits(now, Condition::Next, None, scene("never")),
            step(
                now,
                Action::End {
                    scene: Some("closer".into()),
                    closing: Duration::from_secs(4),
                },
            ),
        ]
    };
    let run = |overrun, give_way: Option<f64>| {
        let mut world = World::new(&show(overrun, steps()));
        world.until(1.0);
        world.input(Input::GiveWay(give_way.map(|s| second(START as f64 + s))));
        world.until(10_000.0);
        let did: Vec<(f64, String)> = world.did[1..].to_vec();
        (did, world.alerts)
    };
    let closed = |s: f64| vec![(s, "scene closer".to_owned()), (s + 4.0, "end".to_owned())];
    let (did, alerts) = run(Overrun::End, None);
    assert_eq!(did, closed(120.0));
    assert_eq!(alerts, ["talk is being ended: the planned length is over"]);
    let (did, alerts) = run(
        Overrun::Extend {
            by: Duration::from_secs(60),
        },
        None,
    );
    assert_eq!(did, closed(180.0));
    assert_eq!(
        alerts[0],
        "talk: the planned length is over, and it goes on for up to 1 min more"
    );
    assert_eq!(run(Overrun::Yield, None).0, []);
    // Another show needs the box: it is free by then, whatever the policy.
    for overrun in [
        Overrun::Yield,
        Overrun::Extend {
            by: Duration::from_secs(600),
        },
    ] {
        let (did, alerts) = run(overrun, Some(200.0));
        assert_eq!(did, closed(196.0));
        assert_eq!(
            alerts.last().unwrap(),
            "talk is being ended: the next show needs the box"
        );
    }
    // A hold does not put off the end that was planned.
    let mut world = World::new(&show(
        Overrun::End,
        vec![at(0, Action::Live), at(60, scene("b"))],
    ));
    world.until(30.0);
    world.command(Command::Hold);
    world.until(500.0);
    assert_eq!(world.did(), [(0.0, "go live"), (120.0, "end")]);
}

/// Something before the start, the start, and something after.
fn short() -> Show {
    show(
        Overrun::End,
        vec![
            at(-10, scene("slate")),
            at(0, Action::Live),
            at(10, scene("a")),
        ],
    )
}

#[test]
fn the_wall_clock_steps() {
    let mut world = World::new(&short());
    world.until(-100.0);
    // The clock was 50 s behind.
    world.run.set_start(second(START as f64 - 50.0), world.now);
    world.until(-40.0);
    // From the start on nothing moves it.
    world.run.set_start(second(START as f64 + 500.0), world.now);
    world.until(500.0);
    assert_eq!(
        world.did(),
        [
            (-60.0, "scene slate"),
            (-50.0, "go live"),
            (-40.0, "scene a"),
            (70.0, "end")
        ]
    );
}

#[test]
fn a_crash_between_steps() {
    let mut world = World::new(&show(
        Overrun::End,
        vec![
            at(0, Action::Live),
            at(5, scene("a")),
            at(
                6,
                Action::Overlay {
                    overlay: "lower".into(),
                    on: true,
                },
            ),
            at(20, mark("m")),
            at(30, scene("b")),
        ],
    ));
    world.until(10.0);
    world.did.clear();
    world.crash(4.0);
    world.until(200.0);
    assert_eq!(
        world.did(),
        [
            (-1e9, "restore scene a, cut"),
            (-1e9, "restore overlay lower on"),
            (20.0, "mark \"m\""),
            (30.0, "scene b"),
            (120.0, "end"),
        ]
    );
}

#[test]
fn what_came_due_meanwhile_is_not_done_late() {
    let mut world = World::new(&show(
        Overrun::End,
        vec![
            at(-20, scene("slate")),
            at(0, Action::Live),
            at(5, scene("a")),
            at(6, mark("m")),
            at(30, scene("b")),
        ],
    ));
    world.until(-10.0);
    world.did.clear();
    world.crash(18.0);
    world.until(200.0);
    assert_eq!(
        world.did(),
        [
            (-1e9, "restore scene a, cut"),
            (8.0, "go live"),
            (30.0, "scene b"),
            (120.0, "end")
        ]
    );
    // And when all of it is over, nothing goes live to be ended at once.
    let mut world = World::new(&show(
        Overrun::End,
        vec![at(-20, scene("slate")), at(0, Action::Live)],
    ));
    world.until(-10.0);
    world.did.clear();
    world.crash(500.0);
    world.until(600.0);
    assert_eq!(
        world.did(),
        [(-1e9, "restore scene slate, cut"), (490.0, "end")]
    );
}

#[test]
fn what_is_asked_again_and_what_is_not() {
    assert_eq!(after_crash(&Action::Live), AfterCrash::Look);
    assert_eq!(after_crash(&mark("m")), AfterCrash::Never);
    assert_eq!(after_crash(&scene("a")), AfterCrash::Restored);
}

proptest! {
    /// Whenever it crashes, and for however long: no mark is set twice, no scene taken a second time, none before its time, and it
    /// goes live and ends just once as far as those who are asked look.
    #[test]
    fn nothing_is_done_twice(crash in 0.0..130.0f64, away in 0.0..60.0f64, before_disk in any::<bool>()) {
        let steps = vec![
            at(-5, scene("slate")),
            at(0, Action::Live),
            at(10, mark("one")),
            step(Timing::After(Duration::ZERO), mark("two")),
            at(40, scene("a")),
            at(40, mark("three")),
            at(80, scene("b")),
            at(110, Action::End { scene: Some("closer".into()), closing: Duration::from_secs(5) }),
        ];
        let mut world = World::new(&show(Overrun::End, steps));
        let first = world.run.poll(world.now);
        world.take(first);
        world.disk = serde_json::to_string(&world.run).unwrap();
        world.until(crash - 5.0);
        if !before_disk {
            world.disk = serde_json::to_string(&world.run).unwrap();
        }
        let done = world.did.len();
        world.crash(away);
        world.until(1_000.0);
        let plain: Vec<&str> = world.did.iter().map(|(_, what)| what.as_str()).filter(|what| !what.starts_with("restore")).collect();
        for what in ["mark \"one\"", "mark \"two\"", "mark \"three\"", "scene slate", "scene a", "scene b", "scene closer"] {
            prop_assert!(plain.iter().filter(|did| **did == what).count() <= 1, "{what}: {:?}", world.did);
        }
        // What is asked again is asked of somebody who looks first.
        prop_assert!(plain.iter().filter(|did| **did == "go live").count() <= 2);
        for (at, what) in &world.did[done..] {
            prop_assert!(*at == -1e9 || *at >= crash - 5.0, "{what} at {at}");
        }
        prop_assert!(world.run.is_over(), "{:?}", world.run);
        let marks = ["mark \"one\"", "mark \"two\""].map(|what| plain.iter().position(|did| *did == what));
        if let [Some(one), Some(two)] = marks {
            prop_assert!(one < two);
        }
    }
}

#[test]
fn what_was_held_before_the_start_stays_put_off() {
    let mut world = World::new(&short());
    world.until(-100.0);
    world.command(Command::Hold);
    world.until(-40.0);
    world.command(Command::Release);
    // As the shell does it: the wall clock still has the start where it was planned, and is then found to be 5 s ahead.
    world.run.set_start(second(START as f64), world.now);
    world.until(20.0);
    world.run.set_start(second(START as f64 + 5.0), world.now);
    world.until(500.0);
    assert_eq!(
        world.did(),
        [
            (55.0, "scene slate"),
            (65.0, "go live"),
            (75.0, "scene a"),
            (125.0, "end")
        ]
    );
}
