//! Looks at the box: its disks, processors, power and temperature. Shell.

use super::measured::{Disk, Load, Power, Temperature};
use crate::config::Settings;
use crate::media::FrameRate;
use crate::session::SessionHandle;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Linux counts a process's time in hundredths of a second wherever Regia runs (USER_HZ; proc(5)).
const TICKS_PER_S: f64 = 100.0;
/// How long the engine is looked at.
const LOOKED_AT_FOR: Duration = Duration::from_secs(3);
const SUPPLIES: &str = "/sys/class/power_supply";
const ZONES: &str = "/sys/class/thermal";
/// What sensors that are not connected say lies outside.
const PLAUSIBLE_C: std::ops::Range<f64> = 1.0..150.0;

/// The state directory, and where recordings go.
pub fn disks(settings: &Settings, state: &Path) -> Vec<Disk> {
    let recordings = settings.recordings.iter();
    std::iter::once(disk(None, state))
        .chain(recordings.map(|recording| disk(Some(&recording.id), &recording.path)))
        .collect()
}

fn disk(recording: Option<&String>, path: &Path) -> Disk {
    let stat = nix::sys::statvfs::statvfs(path).ok();
    Disk {
        recording: recording.cloned(),
        path: path.to_owned(),
        device: fs::metadata(path).ok().map(|metadata| metadata.dev()),
        free_bytes: stat.and_then(|stat| stat.blocks_available().checked_mul(stat.fragment_size())),
        unwritable: try_to_write(path).err(),
    }
}

/// Only writing tells: permissions, a full disk and a read-only file system all look different beforehand.
fn try_to_write(path: &Path) -> Result<(), String> {
    use std::io::Write;
    tempfile::tempfile_in(path)
        .and_then(|mut file| {
            file.write_all(&[0; 4096])?;
            file.sync_all()
        })
        .map_err(|error| error.to_string())
}

/// Watches the engine for some seconds.
pub async fn load(session: &SessionHandle, fps: FrameRate) -> Load {
    let look = || {
        let status = session.status();
        let engine = status.engine_pid.and_then(engine_s);
        (
            status.engine_pid,
            engine,
            processors(),
            status.dropped_frames,
        )
    };
    let began = Instant::now();
    let before = look();
    tokio::time::sleep(LOOKED_AT_FOR).await;
    let after = look();
    let lasted_s = began.elapsed().as_secs_f64();
    let engine_s = before.1.zip(after.1).map(|(before, after)| after - before);
    let busy = before.2.zip(after.2).and_then(|(before, after)| {
        let all = after.1.checked_sub(before.1).filter(|ticks| *ticks > 0)?;
        Some(after.0.saturating_sub(before.0) as f64 / all as f64)
    });
    Load {
        lasted_s,
        cpus: std::thread::available_parallelism().map_or(1, usize::from),
        engine_cpus: engine_s
            .filter(|_| before.0 == after.0)
            .map(|seconds| seconds / lasted_s),
        busy,
        frames: (lasted_s * fps.as_f64()) as u64,
        dropped: after.3.saturating_sub(before.3),
    }
}

/// Processor time that a process has used, seconds.
fn engine_s(pid: u32) -> Option<f64> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// utime and stime are fields 14 and 15, counted from the process's number; its name may hold anything.
fn parse_stat(text: &str) -> Option<f64> {
    let (_, behind_name) = text.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 / TICKS_PER_S)
}

/// Ticks that all processors together were busy, and in all.
fn processors() -> Option<(u64, u64)> {
    parse_processors(&fs::read_to_string("/proc/stat").ok()?)
}

/// user nice system idle iowait irq softirq steal; guests' time is in user's already.
fn parse_processors(text: &str) -> Option<(u64, u64)> {
    let mut words = text.lines().next()?.split_whitespace();
    if words.next()? != "cpu" {
        return None;
    }
    let ticks: Vec<u64> = words.take(8).filter_map(|word| word.parse().ok()).collect();
    let idle = ticks.get(3)? + ticks.get(4)?;
    let all: u64 = ticks.iter().sum();
    Some((all - idle, all))
}

pub fn power() -> Power {
    power_of(Path::new(SUPPLIES))
}

fn power_of(supplies: &Path) -> Power {
    let mut power = Power::default();
    for supply in entries(supplies) {
        let read = |name: &str| text(&supply.join(name));
        // A keyboard's battery says so.
        if read("scope").as_deref() == Some("Device") {
            continue;
        }
        match read("type").as_deref() {
            Some("Battery") => {
                let percent = read("capacity").and_then(|text| text.parse().ok());
                power.battery_percent = match (power.battery_percent, percent) {
                    (Some(before), Some(this)) => Some(before.min(this)),
                    (before, this) => before.or(this),
                };
            }
            Some(_) => {
                let online = read("online").map(|text| text != "0");
                // One that is plugged in is enough.
                power.mains = power.mains.max(online);
            }
            None => {}
        }
    }
    power
}

