//! What must hold, as a table: faults at their moments, and what is expected of the failover. The numbers in the names are
//! those of the transport's list of faults.

use super::super::{Failover, LastOnAir, Path};
use super::world::{Event, Ghosts, Mode, World};
use Event::{Carrier, Dark, Ingest, Lit, Move, MoveToNew, Reset, Stop};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

const NGINX: Ghosts = Ghosts::Hold(Duration::from_secs(8));
const MINUTES: Ghosts = Ghosts::Hold(Duration::from_secs(300));

fn path(uplink: usize, ingest: usize) -> Path {
    Path {
        uplink: Some(uplink),
        ingest,
        metered: false,
    }
}

fn one() -> Vec<Path> {
    vec![path(0, 0)]
}

fn one_uplink_two_ingests() -> Vec<Path> {
    vec![path(0, 0), path(0, 1)]
}

fn two_uplinks_one_ingest() -> Vec<Path> {
    vec![path(0, 0), path(1, 0)]
}

/// In the order in which a destination has them.
fn four() -> Vec<Path> {
    vec![path(0, 0), path(0, 1), path(1, 0), path(1, 1)]
}

fn four_metered() -> Vec<Path> {
    let metered = |path: Path| Path {
        metered: path.uplink == Some(1),
        ..path
    };
    four().into_iter().map(metered).collect()
}

/// Times in milliseconds.
enum Expect {
    /// Media moves again no later than so long after the moment.
    MovesWithin(u64, u64),
    /// Publishes that an ingest accepted in all.
    Accepted(usize, RangeInclusive<usize>),
    /// Publishes that an ingest was asked for in all, accepted or not.
    Asked(usize, RangeInclusive<usize>),
    /// Dials of a path within a span.
    Dials(usize, RangeInclusive<u64>, RangeInclusive<usize>),
    /// The path at the end, and that media moves on it.
    EndsOn(usize),
    /// Not one moment without media from here to there but so many milliseconds.
    NoGap(RangeInclusive<u64>, u64),
}
use Expect::{Accepted, Asked, Dials, EndsOn, MovesWithin, NoGap};

struct Row {
    name: &'static str,
    paths: Vec<Path>,
    round_trip: u64,
    ghosts: Ghosts,
    /// By time, milliseconds.
    faults: Vec<(u64, Event)>,
    runs: u64,
    expect: Vec<Expect>,
}

fn row(name: &'static str, paths: Vec<Path>, runs: u64) -> Row {
    Row {
        name,
        paths,
        round_trip: 30,
        ghosts: NGINX,
        faults: Vec::new(),
        runs,
        expect: Vec::new(),
    }
}

impl Row {
    fn ghosts(mut self, ghosts: Ghosts) -> Self {
        self.ghosts = ghosts;
        self
    }

    fn round_trip(mut self, ms: u64) -> Self {
        self.round_trip = ms;
        self
    }

    fn at(mut self, ms: u64, event: Event) -> Self {
        self.faults.push((ms, event));
        self
    }

    fn expect(mut self, expect: Vec<Expect>) -> Self {
        self.expect = expect;
        self
    }

    fn play(&self) -> World {
        let ms = Duration::from_millis;
        let mut world = World::new(&self.paths, ms(self.round_trip), self.ghosts);
        for (at, event) in &self.faults {
            world.run(ms(*at).saturating_sub(world.elapsed()));
            world.happen(*event);
        }
        world.run(ms(self.runs).saturating_sub(world.elapsed()));
        world
    }

