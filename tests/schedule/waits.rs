//! Steps that wait: for a clip's end, for a source that is heard, for a person; and what becomes of them when that does not come.

use crate::PATIENCE;
use crate::colours::ffmpeg;
use crate::rig::{Box, Ingest, address, of_kind, sleep};
use crate::show::{add, in_seconds, wait_over, wait_step};
use serde_json::Value;
use std::time::Duration;

/// A clip of a plain picture and this sound.
fn clip(regia: &Box, name: &str, sound: &str, seconds: u32) {
    let picture = format!("color=red:s=480x270:r=30:d={seconds}");
    let file = regia.path().join(format!("{name}.mp4"));
    #[rustfmt::skip]
    ffmpeg(&[
        "-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &format!("{sound}:s=48000:d={seconds}"),
        "-pix_fmt", "yuv420p", "-c:v", "libx264", "-c:a", "aac", "-shortest", &file.display().to_string(),
    ]);
}

/// When the entry was written, in seconds.
fn at(entry: &Value) -> f64 {
    entry["at_ms"].as_f64().unwrap() / 1_000.0
}

#[track_caller]
fn marker(log: &[Value], text: &str) -> Value {
    let marks = of_kind(log, "marker");
    let found: Vec<&&Value> = marks.iter().filter(|mark| mark["text"] == text).collect();
    assert_eq!(found.len(), 1, "{text}: {marks:?}");
    (*found[0]).clone()
}

#[track_caller]
fn taken(log: &[Value], scene: &str) -> f64 {
    let takes = of_kind(log, "scene_taken");
    let take = takes.iter().find(|take| take["scene"] == scene);
    at(take.unwrap_or_else(|| panic!("{scene} was not taken: {takes:?}")))
}

#[test]
fn for_a_clip_for_sound_and_for_a_person() {
    let mut regia = Box::new(
        "[[source]]\nid = \"opener\"\nkind = \"file\"\npath = \"opener.mp4\"\n\
         [[source]]\nid = \"speech\"\nkind = \"file\"\npath = \"speech.mp4\"\n\
         [[scene]]\nid = \"wide\"\nlayers = [{ source = \"main\" }]\n\
         [[scene]]\nid = \"opener\"\nlayers = [{ source = \"opener\" }]\nthen = \"wide\"\n\
         [[scene]]\nid = \"speech\"\nlayers = [{ source = \"speech\" }]\nthen = \"wide\"\n",
    );
    clip(&regia, "opener", "aevalsrc=0", 2);
    // It is silent before it speaks.
    clip(
        &regia,
        "speech",
        "aevalsrc='if(gt(t,2),0.3*sin(880*PI*t),0)'",
        6,
    );
    regia.start(&[]);
    regia.wait_state("STANDBY");
    add(
        &regia,
        &format!(
            "id = \"talk\"\nstart = \"{}\"\nzone = \"UTC\"\nlength_s = 120\noverrun = \"end\"\n\
             [[step]]\nat = \"00:00\"\ndo = \"live\"\n\
             [[step]]\nat = \"+00:01\"\ndo = \"scene\"\nscene = \"opener\"\n\
             [[step]]\nwait = \"clip\"\ndo = \"mark\"\ntext = \"opener over\"\n\
             [[step]]\ndo = \"scene\"\nscene = \"speech\"\n\
             [[step]]\nwait = \"sound\"\nheard = \"speech\"\nover_db = -30\nfor_s = 0.2\ntime_out_s = 60\ndo = \"mark\"\ntext = \"heard\"\n\
             [[step]]\nwait = \"next\"\ndo = \"mark\"\ntext = \"next\"\n\
             [[step]]\nwait = \"next\"\ntime_out_s = 2\non_time_out = \"skip\"\ndo = \"mark\"\ntext = \"never\"\n\
             [[step]]\nwait = \"sound\"\nheard = \"opener\"\ntime_out_s = 2\ndo = \"mark\"\ntext = \"all the same\"\n\
             [[step]]\ndo = \"end\"\n",
            in_seconds(8)
        ),
    );
    // Nobody says "next" for a while, and nothing goes on.
    wait_step(&regia, 6, "waiting");
    sleep(Duration::from_secs(3));
    wait_step(&regia, 6, "waiting");
    let said = jiff::Timestamp::now().as_millisecond() as f64 / 1_000.0;
    let next = regia.cli(&["show", "step"]);
    assert_eq!(next.code, Some(0), "{}", next.stderr);
    wait_over(&regia, PATIENCE);
    regia.end();
    let log = regia.log();
    let passed = |what: &str, from: f64, to: f64, least: f64| {
        println!("{what}: {:.2} s", to - from);
        // The machine may be busy: what comes too late here is measured in live.rs.
        assert!(
            (least..least + 15.0).contains(&(to - from)),
            "{what} after {:.2} s, not {least}",
            to - from
        );
    };
    let (opener, speech) = (taken(&log, "opener"), taken(&log, "speech"));
    let over = at(&marker(&log, "opener over"));
    // A clip's take is answered some frames ahead of its first.
    passed("the clip's end", opener, over, 2.0);
    assert!(speech >= over - 0.3);
    let heard = at(&marker(&log, "heard"));
    passed("the speaker's sound", speech, heard, 2.1);
    let next = marker(&log, "next");
    passed("a person's word", said, at(&next), 0.0);
    assert_eq!(next["who"], "cli");
    assert!(at(&next) - heard >= 3.0);
    let skipped = of_kind(&log, "show_step_skipped");
    assert_eq!(skipped.len(), 1, "{skipped:?}");
    assert_eq!(skipped[0]["step"], 7);
    assert_eq!(
        skipped[0]["reason"],
        "what it waited for did not come in time"
    );
    passed("a time-out that skips", at(&next), at(skipped[0]), 1.9);
    let went_on = marker(&log, "all the same");
    passed("a time-out that goes on", at(skipped[0]), at(&went_on), 1.9);
    assert_eq!(went_on["who"]["schedule"], "talk");
    // There is nowhere to go live to.
    assert_eq!(of_kind(&log, "show_step_failed").len(), 1);
    assert_eq!(of_kind(&log, "show_over").len(), 1);
}

