//! The box: room on its disks, its clock, processors, power and temperature. Pure.

use super::super::measured::{Disk, Load, Power, Temperature};
use super::super::row::{Check, Grade, Row};
use super::plural;
use crate::config::{Destination, Programme, Recording, RecordingKind};
use crate::doctor::{self, Clock};
use crate::platform;
use std::time::Duration;

/// The journal of a broadcast and its keys fit many times.
const STATE_BYTES: u64 = 100_000_000;
/// Where nobody said how long the show is, and no platform sets a limit.
const USUAL_SHOW: Duration = Duration::from_secs(4 * 3_600);
/// With room for less than this a recording is no use, however long the show.
const SHORT_SHOW: Duration = Duration::from_secs(3_600);
/// FLV's tags and the encoder's drift over its bitrate.
const OVERHEAD: f64 = 1.02;
/// Of the frames that were due: one in so many left out is a hiccup, more is a machine that is too slow.
const HICCUP: u64 = 30;
/// Over this share of all processors, the next thing that starts costs frames.
const BUSY: f64 = 0.9;
const LOW_BATTERY_PERCENT: u8 = 20;
/// Under the temperature at which the box slows down.
const NEAR_SLOW_C: f64 = 5.0;
const NEAR_OFF_C: f64 = 5.0;
/// Where a box does not tell: what boards without a fan are built for.
const USUAL_SLOW_C: f64 = 85.0;

/// How long the show is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planned {
    /// Somebody said so.
    Told(Duration),
    /// As long as the platforms allow.
    Assumed(Duration),
}

impl Planned {
    /// The longest session of any of these destinations.
    pub fn longest(destinations: &[Destination]) -> Self {
        let limit = |destination: &Destination| {
            let rules = platform::rules(&destination.platform);
            let platform = rules.and_then(|rules| rules.limit);
            destination.limit.or(platform.map(|limit| limit.value))
        };
        Planned::Assumed(
            destinations
                .iter()
                .filter_map(limit)
                .max()
                .unwrap_or(USUAL_SHOW),
        )
    }
}

/// One row for each directory. Recordings that share a file system share its room.
pub fn disks(
    disks: &[Disk],
    recordings: &[Recording],
    programme: &Programme,
    planned: Planned,
) -> Vec<Row> {
    let rate = |disk: &Disk| {
        let of = |id: &String| recordings.iter().find(|recording| recording.id == *id);
        disk.recording
            .as_ref()
            .and_then(of)
            .map_or(0.0, |recording| bytes_per_s(recording, programme))
    };
    let row_of = |disk: &Disk| {
        let together = disks
            .iter()
            .filter(|other| disk.device.is_some() && other.device == disk.device);
        let rate = together.map(rate).sum::<f64>().max(rate(disk));
        match &disk.recording {
            None => state_row(disk),
            Some(id) => recording_row(disk, id, rate, planned),
        }
    };
    disks.iter().map(row_of).collect()
}

fn bytes_per_s(recording: &Recording, programme: &Programme) -> f64 {
    match recording.kind {
        RecordingKind::Copy => {
            let kbps = programme.video.bitrate_kbps + programme.audio.bitrate_kbps;
            f64::from(kbps) * 125.0 * OVERHEAD
        }
    }
}

fn state_row(disk: &Disk) -> Row {
    let row = |grade, found: String, advice: &str| {
        Row::new(Check::Disk, "of the state", grade, found, advice)
    };
    let path = disk.path.display();
    match (&disk.unwritable, disk.free_bytes) {
        (Some(why), _) => {
            let found = format!("{path} can't be written to: {why}");
            row(
                Grade::Problem,
                found,
                "make it writable, or give another with --state",
            )
        }
        (None, Some(free)) if free < STATE_BYTES => {
            let found = format!("{} free at {path}", size(free));
            row(Grade::Problem, found, "make room: 0.1 GB at least")
        }
        (None, Some(free)) => row(Grade::Ok, format!("{} free at {path}", size(free)), ""),
        (None, None) => row(Grade::Warning, format!("{path} can't be looked at"), ""),
    }
}

