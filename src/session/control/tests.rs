//! The rules on a simulated clock: courses of an evening, and a world in which anything may happen at any time.

use super::*;
use crate::session::moment::Stamp;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn limits(limit: u64, margin: u64, rolls_over: bool) -> Limits {
    Limits {
        limit: Some(s(limit)),
        ceiling: Some(s(limit)),
        margin: s(margin),
        closing: s(10),
        rolls_over,
        ..Limits::NONE
    }
}

const LINKEDIN: usize = 0;
const FACEBOOK: usize = 1;
const OWN: usize = 2;

fn terms() -> Vec<Terms> {
    let own = Terms {
        id: "own".into(),
        platform: "custom".into(),
        name: "a custom ingest".into(),
        server: "rtmps://two".into(),
        limits: Limits::NONE,
        grace: s(300),
        single_use: false,
        event_closes: false,
    };
    let linkedin = Terms {
        id: "linkedin".into(),
        platform: "linkedin".into(),
        name: "LinkedIn".into(),
        server: "rtmps://one".into(),
        limits: limits(240, 60, false),
        grace: s(90),
        single_use: true,
        event_closes: true,
    };
    let facebook = Terms {
        id: "facebook".into(),
        limits: limits(300, 60, true),
        grace: s(60),
        ..own.clone()
    };
    vec![linkedin, facebook, own]
}

fn mark(n: u8) -> KeyMark {
    KeyMark::new([n; 32])
}

fn armed(n: u8) -> Armed {
    Armed {
        mark: mark(n),
        single_use: false,
        used_in: None,
    }
}

fn keys(first: u8, next: Option<u8>) -> Keys {
    Keys {
        first: armed(first),
        next: next.map(armed),
    }
}

fn at(seconds: u64) -> Moment {
    Moment(seconds as i64 * 1_000_000)
}

fn id(n: u64) -> SessionId {
    SessionId::new(format!("s{n}"))
}

fn acts(control: &mut Control) -> Vec<Act> {
    std::iter::from_fn(|| control.poll_act()).collect()
}

/// Begins, ends and the slate, in words.
fn deeds(control: &mut Control) -> Vec<String> {
    let word = |act: Act| match act {
        Act::Open(id) => Some(format!("open {id}")),
        Act::Close(id) => Some(format!("close {id}")),
        Act::Begin {
            run, destination, ..
        } => Some(format!("begin {} as {}", terms()[destination].id, run.0)),
        Act::Finish(run) => Some(format!("finish {}", run.0)),
        Act::FinishNow(run) => Some(format!("finish {} now", run.0)),
        Act::Drop(run) => Some(format!("drop {}", run.0)),
        Act::Slate(on) => Some(format!("slate {on}")),
        Act::Log(..) | Act::Used(_) | Act::Save => None,
    };
    acts(control).into_iter().filter_map(word).collect()
}

fn stop(session: Option<&str>, destinations: &[usize]) -> StopAsk<'static> {
    StopAsk {
        session: session.map(|s| &*s.to_owned().leak()),
        destinations: destinations.to_vec(),
        confirm: None,
        unconditional: false,
    }
}

fn stamp(moment: Moment) -> Stamp {
    Stamp {
        wall_ms: moment.0 / 1_000,
        boot: "a".into(),
        moment,
    }
}

fn run_to(control: &mut Control, from: u64, to: u64) -> Vec<(u64, String)> {
    let mut course = Vec::new();
    for second in from..=to {
        control.tick(at(second));
        course.extend(deeds(control).into_iter().map(|deed| (second, deed)));
    }
    course
}

fn course(deeds: &[(u64, &str)]) -> Vec<(u64, String)> {
    deeds.iter().map(|(t, d)| (*t, (*d).to_owned())).collect()
}

#[test]
fn linkedin_alone_closes_with_the_slate_and_ends_before_its_limit() {
    let mut control = Control::new(terms());
    control
        .start(at(0), id(1), vec![(LINKEDIN, keys(1, None))], Who::Cli)
        .unwrap();
    assert_eq!(deeds(&mut control), ["open s1", "begin linkedin as 1"]);
    control.published(at(0), RunId(1));
    assert_eq!(
        run_to(&mut control, 1, 239),
        course(&[
            (180, "slate true"),
            (190, "finish 1"),
            (232, "finish 1 now"),
            (237, "drop 1")
        ])
    );
    assert_eq!(control.ended(at(239), RunId(1)), EndReason::Limit);
    assert_eq!(deeds(&mut control), ["slate false", "close s1"]);
}

