//! A show that goes on air, and ends, with nobody there.

use crate::PATIENCE;
use crate::colours::{COLOURS, colours, ffmpeg, picture};
use crate::rig::{Box, Ingest, address, assert_every_frame, of_kind};
use crate::show::{add, in_seconds, steps, wait_over};
use regia_testkit::skip;
use std::time::Duration;

#[test]
fn unattended_from_start_to_end() {
    let addr = address();
    let mut regia = Box::new(&format!(
        "[[destination]]\nid = \"own\"\nplatform = \"rehearsal\"\nserver = \"rtmp://{addr}/live\"\nkey = \"abcdefgh\"\n\
         [[recording]]\nid = \"master\"\nkind = \"copy\"\npath = \"RECORDINGS\"\n\
         [[recording]]\nid = \"extra\"\nkind = \"copy\"\npath = \"RECORDINGS\"\nauto = false\n"
    ));
    let mut ingest = Ingest::listen(regia.path(), addr, &[]);
    regia.start(&[]);
    regia.wait_state("STANDBY");
    add(
        &regia,
        &format!(
            "id = \"talk\"\nstart = \"{}\"\nzone = \"UTC\"\nlength_s = 12\n\
             [[step]]\nat = \"-00:03\"\ndo = \"mark\"\ntext = \"before\"\n\
             [[step]]\nat = \"00:00\"\ndo = \"live\"\n\
             [[step]]\nat = \"+00:03\"\ndo = \"record\"\nrecording = \"extra\"\non = true\n\
             [[step]]\nat = \"+00:05\"\ndo = \"mark\"\ntext = \"five\"\n\
             [[step]]\nafter_s = 1\ndo = \"mark\"\ntext = \"six\"\n\
             [[step]]\nat = \"+00:09\"\ndo = \"record\"\nrecording = \"extra\"\non = false\n",
            in_seconds(12)
        ),
    );
    regia.wait_state("REHEARSAL");
    regia.wait("the end", |status| {
        status["session"].is_null() && status["state"] != "REHEARSAL"
    });
    let done = regia_testkit::wait::until(PATIENCE, || {
        let schedule = crate::show::schedule(&regia)?;
        schedule["running"].is_null().then_some(())
    });
    assert!(done.is_some(), "the run never ended");
    let report = regia.cli(&["live", "report"]);
    assert_eq!(report.code, Some(0), "{}", report.stderr);
    regia.end();
    let log = regia.log();
    let done = steps(&log);
    let order: Vec<u64> = done.iter().map(|(step, ..)| *step).collect();
    assert_eq!(order, [1, 2, 3, 4, 5, 6, 7], "{done:?}");
    for (step, what, late) in &done {
        println!("step {step} ({what}): {late:?} ms late");
        // The machine may be busy with other tests: what is promised is measured by scripts/bench.sh.
        assert!(
            late.is_none_or(|late| (-1.0..2_000.0).contains(&late)),
            "{what}: {late:?}"
        );
    }
    assert_eq!(of_kind(&log, "show_over").len(), 1);
    let ended = of_kind(&log, "ended");
    let delivered = ended[0]["delivered_s"].as_f64().unwrap();
    assert!((9.0..20.0).contains(&delivered), "{delivered}");
    // Two files: the broadcast's and the step's, which is some seconds of the same.
    let recordings: Vec<_> = std::fs::read_dir(regia.path().join("recordings"))
        .unwrap()
        .flatten()
        .map(|one| one.path())
        .collect();
    assert_eq!(recordings.len(), 2, "{recordings:?}");
    let extra = of_kind(&log, "recording_on");
    assert_eq!(extra.len(), 1);
    assert!(
        std::fs::metadata(extra[0]["file"].as_str().unwrap())
            .unwrap()
            .len()
            > 100_000
    );
    assert_every_frame(&ingest.arrived());
    ingest.report();
}

/// Those that are clips, with the scene that follows each.
const CLIPS: [(&str, &str, u32); 2] = [("yellow", "red", 3), ("cyan", "blue", 2)];