fn recording_row(disk: &Disk, id: &str, bytes_per_s: f64, planned: Planned) -> Row {
    let row = |grade, found: String, advice: &str| {
        Row::new(
            Check::Disk,
            format!("of recording {id}"),
            grade,
            found,
            advice,
        )
    };
    let path = disk.path.display();
    let elsewhere = "make room, or record elsewhere";
    if let Some(why) = &disk.unwritable {
        let found = format!("{path} can't be written to: {why}");
        return row(Grade::Problem, found, elsewhere);
    }
    let Some(free) = disk.free_bytes else {
        return row(Grade::Warning, format!("{path} can't be looked at"), "");
    };
    let lasts_s = free as f64 / bytes_per_s.max(1.0);
    let (Planned::Told(wanted) | Planned::Assumed(wanted)) = planned;
    let found = format!(
        "{} free at {path}, enough for {}",
        size(free),
        hours(lasts_s)
    );
    if lasts_s >= wanted.as_secs_f64() {
        return row(Grade::Ok, found, "");
    }
    let found = match planned {
        Planned::Told(_) => format!("{found} of the planned {}", hours(wanted.as_secs_f64())),
        Planned::Assumed(_) => {
            format!("{found}; the show may last {}", hours(wanted.as_secs_f64()))
        }
    };
    let short = matches!(planned, Planned::Told(_)) || lasts_s < SHORT_SHOW.as_secs_f64();
    let grade = if short {
        Grade::Problem
    } else {
        Grade::Warning
    };
    row(grade, found, elsewhere)
}

fn size(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

fn hours(seconds: f64) -> String {
    if seconds < 5_400.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3_600.0)
    }
}

/// As the doctor sees it; a clock of which nothing is known is not known to be right.
pub fn clock(clock: &Clock, unix_s: u64) -> Row {
    let seen = doctor::clock_row(clock, unix_s);
    let grade = match seen.grade {
        doctor::Grade::Ok => Grade::Ok,
        doctor::Grade::Unknown | doctor::Grade::Warning => Grade::Warning,
        doctor::Grade::Problem => Grade::Problem,
    };
    Row::new(Check::Clock, "", grade, seen.found, seen.advice)
}

/// The engine runs the real graph all the time: what it costs now is what it will cost.
pub fn load(load: &Load) -> Row {
    let row =
        |grade, found: String, advice: &str| Row::new(Check::Processors, "", grade, found, advice);
    let Some(engine) = load.engine_cpus else {
        return row(
            Grade::Problem,
            "the engine does not run".to_owned(),
            "the log says why (journalctl -u regia)",
        );
    };
    let mut found = format!("the engine keeps {engine:.2} of {} busy", load.cpus);
    if let Some(busy) = load.busy {
        found.push_str(&format!(
            ", {:.0} % are idle",
            (1.0 - busy).clamp(0.0, 1.0) * 100.0
        ));
    }
    let lower = "lower fps, the size or preset, or end what else runs here";
    let (frames, dropped) = (load.frames, load.dropped);
    if dropped > 0 {
        let found = format!(
            "{dropped} of {frames} frame{} left out in {:.0} s; {found}",
            plural(frames),
            load.lasted_s
        );
        let grade = if dropped * HICCUP > frames.max(1) {
            Grade::Problem
        } else {
            Grade::Warning
        };
        row(grade, found, lower)
    } else if load.busy.is_some_and(|busy| busy > BUSY) {
        row(Grade::Warning, found, lower)
    } else {
        row(Grade::Ok, found, "")
    }
}