#[test]
fn others_go_on_without_a_slate() {
    let mut control = Control::new(terms());
    let asked = vec![(LINKEDIN, keys(1, None)), (OWN, keys(2, None))];
    control.start(at(0), id(1), asked, Who::Cli).unwrap();
    control.published(at(0), RunId(1));
    control.published(at(0), RunId(2));
    deeds(&mut control);
    assert_eq!(run_to(&mut control, 1, 200), course(&[(190, "finish 1")]));
    control.ended(at(201), RunId(1));
    assert_eq!(run_to(&mut control, 202, 100_000), course(&[]));
}

#[test]
fn a_rollover_publishes_before_the_session_before_ends() {
    let mut control = Control::new(terms());
    control
        .start(at(0), id(1), vec![(FACEBOOK, keys(1, Some(2)))], Who::Cli)
        .unwrap();
    control.published(at(0), RunId(1));
    deeds(&mut control);
    assert_eq!(
        run_to(&mut control, 1, 241),
        course(&[(240, "begin facebook as 2")])
    );
    control.published(at(241), RunId(2));
    control.on_air(at(241), RunId(2), true);
    assert_eq!(run_to(&mut control, 242, 245), course(&[(243, "finish 1")]));
    assert_eq!(control.ended(at(244), RunId(1)), EndReason::RolledOver);
    // The second session has no further key: it ends, with the slate.
    assert_eq!(
        run_to(&mut control, 246, 492),
        course(&[(481, "slate true"), (491, "finish 2")])
    );
}

#[test]
fn a_rollover_without_a_key_ends() {
    let mut control = Control::new(terms());
    control
        .start(at(0), id(1), vec![(FACEBOOK, keys(1, None))], Who::Cli)
        .unwrap();
    control.published(at(0), RunId(1));
    deeds(&mut control);
    let deeds = run_to(&mut control, 1, 251);
    assert_eq!(deeds, course(&[(240, "slate true"), (250, "finish 1")]));
}

#[test]
fn stops_are_no_accident() {
    let mut control = Control::new(terms());
    control
        .start(at(0), id(1), vec![(LINKEDIN, keys(1, None))], Who::Cli)
        .unwrap();
    control.published(at(1), RunId(1));
    deeds(&mut control);
    let text = |result: Result<(), Refusal>| result.unwrap_err().to_string();
    assert_eq!(
        text(control.stop(&stop(None, &[LINKEDIN]), Who::Cli)),
        "name the broadcast to stop: s1 is running"
    );
    assert_eq!(
        text(control.stop(&stop(Some("s0"), &[LINKEDIN]), Who::Cli)),
        "the broadcast that runs is s1, not s0: look again before you stop it"
    );
    assert_eq!(
        text(control.stop(&stop(Some("s1"), &[LINKEDIN]), Who::Cli)),
        "LinkedIn can't reopen an event that has ended: to end it for good, repeat its name (confirm: \"linkedin\")"
    );
    let confirmed = StopAsk {
        confirm: Some("linkedin"),
        ..stop(Some("s1"), &[LINKEDIN])
    };
    control.stop(&confirmed, Who::Cli).unwrap();
    control.stop(&confirmed, Who::Cli).unwrap();
    assert_eq!(deeds(&mut control), ["finish 1"]);
    // A start of what is ending with a key that serves once is refused, and one with another key waits for the end.
    assert_eq!(
        text(control.start(at(2), id(2), vec![(LINKEDIN, keys(1, None))], Who::Cli)),
        "linkedin: its key was used for the broadcast s1, and serves for one only: save the key of the new event"
    );
    control
        .start(at(2), id(2), vec![(LINKEDIN, keys(2, None))], Who::Cli)
        .unwrap();
    assert_eq!(deeds(&mut control), Vec::<String>::new());
    control.ended(at(3), RunId(1));
    assert_eq!(
        deeds(&mut control),
        ["close s1", "open s2", "begin linkedin as 1"]
    );
}

#[test]
fn one_key_has_one_publisher() {
    let mut control = Control::new(terms());
    let asked = vec![(FACEBOOK, keys(1, None)), (OWN, keys(1, None))];
    assert_eq!(
        control
            .start(at(0), id(1), asked, Who::Cli)
            .unwrap_err()
            .to_string(),
        "own: its key is the one that facebook publishes with, on the same server: two streams on one key throw each other out"
    );
    assert_eq!(acts(&mut control), []);
    // On another server it is another stream.
    let asked = vec![(LINKEDIN, keys(1, None)), (OWN, keys(1, None))];
    control.start(at(0), id(1), asked, Who::Cli).unwrap();
}

