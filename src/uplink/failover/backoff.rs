//! How long to wait after which failure. Pure. Each is a function of how often it failed in a row, from 1.

use super::Failure;
use std::time::Duration;

/// After a refusal that will not change by itself (wrong key).
pub const FINAL_RETRY: Duration = Duration::from_secs(15);
/// After BadName, or no answer, the same ingest is asked again this much later.
pub const GHOST_RETRY: Duration = Duration::from_secs(1);
/// Refusals in a row after which an ingest is no longer asked each second: nobody holds a dead session for that long, so
/// somebody else is live on this key.
const GHOSTS_MAX: u32 = 180;
const BUSY_RETRY: Duration = Duration::from_secs(5);

/// Of a dial, while the programme waits: 50, 100 and then every 150 ms for some ten seconds, since a server that restarts is back
/// within them and a refusal costs one packet each way; then doubling to 3 s.
pub fn after_refusal(failures: u32) -> Duration {
    Duration::from_millis(match failures {
        0 | 1 => 50,
        2 => 100,
        3..=66 => 150,
        more => (150u64 << (more - 66).min(5)).min(3000),
    })
}

/// Of a standby, while the programme is on air elsewhere: half a second, doubling to 15 s. A backup may be down for
/// hours, and a handshake in TLS is some 8 kB, which a metered uplink pays for.
pub fn after_lost_standby(failures: u32) -> Duration {
    let half_seconds = 1u64 << (failures.saturating_sub(1)).min(5);
    Duration::from_millis((half_seconds * 500).min(15_000))
}

/// Of a publish. An ingest that closes instead of answering may mean a wrong key, and must not see us five times a second.
pub fn after_publish(failure: Failure, refusals: u32) -> Duration {
    match failure {
        Failure::Final => FINAL_RETRY,
        Failure::Busy | Failure::NoAnswer if refusals <= GHOSTS_MAX => GHOST_RETRY,
        Failure::Busy | Failure::NoAnswer => BUSY_RETRY,
        Failure::Closed | Failure::Refused => {
            Duration::from_secs(1 << (refusals.saturating_sub(1)).min(3)).min(BUSY_RETRY)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_bounds_and_no_further() {
        let ms = |wait: Duration| wait.as_millis();
        let refused: Vec<u128> = [1, 2, 3, 66, 67, 68, 71, 72, u32::MAX]
            .map(|n| ms(after_refusal(n)))
            .into();
        assert_eq!(refused, [50, 100, 150, 150, 300, 600, 3000, 3000, 3000]);
        let standby: Vec<u128> = [1, 2, 5, 6, u32::MAX]
            .map(|n| ms(after_lost_standby(n)))
            .into();
        assert_eq!(standby, [500, 1000, 8000, 15_000, 15_000]);
        let closed: Vec<u128> = [1, 2, 3, 4, u32::MAX]
            .map(|n| ms(after_publish(Failure::Closed, n)))
            .into();
        assert_eq!(closed, [1000, 2000, 4000, 5000, 5000]);
        assert_eq!(ms(after_publish(Failure::Busy, 180)), 1000);
        assert_eq!(ms(after_publish(Failure::Busy, 181)), 5000);
    }
}
