//! What the measurements mean for a broadcast. Pure.

use super::machine::{Clock, Disk, Interface, Machine, Use};
use super::{Grade, Row};
use crate::config::Settings;

/// 2025: a box whose clock is before this project lost its time (no battery, no network).
const PROJECT_EPOCH_S: u64 = 1_735_689_600;
/// Certificates and schedules bear some seconds; stamps compared between boxes do not bear more.
const CLOCK_TOLERANCE_S: f64 = 0.5;
/// The first kernel whose TCP can be told to try again soon (TCP_RTO_MAX_MS; see HAZARDS).
const SHORT_RTO_KERNEL: (u32, u32) = (6, 15);
/// The journal of a broadcast and the engine's logs fit many times.
const STATE_BYTES: u64 = 100_000_000;
const SHORT_RECORDING_HOURS: f64 = 1.0;
/// The longest session of a common platform (Facebook).
const LONG_RECORDING_HOURS: f64 = 8.0;
/// What the engine's raw pictures and the system want beside the window.
const WORKING_MEMORY_BYTES: u64 = 500_000_000;
/// Over this share of the processors busy, a frame may come late.
const BUSY: f64 = 0.7;

/// A row for each thing that was measured.
pub fn judge(machine: &Machine, settings: Option<&Settings>) -> Vec<Row> {
    let mut rows = vec![
        clock_row(&machine.clock, machine.unix_s),
        kernel(machine),
        processors(machine),
        memory(machine),
    ];
    rows.extend(interfaces(machine, settings));
    rows.extend(machine.disks.iter().map(|d| disk(d, settings)));
    rows
}

/// `unix_s`: the wall clock, in seconds since 1970.
pub fn clock_row(clock: &Clock, unix_s: u64) -> Row {
    let row = |grade, found: String, advice: &str| Row::new("clock", grade, found, advice);
    let turn_on = "timedatectl set-ntp true, or install chrony";
    if unix_s < PROJECT_EPOCH_S {
        let found = "stands before 2025".to_owned();
        let advice = "set it: with a clock this wrong no certificate is valid";
        return row(Grade::Problem, found, advice);
    }
    match clock {
        Clock::Synchronised {
            by,
            offset_s: Some(offset),
        } if offset.abs() > CLOCK_TOLERANCE_S => {
            let found = format!("synchronised by {by}, but still {offset:.1} s off");
            row(Grade::Warning, found, "wait until it has settled")
        }
        Clock::Synchronised { by, .. } => row(Grade::Ok, format!("synchronised by {by}"), ""),
        Clock::NotSynchronised { by } => row(
            Grade::Warning,
            format!("not synchronised, says {by}"),
            turn_on,
        ),
        Clock::Unknown => {
            let found = "no time service could be asked".to_owned();
            row(Grade::Unknown, found, turn_on)
        }
    }
}

fn kernel(machine: &Machine) -> Row {
    let Some(release) = &machine.kernel else {
        return Row::new("kernel", Grade::Unknown, "not known", "");
    };
    let mut numbers = release.split(['.', '-']).map(|part| part.parse().ok());
    let version = numbers.next().flatten().zip(numbers.next().flatten());
    let old = version.is_some_and(|version: (u32, u32)| version < SHORT_RTO_KERNEL);
    let note = if old {
        " (before 6.15: a stalled connection is replaced rather than waited for)"
    } else {
        ""
    };
    Row::new("kernel", Grade::Ok, format!("{release}{note}"), "")
}

fn processors(machine: &Machine) -> Row {
    let cpus = machine.cpus;
    let Some([load, ..]) = machine.load else {
        return Row::new(
            "processors",
            Grade::Unknown,
            format!("{cpus}, load not known"),
            "",
        );
    };
    let found = format!("{cpus}, load {load:.2} over the last minute");
    if load > cpus as f64 * BUSY {
        let advice = "find out what is running (top) and end it before the show";
        return Row::new("processors", Grade::Warning, found, advice);
    }
    Row::new("processors", Grade::Ok, found, "")
}

fn memory(machine: &Machine) -> Row {
    let (Some(total), Some(available)) = (machine.memory_bytes, machine.memory_available_bytes)
    else {
        return Row::new("memory", Grade::Unknown, "not known", "");
    };
    let found = format!("{} of {} free", gigabytes(available), gigabytes(total));
    if available < WORKING_MEMORY_BYTES {
        let advice = "end what is not needed: capture and encoding want half a gigabyte";
        return Row::new("memory", Grade::Warning, found, advice);
    }
    Row::new("memory", Grade::Ok, found, "")
}

