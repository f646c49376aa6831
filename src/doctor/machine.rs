//! Measures the machine: clock, kernel, processors, memory, interfaces and disks. Whatever can't be found out is left
//! unknown rather than an error: a doctor that stops at the first missing file helps nobody.

use crate::config::Settings;
use crate::config::environment::meminfo;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

/// How long a helper (timedatectl, chronyc) may take: a D-Bus without an answer waits for 25 s.
const HELPER_PATIENCE: Duration = Duration::from_secs(3);

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Machine {
    pub clock: Clock,
    /// Seconds since 1970 by the wall clock.
    pub unix_s: u64,
    pub kernel: Option<String>,
    pub cpus: usize,
    /// Load averages over 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
    pub memory_bytes: Option<u64>,
    pub memory_available_bytes: Option<u64>,
    pub interfaces: Vec<Interface>,
    pub disks: Vec<Disk>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Clock {
    Synchronised {
        by: &'static str,
        /// By how much the clock is off, where the service tells.
        offset_s: Option<f64>,
    },
    NotSynchronised {
        by: &'static str,
    },
    /// No service that could be asked.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Interface {
    pub name: String,
    /// None: the interface is off, or does not tell.
    pub carrier: Option<bool>,
    pub wireless: bool,
    pub speed_mbps: Option<u32>,
    pub addresses: Vec<IpAddr>,
}

/// What a directory is for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    State,
    /// The recording of this id.
    Recording(String),
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Disk {
    pub path: PathBuf,
    #[serde(rename = "for")]
    pub used_for: Use,
    /// Of the file system that the path, or what there is of it, lies on.
    pub free_bytes: Option<u64>,
    pub size_bytes: Option<u64>,
}

/// Looks at the machine, the state directory, and the directories that `settings` record to.
pub fn measure(settings: Option<&Settings>, state: &Path) -> Machine {
    let read = |path: &str| fs::read_to_string(path).ok();
    let memory = read("/proc/meminfo").unwrap_or_default();
    let mut disks = vec![disk(state, Use::State)];
    for recording in settings.iter().flat_map(|settings| &settings.recordings) {
        disks.push(disk(&recording.path, Use::Recording(recording.id.clone())));
    }
    Machine {
        clock: clock(),
        unix_s: unix_s(),
        kernel: read("/proc/sys/kernel/osrelease").map(|text| text.trim().to_owned()),
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
        load: read("/proc/loadavg").and_then(|text| parse_load(&text)),
        memory_bytes: meminfo(&memory, "MemTotal"),
        memory_available_bytes: meminfo(&memory, "MemAvailable"),
        interfaces: interfaces(),
        disks,
    }
}

/// The wall clock, in seconds since 1970.
pub fn unix_s() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The kernel's own flag is behind adjtimex, which is not safe Rust; timedatectl reads it whatever service keeps the
/// time, and where there is no systemd, chrony can be asked itself. Takes twice `HELPER_PATIENCE` at most.
pub fn clock() -> Clock {
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        return Clock::Synchronised {
            by: "systemd-timesyncd",
            offset_s: None,
        };
    }
    let chrony = run("chronyc", &["-n", "-c", "tracking"]);
    if let Some(clock) = chrony.and_then(|text| parse_chrony(&text)) {
        return clock;
    }
    let arguments = ["show", "--property=NTPSynchronized"];
    match run("timedatectl", &arguments).as_deref().map(str::trim) {
        Some("NTPSynchronized=yes") => Clock::Synchronised {
            by: "the kernel, says timedatectl",
            offset_s: None,
        },
        Some("NTPSynchronized=no") => Clock::NotSynchronised { by: "timedatectl" },
        _ => Clock::Unknown,
    }
}

/// `chronyc -c tracking`: fields by commas; the fifth is the clock's offset in seconds, the last the leap status.
fn parse_chrony(text: &str) -> Option<Clock> {
    let fields: Vec<&str> = text.trim().split(',').collect();
    let (status, offset) = (fields.last()?, fields.get(4)?);
    let offset_s = Some(offset.parse().ok()?);
    Some(match *status {
        "Not synchronised" => Clock::NotSynchronised { by: "chrony" },
        _ => Clock::Synchronised {
            by: "chrony",
            offset_s,
        },
    })
}