fn killed_at_100(away: u64) -> (Control, Resumption) {
    let mut control = Control::new(terms());
    control
        .start(at(0), id(1), vec![(LINKEDIN, keys(1, None))], Who::Cli)
        .unwrap();
    control.published(at(10), RunId(1));
    control.on_air(at(100), RunId(1), true);
    let json = serde_json::to_string(&control.snapshot(&stamp(at(100))).unwrap()).unwrap();
    let mut next = Control::new(terms());
    let keys = [(LINKEDIN, keys(1, None))];
    let snapshot = serde_json::from_str(&json).unwrap();
    let resumption = next.resume(snapshot, &keys, &stamp(at(100 + away)));
    (next, resumption)
}

#[test]
fn within_the_grace_it_goes_on_with_the_guards_clock() {
    let (mut control, resumption) = killed_at_100(60);
    assert_eq!(
        resumption,
        Resumption {
            resumed: true,
            notices: Vec::new()
        }
    );
    let begun = acts(&mut control)
        .into_iter()
        .find_map(|act| match act {
            Act::Begin { elapsed, .. } => Some(elapsed),
            _ => None,
        })
        .unwrap();
    assert_eq!(begun, Some(s(150)));
    assert_eq!(control.ends_in(RunId(1), at(160)), Some(s(30)));
    assert_eq!(
        run_to(&mut control, 161, 200),
        course(&[(190, "slate true"), (200, "finish 1")])
    );
}

#[test]
fn past_the_grace_it_stays_off_and_says_why() {
    let (mut control, resumption) = killed_at_100(91);
    assert_eq!(
        resumption,
        Resumption {
            resumed: false,
            notices: vec![
                "linkedin stays off the air: LinkedIn waits 90 s for a stream that broke, and Regia was away for 91 s; start it anew if that is wanted"
                    .into()
            ]
        }
    );
    assert_eq!(deeds(&mut control), ["close s1"]);
    assert!(!control.is_started());
    // Its event is over all the same.
    assert!(matches!(
        control.start(at(300), id(2), vec![(LINKEDIN, keys(1, None))], Who::Cli),
        Err(Refusal::KeyUsed { .. })
    ));
}

/// A week: each day a show of four hours on LinkedIn with its own key, by a schedule that asks twice.
#[test]
fn a_week_of_shows() {
    let mut terms = terms();
    terms[LINKEDIN].limits = limits(14_400, 120, false);
    let mut control = Control::new(terms);
    for day in 0..7u64 {
        let begin = day * 86_400 + 68_400;
        for twice in 0..2 {
            let key = vec![(LINKEDIN, keys(day as u8, None))];
            control
                .start(
                    at(begin + twice),
                    id(day),
                    key,
                    Who::Schedule("daily".into()),
                )
                .unwrap();
        }
        control.published(at(begin + 5), RunId(1));
        let mut course = Vec::new();
        for second in (begin..begin + 14_405).step_by(5) {
            control.tick(at(second));
            course.extend(acts(&mut control).into_iter().filter_map(|act| match act {
                Act::Log(_, Event::GuardWarning { ends_in_s, .. }) => {
                    Some((second - begin - 5, ends_in_s as i64))
                }
                Act::Finish(_) => Some((second - begin - 5, 0)),
                _ => None,
            }));
            if course.last().is_some_and(|(_, left)| *left == 0) {
                break;
            }
        }
        let warnings = [
            (12_480, 1_800),
            (13_680, 600),
            (13_980, 300),
            (14_220, 60),
            (14_290, 0),
        ];
        assert_eq!(course, warnings, "day {day}");
        control.ended(at(begin + 14_300), RunId(1));
        acts(&mut control);
        assert!(!control.is_started());
    }
}

#[derive(Clone, Debug)]
enum Deed {
    Start(usize, u8, Option<u8>),
    Stop(Vec<usize>),
    Extend(usize, u64),
    Arm(usize, Option<u8>),
    Wait(u64),
    /// The ingest accepts, breaks, or the last bytes are delivered.
    Accept(usize),
    Break(usize),
    Drained(usize),
    /// The process dies, and is back after so many seconds, in another boot or with a wrong clock.
    Kill {
        away: u64,
        reboot: bool,
        clock_behind: bool,
    },
}