fn interfaces(machine: &Machine, settings: Option<&Settings>) -> Vec<Row> {
    let uplinks = settings.map_or(&[][..], |settings| &settings.uplinks);
    let mut rows = Vec::new();
    for interface in &machine.interfaces {
        let used = uplinks.iter().find(|u| u.interface == interface.name);
        rows.push(interface_row(
            interface,
            used.map(|uplink| uplink.id.as_str()),
        ));
    }
    // `check` names uplinks without an interface; a box without any network is for the doctor.
    let usable = |i: &Interface| i.carrier == Some(true) && reachable(i);
    if !machine.interfaces.iter().any(usable) {
        let found = "no interface has a carrier and an address";
        let advice = "plug a cable in; ip address shows what the system sees";
        rows.push(Row::new("network", Grade::Problem, found, advice));
    }
    rows
}

/// An address that leads further than the cable.
fn reachable(interface: &Interface) -> bool {
    interface.addresses.iter().any(|address| match address {
        std::net::IpAddr::V4(v4) => !v4.is_link_local(),
        std::net::IpAddr::V6(v6) => !v6.is_unicast_link_local(),
    })
}

fn interface_row(interface: &Interface, uplink: Option<&str>) -> Row {
    let name = format!("interface {}", interface.name);
    let role = uplink.map_or_else(String::new, |id| format!("uplink {id:?}, "));
    let link = match interface.carrier {
        Some(true) => "carrier",
        Some(false) => "no carrier",
        None => "off",
    };
    let mut found = format!("{role}{link}");
    if let Some(speed) = interface.speed_mbps {
        found.push_str(&format!(", {speed} Mb/s"));
    }
    for address in &interface.addresses {
        found.push_str(&format!(", {address}"));
    }
    let up = interface.carrier == Some(true);
    // What is neither an uplink nor in use is nobody's worry.
    let (grade, advice) = match (uplink, up) {
        (Some(_), false) => (
            Grade::Problem,
            format!(
                "plug it in or switch it on: ip link set {} up",
                interface.name
            ),
        ),
        (Some(_), true) if !reachable(interface) => (
            Grade::Problem,
            "it has no address: is there a DHCP server, or should one be set?".to_owned(),
        ),
        (_, true) if interface.wireless && reachable(interface) => (
            Grade::Warning,
            "wifi: use a cable where there is one, and wifi as the backup".to_owned(),
        ),
        _ => (Grade::Ok, String::new()),
    };
    Row::new(name, grade, found, advice)
}

fn disk(disk: &Disk, settings: Option<&Settings>) -> Row {
    let name = match &disk.used_for {
        Use::State => "disk of state".to_owned(),
        Use::Recording(id) => format!("disk of recording {id:?}"),
    };
    let path = disk.path.display();
    let Some(free) = disk.free_bytes else {
        return Row::new(
            name,
            Grade::Unknown,
            format!("{path} can't be looked at"),
            "",
        );
    };
    let mut found = format!("{} free at {path}", gigabytes(free));
    let (grade, advice) = match (&disk.used_for, settings) {
        (Use::State, _) if free < STATE_BYTES => (Grade::Problem, "make room: 0.1 GB at least"),
        (Use::Recording(_), Some(settings)) => {
            let hours = recording_hours(free, settings);
            found.push_str(&format!(", enough for {hours:.1} h"));
            if hours < SHORT_RECORDING_HOURS {
                (Grade::Problem, "make room or record elsewhere")
            } else if hours < LONG_RECORDING_HOURS {
                (Grade::Warning, "make room if the show is longer")
            } else {
                (Grade::Ok, "")
            }
        }
        _ => (Grade::Ok, ""),
    };
    Row::new(name, grade, found, advice)
}

