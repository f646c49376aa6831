//! What `GetStats` says of the machine. Shell.

use std::path::Path;
use std::time::Instant;

/// Of the kernel's clock in /proc, on every Linux that Regia runs on.
const TICKS_PER_S: f64 = 100.0;
const PAGE: f64 = 4_096.0;
const MEGABYTE: f64 = 1_000_000.0;

/// Of this process; the engine is another one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vitals {
    /// Of all cores, since the last look.
    pub cpu_percent: f64,
    pub memory_mb: f64,
    pub free_mb: f64,
}

/// When it was looked last, and how many ticks had been used then.
pub type Before = Option<(Instant, f64)>;

/// What can't be read is 0, as OBS says it.
pub fn look(disk: &Path, before: &mut Before, now: Instant) -> Vitals {
    let ticks = std::fs::read_to_string("/proc/self/stat").ok();
    let ticks = ticks.and_then(|text| used_ticks(&text)).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
    let cpu_percent = before.map_or(0.0, |(at, used)| {
        let passed = now.saturating_duration_since(at).as_secs_f64().max(0.001);
        (ticks - used).max(0.0) / TICKS_PER_S / passed / cores * 100.0
    });
    *before = Some((now, ticks));
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').nth(1)?.parse::<f64>().ok());
    let free = nix::sys::statvfs::statvfs(disk).ok();
    let free = free.map(|stat| stat.blocks_available() as f64 * stat.fragment_size() as f64);
    Vitals {
        cpu_percent,
        memory_mb: pages.unwrap_or_default() * PAGE / MEGABYTE,
        free_mb: free.unwrap_or_default() / MEGABYTE,
    }
}

/// User's and system's. The program's name, in brackets, may have anything in it.
fn used_ticks(stat: &str) -> Option<f64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_read_behind_any_name() {
        let stat = "1 (a ) b) S 0 1 1 0 -1 4194560 100 200 3 4 250 50 0 0 20 0 9 0 5 6 7";
        assert_eq!(used_ticks(stat), Some(300.0));
        assert_eq!(used_ticks("nonsense"), None);
    }

    #[test]
    fn this_machine_has_memory_and_a_disk() {
        let mut before = None;
        let vitals = look(Path::new("/"), &mut before, Instant::now());
        assert!(vitals.memory_mb > 1.0 && vitals.free_mb > 0.0, "{vitals:?}");
        assert!(before.is_some());
    }
}