    fn check(&self) {
        let world = self.play();
        let ms = |at: Duration| at.as_millis() as u64;
        let moved: Vec<u64> = world.moved.iter().map(|at| ms(*at)).collect();
        let name = self.name;
        for expect in &self.expect {
            match expect {
                MovesWithin(from, within) => {
                    let next = moved.iter().find(|at| **at > *from + 20);
                    let took = next.map(|at| at - from);
                    assert!(
                        took.is_some_and(|took| took <= *within),
                        "{name}: media moves {took:?} ms after {from}; publishes {:?}",
                        world.asked
                    );
                }
                Accepted(ingest, range) => {
                    let count = world
                        .accepted
                        .iter()
                        .filter(|p| p.ingest == *ingest)
                        .count();
                    assert!(range.contains(&count), "{name}: {:?}", world.accepted);
                }
                Asked(ingest, range) => {
                    let count = world.asked.iter().filter(|(_, to)| to == ingest).count();
                    assert!(range.contains(&count), "{name}: {:?}", world.asked);
                }
                Dials(path, span, range) => {
                    let count = world
                        .dials
                        .iter()
                        .filter(|(at, to)| to == path && span.contains(&ms(*at)))
                        .count();
                    assert!(
                        range.contains(&count),
                        "{name}: {count} dials of path {path} in {span:?}"
                    );
                }
                EndsOn(path) => {
                    assert_eq!(world.current_path(), Some(*path), "{name}");
                    assert!(world.is_moving(), "{name}: no media at the end");
                }
                NoGap(span, longest) => {
                    let within: Vec<u64> = moved
                        .iter()
                        .copied()
                        .filter(|at| span.contains(at))
                        .collect();
                    let gap = within.windows(2).map(|two| two[1] - two[0]).max();
                    assert!(
                        gap.is_some_and(|gap| gap <= *longest),
                        "{name}: a gap of {gap:?} ms"
                    );
                }
            }
        }
        let said_no = self
            .faults
            .iter()
            .any(|(_, event)| matches!(event, Ingest(_, Mode::Final)));
        let patience = Duration::from_secs(if said_no { 15 } else { 3 });
        assert!(
            world.longest_idle <= patience,
            "{name}: untended for {:?}",
            world.longest_idle
        );
    }
}

