//! The settings of each destination against its platform's rules, and its key. Pure.

use super::super::measured::Key;
use super::super::row::{Check, Grade, Row};
use crate::config::{Destination, Mode, Programme, StreamKey};
use crate::platform::{self, Broadcast, KeyNature};

/// What the platform's rules look at.
pub fn broadcast(programme: &Programme, destination: &Destination) -> Broadcast {
    Broadcast {
        width: programme.width,
        height: programme.height,
        fps: programme.fps.as_f64(),
        video_kbps: programme.video.bitrate_kbps,
        keyframe_s: programme.video.keyframe_s,
        audio_kbps: programme.audio.bitrate_kbps,
        sample_rate: programme.audio.sample_rate,
        tls: destination.server.tls,
        has_backup: destination.backup_server.is_some(),
        both: destination.mode == Mode::Both,
        limit: destination.limit,
        margin: destination.margin,
    }
}

/// A row for each finding, or one that says that there is none.
pub fn settings(programme: &Programme, destination: &Destination) -> Vec<Row> {
    let row = |grade, found: String, advice: String| {
        Row::new(Check::Settings, &destination.id, grade, found, advice)
    };
    let rules = destination.rules();
    let findings = platform::check(&rules, &broadcast(programme, destination));
    if findings.is_empty() {
        let video = &programme.video;
        let found = format!(
            "{}×{} at {:.5} fps, {} + {} kb/s: within what {} takes",
            programme.width,
            programme.height,
            programme.fps.as_f64(),
            video.bitrate_kbps,
            programme.audio.bitrate_kbps,
            rules.name
        );
        return vec![row(Grade::Ok, found.replace(".00000", ""), String::new())];
    }
    let rows = findings.into_iter().map(|finding| {
        let (path, _) = finding.setting.path();
        let grade = match finding.grade {
            platform::Grade::Problem => Grade::Problem,
            platform::Grade::Warning => Grade::Warning,
        };
        row(grade, finding.what, format!("{path}: {}", finding.instead))
    });
    rows.collect()
}

/// A key must be there, and one that serves for one broadcast must not have served.
pub fn key(key: &Key, destination: &Destination) -> Row {
    let row = |grade, found: String, advice: String| {
        Row::new(Check::Key, &destination.id, grade, found, advice)
    };
    let (fingerprint, single_use, used_in) = match key {
        Key::Missing(why) => {
            let (found, advice) = super::split_advice(why);
            return row(Grade::Problem, found.to_owned(), advice.to_owned());
        }
        Key::Found {
            fingerprint,
            single_use,
            used_in,
        } => (fingerprint.clone(), *single_use, used_in),
    };
    let rules = destination.rules();
    let single_event = rules.key.value == KeyNature::SingleEvent;
    let Some(session) = used_in.as_ref().filter(|_| single_use || single_event) else {
        return row(Grade::Ok, fingerprint, String::new());
    };
    let why = if single_use {
        "and it serves once".to_owned()
    } else {
        format!("and a key of {} is for one event", rules.name)
    };
    // What says so at its end need not say so twice.
    let used = if fingerprint.contains(session.as_str()) {
        String::new()
    } else {
        format!(", used for {session}")
    };
    let advice = match &destination.key {
        StreamKey::Slot(slot) => format!("save the new event's key: regia key set {slot}"),
        StreamKey::Given(_) => "put the new event's key in its place".to_owned(),
    };
    row(
        Grade::Problem,
        format!("{fingerprint}{used}, {why}"),
        advice,
    )
}

#[cfg(test)]
mod tests {
    use super::super::said;
    use super::*;
    use crate::config::{Settings, System, parse};

    fn config(platform: &str, kbps: u32) -> Settings {
        let text = format!(
            "[programme.video]\nbitrate_kbps = {kbps}\n[[source]]\nid = \"a\"\nkind = \"test\"\n\
             [[destination]]\nid = \"out\"\nplatform = {platform:?}\nserver = \"rtmps://host/app\"\nkey = \"k\"\n"
        );
        parse(&text, "test", &System).unwrap().settings
    }

    #[test]
    fn rules_that_are_kept_and_broken() {
        let rows = |platform, kbps| {
            let config = config(platform, kbps);
            said(&settings(&config.programme, &config.destinations[0]))
        };
        assert_eq!(
            rows("linkedin", 5_000),
            ["ok settings out: 1920×1080 at 30 fps, 5000 + 128 kb/s: within what LinkedIn takes"]
        );
        assert_eq!(
            rows("linkedin", 8_000),
            [
                "warning settings out: 8000 kb/s is over what LinkedIn takes for this picture, 6000 kb/s (the platform's documentation) → programme.video.bitrate_kbps: at most 6000"
            ]
        );
    }

    #[test]
    fn a_key_is_missing_new_or_used() {
        let row = |platform, seen: Key| {
            let config = config(platform, 5_000);
            said(&[key(&seen, &config.destinations[0])]).remove(0)
        };
        let found = |single_use, used_in: Option<&str>| Key::Found {
            fingerprint: "ends …x7Qd".into(),
            single_use,
            used_in: used_in.map(str::to_owned),
        };
        assert_eq!(
            row("linkedin", Key::Missing("no key; save one".into())),
            "problem key out: no key → save one"
        );
        assert_eq!(
            row("linkedin", found(false, None)),
            "ok key out: ends …x7Qd"
        );
        let used = Some("20260303-193000");
        assert_eq!(
            row("linkedin", found(false, used)),
            "problem key out: ends …x7Qd, used for 20260303-193000, and a key of LinkedIn is for one event → put the new event's key in its place"
        );
        assert_eq!(
            row("youtube", found(true, used)),
            "problem key out: ends …x7Qd, used for 20260303-193000, and it serves once → put the new event's key in its place"
        );
        assert_eq!(row("youtube", found(false, used)), "ok key out: ends …x7Qd");
    }
}