/// None: the box does not tell.
pub fn power(power: &Power) -> Option<Row> {
    let row = |grade, found: String, advice: &str| Row::new(Check::Power, "", grade, found, advice);
    let plug_in = "plug it in";
    Some(match (power.mains, power.battery_percent) {
        (None, None) => return None,
        (Some(true), None) => row(Grade::Ok, "mains".to_owned(), ""),
        (Some(true), Some(percent)) => row(Grade::Ok, format!("mains, battery at {percent} %"), ""),
        (Some(false), None) => row(Grade::Warning, "no mains".to_owned(), plug_in),
        (Some(false) | None, Some(percent)) if percent < LOW_BATTERY_PERCENT => {
            let found = format!("on battery, {percent} % left");
            row(Grade::Problem, found, plug_in)
        }
        (Some(false), Some(percent)) => {
            let found = format!("on battery, {percent} % left");
            row(Grade::Warning, found, plug_in)
        }
        (None, Some(percent)) => row(Grade::Ok, format!("battery at {percent} %"), ""),
    })
}

/// None: the box does not tell.
pub fn temperature(temperature: Option<&Temperature>) -> Option<Row> {
    let seen = temperature?;
    let slows_at = seen.slows_at.unwrap_or(USUAL_SLOW_C);
    let mut found = format!("{:.0} °C ({})", seen.now, seen.zone);
    let cool = "give it air, shade or a fan";
    let (grade, advice) = if seen.off_at.is_some_and(|off| seen.now >= off - NEAR_OFF_C) {
        found.push_str(", about to switch itself off");
        (Grade::Problem, cool)
    } else if seen.now >= slows_at {
        found.push_str(", so hot that it slows down");
        (Grade::Warning, cool)
    } else if seen.now >= slows_at - NEAR_SLOW_C {
        found.push_str(&format!(", and it slows down at {slows_at:.0} °C"));
        (Grade::Warning, cool)
    } else {
        (Grade::Ok, "")
    };
    Some(Row::new(Check::Temperature, "", grade, found, advice))
}

#[cfg(test)]
mod tests {
    use super::super::said;
    use super::*;
    use crate::config::{Settings, System, parse};

    fn settings() -> Settings {
        let text = "[programme.video]\nbitrate_kbps = 6000\n[[source]]\nid = \"a\"\nkind = \"test\"\n\
            [[destination]]\nid = \"out\"\nplatform = \"linkedin\"\nserver = \"rtmps://host/app\"\nkey = \"k\"\n\
            [[recording]]\nid = \"one\"\nkind = \"copy\"\npath = \"/tmp\"\n\
            [[recording]]\nid = \"two\"\nkind = \"copy\"\npath = \"/tmp\"\n";
        parse(text, "test", &System).unwrap().settings
    }

    fn disk(recording: Option<&str>, device: u64, free: u64) -> Disk {
        Disk {
            recording: recording.map(str::to_owned),
            path: "/rec".into(),
            device: Some(device),
            free_bytes: Some(free),
            unwritable: None,
        }
    }

    fn rows(seen: &[Disk], planned: Planned) -> Vec<String> {
        let settings = settings();
        said(&disks(
            seen,
            &settings.recordings,
            &settings.programme,
            planned,
        ))
    }

    #[test]
    fn the_planned_length_is_the_longest_that_is_allowed() {
        let settings = settings();
        assert_eq!(
            Planned::longest(&settings.destinations),
            Planned::Assumed(Duration::from_secs(4 * 3_600))
        );
        assert_eq!(Planned::longest(&[]), Planned::Assumed(USUAL_SHOW));
    }

    #[test]
    fn recordings_of_one_disk_share_it() {
        let planned = Planned::Assumed(Duration::from_secs(4 * 3_600));
        let alone = [
            disk(Some("one"), 1, 14_000_000_000),
            disk(Some("two"), 2, 14_000_000_000),
        ];
        assert_eq!(
            rows(&alone, planned)[0],
            "ok disk of recording one: 14.0 GB free at /rec, enough for 5.0 h"
        );
        let together = alone.map(|disk| Disk {
            device: Some(1),
            ..disk
        });
        assert_eq!(
            rows(&together, planned)[0],
            "warning disk of recording one: 14.0 GB free at /rec, enough for 2.5 h; the show may last 4.0 h → make room, or record elsewhere"
        );
        assert_eq!(
            rows(&together, Planned::Told(Duration::from_secs(3 * 3_600)))[0],
            "problem disk of recording one: 14.0 GB free at /rec, enough for 2.5 h of the planned 3.0 h → make room, or record elsewhere"
        );
    }

