//! The state word: what a session is, from what its destinations are. Pure.

use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum State {
    /// The engine runs, nothing is published.
    #[serde(rename = "STANDBY")]
    Standby,
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
    /// Stopped, and what is left is being delivered.
    #[serde(rename = "ENDING")]
    Ending,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            State::Standby => "STANDBY",
            State::Connecting => "CONNECTING",
            State::OnAir => "ON AIR",
            State::Degraded => "ON AIR, DEGRADED",
            State::BackupUplink => "ON AIR, BACKUP UPLINK",
            State::Ending => "ENDING",
        })
    }
}

/// One destination, as far as the state word needs it.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    pub on_air: bool,
    pub preferred_uplink: bool,
}

/// The state of a session with these destinations. `was_on_air`: any of them has been, in this session.
pub fn state(started: bool, ending: bool, was_on_air: bool, deliveries: &[Delivery]) -> State {
    let all_on_air = deliveries.iter().all(|d| d.on_air);
    match (started, ending) {
        (false, _) => State::Standby,
        (true, true) => State::Ending,
        (true, false) if !was_on_air => State::Connecting,
        (true, false) if !all_on_air => State::Degraded,
        (true, false) if deliveries.iter().any(|d| !d.preferred_uplink) => State::BackupUplink,
        (true, false) => State::OnAir,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let good = Delivery {
            on_air: true,
            preferred_uplink: true,
        };
        let lost = Delivery {
            on_air: false,
            preferred_uplink: true,
        };
        let backup = Delivery {
            on_air: true,
            preferred_uplink: false,
        };
        let cases = [
            (false, false, false, vec![], "STANDBY"),
            (true, false, false, vec![lost], "CONNECTING"),
            (true, false, true, vec![good, good], "ON AIR"),
            (true, false, true, vec![good, lost], "ON AIR, DEGRADED"),
            (true, false, true, vec![lost], "ON AIR, DEGRADED"),
            (
                true,
                false,
                true,
                vec![good, backup],
                "ON AIR, BACKUP UPLINK",
            ),
            (true, true, true, vec![lost], "ENDING"),
        ];
        for (started, ending, was, deliveries, word) in cases {
            assert_eq!(state(started, ending, was, &deliveries).to_string(), word);
        }
    }
}