fn deed() -> impl Strategy<Value = Deed> {
    let key = || 0u8..5;
    prop_oneof![
        4 => (0usize..3, key(), proptest::option::of(key())).prop_map(|(d, k, n)| Deed::Start(d, k, n)),
        2 => proptest::collection::vec(0usize..3, 1..3).prop_map(Deed::Stop),
        1 => (0usize..3, 1u64..100).prop_map(|(d, by)| Deed::Extend(d, by)),
        1 => (0usize..3, proptest::option::of(key())).prop_map(|(d, k)| Deed::Arm(d, k)),
        6 => (1u64..120).prop_map(Deed::Wait),
        6 => (0usize..3).prop_map(Deed::Accept),
        1 => (0usize..3).prop_map(Deed::Break),
        3 => (0usize..3).prop_map(Deed::Drained),
        2 => (0u64..200, any::<bool>(), any::<bool>())
            .prop_map(|(away, reboot, clock_behind)| Deed::Kill { away, reboot, clock_behind }),
    ]
}

/// A stream as the platform has it.
#[derive(Clone, Debug)]
struct Publisher {
    run: RunId,
    destination: usize,
    mark: KeyMark,
    published: bool,
    up: bool,
    finishing: bool,
    /// Says its last words, and is gone within a second.
    last_words: bool,
}

struct World {
    control: Control,
    /// True seconds.
    now: u64,
    booted: u64,
    boot: u32,
    /// By how much the wall clock is behind.
    behind_s: u64,
    sessions: u64,
    publishers: Vec<Publisher>,
    /// What the platform counts its limit from.
    first: BTreeMap<(usize, KeyMark), u64>,
    /// Keys that served once, as the platform has it.
    served: BTreeSet<KeyMark>,
    keys: BTreeMap<usize, Keys>,
    // What is on the disk.
    snapshot: Option<Snapshot>,
    used: BTreeMap<KeyMark, SessionId>,
    open: Option<SessionId>,
}

impl World {
    fn new() -> Self {
        World {
            control: Control::new(terms()),
            now: 1_000,
            booted: 0,
            boot: 0,
            behind_s: 0,
            sessions: 0,
            publishers: Vec::new(),
            first: BTreeMap::new(),
            served: BTreeSet::new(),
            keys: BTreeMap::new(),
            snapshot: None,
            used: BTreeMap::new(),
            open: None,
        }
    }

    fn stamp(&self) -> Stamp {
        Stamp {
            wall_ms: (1_000_000 + self.now - self.behind_s) as i64 * 1_000,
            boot: self.boot.to_string(),
            moment: at(self.now - self.booted),
        }
    }

    fn moment(&self) -> Moment {
        at(self.now - self.booted)
    }

    fn armed(&self, n: u8) -> Armed {
        Armed {
            used_in: self.used.get(&mark(n)).cloned(),
            ..armed(n)
        }
    }

    fn carry_out(&mut self) {
        while let Some(act) = self.control.poll_act() {
            match act {
                Act::Open(id) => self.open = Some(id),
                Act::Close(id) => {
                    assert_eq!(self.open.take().unwrap_or_else(|| id.clone()), id);
                    assert!(self.publishers.is_empty(), "closed with a run");
                    self.snapshot = None;
                }
                Act::Begin {
                    run,
                    destination,
                    mark,
                    elapsed,
                } => self.begin(run, destination, mark, elapsed.is_some()),
                Act::Finish(run) => self.with(run, |p| p.finishing = true),
                Act::FinishNow(run) => self.with(run, |p| p.last_words = true),
                Act::Drop(run) => {
                    self.publishers.retain(|p| p.run != run);
                    let moment = self.moment();
                    self.control.ended(moment, run);
                }
                Act::Used(mark) => {
                    if let Some(id) = self.control.session().or(self.open.as_ref()) {
                        self.used.entry(mark).or_insert(id.clone());
                    } else {
                        self.used.entry(mark).or_insert(SessionId::new("before"));
                    }
                }
                Act::Save => {
                    self.snapshot = self.control.snapshot(&self.stamp());
                }
                Act::Slate(_) | Act::Log(..) => {}
            }
        }
    }

    fn begin(&mut self, run: RunId, destination: usize, mark: KeyMark, resumed: bool) {
        let terms = terms();
        let server = &terms[destination].server;
        let other = self
            .publishers
            .iter()
            .find(|p| p.mark == mark && terms[p.destination].server == *server);
        assert!(other.is_none(), "two publishers on one key: {other:?}");
        if terms[destination].single_use && !resumed {
            assert!(!self.served.contains(&mark), "a key that served once");
        }
        if !resumed {
            self.first.remove(&(destination, mark));
        }
        self.publishers.push(Publisher {
            run,
            destination,
            mark,
            published: false,
            up: false,
            finishing: false,
            last_words: false,
        });
    }

