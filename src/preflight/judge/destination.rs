//! The settings of each destination against its platform's rules, and its key. Pure.

use super::super::measured::{Key, KeyState};
use super::super::row::{Check, Grade, Row};
use crate::config::{Destination, Mode, Programme};
use crate::platform::{self, Broadcast, Confidence, KeyNature};

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
    let Some(rules) = platform::rules(&destination.platform) else {
        let found = format!("no rules are known for {}", destination.platform);
        return vec![row(Grade::Warning, found, String::new())];
    };
    let findings = platform::check(rules, &broadcast(programme, destination));
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

/// One row for each destination's key.
pub fn keys(keys: &[Key], destinations: &[Destination]) -> Vec<Row> {
    let row_of = |destination: &Destination| {
        let key = keys.iter().find(|key| key.destination == destination.id)?;
        Some(key_row(&key.state, destination))
    };
    destinations.iter().filter_map(row_of).collect()
}

fn key_row(state: &KeyState, destination: &Destination) -> Row {
    let row = |grade, found: String, advice: String| {
        Row::new(Check::Key, &destination.id, grade, found, advice)
    };
    let rules = platform::rules(&destination.platform);
    match state {
        KeyState::Missing(why) => {
            let (found, advice) = super::split_advice(why);
            row(Grade::Problem, found.to_owned(), advice.to_owned())
        }
        KeyState::Given { fingerprint } => row(Grade::Ok, fingerprint.clone(), String::new()),
        KeyState::Unused { fingerprint } => {
            let found = format!("{fingerprint}, not used yet");
            row(Grade::Ok, found, String::new())
        }
        KeyState::Used { fingerprint, when } => {
            let found = format!("{fingerprint}, used {when}");
            let single = rules.filter(|rules| rules.key.value == KeyNature::SingleEvent);
            let Some(rules) = single else {
                return row(Grade::Ok, found, String::new());
            };
            let found = format!("{found}; a key of {} is for one event only", rules.name);
            let advice = format!("make the new event on {} and save its key", rules.name);
            // Where nobody could be named for the rule, an operator may know better.
            let grade = match rules.key.confidence {
                Confidence::Unknown => Grade::Warning,
                _ => Grade::Problem,
            };
            row(grade, found, advice)
        }
    }
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
        let row = |platform, state| {
            let config = config(platform, 5_000);
            let key = Key {
                destination: "out".into(),
                state,
            };
            said(&keys(&[key], &config.destinations)).remove(0)
        };
        let used = || KeyState::Used {
            fingerprint: "ends …x7Qd".into(),
            when: "on 3 March at 19:30".into(),
        };
        assert_eq!(
            row("linkedin", KeyState::Missing("no key; save one".into())),
            "problem key out: no key → save one"
        );
        let unused = KeyState::Unused {
            fingerprint: "ends …x7Qd".into(),
        };
        assert_eq!(
            row("linkedin", unused),
            "ok key out: ends …x7Qd, not used yet"
        );
        assert_eq!(
            row("linkedin", used()),
            "problem key out: ends …x7Qd, used on 3 March at 19:30; a key of LinkedIn is for one event only → make the new event on LinkedIn and save its key"
        );
        assert!(row("vimeo", used()).starts_with("warning"));
        assert_eq!(
            row("youtube", used()),
            "ok key out: ends …x7Qd, used on 3 March at 19:30"
        );
    }
}