/// What a helper prints; None when it is not there, fails, or takes too long.
fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut stdout = child.stdout.take()?;
    let (send, receive) = mpsc::channel();
    // Ends with the child, whose end of the pipe closes at the latest when it is killed below.
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.read_to_string(&mut text);
        let _ = send.send(read.map(|_| text)); // nobody listens any more once the patience is over
    });
    let text = receive.recv_timeout(HELPER_PATIENCE);
    if text.is_err() {
        let _ = child.kill(); // it may have ended just now
    }
    let status = child.wait().ok()?;
    text.ok()?.ok().filter(|_| status.success())
}

fn parse_load(text: &str) -> Option<[f64; 3]> {
    let mut words = text.split_whitespace().map(|word| word.parse().ok());
    Some([words.next()??, words.next()??, words.next()??])
}

/// All interfaces but the loopback.
fn interfaces() -> Vec<Interface> {
    let mut addresses: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
    for entry in nix::ifaddrs::getifaddrs().into_iter().flatten() {
        let list = addresses.entry(entry.interface_name).or_default();
        let address = entry.address.and_then(|address| {
            let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
        });
        list.extend(address);
    }
    addresses
        .into_iter()
        .filter(|(name, _)| name != "lo")
        .map(|(name, addresses)| interface(name, addresses))
        .collect()
}

fn interface(name: String, addresses: Vec<IpAddr>) -> Interface {
    let directory = Path::new("/sys/class/net").join(&name);
    let read = |file: &str| fs::read_to_string(directory.join(file)).ok();
    Interface {
        // Of an interface that is off, the kernel refuses to read it.
        carrier: read("carrier").map(|text| text.trim() == "1"),
        wireless: directory.join("wireless").exists() || directory.join("phy80211").exists(),
        // Virtual interfaces say -1.
        speed_mbps: read("speed").and_then(|text| text.trim().parse().ok()),
        addresses,
        name,
    }
}

fn disk(path: &Path, used_for: Use) -> Disk {
    // The state directory is made at the first start: until then its parent's file system counts.
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = absolute.ancestors().find(|path| path.exists());
    let stat = there.and_then(|path| nix::sys::statvfs::statvfs(path).ok());
    let bytes = |blocks: u64, size: u64| blocks.checked_mul(size);
    Disk {
        path: path.to_owned(),
        used_for,
        free_bytes: stat.and_then(|stat| bytes(stat.blocks_available(), stat.fragment_size())),
        size_bytes: stat.and_then(|stat| bytes(stat.blocks(), stat.fragment_size())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chrony_is_understood() {
        let text = "C0000201,192.0.2.1,3,1700000000.1,0.000012,-0.000003,0.00002,1.5,0.0,0.1,0.01,0.02,64.2,Normal\n";
        let expected = Clock::Synchronised {
            by: "chrony",
            offset_s: Some(0.000_012),
        };
        assert_eq!(parse_chrony(text), Some(expected));
        let text = "00000000,,0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,Not synchronised\n";
        let expected = Clock::NotSynchronised { by: "chrony" };
        assert_eq!(parse_chrony(text), Some(expected));
        assert_eq!(parse_chrony("506 Cannot talk to daemon\n"), None);
    }

    #[test]
    fn helpers_that_fail_say_nothing() {
        assert_eq!(run("true", &[]), Some(String::new()));
        assert_eq!(run("false", &[]), None);
        assert_eq!(run("no-such-helper", &[]), None);
    }

    #[test]
    fn this_machine_can_be_measured() {
        let directory = tempfile::tempdir().unwrap();
        let machine = measure(None, &directory.path().join("state/regia"));
        assert!(machine.kernel.is_some() && machine.load.is_some());
        assert!(machine.memory_available_bytes <= machine.memory_bytes);
        assert!(machine.disks[0].free_bytes.is_some());
        assert!(
            machine
                .interfaces
                .iter()
                .all(|interface| interface.name != "lo")
        );
    }
}
