//! The state word: what a session is, from what its destinations are; and which word may follow which. Pure.

use serde::Serialize;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, utoipa::ToSchema)]
pub enum State {
    /// No picture comes from the engine, and nothing is published.
    #[serde(rename = "OFF")]
    Off,
    /// The engine runs, nothing is published.
    #[serde(rename = "STANDBY")]
    Standby,
    /// On air on rehearsal ingests only: nobody watches.
    #[serde(rename = "REHEARSAL")]
    Rehearsal,
    /// Started, and no destination has been on air yet.
    #[serde(rename = "CONNECTING")]
    Connecting,
    #[serde(rename = "ON AIR")]
    OnAir,
    /// On air, and some destination isn't.
    #[serde(rename = "ON AIR, DEGRADED")]
    Degraded,
    /// On air everywhere, somewhere by another uplink than the preferred one.
    #[serde(rename = "ON AIR, BACKUP UPLINK")]
    BackupUplink,
    /// On air, and the audience sees the slate instead of the programme.
    #[serde(rename = "SLATE")]
    Slate,
    /// Stopped, and what is left is being delivered.
    #[serde(rename = "ENDING")]
    Ending,
    /// The broadcast is over.
    #[serde(rename = "ENDED")]
    Ended,
}

/// How long ENDED stands, if nothing is started: long enough to be read.
pub const ENDED_SHOWN: Duration = Duration::from_secs(60);

/// Every word and those that may follow it. ARCHITECTURE.md shows this table, and a test compares the two.
pub const TRANSITIONS: [(State, &[State]); 10] = {
    use State::*;
    [
        (Off, &[Standby, Connecting]),
        (Standby, &[Off, Connecting]),
        (
            Connecting,
            &[
                Rehearsal,
                OnAir,
                Degraded,
                BackupUplink,
                Slate,
                Ending,
                Ended,
            ],
        ),
        (
            Rehearsal,
            &[Slate, OnAir, Degraded, BackupUplink, Ending, Ended],
        ),
        (
            OnAir,
            &[Degraded, BackupUplink, Slate, Rehearsal, Ending, Ended],
        ),
        (
            Degraded,
            &[OnAir, BackupUplink, Slate, Rehearsal, Ending, Ended],
        ),
        (
            BackupUplink,
            &[OnAir, Degraded, Slate, Rehearsal, Ending, Ended],
        ),
        (
            Slate,
            &[OnAir, Degraded, BackupUplink, Rehearsal, Ending, Ended],
        ),
        (Ending, &[Ended, Connecting]),
        (Ended, &[Standby, Off, Connecting]),
    ]
};

impl State {
    pub fn word(self) -> &'static str {
        match self {
            State::Off => "OFF",
            State::Standby => "STANDBY",
            State::Rehearsal => "REHEARSAL",
            State::Connecting => "CONNECTING",
            State::OnAir => "ON AIR",
            State::Degraded => "ON AIR, DEGRADED",
            State::BackupUplink => "ON AIR, BACKUP UPLINK",
            State::Slate => "SLATE",
            State::Ending => "ENDING",
            State::Ended => "ENDED",
        }
    }

    pub fn may_become(self, next: State) -> bool {
        self == next
            || TRANSITIONS
                .iter()
                .any(|(from, to)| *from == self && to.contains(&next))
    }

    /// Whether an ingest takes the programme.
    pub fn is_on_air(self) -> bool {
        matches!(
            self,
            State::Rehearsal | State::OnAir | State::Degraded | State::BackupUplink | State::Slate
        )
    }

    /// Whether nothing is published, nor about to be.
    pub fn is_idle(self) -> bool {
        matches!(self, State::Off | State::Standby | State::Ended)
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// One destination, as far as the state word needs it.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    pub on_air: bool,
    pub preferred_uplink: bool,
    pub rehearsal: bool,
}

/// What the word follows from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'a> {
    /// The engine gives pictures.
    pub engine: bool,
    pub started: bool,
    pub ending: bool,
    /// Any destination has been on air in this session.
    pub was_on_air: bool,
    /// The audience sees the slate.
    pub slate: bool,
    /// A session ended less than `ENDED_SHOWN` ago.
    pub just_ended: bool,
    pub deliveries: &'a [Delivery],
}

pub fn state(facts: &Facts<'_>) -> State {
    let deliveries = facts.deliveries;
    match facts {
        Facts {
            started: false,
            just_ended: true,
            ..
        } => State::Ended,
        Facts {
            started: false,
            engine: true,
            ..
        } => State::Standby,
        Facts { started: false, .. } => State::Off,
        Facts { ending: true, .. } => State::Ending,
        Facts {
            was_on_air: false, ..
        } => State::Connecting,
        Facts { slate: true, .. } => State::Slate,
        _ if deliveries.iter().all(|d| d.rehearsal) => State::Rehearsal,
        _ if !deliveries.iter().all(|d| d.on_air) => State::Degraded,
        _ if deliveries.iter().any(|d| !d.preferred_uplink) => State::BackupUplink,
        _ => State::OnAir,
    }
}

