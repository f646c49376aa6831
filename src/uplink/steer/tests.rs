//! `Steer` on simulated ways: an encoder that follows it, a sender that catches up at twice real time, a queue, a round trip.

use super::*;
use proptest::prelude::*;

const FLOOR: u32 = 1000;
const CEILING: u32 = 3000;
const AUDIO: u32 = 128;
const TICK: Duration = Duration::from_millis(50);
const TICKS_PER_S: usize = 20;
/// Of `Sample`s, as the lane takes them.
const EVERY: usize = 5;
/// From the advice to the encoder's output.
const ENCODER_TICKS: usize = 10;

/// What happened, second by second.
#[derive(Debug)]
struct Seen {
    bitrates: Vec<u32>,
    backlogs_s: Vec<f64>,
    /// Bits the way carried, and those it could have carried of what the ceiling asks for.
    carried: f64,
    possible: f64,
}

impl Seen {
    fn worst_backlog_s(&self) -> f64 {
        self.backlogs_s.iter().copied().fold(0.0, f64::max)
    }

    fn lowest(&self) -> u32 {
        self.bitrates.iter().copied().min().unwrap_or(0)
    }
}

/// A way of `capacity` kb/s at a time in seconds, `round_trip` ticks long.
fn simulate(seconds: usize, round_trip: usize, capacity: impl Fn(f64) -> f64) -> Seen {
    let mut steer = Steer::new(FLOOR, CEILING, AUDIO);
    let start = Instant::now();
    let tick_s = TICK.as_secs_f64();
    let bits = |kbps: f64| kbps * 1000.0 * tick_s;
    let mut asked = vec![steer.current(); ENCODER_TICKS];
    // Running totals of bits by tick.
    let (mut made, mut sent) = (vec![0f64], vec![0f64]);
    let mut seen = Seen {
        bitrates: Vec::new(),
        backlogs_s: Vec::new(),
        carried: 0.0,
        possible: 0.0,
    };
    let mut oldest = 0;
    for tick in 1..=seconds * TICKS_PER_S {
        let kbps = f64::from(asked[asked.len() - ENCODER_TICKS] + AUDIO);
        made.push(made[tick - 1] + bits(kbps));
        let carries = capacity(tick as f64 * tick_s);
        let room = bits(carries.min(2.0 * kbps));
        sent.push((sent[tick - 1] + room).min(made[tick]));
        seen.possible += bits(carries.min(f64::from(CEILING + AUDIO)));
        let acknowledged = sent[tick.saturating_sub(round_trip)];
        while made[oldest] < acknowledged {
            oldest += 1;
        }
        let backlog = TICK * (tick - oldest) as u32;
        if tick % EVERY == 0 {
            let acknowledged_bytes = (acknowledged / 8.0) as u64;
            let sample = Sample {
                backlog,
                acknowledged_bytes,
                full: sent[tick] < made[tick] && carries < 2.0 * kbps,
            };
            steer.sample(start + TICK * tick as u32, sample);
        }
        asked.push(steer.current());
        if tick % TICKS_PER_S == 0 {
            seen.bitrates.push(steer.current());
            seen.backlogs_s.push(backlog.as_secs_f64());
        }
    }
    seen.carried = sent[sent.len() - 1];
    seen
}

const WIDE: f64 = 100_000.0;

fn during(span: std::ops::Range<f64>, inside: f64) -> impl Fn(f64) -> f64 {
    move |at| if span.contains(&at) { inside } else { WIDE }
}

#[test]
fn a_wide_way_changes_nothing_however_long() {
    for round_trip in [1, 6, 16] {
        let seen = simulate(300, round_trip, |_| WIDE);
        assert_eq!(
            seen.lowest(),
            CEILING,
            "at {round_trip} ticks of round trip"
        );
    }
}

/// A little above what the programme needs is enough, with keyframes and all smoothed out.
#[test]
fn a_way_that_just_suffices_changes_nothing() {
    let seen = simulate(300, 6, |_| f64::from(CEILING + AUDIO) * 1.05);
    assert_eq!(seen.lowest(), CEILING);
}

#[test]
fn follows_a_narrow_way_down_and_back_up() {
    for round_trip in [1, 6] {
        let narrow = 0.6 * f64::from(CEILING + AUDIO);
        let seen = simulate(300, round_trip, during(20.0..80.0, narrow));
        assert!(seen.worst_backlog_s() < 6.0, "{seen:?}");
        assert!(seen.bitrates[30] < 1800, "{:?}", seen.bitrates);
        assert!(seen.lowest() >= FLOOR);
        assert!(
            seen.backlogs_s[100] < 1.0,
            "latency returns: {:?}",
            seen.backlogs_s
        );
        assert_eq!(seen.bitrates.last(), Some(&CEILING), "{:?}", seen.bitrates);
    }
}

