//! What mixing costs: the processor time of the engine's thread "mix", x264 aside, and how many sources this machine carries.

use crate::Bench;
use crate::jobs::repeated_clip;
use crate::report::table;
use regia_testkit::regia::Regia;
use std::path::Path;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
const SETTLE: Duration = Duration::from_secs(4);
/// Of each count of sources that is tried.
const CARRY: Duration = Duration::from_secs(8);
const MOST_SOURCES: usize = 16;

/// A programme of so many files, and its scenes.
fn config(clip: &Path, (width, height): (u32, u32), sources: usize, scenes: &str) -> String {
    let mut text = format!(
        "[programme]\nwidth = {width}\nheight = {height}\nfps = 30\n\
         [programme.video]\nencoder = \"x264\"\npreset = \"veryfast\"\nbitrate_kbps = 4500\n"
    );
    for n in 1..=sources {
        text +=
            &format!("[[source]]\nid = \"s{n}\"\nkind = \"file\"\npath = {clip:?}\nloop = true\n");
    }
    text + scenes
}

const FULL: &str = "[[scene]]\nid = \"full\"\nlayers = [{ source = \"s1\" }]\n";
/// One over the frame, three over it: one with a border, one half seen.
const FOUR: &str = "[[scene]]\nid = \"four\"\nlayers = [{ source = \"s1\" }, \
     { source = \"s2\", x = 0.05, y = 0.05, width = 0.4, height = 0.4 }, \
     { source = \"s3\", x = 0.55, y = 0.05, width = 0.4, height = 0.4, border = { width = 0.005 } }, \
     { source = \"s4\", x = 0.3, y = 0.55, width = 0.4, height = 0.4, opacity = 0.5 }]\n";
const QUAD: &str =
    "[[scene]]\nid = \"quad\"\nlayout = \"quad\"\nsources = [\"s1\", \"s2\", \"s3\", \"s4\"]\n";

/// CPU time of a thread of a process so far, in seconds; all threads of that name together.
fn thread_s(pid: u32, name: &str) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    let ticks: u64 = tasks
        .into_iter()
        .flatten()
        .flatten()
        .filter(|task| {
            let comm = std::fs::read_to_string(task.path().join("comm"));
            comm.is_ok_and(|comm| name.is_empty() || comm.trim_end() == name)
        })
        .filter_map(|task| {
            let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
            let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
            let number = |nth: usize| fields.get(nth)?.parse::<u64>().ok();
            Some(number(11)? + number(12)?)
        })
        .sum();
    ticks as f64 / 100.0
}

fn start(bench: &Bench, config: String) -> Option<(Regia, u32)> {
    let regia = bench.run_regia(config).not_live().start();
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let units = regia.status().and_then(|status| status["units"].as_u64());
        if units > Some(60)
            && let Some(pid) = regia.engine_pid()
        {
            std::thread::sleep(SETTLE);
            return Some((regia, pid));
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    eprintln!("no programme within {PATIENCE:?}");
    None
}

/// Cores that the mix and the whole engine take.
fn cores(pid: u32, seconds: u32) -> (f64, f64) {
    let begin = Instant::now();
    let before = (thread_s(pid, "mix"), thread_s(pid, ""));
    std::thread::sleep(Duration::from_secs(u64::from(seconds)));
    let elapsed = begin.elapsed().as_secs_f64();
    let after = (thread_s(pid, "mix"), thread_s(pid, ""));
    (
        (after.0 - before.0) / elapsed,
        (after.1 - before.1) / elapsed,
    )
}

/// The most sources that all give every frame in time while four of them are shown; None: not even one.
fn carried(bench: &Bench, clip: &Path, size: (u32, u32)) -> Option<usize> {
    let mut carried = None;
    for count in 1..=MOST_SOURCES {
        let shown: Vec<String> = (1..=count.min(4))
            .map(|n| format!("{:?}", format!("s{n}")))
            .collect();
        let scene = match count {
            1 => FULL.to_owned(),
            _ => format!(
                "[[scene]]\nid = \"quad\"\nlayout = \"quad\"\nsources = [{}]\n",
                shown.join(", ")
            ),
        };
        let (regia, _) = start(bench, config(clip, size, count, &scene))?;
        let counted = || {
            let status = regia.status()?;
            let dropped = status["dropped_frames"].as_u64()?;
            let late = status["sources"].as_array()?.iter();
            let late = late.filter_map(|source| source["health"]["late"].as_u64());
            Some(dropped + late.sum::<u64>())
        };
        let before = counted();
        std::thread::sleep(CARRY);
        let late = counted().zip(before).map(|(after, before)| after - before);
        eprintln!(
            "{count} sources at {}x{}: {late:?} frames late",
            size.0, size.1
        );
        if late != Some(0) {
            break;
        }
        carried = Some(count);
    }
    carried
}

pub fn run(bench: &Bench) -> String {
    let dir = bench.dir("mix");
    let clip = repeated_clip(&dir, bench.seconds + 60);
    let mut rows = Vec::new();
    let full_hd = (1920, 1080);
    for (name, sources, scenes) in [
        ("one source, full-frame", 1, FULL.to_owned()),
        ("the same, of four that run", 4, FULL.to_owned()),
        ("four layers", 4, FOUR.to_owned()),
        ("quad", 4, QUAD.to_owned()),
    ] {
        let Some((_regia, pid)) = start(bench, config(&clip, full_hd, sources, &scenes)) else {
            continue;
        };
        let (mix, engine) = cores(pid, bench.seconds);
        eprintln!("{name}: mix {mix:.3} cores, engine {engine:.2}");
        rows.push(vec![
            name.to_owned(),
            format!("{mix:.3}"),
            format!("{engine:.2}"),
            format!("{:.1} %", 100.0 * mix / engine),
        ]);
    }
    let carried = [("720p30", (1280, 720)), ("1080p30", full_hd)].map(|(name, size)| {
        let count = carried(bench, &clip, size).map_or("none".to_owned(), |n| n.to_string());
        format!("{count} at {name}")
    });
    format!(
        "1080p30, x264 veryfast, files as sources. The thread that mixes, and the engine with decoding, scaling and encoding, in \
         cores.\n\n{}\nSources (files, decoded and scaled in software) that all give every frame in time, four of them shown: \
         {}.\n",
        table(&["scene", "mix", "engine", "share"], &rows),
        carried.join(", ")
    )
}