/// Whoever runs a show by hand, or tells a run something, is in the log.
#[test]
fn who_did_what() {
    let addr = address();
    let mut regia = Box::new(&format!(
        "[[destination]]\nid = \"own\"\nplatform = \"rehearsal\"\nserver = \"rtmp://{addr}/live\"\nkey = \"abcdefgh\"\n"
    ));
    let mut ingest = Ingest::listen(regia.path(), addr, &[]);
    regia.start(&[]);
    regia.wait_state("STANDBY");
    // Its own time is a year ahead.
    let start = jiff::Zoned::now()
        .date()
        .saturating_add(jiff::Span::new().days(360));
    add(
        &regia,
        &format!(
            "id = \"talk\"\nstart = \"{start}T10:00\"\nzone = \"UTC\"\nlength_s = 60\n\
             [[step]]\nat = \"+00:40\"\ndo = \"mark\"\ntext = \"left out\"\n\
             [[step]]\nat = \"+00:50\"\ndo = \"mark\"\ntext = \"at once\"\n"
        ),
    );
    let done = |args: &[&str]| {
        let done = regia.cli(args);
        assert_eq!(done.code, Some(0), "{args:?}: {}", done.stderr);
    };
    done(&["show", "run", "talk"]);
    wait_step(&regia, 1, "done");
    for word in ["hold", "release", "skip", "step"] {
        done(&["show", word]);
    }
    wait_step(&regia, 3, "done");
    // The end.
    done(&["show", "step"]);
    let ended = regia_testkit::wait::until(PATIENCE, || {
        let schedule = crate::show::schedule(&regia)?;
        schedule["running"].is_null().then_some(())
    });
    assert!(ended.is_some(), "the run never ended");
    regia.end();
    let log = regia.log();
    for kind in [
        "show_begins",
        "started",
        "show_held",
        "show_released",
        "show_step_skipped",
        "marker",
        "stop_asked",
    ] {
        let found = of_kind(&log, kind);
        assert_eq!(found.len(), 1, "{kind}: {found:?}");
        assert_eq!(found[0]["who"], "cli", "{kind}");
    }
    ingest.report();
}
