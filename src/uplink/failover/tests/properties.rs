//! Whatever happens, in whatever order.

use super::super::{Failure, Input, Path};
use super::world::{Event, Ghosts, Mode, World};
use proptest::prelude::*;
use std::time::Duration;

const HEALED_WITHIN: Duration = Duration::from_secs(45);

fn paths() -> impl Strategy<Value = Vec<Path>> {
    let path = |(uplink, ingest, metered)| Path {
        uplink,
        ingest,
        metered,
    };
    let one = (proptest::option::of(0usize..2), 0usize..2, any::<bool>()).prop_map(path);
    proptest::collection::vec(one, 1..=4)
}

fn ghosts() -> impl Strategy<Value = Ghosts> {
    prop_oneof![
        Just(Ghosts::TakeOver),
        (1u64..20).prop_map(|s| Ghosts::Hold(Duration::from_secs(s))),
        (1u64..20).prop_map(|s| Ghosts::HoldAlways(Duration::from_secs(s))),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let mode = prop_oneof![
        3 => Just(Mode::Well),
        1 => Just(Mode::Down),
        1 => Just(Mode::Dark),
        1 => Just(Mode::Deaf),
        1 => Just(Mode::Mute),
        1 => Just(Mode::Busy),
        1 => Just(Mode::Rude),
        1 => Just(Mode::Final),
        1 => Just(Mode::Impatient),
        1 => Just(Mode::Tidy),
    ];
    prop_oneof![
        2 => (0usize..2).prop_map(Event::Dark),
        2 => (0usize..2).prop_map(Event::Lit),
        3 => (0usize..2, any::<bool>()).prop_map(|(uplink, up)| Event::Carrier(uplink, up)),
        5 => (0usize..2, mode).prop_map(|(ingest, mode)| Event::Ingest(ingest, mode)),
        1 => (0usize..2).prop_map(Event::Reset),
        1 => (0usize..4).prop_map(Event::Move),
        1 => (2usize..4).prop_map(Event::MoveToNew),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The world's own judge watches every action meanwhile: no busy loop, no double publish, no drop of what carries,
    /// a bounded number of connections.
    #[test]
    fn comes_back_whatever_happened(
        paths in paths(),
        round_trip in prop_oneof![Just(2u64), Just(30), Just(300)],
        ghosts in ghosts(),
        events in proptest::collection::vec((event(), 0u64..8000), 0..25),
    ) {
        let mut world = World::new(&paths, Duration::from_millis(round_trip), ghosts);
        for (event, wait) in events {
            world.happen(event);
            world.run(Duration::from_millis(wait));
        }
        for n in 0..2 {
            world.happen(Event::Lit(n));
            world.happen(Event::Carrier(n, true));
        }
        for n in 0..4 {
            world.happen(Event::Ingest(n, Mode::Well));
        }
        let healed = world.elapsed();
        let moving_for = Duration::from_secs(2);
        let mut since = None;
        while since.is_none_or(|since| world.elapsed() - since < moving_for) {
            world.step();
            since = since.filter(|_| world.is_moving()).or(world.is_moving().then_some(world.elapsed()));
            let took = world.elapsed() - healed;
            prop_assert!(took < HEALED_WITHIN + moving_for, "not on air {took:?} after all was well; {:?}", world.asked);
        }
        // FINAL_RETRY is the one wait that is longer.
        prop_assert!(world.longest_idle <= Duration::from_secs(16), "{:?}", world.longest_idle);
        prop_assert!(world.most_in_a_minute(Duration::ZERO) <= 9, "{:?}", world.accepted);
    }

    /// Without a server that says no for good, no path that is up is left alone for more than three seconds.
    #[test]
    fn never_idle_while_a_path_is_up(
        paths in paths(),
        ghosts in ghosts(),
        events in proptest::collection::vec((event(), 0u64..8000), 0..25),
    ) {
        let mut world = World::new(&paths, Duration::from_millis(30), ghosts);
        for (event, wait) in events {
            if !matches!(event, Event::Ingest(_, Mode::Final)) {
                world.happen(event);
                world.run(Duration::from_millis(wait));
            }
        }
        prop_assert!(world.longest_idle <= Duration::from_secs(3), "{:?}", world.longest_idle);
    }

    /// Inputs that make no sense, in any order: no panic, no busy loop, a bounded table.
    #[test]
    fn survives_nonsense(
        paths in paths(),
        inputs in proptest::collection::vec((0u8..8, 0u64..40, 0u64..5, 0u64..3000, any::<bool>()), 0..300),
    ) {
        let start = std::time::Instant::now();
        let mut now = start;
        let mut failover = super::super::Failover::new(now, paths.clone(), Duration::from_secs(30));
        let mut open = std::collections::BTreeSet::new();
        for (kind, connection, other, wait, flag) in inputs {
            now += Duration::from_millis(wait);
            let failures = [Failure::Refused, Failure::NoAnswer, Failure::Closed, Failure::Busy, Failure::Final];
            let failure = failures[other as usize % failures.len()];
            let input = match kind {
                0 => Input::Carrier { uplink: other as usize, up: flag },
                1 => Input::Connected(connection),
                2 => Input::Published(connection),
                3 => Input::Stalled { connection, since: now - Duration::from_millis(wait) },
                4 => Input::Progressed(connection),
                5 => Input::Closed { connection, failure },
                6 => Input::MoveRequested(other as usize),
                _ => Input::Timeout,
            };
            if let Input::Closed { connection, .. } = input {
                open.remove(&connection);
            }
            failover.handle(now, input);
            while let Some(action) = failover.poll_action() {
                match action {
                    super::super::Action::Dial { connection, .. } => prop_assert!(open.insert(connection)),
                    super::super::Action::Publish(id) => prop_assert!(open.contains(&id)),
                    super::super::Action::Drop(id) => prop_assert!(open.remove(&id)),
                }
            }
            prop_assert!(open.len() <= paths.len() * 18, "{} connections", open.len());
            failover.handle(now, Input::Timeout);
            prop_assert_eq!(failover.poll_action(), None);
            prop_assert!(failover.poll_timeout().is_none_or(|at| at > now));
        }
    }
}
