//! What every fault is tried on: Regia with a file source at 720p30 and 3 Mb/s, ingests by nginx-rtmp, and the truth, which is
//! Regia's own copy recording compared packet by packet with everything that the ingests recorded.

use regia_testkit::lab::{Lab, Side};
use regia_testkit::media::{Recording, Track};
use regia_testkit::nginx::{Nginx, Setup as NginxSetup};
use regia_testkit::regia::{Regia, Setup as RegiaSetup};
use regia_testkit::truth::{self, TrackTruth, Truth};
use regia_testkit::usage::{self, Usage};
use regia_testkit::{flv, skip, wait};
use serde_json::Value;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tempfile::TempDir;

/// Bounds in these tests are for a busy machine; the figures are printed, and the bench keeps them.
pub const PATIENCE: Duration = Duration::from_secs(30);
const CLIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/media/bigbuckbunny.mp4");

static MACHINE: RwLock<()> = RwLock::new(());

/// The machine for this test, and for nothing else of this program.
pub fn alone() -> Turn {
    Turn::Alone(MACHINE.write().unwrap_or_else(PoisonError::into_inner))
}

/// A test that mostly waits takes less than half a core, so as many as there are cores run side by side. In a slow run each has
/// the machine for itself, because there its figures are looked at.
pub fn beside_others() -> Turn {
    if skip::is_slow() {
        return alone();
    }
    Turn::BesideOthers(MACHINE.read().unwrap_or_else(PoisonError::into_inner))
}

#[expect(dead_code, reason = "the guards are there to be dropped")]
pub enum Turn {
    Alone(RwLockWriteGuard<'static, ()>),
    BesideOthers(RwLockReadGuard<'static, ()>),
}

/// What to put on air, and how.
pub struct Plan {
    pub dir: TempDir,
    netns: Option<String>,
    env: Vec<(String, String)>,
    text: String,
}

impl Plan {
    pub fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("regia-uplink-")
            .tempdir()
            .expect("a temporary directory");
        let copies = dir.path().join("copies");
        std::fs::create_dir(&copies).expect("a fresh directory is writable");
        let text = format!(
            "[programme]\nwidth = 1280\nheight = 720\nfps = 30\n\
             [programme.video]\nbitrate_kbps = 3000\nmin_bitrate_kbps = 1000\npreset = \"superfast\"\n\
             [[source]]\nid = \"clip\"\nkind = \"file\"\npath = {CLIP:?}\nloop = true\n\
             [[recording]]\nid = \"truth\"\nkind = \"copy\"\npath = {copies:?}\n"
        );
        Plan {
            dir,
            netns: None,
            env: Vec::new(),
            text,
        }
    }

    /// Runs in the lab's box, with an uplink over each of its interfaces.
    pub fn in_lab(self, lab: &Lab) -> Self {
        self.in_lab_with(lab, Default::default())
    }

    /// The same with further lines of each uplink's table.
    pub fn in_lab_with(mut self, lab: &Lab, lines: [String; 2]) -> Self {
        self.netns = Some(lab.box_ns());
        let uplinks = [("fibre", Side::A), ("lte", Side::B)];
        for ((id, side), lines) in uplinks.into_iter().zip(lines) {
            let interface = lab.interface(side);
            let _ = writeln!(
                self.text,
                "[[uplink]]\nid = {id:?}\ninterface = {interface:?}\n{lines}"
            );
        }
        self
    }

    /// An environment variable for Regia and its engine.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn window(mut self, lines: &str) -> Self {
        let _ = writeln!(self.text, "[window]\n{lines}");
        self
    }

    /// A destination to `server` with further lines of its table.
    pub fn destination(mut self, id: &str, server: &str, lines: &str) -> Self {
        let _ = writeln!(
            self.text,
            "[[destination]]\nid = {id:?}\nserver = {server:?}\nkey = {id:?}\n{lines}"
        );
        self
    }

    pub fn nginx(&self, name: &str) -> NginxSetup {
        NginxSetup::new(&self.dir.path().join(name))
    }

    /// Nginx on an address of the lab's.
    pub fn lab_nginx(&self, lab: &Lab, number: usize) -> NginxSetup {
        let address = SocketAddr::new(IpAddr::V4(lab.ingests()[number]), 1935);
        self.nginx(&format!("ingest{number}"))
            .rtmp(address)
            .netns(&lab.ingest_ns())
    }

