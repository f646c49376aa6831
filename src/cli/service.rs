//! What systemd is told: that the daemon is ready, how it stands, that it ends, and, as long as that is true, that it makes
//! progress. Shell, but for `Pulse`. Without systemd every word of it goes nowhere.

use crate::session::{SessionHandle, Status};
use sd_notify::NotifyState;
use std::time::{Duration, Instant};
use tracing::{debug, warn};

/// On air, an engine may be dead for so long before it is the daemon that looks stuck: its supervisor tries a new one within
/// seconds, and gives each fifteen to find its devices.
const WITHOUT_UNITS: Duration = Duration::from_secs(45);
/// The share of systemd's patience after which it is fed again.
const FED_EACH: u32 = 4;

/// The API answers, and the engine is starting.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// What is left is being delivered.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Feeds the watchdog with each tick of the session's actor, while units come, and shows the state word in
/// `systemctl status`. Ends with the session.
pub async fn attend(session: SessionHandle) {
    let mut statuses = session.statuses();
    let each = sd_notify::watchdog_enabled().map(|patience| patience / FED_EACH);
    let mut pulse = Pulse::new(Instant::now());
    let (mut fed, mut shown) = (None::<Instant>, None);
    // The actor renews its status with every tick.
    while statuses.changed().await.is_ok() {
        let status = statuses.borrow_and_update().clone();
        let now = Instant::now();
        if shown != Some(status.state) {
            shown = Some(status.state);
            tell(&[NotifyState::Status(&status.state.to_string())]);
        }
        let due = each.is_some_and(|each| fed.is_none_or(|at| now.duration_since(at) >= each));
        if pulse.beats(now, &status) && due {
            fed = Some(now);
            tell(&[NotifyState::Watchdog]);
        }
    }
}

fn tell(words: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(words) {
        debug!(%error, "systemd could not be told");
    }
}

/// Whether the daemon does what it is there for. Pure: the time comes in.
struct Pulse {
    units: u64,
    moved: Instant,
    told: bool,
}

impl Pulse {
    fn new(now: Instant) -> Self {
        Pulse {
            units: 0,
            moved: now,
            told: false,
        }
    }

    fn beats(&mut self, now: Instant, status: &Status) -> bool {
        self.look(now, status.units, status.state.is_idle())
    }

    fn look(&mut self, now: Instant, units: u64, idle: bool) -> bool {
        if units != self.units || idle {
            self.units = units;
            self.moved = now;
            self.told = false;
        }
        let beats = now.duration_since(self.moved) < WITHOUT_UNITS;
        if !beats && !std::mem::replace(&mut self.told, true) {
            warn!("on air, and no engine gives pictures: the watchdog is not fed any more");
        }
        beats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_beats_while_units_come_or_none_are_owed() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut pulse = Pulse::new(start);
        assert!(
            pulse.look(after(100), 0, true),
            "nothing is owed in standby"
        );
        assert!(pulse.look(after(101), 1, false));
        assert!(
            pulse.look(after(145), 1, false),
            "an engine is started again"
        );
        assert!(!pulse.look(after(146), 1, false));
        assert!(pulse.look(after(147), 2, false));
        assert!(!pulse.look(after(300), 2, false));
        assert!(pulse.look(after(301), 2, true));
    }
}