/// The zone that is nearest to where it slows the box down.
pub fn temperature() -> Option<Temperature> {
    temperature_of(Path::new(ZONES))
}

fn temperature_of(zones: &Path) -> Option<Temperature> {
    let room = |zone: &Temperature| zone.slows_at.or(zone.off_at).unwrap_or(100.0) - zone.now;
    entries(zones)
        .iter()
        .filter_map(|path| zone(path))
        .min_by(|a, b| room(a).total_cmp(&room(b)))
}

fn zone(path: &Path) -> Option<Temperature> {
    let celsius = |file: &Path| {
        let value = text(file)?.parse::<f64>().ok()? / 1000.0;
        PLAUSIBLE_C.contains(&value).then_some(value)
    };
    let now = celsius(&path.join("temp"))?;
    let trips = entries(path).into_iter().filter_map(|file| {
        let name = file.file_name()?.to_str()?;
        let number = name.strip_prefix("trip_point_")?.strip_suffix("_type")?;
        let at = celsius(&path.join(format!("trip_point_{number}_temp")))?;
        Some((text(&file)?, at))
    });
    let trips: Vec<(String, f64)> = trips.collect();
    let lowest = |kinds: &[&str]| {
        let of_kind = trips
            .iter()
            .filter(|(kind, _)| kinds.contains(&kind.as_str()));
        of_kind.map(|(_, at)| *at).min_by(f64::total_cmp)
    };
    Some(Temperature {
        zone: text(&path.join("type")).unwrap_or_else(|| "thermal zone".to_owned()),
        now,
        slows_at: lowest(&["passive", "hot"]),
        off_at: lowest(&["critical"]),
    })
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    entries.sort();
    entries
}

fn text(file: &Path) -> Option<String> {
    Some(fs::read_to_string(file).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{content}\n")).unwrap();
        }
        root
    }

    #[test]
    fn processor_time_is_read_whatever_a_process_is_called() {
        let stat = "4321 (a) b (c) S 1 4321 4321 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 9 0 100 0 0";
        assert_eq!(parse_stat(stat), Some(3.0));
        assert_eq!(parse_stat("4321 (x"), None);
        let own = engine_s(std::process::id());
        assert!(own.is_some());
        let text = "cpu  100 0 50 800 40 0 5 5 0 0\ncpu0 1 2 3\n";
        assert_eq!(parse_processors(text), Some((160, 1_000)));
        assert!(processors().is_some());
    }

    #[test]
    fn power_supplies() {
        let laptop = tree(&[
            ("AC/type", "Mains"),
            ("AC/online", "0"),
            ("BAT0/type", "Battery"),
            ("BAT0/capacity", "63"),
            ("mouse/type", "Battery"),
            ("mouse/scope", "Device"),
            ("mouse/capacity", "5"),
            ("usbc/type", "USB"),
            ("usbc/online", "1"),
        ]);
        let expected = Power {
            mains: Some(true),
            battery_percent: Some(63),
        };
        assert_eq!(power_of(laptop.path()), expected);
        assert_eq!(power_of(Path::new("/nowhere")), Power::default());
    }

    #[test]
    fn the_zone_nearest_to_its_limit_counts() {
        let box_ = tree(&[
            ("thermal_zone0/type", "acpitz"),
            ("thermal_zone0/temp", "-273200"),
            ("thermal_zone1/type", "board"),
            ("thermal_zone1/temp", "50000"),
            ("thermal_zone2/type", "x86_pkg_temp"),
            ("thermal_zone2/temp", "71500"),
            ("thermal_zone2/trip_point_0_type", "passive"),
            ("thermal_zone2/trip_point_0_temp", "95000"),
            ("thermal_zone2/trip_point_1_type", "critical"),
            ("thermal_zone2/trip_point_1_temp", "105000"),
            ("cooling_device0/type", "Fan"),
        ]);
        let expected = Temperature {
            zone: "x86_pkg_temp".into(),
            now: 71.5,
            slows_at: Some(95.0),
            off_at: Some(105.0),
        };
        assert_eq!(temperature_of(box_.path()), Some(expected));
        assert_eq!(temperature_of(Path::new("/nowhere")), None);
    }

    #[test]
    fn a_disk_is_tried_by_writing() {
        let root = tempfile::tempdir().unwrap();
        let there = disk(None, root.path());
        assert_eq!(there.unwritable, None);
        assert!(there.free_bytes.is_some() && there.device.is_some());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        let gone = disk(None, &root.path().join("gone"));
        assert!(gone.unwritable.is_some() && gone.free_bytes.is_none());
    }
}