    pub fn start(self) -> OnAir {
        let mut setup = RegiaSetup::new(env!("CARGO_BIN_EXE_regia"), self.text);
        if let Some(netns) = &self.netns {
            setup = setup.netns(netns);
        }
        for (name, value) in &self.env {
            setup = setup.env(name, value);
        }
        OnAir {
            regia: setup.env("REGIA_LOG", "debug").start(),
            copies: self.dir.path().join("copies"),
            _dir: self.dir,
        }
    }
}

pub struct OnAir {
    pub regia: Regia,
    copies: PathBuf,
    _dir: TempDir,
}

impl OnAir {
    /// Until the destination is on air and nothing of the start is left to catch up.
    pub fn settle(&mut self, id: &str) -> Value {
        self.regia
            .wait_status("the destination on air and caught up", PATIENCE, |status| {
                destination(status, id).is_some_and(|to| {
                    to["state"] == "on_air"
                        && to["hold_used_s"].as_f64().is_some_and(|used| used < 1.0)
                })
            });
        std::thread::sleep(Duration::from_secs(3));
        self.status(id)
    }

    pub fn status(&mut self, id: &str) -> Value {
        wait::must("the destination's status", PATIENCE, || {
            self.regia.destination(id)
        })
    }

    /// Ends the broadcast in order: its copy is whole then.
    pub fn end(&mut self) -> Recording {
        let ended = self.regia.terminate(PATIENCE * 2);
        assert!(
            ended.success(),
            "regia ended with {ended}; its log:\n{}",
            self.regia.process.text()
        );
        self.copy()
    }

    /// Ends the broadcast in order and compares its copy with what the ingests have.
    pub fn truth(&mut self, ingests: &mut [&mut Nginx]) -> (Truth, Recording, Vec<Recording>) {
        let copy = self.end();
        let recorded: Vec<Recording> = ingests
            .iter_mut()
            .flat_map(|nginx| nginx.finish())
            .collect();
        let truth = truth::compare(&copy, &recorded);
        println!("{truth}");
        (truth, copy, recorded)
    }

    /// The same with what other servers recorded, which is read once the broadcast has ended.
    pub fn truth_of(&mut self, recorded: impl FnOnce() -> Vec<Recording>) -> Truth {
        let copy = self.end();
        let truth = truth::compare(&copy, &recorded());
        println!("{truth}");
        truth
    }

    /// Everything of the copy is on some ingest, from its first unit to its last.
    pub fn assert_all_arrived(&mut self, ingests: &mut [&mut Nginx]) -> Truth {
        let (truth, _, _) = self.truth(ingests);
        self.assert_all(&truth);
        truth
    }

    /// `truth` has every unit, from the first to the last.
    pub fn assert_all(&self, truth: &Truth) {
        let ends = |track: &TrackTruth| (track.before(), track.after());
        if truth.lost() > 0 || [ends(&truth.video), ends(&truth.audio)] != [(0, 0); 2] {
            println!("{}", self.regia.process.text());
        }
        truth.assert_nothing_lost();
        assert_eq!(ends(&truth.video), (0, 0), "video at the ends: {truth}");
        assert_eq!(ends(&truth.audio), (0, 0), "audio at the ends: {truth}");
    }

    /// Resident memory of the director alone, now and at its peak.
    pub fn director_memory(&self) -> Usage {
        usage::of(self.regia.process.pid())
    }

    pub fn copy(&self) -> Recording {
        let files = flv::files(&self.copies);
        assert_eq!(files.len(), 1, "one copy of one session");
        Recording::read(&files[0])
    }
}

pub fn destination<'a>(status: &'a Value, id: &str) -> Option<&'a Value> {
    status["destinations"]
        .as_array()?
        .iter()
        .find(|destination| destination["id"] == id)
}

/// The time on the programme's timeline that the units of one gap took. Their number says less: a machine that is too busy leaves
/// out frames before they are encoded.
pub fn gap_s(copy: &Recording, track: Track, lost: &[usize]) -> f64 {
    let (Some(first), Some(last)) = (lost.first(), lost.last()) else {
        return 0.0;
    };
    let units: Vec<_> = copy.track(track).collect();
    let after = units.get(last + 1).unwrap_or(&units[*last]);
    (after.dts_us - units[*first].dts_us) as f64 / 1e6
}

pub fn url(ingest: &std::net::Ipv4Addr) -> String {
    format!("rtmp://{ingest}:1935/live")
}

pub fn seconds(value: &Value, name: &str) -> f64 {
    value[name]
        .as_f64()
        .unwrap_or_else(|| panic!("no {name} in {value}"))
}
