//! What a process and all its descendants cost: CPU time and memory, from /proc (proc(5)).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// User and system time, with that of children already waited for.
    pub cpu: Duration,
    /// Resident memory in bytes, pages shared by several processes counted in each.
    pub rss: u64,
    /// Proportional share in bytes: a page shared by n processes counts 1/n in each.
    pub pss: u64,
    /// The sum of each process's own peak of resident memory, in bytes.
    pub rss_peak: u64,
}

struct Stat {
    parent: u32,
    ticks: u64,
    waited_ticks: u64,
}

/// The command name stands in brackets and may hold anything, so fields are counted from its last closing bracket.
fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split(' ').collect();
    let number = |nth: usize| fields.get(nth)?.parse::<u64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        ticks: number(11)? + number(12)?,
        waited_ticks: number(13)? + number(14)?,
    })
}

/// `root` and all its descendants that live now.
pub fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|s| s.parse().ok());
        if let Some((pid, stat)) = pid.and_then(|pid: u32| Some((pid, stat(pid)?))) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut at = 0;
    while let Some(&pid) = found.get(at) {
        found.extend(children.remove(&pid).unwrap_or_default());
        at += 1;
    }
    found
}

/// The value of a `Name:   123 kB` line, in bytes.
fn kilobytes(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

/// The cost of one process; zero when it is gone.
pub fn of(pid: u32) -> Usage {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}"));
    let status = read("status").unwrap_or_default();
    let rollup = read("smaps_rollup").unwrap_or_default();
    Usage {
        cpu: stat(pid).map_or(Duration::ZERO, |s| ticks(s.ticks + s.waited_ticks)),
        rss: kilobytes(&status, "VmRSS"),
        pss: kilobytes(&rollup, "Pss"),
        rss_peak: kilobytes(&status, "VmHWM"),
    }
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * 1000 / rustix::param::clock_ticks_per_second())
}

/// The cost of `root` with all its descendants.
pub fn of_tree(root: u32) -> Usage {
    tree(root)
        .into_iter()
        .map(of)
        .fold(Usage::default(), |sum, one| Usage {
            cpu: sum.cpu + one.cpu,
            rss: sum.rss + one.rss,
            pss: sum.pss + one.pss,
            rss_peak: sum.rss_peak + one.rss_peak,
        })
}

/// Watches the tree of `root` from another thread, for the peak of its proportional memory.
pub struct Meter {
    root: u32,
    started: Instant,
    cpu_before: Duration,
    peak: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// CPU seconds for each second of the measurement.
    pub cores: f64,
    /// Bytes, proportional.
    pub peak_pss: u64,
}

impl Meter {
    pub fn start(root: u32) -> Self {
        let peak = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (peak, stop) = (Arc::clone(&peak), Arc::clone(&stop));
            move || {
                // Reading smaps_rollup walks the process's page tables: seldom enough to cost nothing.
                while !stop.load(Ordering::Relaxed) {
                    peak.fetch_max(of_tree(root).pss, Ordering::Relaxed);
                    std::thread::park_timeout(Duration::from_millis(250));
                }
            }
        });
        Meter {
            root,
            started: Instant::now(),
            cpu_before: of_tree(root).cpu,
            peak,
            stop,
            thread: Some(thread),
        }
    }

    /// Call while the processes still run: the cost of one that has ended unwaited is gone.
    pub fn finish(mut self) -> Reading {
        let spent = of_tree(self.root).cpu.saturating_sub(self.cpu_before);
        let cores = spent.as_secs_f64() / self.started.elapsed().as_secs_f64();
        self.halt();
        Reading {
            cores,
            peak_pss: self.peak.load(Ordering::Relaxed),
        }
    }

    fn halt(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.halt();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Launch;

    #[test]
    fn a_busy_tree_costs_a_core_and_an_idle_one_nothing() {
        let busy = Launch::new("sh")
            .args(["-c", "(while :; do :; done) & wait"])
            .spawn();
        let idle = Launch::new("sleep").arg("60").spawn();
        let meters = [Meter::start(busy.pid()), Meter::start(idle.pid())];
        std::thread::sleep(Duration::from_secs(2));
        let [busy, idle] = meters.map(Meter::finish);
        // It takes what it gets: a tenth of a core beside a dozen others on two.
        assert!(busy.cores > 0.04, "{busy:?}");
        assert!(idle.cores < 0.02, "{idle:?}");
        assert!(
            idle.peak_pss > 50_000 && idle.peak_pss < 50_000_000,
            "{idle:?}"
        );
    }
}