/// Opener, three scenes, a lower third, a clip, closer and end: each seen in the recording, and held against its time by the stamps.
#[test]
fn a_show_as_its_frames_have_it() {
    let full = Duration::from_secs(120);
    let length = skip::length("a show as its frames have it", full, full / 4);
    let unit = length.as_secs_f64() / 30.0;
    let addr = address();
    let mut regia = Box::new("");
    for (name, _) in COLOURS {
        picture(regia.path(), name);
    }
    let mut config = std::fs::read_to_string(regia.path().join("regia.toml")).unwrap();
    config.push_str("[[scene]]\nid = \"main\"\nlayers = [{ source = \"main\" }]\n");
    for (name, [r, g, b]) in COLOURS {
        // A clip plays once, and leads to the next scene by itself.
        let clip = CLIPS.iter().find(|(clip, ..)| *clip == name);
        if let Some((_, _, seconds)) = clip {
            let picture = format!("color=0x{r:02x}{g:02x}{b:02x}:s=480x270:r=30:d={seconds}");
            let sound = format!("sine=f=440:r=48000:d={seconds}");
            let file = regia.path().join(format!("{name}.mp4"));
            #[rustfmt::skip]
            ffmpeg(&[
                "-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound,
                "-pix_fmt", "yuv420p", "-c:v", "libx264", "-c:a", "aac", "-shortest", &file.display().to_string(),
            ]);
        }
        let source = match clip {
            Some(_) => format!("kind = \"file\"\npath = \"{name}.mp4\""),
            None => format!("kind = \"image\"\npath = \"{name}.png\""),
        };
        config.push_str(&format!("[[source]]\nid = \"{name}\"\n{source}\n"));
        if name != "white" {
            let then = clip.map_or(String::new(), |(_, then, _)| format!("then = \"{then}\"\n"));
            config.push_str(&format!(
                "[[scene]]\nid = \"{name}\"\nstill = true\nlayers = [{{ source = \"{name}\" }}]\n{then}"
            ));
        }
    }
    let recordings = regia.path().join("recordings");
    config.push_str(&format!(
        "[[overlay]]\nid = \"lower\"\nsource = \"white\"\nx = 0.0\ny = 0.75\nwidth = 1.0\nheight = 0.25\ncrop = [0.0, 0.75, 0.0, 0.0]\non = false\n\
         [[title]]\nid = \"name\"\nkind = \"text\"\nlines = [\".\"]\nsize = 0.15\ncolour = \"#ffffff\"\nbackground = \"#ffffff\"\n\
         corner = \"bottom-left\"\nin = \"cut\"\nout = \"cut\"\n\
         [[overlay]]\nid = \"name\"\ntitle = \"name\"\non = false\n\
         [[destination]]\nid = \"own\"\nplatform = \"rehearsal\"\nserver = \"rtmp://{addr}/live\"\nkey = \"abcdefgh\"\n\
         [[recording]]\nid = \"master\"\nkind = \"copy\"\npath = \"{}\"\n",
        recordings.display()
    ));
    std::fs::write(regia.path().join("regia.toml"), config).unwrap();
    let mut ingest = Ingest::listen(regia.path(), addr, &[]);
    regia.start(&[]);
    regia.wait_state("STANDBY");
    let ahead = if skip::is_slow() { 120 } else { 12 };
    let start = in_seconds(ahead);
    let at = |units: f64| regia::config::show::clock((units * unit * 1_000.0) as i64);
    let text = format!(
        "id = \"gala\"\nstart = \"{start}\"\nzone = \"UTC\"\nlength_s = {}\noverrun = \"end\"\n\
         [[step]]\nat = \"-00:02\"\ndo = \"scene\"\nscene = \"red\"\n\
         [[step]]\nat = \"00:00\"\ndo = \"live\"\n\
         [[step]]\nat = \"{}\"\ndo = \"scene\"\nscene = \"yellow\"\n\
         [[step]]\nwait = \"clip\"\ntime_out_s = 6\ndo = \"mark\"\ntext = \"opener over\"\n\
         [[step]]\nat = \"{}\"\ndo = \"scene\"\nscene = \"green\"\n\
         [[step]]\nat = \"{}\"\ndo = \"overlay\"\noverlay = \"lower\"\non = true\n\
         [[step]]\nat = \"{}\"\ndo = \"overlay\"\noverlay = \"lower\"\non = false\n\
         [[step]]\nat = \"{}\"\ndo = \"mark\"\ntext = \"speech\"\n\
         [[step]]\nafter_s = 0\ndo = \"scene\"\nscene = \"blue\"\n\
         [[step]]\nat = \"{}\"\ndo = \"title\"\ntitle = \"name\"\nlines = [\"Anna Rossi\", \"Mayor of Trento\"]\n\
         [[step]]\ndo = \"overlay\"\noverlay = \"name\"\non = true\n\
         [[step]]\nat = \"{}\"\ndo = \"overlay\"\noverlay = \"name\"\non = false\n\
         [[step]]\nat = \"{}\"\ndo = \"scene\"\nscene = \"cyan\"\n\
         [[step]]\nat = \"{}\"\ndo = \"scene\"\nscene = \"grey\"\n\
         [[step]]\nat = \"{}\"\ndo = \"end\"\nscene = \"magenta\"\nclosing_s = 3\n",
        length.as_secs(),
        at(3.0),
        at(10.0),
        at(12.0),
        at(14.0),
        at(15.0),
        at(16.0),
        at(17.0),
        at(18.0),
        at(22.0),
        at(25.0),
    );
    add(&regia, &text);
    let dry = regia.cli(&["show", "run", "gala", "--dry-run"]);
    println!("{}", dry.stdout);
    let patience = Duration::from_secs(ahead as u64) + length + PATIENCE;
    wait_over(&regia, patience);
    let report = regia.cli(&["live", "report"]);
    assert_eq!(report.code, Some(0), "{}", report.stderr);
    regia.end();
    let log = regia.log();
    for (step, what, late) in steps(&log) {
        println!("step {step} ({what}): {late:?} ms late");
        if skip::is_slow() {
            assert!(
                late.is_none_or(|late| (0.0..50.0).contains(&late)),
                "{what}: {late:?} ms"
            );
        }
    }
    assert_eq!(
        of_kind(&log, "show_step").len(),
        16,
        "{:?}",
        of_kind(&log, "show_step_failed")
    );
    // The recording, frame by frame: the picture's colour, and what lies at its foot.
    let stamps = regia.recorded();
    assert_every_frame(&stamps);
    let file = regia_testkit::flv::files(&recordings).pop().unwrap();
    let seen = colours(&file);
    assert!(
        seen.len().abs_diff(stamps.len()) <= 1,
        "{} pictures, {} stamps",
        seen.len(),
        stamps.len()
    );
    let mut runs: Vec<(usize, (&str, &str))> = Vec::new();
    for (n, colours) in seen.iter().enumerate() {
        if runs.last().is_none_or(|(_, last)| last != colours) {
            runs.push((n, *colours));
        }
    }
    println!("what is seen from which frame on: {runs:?}");
    let start: jiff::civil::DateTime = start.parse().unwrap();
    let start_us = start
        .to_zoned(jiff::tz::TimeZone::UTC)
        .unwrap()
        .timestamp()
        .as_microsecond();
    let due = |units: f64| start_us + (units * unit * 1e6) as i64;
    let first = |from: usize, wanted: &dyn Fn(&(&str, &str)) -> bool| {
        (from..seen.len().min(stamps.len())).find(|n| wanted(&seen[*n]))
    };
    let mut from = 0;
    let mut worst = 0.0f64;
    let shows = |colour: &'static str| move |seen: &(&str, &str)| seen.0 == colour;
    for (what, due, wanted) in [
        (
            "opener",
            due(3.0),
            &shows("yellow") as &dyn Fn(&(&str, &str)) -> bool,
        ),
        ("first scene", due(10.0), &shows("green")),
        ("lower third in", due(12.0), &|seen| seen.1 == "white"),
        ("lower third out", due(14.0), &|seen| seen.1 == "green"),
        ("second scene", due(15.0), &shows("blue")),
        ("a new text with its overlay", due(16.0), &|seen| {
            seen.1 != "blue"
        }),
        ("out again", due(17.0), &|seen| seen.1 == "blue"),
        ("clip", due(18.0), &shows("cyan")),
        ("third scene", due(22.0), &shows("grey")),
        ("closer", due(25.0), &shows("magenta")),
    ] {
        from = first(from, wanted).unwrap_or_else(|| panic!("{what} was never seen"));
        let captured = stamps[from].unwrap().captured_us as i64;
        let late_ms = (captured - due) as f64 / 1_000.0;
        println!("{what}: its first frame is {late_ms:.1} ms behind its time");
        // By a clock that was read once for the engine and is read again here, none is early.
        assert!(late_ms > -5.0, "{what} is early");
        worst = worst.max(late_ms);
    }
    println!("the worst: {worst:.1} ms; a frame is 33.3 ms");
    // Beside other tests the engine itself may be late.
    let allowed = if skip::is_slow() { 33.4 } else { 1_000.0 };
    assert!(worst < allowed, "{worst:.1} ms");
    ingest.report();
}