fn table() -> Vec<Row> {
    vec![
        row("start", one(), 3000).expect(vec![MovesWithin(0, 300), Accepted(0, 1..=1), EndsOn(0)]),
        row("start with a dead primary", four(), 6000)
            .at(0, Ingest(0, Mode::Dark))
            .expect(vec![
                MovesWithin(0, 2200),
                Accepted(0, 0..=0),
                Accepted(1, 1..=1),
            ]),
        row(
            "start with the preferred uplink's carrier away",
            four(),
            6000,
        )
        .at(0, Carrier(0, false))
        .expect(vec![
            MovesWithin(0, 300),
            Dials(0, 1..=6000, 0..=0),
            EndsOn(2),
        ]),
        row("start with a wrong key", one(), 61_000)
            .at(0, Ingest(0, Mode::Final))
            .expect(vec![Asked(0, 4..=5)]),
        row(
            "start with a primary that does not like us, and a backup",
            four(),
            6000,
        )
        .at(0, Ingest(0, Mode::Final))
        .expect(vec![
            MovesWithin(0, 2200),
            Asked(0, 1..=1),
            Accepted(1, 1..=1),
        ]),
        row("1: ingest killed, back at once", one(), 12_000)
            .at(3000, Ingest(0, Mode::Down))
            .at(3500, Ingest(0, Mode::Well))
            .expect(vec![MovesWithin(3500, 400), Accepted(0, 2..=2), EndsOn(0)]),
        row("1: at 10 ms round trip, after 5 s", one(), 12_000)
            .round_trip(10)
            .at(3000, Ingest(0, Mode::Down))
            .at(8000, Ingest(0, Mode::Well))
            .expect(vec![MovesWithin(8000, 300), Accepted(0, 2..=2)]),
        row("ingest down for long", one(), 600_000)
            .at(3000, Ingest(0, Mode::Down))
            .at(590_000, Ingest(0, Mode::Well))
            .expect(vec![
                MovesWithin(590_000, 3300),
                Dials(0, 60_000..=580_000, 168..=176),
            ]),
        row("2: carrier lost, backups present", four(), 8000)
            .at(3000, Carrier(0, false))
            .expect(vec![MovesWithin(3000, 100), Accepted(1, 1..=1), EndsOn(3)]),
        row("2: with 300 ms round trip", four(), 8000)
            .round_trip(300)
            .at(3000, Carrier(0, false))
            .expect(vec![MovesWithin(3000, 350), EndsOn(3)]),
        row("3: primary blackholed, backups present", four(), 8000)
            .at(3000, Dark(0))
            .expect(vec![MovesWithin(3000, 1700), Accepted(1, 1..=1), EndsOn(3)]),
        row(
            "3a: carrier lost, one ingest that holds on",
            two_uplinks_one_ingest(),
            20_000,
        )
        .at(3000, Carrier(0, false))
        .expect(vec![
            MovesWithin(3000, 9500),
            Accepted(0, 2..=2),
            Asked(0, 3..=11),
            EndsOn(1),
        ]),
        row(
            "3a: blackholed, one ingest that holds on",
            two_uplinks_one_ingest(),
            20_000,
        )
        .at(3000, Dark(0))
        .expect(vec![MovesWithin(3000, 9500), Accepted(0, 2..=2), EndsOn(1)]),
        row(
            "3a: an ingest that lets the newcomer take over",
            two_uplinks_one_ingest(),
            20_000,
        )
        .ghosts(Ghosts::TakeOver)
        .at(3000, Dark(0))
        .expect(vec![MovesWithin(3000, 1700), Accepted(0, 2..=2), EndsOn(1)]),
        row("4: outage of 20 s without a backup", one(), 30_000)
            .at(3000, Dark(0))
            .at(23_000, Lit(0))
            .expect(vec![MovesWithin(23_000, 700), Accepted(0, 2..=2)]),
        row(
            "4: the ingest still holds on, and the stalled connection goes on",
            one(),
            30_000,
        )
        .ghosts(MINUTES)
        .at(3000, Dark(0))
        .at(23_000, Lit(0))
        .expect(vec![MovesWithin(23_000, 1200), Accepted(0, 1..=1)]),
        row(
            "4: with two ingests, the first still holding on",
            one_uplink_two_ingests(),
            30_000,
        )
        .ghosts(Ghosts::HoldAlways(Duration::from_secs(300)))
        .at(3000, Dark(0))
        .at(23_000, Lit(0))
        .expect(vec![
            MovesWithin(23_000, 700),
            Accepted(1, 1..=1),
            EndsOn(1),
        ]),
        row("4: carrier away for 20 s", one(), 30_000)
            .at(3000, Carrier(0, false))
            .at(23_000, Carrier(0, true))
            .expect(vec![
                MovesWithin(23_000, 300),
                Accepted(0, 2..=2),
                Dials(0, 3001..=22_990, 0..=0),
            ]),
        row("4a: outage of 5 s", one(), 20_000)
            .at(3000, Dark(0))
            .at(8000, Lit(0))
            .expect(vec![
                MovesWithin(8000, 1500),
                Accepted(0, 1..=1),
                Asked(0, 1..=1),
            ]),
        row(
            "4a: with two ingests, the publish stays where it is",
            one_uplink_two_ingests(),
            20_000,
        )
        .at(3000, Dark(0))
        .at(8000, Lit(0))
        .expect(vec![
            MovesWithin(8000, 1500),
            Accepted(0, 1..=1),
            Accepted(1, 0..=0),
        ]),
        row("4a: carrier away for 5 s", one(), 20_000)
            .at(3000, Carrier(0, false))
            .at(8000, Carrier(0, true))
            .expect(vec![MovesWithin(8000, 1500), Asked(0, 1..=1)]),
        row(
            "a carrier that flaps for less than a stall takes",
            one(),
            40_000,
        )
        .ghosts(MINUTES)
        .at(3000, Carrier(0, false))
        .at(3500, Carrier(0, true))
        .expect(vec![MovesWithin(3500, 1000), Asked(0, 1..=1), EndsOn(0)]),
        row("5: outage of 60 s, longer than the hold", one(), 70_000)
            .at(3000, Dark(0))
            .at(63_000, Lit(0))
            .expect(vec![MovesWithin(63_000, 700), Accepted(0, 2..=2)]),
        row("everything down for 60 s", four(), 70_000)
            .at(3000, Carrier(1, false))
            .at(3000, Dark(0))
            .at(63_000, Lit(0))
            .at(64_000, Carrier(1, true))
            .expect(vec![MovesWithin(63_000, 700)]),
        row("8: a ghost for 20 s", one(), 40_000)
            .ghosts(Ghosts::HoldAlways(Duration::from_secs(20)))
            .at(3000, Reset(0))
            .expect(vec![
                MovesWithin(23_000, 1500),
                Accepted(0, 2..=2),
                Asked(0, 19..=23),
            ]),
        row("8: with a backup ingest", four(), 40_000)
            .ghosts(Ghosts::HoldAlways(Duration::from_secs(20)))
            .at(3000, Reset(0))
            .expect(vec![
                MovesWithin(3000, 200),
                Accepted(0, 1..=1),
                Accepted(1, 1..=1),
            ]),
        row("somebody else is live on the key", one(), 600_000)
            .at(3000, Ingest(0, Mode::Busy))
            .at(3000, Reset(0))
            .expect(vec![Asked(0, 250..=270)]),
        row("9: reads nothing any more", four(), 10_000)
            .at(3000, Ingest(0, Mode::Deaf))
            .expect(vec![MovesWithin(3000, 2000), Accepted(1, 1..=1)]),
        row("9: with one uplink", one_uplink_two_ingests(), 10_000)
            .at(3000, Ingest(0, Mode::Deaf))
            .expect(vec![MovesWithin(3000, 2000), EndsOn(1)]),
        row("no answer to the publish", one(), 30_000)
            .at(0, Ingest(0, Mode::Mute))
            .at(20_000, Ingest(0, Mode::Well))
            .expect(vec![MovesWithin(20_000, 5400), Asked(0, 3..=6)]),
        row("no answer to the publish, and a backup", four(), 15_000)
            .at(3000, Ingest(1, Mode::Mute))
            .at(3000, Dark(0))
            .expect(vec![MovesWithin(3000, 9500), Asked(1, 1..=2)]),
        row("closed instead of an answer to the publish", one(), 60_000)
            .at(0, Ingest(0, Mode::Rude))
            .expect(vec![Asked(0, 10..=16)]),
        row("15: 50 flaps, 3 s up and 3 s down", one(), 310_000)
            .expect(vec![Accepted(0, 1..=3), EndsOn(0)])
            .flapping(Dark(0), Lit(0)),
        row("15: by carrier", one(), 310_000)
            .expect(vec![Accepted(0, 1..=3), EndsOn(0)])
            .flapping(Carrier(0, false), Carrier(0, true)),
        row("15: with two ingests", one_uplink_two_ingests(), 310_000)
            .expect(vec![Accepted(0, 1..=3), Accepted(1, 0..=2)])
            .flapping(Dark(0), Lit(0)),
        row("away from a metered uplink", four_metered(), 90_000)
            .at(3000, Dark(0))
            .at(10_000, Lit(0))
            .expect(vec![
                EndsOn(0),
                NoGap(6000..=89_000, 20),
                Accepted(0, 2..=2),
                Accepted(1, 1..=1),
            ]),
        row(
            "not back to an ingest that does not answer, but once a minute",
            four_metered(),
            400_000,
        )
        .at(3000, Dark(0))
        .at(10_000, Lit(0))
        .at(20_000, Ingest(0, Mode::Mute))
        .expect(vec![EndsOn(3), Asked(0, 5..=8)]),
        row(
            "no return to a preferred uplink that costs nothing either",
            four(),
            200_000,
        )
        .at(3000, Dark(0))
        .at(10_000, Lit(0))
        .expect(vec![EndsOn(3), Accepted(0, 1..=1), Accepted(1, 1..=1)]),
        row(
            "return although the server ends idle standbys",
            four_metered(),
            90_000,
        )
        .at(0, Ingest(0, Mode::Tidy))
        .at(3000, Dark(0))
        .at(10_000, Lit(0))
        .expect(vec![EndsOn(0)]),
        row("reconnect request to the same server", one(), 10_000)
            .ghosts(Ghosts::TakeOver)
            .at(3000, Move(0))
            .expect(vec![NoGap(500..=9000, 20), Accepted(0, 2..=2), EndsOn(0)]),
        row("reconnect request to another server", one(), 10_000)
            .at(3000, MoveToNew(2))
            .expect(vec![
                NoGap(500..=9000, 20),
                Accepted(0, 1..=1),
                Accepted(2, 1..=1),
                EndsOn(1),
            ]),
        row(
            "reconnect request to a server that is not there",
            one(),
            60_000,
        )
        .at(2900, Ingest(2, Mode::Down))
        .at(3000, MoveToNew(2))
        .expect(vec![
            NoGap(500..=59_000, 20),
            Asked(2, 0..=0),
            Dials(1, 0..=60_000, 3..=3),
            EndsOn(0),
        ]),
        row(
            "reconnect request to the same server, which then refuses its own wish",
            one(),
            60_000,
        )
        .ghosts(MINUTES)
        .at(3000, Move(0))
        .expect(vec![NoGap(500..=59_000, 20), Asked(0, 4..=4), EndsOn(0)]),
        row(
            "a second request while the first is under way",
            two_uplinks_one_ingest(),
            20_000,
        )
        .ghosts(Ghosts::TakeOver)
        .at(3000, Ingest(0, Mode::Mute))
        .at(3000, Move(0))
        .at(4000, Move(1))
        .at(6000, Ingest(0, Mode::Well))
        .expect(vec![NoGap(500..=19_000, 20), Accepted(0, 2..=2)]),
        row(
            "the server that asked for a move dies before",
            four(),
            30_000,
        )
        .at(2900, Ingest(2, Mode::Dark))
        .at(3000, MoveToNew(2))
        .at(4000, Ingest(0, Mode::Down))
        .expect(vec![
            MovesWithin(4000, 500),
            Accepted(0, 1..=1),
            Accepted(1, 1..=1),
        ]),
        row("standby that dies is replaced", four(), 20_000)
            .at(3000, Ingest(1, Mode::Down))
            .at(4000, Ingest(1, Mode::Well))
            .at(6500, Ingest(0, Mode::Down))
            .expect(vec![
                MovesWithin(6500, 100),
                NoGap(500..=6500, 20),
                EndsOn(3),
            ]),
        row("backup down for long", four(), 1_200_000)
            .at(3000, Ingest(1, Mode::Down))
            .expect(vec![
                NoGap(500..=1_199_000, 20),
                Dials(3, 60_000..=1_200_000, 74..=78),
            ]),
        row("backup dark for long", four(), 1_200_000)
            .at(3000, Dark(1))
            .expect(vec![
                NoGap(500..=1_199_000, 20),
                Dials(3, 60_000..=1_200_000, 45..=60),
            ]),
        row(
            "backup that was down for long is dialled at once when it is needed",
            four(),
            610_000,
        )
        .at(3000, Ingest(1, Mode::Down))
        .at(600_000, Ingest(1, Mode::Well))
        .at(600_010, Dark(0))
        .expect(vec![MovesWithin(600_010, 2000)]),
        row("server that ends idle standbys", four(), 600_000)
            .at(3000, Ingest(1, Mode::Impatient))
            .expect(vec![Dials(3, 60_000..=600_000, 30..=40), EndsOn(0)]),
        row("1.2 s of round trip", one(), 40_000)
            .round_trip(1200)
            .expect(vec![MovesWithin(0, 10_000), Accepted(0, 1..=1)]),
        row("stop: no standby any more", four(), 60_000)
            .at(3000, Stop)
            .expect(vec![
                Dials(1, 3001..=60_000, 0..=0),
                Dials(3, 3001..=60_000, 0..=0),
                EndsOn(0),
            ]),
        row("stop in an outage still looks for a way", one(), 60_000)
            .at(3000, Dark(0))
            .at(5000, Stop)
            .at(25_000, Lit(0))
            .expect(vec![MovesWithin(25_000, 700)]),
    ]
}