    fn with(&mut self, run: RunId, change: impl Fn(&mut Publisher)) {
        self.publishers
            .iter_mut()
            .filter(|p| p.run == run)
            .for_each(change);
    }

    fn second(&mut self) {
        self.now += 1;
        let moment = self.moment();
        for publisher in self.publishers.clone() {
            self.control.on_air(moment, publisher.run, publisher.up);
        }
        // The shell saves now and then while on air.
        self.snapshot = self
            .control
            .snapshot(&self.stamp())
            .or(self.snapshot.take());
        let leaving: Vec<RunId> = self
            .publishers
            .iter()
            .filter(|p| p.last_words)
            .map(|p| p.run)
            .collect();
        for run in leaving {
            self.end(run);
        }
        self.control.tick(moment);
        self.carry_out();
        let terms = terms();
        for p in self.publishers.iter().filter(|p| p.published) {
            let first = self.first[&(p.destination, p.mark)];
            if let Some(limit) = terms[p.destination].limits.limit {
                let on = s(self.now - first);
                assert!(on < limit, "on air for {on:?} of {limit:?}: {p:?}");
            }
        }
    }

    fn end(&mut self, run: RunId) {
        self.publishers.retain(|p| p.run != run);
        let moment = self.moment();
        self.control.ended(moment, run);
        self.carry_out();
    }

    fn publisher(&self, n: usize) -> Option<Publisher> {
        self.publishers.get(n).cloned()
    }

    fn do_it(&mut self, deed: Deed) {
        let moment = self.moment();
        match deed {
            Deed::Start(destination, key, next) => {
                let keys = Keys {
                    first: self.armed(key),
                    next: next.map(|n| self.armed(n)),
                };
                self.sessions += 1;
                let id = id(self.sessions);
                let running = self.publishers.iter().any(|p| p.destination == destination);
                let asked = vec![(destination, keys.clone())];
                let started = self.control.start(moment, id, asked, Who::Cli);
                // The configuration keeps the keys that a destination was started with.
                if started.is_ok() && !running {
                    self.keys.insert(destination, keys);
                }
            }
            Deed::Stop(destinations) => {
                let session = self.control.session().map(|id| id.as_str().to_owned());
                let ask = StopAsk {
                    session: session.as_deref(),
                    destinations,
                    confirm: Some("linkedin"),
                    unconditional: false,
                };
                self.control.stop(&ask, Who::Cli).unwrap();
            }
            Deed::Extend(destination, by) => {
                let _ = self.control.extend(moment, destination, s(by), Who::Cli);
            }
            Deed::Arm(destination, key) => {
                let next = key.map(|n| self.armed(n));
                self.control.arm(destination, next);
            }
            Deed::Wait(seconds) => (0..seconds).for_each(|_| self.second()),
            Deed::Accept(n) => {
                if let Some(p) = self.publisher(n) {
                    self.with(p.run, |p| (p.published, p.up) = (true, true));
                    self.first
                        .entry((p.destination, p.mark))
                        .or_insert(self.now);
                    if terms()[p.destination].single_use {
                        self.served.insert(p.mark);
                    }
                    self.control.published(moment, p.run);
                }
            }
            Deed::Break(n) => {
                if let Some(p) = self.publisher(n) {
                    self.with(p.run, |p| p.up = false);
                }
            }
            Deed::Drained(n) => {
                if let Some(p) = self.publisher(n).filter(|p| p.finishing) {
                    self.end(p.run);
                }
            }
            Deed::Kill {
                away,
                reboot,
                clock_behind,
            } => self.kill(away, reboot, clock_behind),
        }
        self.carry_out();
    }

    fn kill(&mut self, away: u64, reboot: bool, clock_behind: bool) {
        self.publishers.clear();
        self.now += away;
        if reboot {
            (self.booted, self.boot) = (self.now, self.boot + 1);
            self.behind_s = if clock_behind { 5_000 } else { 0 };
        }
        self.control = Control::new(terms());
        self.open = None;
        if let Some(snapshot) = self.snapshot.take() {
            let keys: Vec<(usize, Keys)> = self
                .keys
                .iter()
                .map(|(destination, keys)| (*destination, keys.clone()))
                .collect();
            let stamp = self.stamp();
            self.control.resume(snapshot, &keys, &stamp);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Two publishers on one key, a session past its limit, a key that serves once used again: never.
    #[test]
    fn whatever_happens_the_rules_hold(deeds in proptest::collection::vec(deed(), 1..60)) {
        let mut world = World::new();
        for deed in deeds {
            world.do_it(deed);
            world.second();
        }
    }
}