/// What is known of a destination's way to its audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Reach {
    /// We write.
    pub sent: bool,
    /// The peer acknowledges what we write.
    pub accepted: bool,
    /// The audience sees it: only a platform's own API can say so.
    pub public: Public,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Public {
    Unknown,
}

impl Reach {
    /// From a destination's state word.
    pub fn of(state: &str) -> Reach {
        Reach {
            sent: matches!(state, "on_air" | "stalled"),
            accepted: state == "on_air",
            public: Public::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: Delivery = Delivery {
        on_air: true,
        preferred_uplink: true,
        rehearsal: false,
    };
    const LOST: Delivery = Delivery {
        on_air: false,
        ..GOOD
    };
    const BACKUP: Delivery = Delivery {
        preferred_uplink: false,
        ..GOOD
    };
    const REHEARSAL: Delivery = Delivery {
        rehearsal: true,
        ..GOOD
    };

    #[test]
    fn words() {
        let idle = Facts {
            engine: true,
            ..Facts::default()
        };
        let live = |deliveries| Facts {
            started: true,
            was_on_air: true,
            deliveries,
            ..idle
        };
        let cases = [
            (Facts::default(), "OFF"),
            (idle, "STANDBY"),
            (
                Facts {
                    just_ended: true,
                    ..idle
                },
                "ENDED",
            ),
            (
                Facts {
                    was_on_air: false,
                    ..live(&[LOST])
                },
                "CONNECTING",
            ),
            (live(&[GOOD, GOOD]), "ON AIR"),
            (live(&[GOOD, LOST]), "ON AIR, DEGRADED"),
            (live(&[LOST]), "ON AIR, DEGRADED"),
            (live(&[GOOD, BACKUP]), "ON AIR, BACKUP UPLINK"),
            (live(&[REHEARSAL, GOOD]), "ON AIR"),
            (live(&[REHEARSAL]), "REHEARSAL"),
            (
                Facts {
                    slate: true,
                    ..live(&[GOOD, LOST])
                },
                "SLATE",
            ),
            (
                Facts {
                    ending: true,
                    slate: true,
                    ..live(&[LOST])
                },
                "ENDING",
            ),
        ];
        for (facts, word) in cases {
            assert_eq!(state(&facts).to_string(), word, "{facts:?}");
        }
    }

    #[test]
    fn architecture_shows_the_same_table() {
        let text = include_str!("../../ARCHITECTURE.md");
        let rows: Vec<(&str, Vec<&str>)> = text
            .lines()
            .filter_map(|line| {
                line.strip_prefix("| ")?
                    .strip_suffix(" |")?
                    .split_once(" | ")
            })
            .filter(|(from, _)| TRANSITIONS.iter().any(|(state, _)| state.word() == *from))
            .map(|(from, to)| (from, to.split(" · ").collect()))
            .collect();
        let expected: Vec<(&str, Vec<&str>)> = TRANSITIONS
            .iter()
            .map(|(from, to)| (from.word(), to.iter().map(|state| state.word()).collect()))
            .collect();
        assert_eq!(rows, expected);
    }

    /// One fact that may change at a time, as they do.
    #[derive(Clone, Copy, Debug)]
    enum Change {
        Engine(bool),
        Start,
        OnAir(usize, bool),
        Slate(bool),
        Ending,
        End,
        Forget,
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            any::<bool>().prop_map(Change::Engine),
            Just(Change::Start),
            (0usize..3, any::<bool>()).prop_map(|(n, on)| Change::OnAir(n, on)),
            any::<bool>().prop_map(Change::Slate),
            Just(Change::Ending),
            Just(Change::End),
            Just(Change::Forget),
        ]
    }

    proptest! {
        #[test]
        fn only_known_transitions_are_made(changes in proptest::collection::vec(change(), 1..60)) {
            let mut deliveries = vec![LOST, REHEARSAL, BACKUP];
            let mut facts = Facts::default();
            let mut word = State::Off;
            for change in changes {
                match change {
                    Change::Engine(on) => facts.engine = on,
                    Change::Start if !facts.started => {
                        deliveries.iter_mut().for_each(|d| d.on_air = false);
                        facts = Facts { started: true, engine: facts.engine, ..Facts::default() };
                    }
                    Change::OnAir(n, on) => {
                        deliveries[n].on_air = on;
                        facts.was_on_air |= on && facts.started;
                    }
                    Change::Slate(on) if facts.started => facts.slate = on,
                    Change::Ending if facts.started => facts.ending = true,
                    Change::End if facts.started => {
                        facts = Facts { just_ended: true, engine: facts.engine, ..Facts::default() };
                    }
                    Change::Forget => facts.just_ended = false,
                    _ => {}
                }
                let next = state(&Facts { deliveries: &deliveries, ..facts });
                prop_assert!(word.may_become(next), "{word} → {next}");
                word = next;
            }
        }
    }
}