impl Row {
    fn flapping(mut self, down: Event, up: Event) -> Self {
        for n in 0..50 {
            self = self.at(3000 + n * 6000, down).at(6000 + n * 6000, up);
        }
        self
    }
}

#[test]
fn every_fault_has_its_answer() {
    let mut failed = Vec::new();
    for row in table() {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| row.check())).is_err() {
            failed.push(row.name);
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Connections that die, rather than stall, each 3 s: the budget of an ingest is used up, and then it sees three a minute.
#[test]
fn a_budget_that_is_used_up_means_three_publishes_a_minute() {
    for paths in [one(), four()] {
        let count = if paths.len() == 1 { 1 } else { 2 };
        let mut flaps = row("resets", paths, 310_000);
        for n in 0..50 {
            for ingest in 0..count {
                flaps = flaps.at(3000 + n * 6000, Ingest(ingest, Mode::Down));
            }
            for ingest in 0..count {
                flaps = flaps.at(6000 + n * 6000, Ingest(ingest, Mode::Well));
            }
        }
        let world = flaps.play();
        assert!(
            world.most_in_a_minute(Duration::ZERO) <= 9,
            "{:?}",
            world.accepted
        );
        assert!(
            world.most_in_a_minute(Duration::from_secs(130)) <= 3,
            "{:?}",
            world.accepted
        );
        assert!(
            world.accepted.len() >= 15 * count,
            "the budget is used: {:?}",
            world.accepted
        );
    }
}

#[test]
fn another_uplink_and_another_ingest_come_first() {
    let start = Instant::now();
    let mut failover = Failover::new(start, four(), Duration::from_secs(30));
    let mut order = |path, path_failed| {
        failover.last_on_air = Some(LastOnAir { path, path_failed });
        let mut order = vec![0, 1, 2, 3];
        order.sort_by_key(|path| failover.rank(*path));
        order
    };
    assert_eq!(order(0, true), [3, 2, 1, 0], "the uplink failed");
    assert_eq!(order(0, false), [1, 3, 0, 2], "the ingest failed");
    assert_eq!(order(3, true), [0, 1, 2, 3], "the backups failed");
}