/// Slow growth is growth: a way that misses a few per cent would else fill the hold in minutes.
#[test]
fn follows_a_way_that_is_a_little_too_narrow() {
    for share in [0.99, 0.97, 0.95, 0.9, 0.8] {
        let capacity = share * f64::from(CEILING + AUDIO);
        let seen = simulate(900, 2, |_| capacity);
        let name = format!("{share} of what it needs: {:?}", seen.backlogs_s);
        assert!(seen.worst_backlog_s() < 3.5, "{name}");
        assert!(seen.carried >= 0.75 * seen.possible, "{name}");
    }
}

#[test]
fn never_under_the_floor() {
    let seen = simulate(60, 1, |_| 300.0);
    assert_eq!((seen.lowest(), seen.bitrates.last()), (FLOOR, Some(&FLOOR)));
}

/// Whatever the outage's length: the way is as wide as it was, or gone.
#[test]
fn an_outage_lowers_nothing() {
    for length in [0.3, 0.7, 1.2, 1.4, 1.7, 3.0, 5.0, 20.0] {
        for phase in 0..5 {
            let from = 20.0 + f64::from(phase) * 0.05;
            let seen = simulate(90, 2, during(from..from + length, 0.0));
            assert_eq!(seen.lowest(), CEILING, "an outage of {length} s at {from}");
        }
    }
}

#[test]
fn a_backlog_that_shrinks_lowers_nothing() {
    let mut steer = Steer::new(FLOOR, CEILING, AUDIO);
    let start = Instant::now();
    let tick = Duration::from_millis(250);
    for n in 0..80u32 {
        let backlog = Duration::from_secs(20).saturating_sub(tick * n);
        let acknowledged_bytes = u64::from(n) * 200_000;
        let sample = Sample {
            backlog,
            acknowledged_bytes,
            full: true,
        };
        assert_eq!(steer.sample(start + tick * n, sample), None);
    }
}

/// Much at once after a pause, sent at the pace of catching up, with room in the socket all the while.
#[test]
fn an_encoder_that_falls_behind_is_no_narrow_way() {
    let mut steer = Steer::new(FLOOR, CEILING, AUDIO);
    let start = Instant::now();
    let tick = Duration::from_millis(250);
    for n in 0..80u32 {
        let sample = Sample {
            backlog: tick * (n % 12),
            acknowledged_bytes: u64::from(n) * 50_000,
            full: false,
        };
        assert_eq!(steer.sample(start + tick * n, sample), None);
    }
}

/// Tries that fail make the next one rarer; once the way is wide again, one that holds ends that.
#[test]
fn the_way_back_is_not_longer_for_tries_that_failed() {
    let narrow = 0.6 * f64::from(CEILING + AUDIO);
    for length in [60.0, 150.0, 400.0] {
        let seen = simulate(600, 2, during(20.0..20.0 + length, narrow));
        let back = (20 + length as usize..600).find(|second| seen.bitrates[*second] == CEILING);
        let took = back.map(|second| second as f64 - 20.0 - length);
        assert!(took.is_some_and(|took| took < 85.0), "{length}: {took:?}");
    }
}

#[test]
fn says_why() {
    let mut steer = Steer::new(FLOOR, CEILING, AUDIO);
    let start = Instant::now();
    let advice = (0..40u32).find_map(|n| {
        let at = Duration::from_millis(250) * n;
        let acknowledged_bytes = u64::from(n) * 62_500;
        steer.sample(
            start + at,
            Sample {
                backlog: at / 2,
                acknowledged_bytes,
                full: true,
            },
        )
    });
    let expected = Advice {
        video_kbps: 1572,
        reason: "the way carries 2.0 Mb/s and 1.2 s wait to be sent".into(),
    };
    assert_eq!(advice, Some(expected));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A way that wanders slowly between 40 and 150 % of what the ceiling needs.
    #[test]
    fn a_way_that_wanders_is_followed(
        steps in proptest::collection::vec(-0.03f64..0.03, 600),
        round_trip in 1usize..8,
    ) {
        let mut level = 1.0f64;
        let levels: Vec<f64> = steps
            .iter()
            .map(|step| {
                level = (level + step).clamp(0.4, 1.5);
                level * f64::from(CEILING + AUDIO)
            })
            .collect();
        let seen = simulate(600, round_trip, |at| levels[(at as usize).min(599)]);
        prop_assert!(seen.worst_backlog_s() < 12.0, "{:?}", seen.backlogs_s);
        prop_assert!(seen.lowest() >= FLOOR);
        prop_assert!(seen.carried >= 0.6 * seen.possible, "{} of {}", seen.carried, seen.possible);
    }
}
