//! Waiting for a time of a clock. Shell.
//!
//! A timer of the runtime counts in whole milliseconds on CLOCK_MONOTONIC: the wall clock is slewed against that by up to half a
//! millisecond each second, steps, and goes on while the machine sleeps. The kernel's own timers are of the clock that is meant, to the
//! microsecond, and tell of a step.

use crate::session::moment::Moment;
use jiff::Timestamp;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;
use tokio::io::unix::AsyncFd;

struct Fd(TimerFd);

impl AsRawFd for Fd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Rings at a time of its clock, or when that clock is stepped.
pub(super) struct Alarm {
    fd: AsyncFd<Fd>,
    flags: TimerSetTimeFlags,
}

impl Alarm {
    pub fn of_wall_clock() -> io::Result<Self> {
        let flags =
            TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        Alarm::new(ClockId::CLOCK_REALTIME, flags)
    }

    pub fn of_boot_clock() -> io::Result<Self> {
        Alarm::new(
            ClockId::CLOCK_BOOTTIME,
            TimerSetTimeFlags::TFD_TIMER_ABSTIME,
        )
    }

    fn new(clock: ClockId, flags: TimerSetTimeFlags) -> io::Result<Self> {
        let fd = TimerFd::new(clock, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "what comes instead is unsafe, for the sake of types whose descriptor changes; a timer's does not"
        )]
        let fd = AsyncFd::new(Fd(fd))?;
        Ok(Alarm { fd, flags })
    }

    pub fn set_wall(&self, at: Timestamp) -> io::Result<()> {
        let since = u64::try_from(at.as_microsecond()).unwrap_or(0);
        self.set(Duration::from_micros(since))
    }

    pub fn set_boot(&self, at: Moment) -> io::Result<()> {
        self.set(Duration::from_micros(u64::try_from(at.0).unwrap_or(0)))
    }

    /// What is past rings at once.
    fn set(&self, since: Duration) -> io::Result<()> {
        // Zero would switch it off.
        let at = TimeSpec::from(since.max(Duration::from_nanos(1)));
        let expiration = Expiration::OneShot(at);
        Ok(self.fd.get_ref().0.set(expiration, self.flags)?)
    }

    pub fn clear(&self) -> io::Result<()> {
        Ok(self.fd.get_ref().0.unset()?)
    }

    /// Returns when it rings; whoever waits looks at the clock then. Safe to be dropped half-way.
    pub async fn rings(&self) {
        loop {
            let Ok(mut ready) = self.fd.readable().await else {
                return std::future::pending().await;
            };
            ready.clear_ready();
            // A step is told by ECANCELED, which counts as ringing.
            if self.fd.get_ref().0.wait().is_ok() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::clock;

    #[tokio::test]
    async fn rings_at_its_time() {
        let wall = Alarm::of_wall_clock().unwrap();
        let boot = Alarm::of_boot_clock().unwrap();
        let began = clock::moment();
        boot.set_boot(began + Duration::from_millis(80)).unwrap();
        let due = Timestamp::now() + jiff::SignedDuration::from_millis(40);
        wall.set_wall(due).unwrap();
        tokio::select! {
            () = wall.rings() => assert!(Timestamp::now() >= due),
            () = boot.rings() => panic!("the later one rang first"),
        }
        boot.rings().await;
        assert!(clock::moment().since(began) >= Duration::from_millis(80));
        // What is past rings at once, and what was cleared never.
        wall.set_wall(Timestamp::UNIX_EPOCH).unwrap();
        wall.rings().await;
        wall.set_wall(Timestamp::now()).unwrap();
        wall.clear().unwrap();
        boot.set_boot(clock::moment() + Duration::from_millis(20))
            .unwrap();
        tokio::select! {
            () = wall.rings() => panic!("it was cleared"),
            () = boot.rings() => {}
        }
    }
}