/// How long the exact programme can be recorded into so many bytes.
fn recording_hours(bytes: u64, settings: &Settings) -> f64 {
    let programme = &settings.programme;
    let kbps = programme.video.bitrate_kbps + programme.audio.bitrate_kbps;
    // A fiftieth more for FLV's tags and the encoder's drift.
    bytes as f64 / (f64::from(kbps.max(1)) * 125.0 * 1.02) / 3_600.0
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{System, parse};

    fn machine() -> Machine {
        Machine {
            clock: Clock::Unknown,
            unix_s: 1_800_000_000,
            kernel: Some("6.1.0-18-amd64".into()),
            cpus: 4,
            load: Some([0.5, 0.4, 0.3]),
            memory_bytes: Some(8_000_000_000),
            memory_available_bytes: Some(6_000_000_000),
            interfaces: vec![interface("eth0", Some(true), &["192.0.2.2", "fe80::1"])],
            disks: Vec::new(),
        }
    }

    fn interface(name: &str, carrier: Option<bool>, addresses: &[&str]) -> Interface {
        Interface {
            name: name.into(),
            carrier,
            wireless: name.starts_with('w'),
            speed_mbps: None,
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
        }
    }

    fn settings() -> Settings {
        let text = "[programme.video]\nbitrate_kbps = 6000\n[[source]]\nid = \"a\"\nkind = \"test\"\n\
            [[uplink]]\nid = \"wire\"\ninterface = \"lo\"\n";
        let mut settings = parse(text, "test", &System).unwrap().settings;
        settings.uplinks[0].interface = "eth0".into();
        settings
    }

    fn said(rows: &[Row]) -> Vec<String> {
        let line = |r: &Row| format!("{:?} {}: {} → {}", r.grade, r.name, r.found, r.advice);
        rows.iter().map(line).collect()
    }

    #[test]
    fn a_usual_box() {
        assert_eq!(
            said(&judge(&machine(), None)),
            [
                "Unknown clock: no time service could be asked → timedatectl set-ntp true, or install chrony",
                "Ok kernel: 6.1.0-18-amd64 (before 6.15: a stalled connection is replaced rather than waited for) → ",
                "Ok processors: 4, load 0.50 over the last minute → ",
                "Ok memory: 6.0 GB of 8.0 GB free → ",
                "Ok interface eth0: carrier, 192.0.2.2, fe80::1 → ",
            ]
        );
    }

    #[test]
    fn clocks() {
        let with = |clock: Clock, unix_s| {
            let row = super::clock_row(&clock, unix_s);
            said(&[row]).remove(0)
        };
        let synchronised = |offset_s| Clock::Synchronised {
            by: "chrony",
            offset_s,
        };
        assert_eq!(
            with(synchronised(Some(0.001)), 1_800_000_000),
            "Ok clock: synchronised by chrony → "
        );
        assert_eq!(
            with(synchronised(Some(-3.0)), 1_800_000_000),
            "Warning clock: synchronised by chrony, but still -3.0 s off → wait until it has settled"
        );
        assert_eq!(
            with(Clock::NotSynchronised { by: "chrony" }, 1_800_000_000),
            "Warning clock: not synchronised, says chrony → timedatectl set-ntp true, or install chrony"
        );
        assert_eq!(
            with(Clock::Unknown, 86_400),
            "Problem clock: stands before 2025 → set it: with a clock this wrong no certificate is valid"
        );
    }

    #[test]
    fn uplinks_need_carrier_and_address() {
        let rows = |interfaces: Vec<Interface>| {
            let machine = Machine {
                interfaces,
                ..machine()
            };
            said(&super::interfaces(&machine, Some(&settings())))
        };
        assert_eq!(
            rows(vec![
                interface("eth0", Some(false), &[]),
                interface("wlan0", Some(true), &["10.0.0.2"])
            ]),
            [
                "Problem interface eth0: uplink \"wire\", no carrier → plug it in or switch it on: ip link set eth0 up",
                "Warning interface wlan0: carrier, 10.0.0.2 → wifi: use a cable where there is one, and wifi as the backup",
            ]
        );
        assert_eq!(
            rows(vec![
                interface("eth0", Some(true), &["169.254.1.1", "fe80::1"]),
                interface("eth1", None, &[])
            ]),
            [
                "Problem interface eth0: uplink \"wire\", carrier, 169.254.1.1, fe80::1 → it has no address: is there a DHCP server, or should one be set?",
                "Ok interface eth1: off → ",
                "Problem network: no interface has a carrier and an address → plug a cable in; ip address shows what the system sees",
            ]
        );
    }

    #[test]
    fn disks_are_counted_in_hours() {
        let row = |used_for, free| {
            let path = "/rec".into();
            let disk = Disk {
                path,
                used_for,
                free_bytes: Some(free),
                size_bytes: None,
            };
            said(&[super::disk(&disk, Some(&settings()))]).remove(0)
        };
        let recording = || Use::Recording("master".into());
        assert_eq!(
            row(recording(), 100_000_000_000),
            "Ok disk of recording \"master\": 100.0 GB free at /rec, enough for 35.6 h → "
        );
        assert_eq!(
            row(recording(), 10_000_000_000),
            "Warning disk of recording \"master\": 10.0 GB free at /rec, enough for 3.6 h → make room if the show is longer"
        );
        assert_eq!(
            row(recording(), 1_000_000_000),
            "Problem disk of recording \"master\": 1.0 GB free at /rec, enough for 0.4 h → make room or record elsewhere"
        );
        assert_eq!(
            row(Use::State, 1_000),
            "Problem disk of state: 0.0 GB free at /rec → make room: 0.1 GB at least"
        );
    }

    #[test]
    fn busy_and_short_of_memory() {
        let machine = Machine {
            load: Some([3.5, 1.0, 1.0]),
            memory_available_bytes: Some(100_000_000),
            ..machine()
        };
        assert_eq!(
            said(&[processors(&machine), memory(&machine)]),
            [
                "Warning processors: 4, load 3.50 over the last minute → find out what is running (top) and end it before the show",
                "Warning memory: 0.1 GB of 8.0 GB free → end what is not needed: capture and encoding want half a gigabyte",
            ]
        );
    }
}