    #[test]
    fn full_and_unwritable_disks() {
        let planned = Planned::Assumed(USUAL_SHOW);
        assert_eq!(
            rows(
                &[
                    disk(Some("one"), 1, 300_000_000),
                    disk(None, 2, 300_000_000)
                ],
                planned
            ),
            [
                "problem disk of recording one: 0.3 GB free at /rec, enough for 6 min; the show may last 4.0 h → make room, or record elsewhere",
                "ok disk of the state: 0.3 GB free at /rec",
            ]
        );
        assert_eq!(
            rows(&[disk(None, 1, 50_000_000)], planned),
            ["problem disk of the state: 0.1 GB free at /rec → make room: 0.1 GB at least"]
        );
        let unwritable = |recording: Option<&str>| Disk {
            unwritable: Some("Read-only file system".into()),
            ..disk(recording, 1, 9_000_000_000)
        };
        assert_eq!(
            rows(&[unwritable(Some("one")), unwritable(None)], planned),
            [
                "problem disk of recording one: /rec can't be written to: Read-only file system → make room, or record elsewhere",
                "problem disk of the state: /rec can't be written to: Read-only file system → make it writable, or give another with --state",
            ]
        );
    }

    #[test]
    fn a_clock_that_is_not_known_to_be_right() {
        let row = clock(&Clock::Unknown, 1_800_000_000);
        assert_eq!(
            said(&[row]),
            [
                "warning clock: no time service could be asked → timedatectl set-ntp true, or install chrony"
            ]
        );
    }

    #[test]
    fn loads() {
        let of = |engine_cpus, busy, dropped| {
            let seen = Load {
                lasted_s: 3.0,
                cpus: 4,
                engine_cpus,
                busy: Some(busy),
                frames: 90,
                dropped,
            };
            said(&[load(&seen)]).remove(0)
        };
        assert_eq!(
            of(Some(1.314), 0.4, 0),
            "ok processors: the engine keeps 1.31 of 4 busy, 60 % are idle"
        );
        assert_eq!(
            of(Some(3.2), 0.95, 0),
            "warning processors: the engine keeps 3.20 of 4 busy, 5 % are idle → lower fps, the size or preset, or end what else runs here"
        );
        assert_eq!(
            of(Some(3.9), 1.0, 12),
            "problem processors: 12 of 90 frames left out in 3 s; the engine keeps 3.90 of 4 busy, 0 % are idle → lower fps, the size or preset, or end what else runs here"
        );
        assert!(of(Some(2.0), 0.6, 3).starts_with("warning"));
        assert_eq!(
            of(None, 0.1, 0),
            "problem processors: the engine does not run → the log says why (journalctl -u regia)"
        );
    }

    #[test]
    fn powers() {
        let of = |mains, battery_percent| {
            let row = power(&Power {
                mains,
                battery_percent,
            });
            row.map(|row| said(&[row]).remove(0))
        };
        assert_eq!(of(None, None), None);
        assert_eq!(
            of(Some(true), Some(98)).unwrap(),
            "ok power: mains, battery at 98 %"
        );
        assert_eq!(
            of(Some(false), Some(60)).unwrap(),
            "warning power: on battery, 60 % left → plug it in"
        );
        assert!(of(Some(false), Some(9)).unwrap().starts_with("problem"));
    }

    #[test]
    fn temperatures() {
        let of = |now| {
            let seen = Temperature {
                zone: "x86_pkg_temp".into(),
                now,
                slows_at: Some(95.0),
                off_at: Some(105.0),
            };
            said(&[temperature(Some(&seen)).unwrap()]).remove(0)
        };
        assert_eq!(of(61.4), "ok temperature: 61 °C (x86_pkg_temp)");
        assert_eq!(
            of(91.0),
            "warning temperature: 91 °C (x86_pkg_temp), and it slows down at 95 °C → give it air, shade or a fan"
        );
        assert!(of(96.0).contains("so hot that it slows down"));
        assert!(of(101.0).starts_with("problem"));
        assert!(temperature(None).is_none());
    }
}
