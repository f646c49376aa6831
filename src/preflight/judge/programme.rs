//! What the sources give just now: moving pictures, and sound. Pure.

use super::super::row::{Check, Grade, Row};
use crate::bridge::protocol::SourceState;
use crate::bridge::report::{Alarm, SourceHealth};

/// An engine that has told nothing for so long gives no pictures.
const FRESH_S: f64 = 3.0;
/// A speaker stands still for a moment and is silent between two sentences.
const STILL_S: f32 = 4.0;
const SILENT_S: f32 = 4.0;
/// EBU R 128 wants −23 LUFS and platforms about −16: so far under it a fader is down somewhere.
const FAINT_LUFS: f32 = -40.0;

/// The programme as the engine last described it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Programme {
    /// None: there is no engine, or it has told nothing yet.
    pub age_s: Option<f64>,
    pub alarms: Vec<Alarm>,
    /// Of all that is sent, over the last three seconds.
    pub loudness_lufs: Option<f32>,
    pub sources: Vec<Source>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    pub id: String,
    /// In the scene that the show begins with.
    pub shown: bool,
    pub state: SourceState,
    pub detail: String,
    pub health: Option<SourceHealth>,
}

/// A row for each source with a picture, or one that says that there is no engine.
pub fn pictures(programme: &Programme) -> Vec<Row> {
    let Some(age_s) = programme.age_s.filter(|age_s| *age_s < FRESH_S) else {
        let advice = "the log says why (journalctl -u regia)";
        let found = "the engine gives none";
        return vec![Row::new(Check::Picture, "", Grade::Problem, found, advice)];
    };
    let mut rows: Vec<Row> = programme.sources.iter().filter_map(picture).collect();
    let said = rows.iter().any(|row| row.grade > Grade::Ok);
    let alarm = programme.alarms.iter().find_map(|alarm| match alarm {
        Alarm::Black => Some("the programme is black"),
        Alarm::Frozen => Some("the programme does not move"),
        Alarm::Silent => None,
    });
    if let (Some(alarm), false) = (alarm, said) {
        let advice = "look at the scene on air";
        rows.push(Row::new(Check::Picture, "", Grade::Warning, alarm, advice));
    }
    rows.into_iter().map(|row| row.aged(age_s)).collect()
}

/// None: the source has no picture, or the engine has yet to tell.
fn picture(source: &Source) -> Option<Row> {
    let row = |grade, found: String, advice: &str| {
        Some(Row::new(Check::Picture, &source.id, grade, found, advice))
    };
    match source.state {
        SourceState::Lost => {
            let detail = match source.detail.as_str() {
                "" => String::new(),
                detail => format!(" ({detail})"),
            };
            let found = format!("lost{detail}; its slate is shown");
            // One that is not on yet may come back in time.
            let grade = if source.shown {
                Grade::Problem
            } else {
                Grade::Warning
            };
            return row(grade, found, "look at its cable, power and address");
        }
        SourceState::Starting => {
            let found = "has not given anything yet".to_owned();
            return row(Grade::Warning, found, "wait a moment and look again");
        }
        SourceState::Live => {}
    }
    let health = source.health.as_ref()?;
    let (frozen_s, black_s) = health.frozen_s.zip(health.black_s)?;
    if black_s >= STILL_S {
        let found = format!("black for {black_s:.0} s");
        row(
            Grade::Warning,
            found,
            "look for a lens cap, or a camera that is off",
        )
    } else if health.still {
        row(Grade::Ok, "still, as an image is".to_owned(), "")
    } else if frozen_s >= STILL_S {
        let found = format!("frozen for {frozen_s:.0} s");
        row(
            Grade::Warning,
            found,
            "see whether the camera or its converter hangs",
        )
    } else {
        let format = match health.format.as_str() {
            "" => String::new(),
            format => format!(" ({format})"),
        };
        let found = format!("moving, {:.1} pictures a second{format}", health.fps);
        row(Grade::Ok, found, "")
    }
}

/// Whether anything is to be heard.
pub fn sound(programme: &Programme) -> Row {
    let row = |grade, found: String, advice: &str| Row::new(Check::Sound, "", grade, found, advice);
    let advice = "look at mutes, faders and the cable from the desk";
    let Some(age_s) = programme.age_s.filter(|age_s| *age_s < FRESH_S) else {
        let advice = "the log says why (journalctl -u regia)";
        return row(Grade::Problem, "the engine gives none".to_owned(), advice);
    };
    let silences = programme
        .sources
        .iter()
        .filter_map(|source| Some((source.id.as_str(), source.health.as_ref()?.silent_s?)));
    let silences: Vec<(&str, f32)> = silences.collect();
    let heard: Vec<&str> = silences
        .iter()
        .filter(|(_, silent_s)| *silent_s < SILENT_S)
        .map(|(id, _)| *id)
        .collect();
    let shortest = silences.iter().map(|(_, silent_s)| *silent_s);
    let silent_s = shortest.min_by(f32::total_cmp);
    match (silent_s, heard.is_empty()) {
        (None, _) => row(Grade::Warning, "no source gives any".to_owned(), advice),
        (Some(silent_s), true) => row(
            Grade::Warning,
            format!("silent for {silent_s:.0} s"),
            advice,
        ),
        (Some(_), false) if programme.alarms.contains(&Alarm::Silent) => {
            let found = format!("{} is heard, and the programme is silent", heard.join(", "));
            row(Grade::Warning, found, "look at what is muted in the mix")
        }
        (Some(_), false) => {
            let loud = programme
                .loudness_lufs
                .map(|lufs| format!(", {lufs:.0} LUFS"));
            let found = format!(
                "heard from {}{}",
                heard.join(", "),
                loud.unwrap_or_default()
            );
            if programme
                .loudness_lufs
                .is_some_and(|lufs| lufs < FAINT_LUFS)
            {
                row(
                    Grade::Warning,
                    found,
                    "turn it up at the desk: it is hardly to be heard",
                )
            } else {
                row(Grade::Ok, found, "")
            }
        }
    }
    .aged(age_s)
}

#[cfg(test)]
mod tests {
    use super::super::said;
    use super::*;

    fn stage(frozen_s: f32, black_s: f32, silent_s: Option<f32>) -> Source {
        Source {
            id: "stage".into(),
            shown: true,
            state: SourceState::Live,
            detail: String::new(),
            health: Some(SourceHealth {
                id: "stage".into(),
                fps: 25.0,
                frozen_s: Some(frozen_s),
                black_s: Some(black_s),
                silent_s,
                format: "1280x720 25 fps".into(),
                ..SourceHealth::default()
            }),
        }
    }

    fn programme(sources: Vec<Source>) -> Programme {
        Programme {
            age_s: Some(0.5),
            alarms: Vec::new(),
            loudness_lufs: None,
            sources,
        }
    }

    #[test]
    fn what_a_source_shows() {
        let of = |source: Source| said(&pictures(&programme(vec![source])));
        assert_eq!(
            of(stage(0.2, 0.0, None)),
            ["ok picture stage: moving, 25.0 pictures a second (1280x720 25 fps)"]
        );
        assert_eq!(
            of(stage(12.2, 0.0, None)),
            [
                "warning picture stage: frozen for 12 s → see whether the camera or its converter hangs"
            ]
        );
        assert_eq!(
            of(stage(12.2, 12.2, None)),
            [
                "warning picture stage: black for 12 s → look for a lens cap, or a camera that is off"
            ]
        );
        let mut image = stage(99.0, 0.0, None);
        if let Some(health) = &mut image.health {
            health.still = true;
        }
        assert_eq!(of(image), ["ok picture stage: still, as an image is"]);
        let lost = Source {
            state: SourceState::Lost,
            detail: "no such device".into(),
            ..stage(0.0, 0.0, None)
        };
        assert_eq!(
            of(lost.clone()),
            [
                "problem picture stage: lost (no such device); its slate is shown → look at its cable, power and address"
            ]
        );
        let elsewhere = Source {
            shown: false,
            ..lost
        };
        assert!(of(elsewhere)[0].starts_with("warning"));
    }

    #[test]
    fn an_engine_that_says_nothing() {
        let mut silent = programme(vec![stage(0.0, 0.0, Some(0.0))]);
        for age_s in [None, Some(3.5)] {
            silent.age_s = age_s;
            assert_eq!(
                said(&pictures(&silent)),
                ["problem picture: the engine gives none → the log says why (journalctl -u regia)"]
            );
            assert!(said(&[sound(&silent)])[0].starts_with("problem sound: the engine gives none"));
        }
    }

    #[test]
    fn an_alarm_that_no_source_explains() {
        let mut faded = programme(vec![stage(0.0, 0.0, Some(0.0))]);
        faded.alarms = vec![Alarm::Black, Alarm::Silent];
        assert_eq!(
            said(&pictures(&faded))[1..],
            ["warning picture: the programme is black → look at the scene on air"]
        );
        assert_eq!(
            said(&[sound(&faded)]),
            [
                "warning sound: stage is heard, and the programme is silent → look at what is muted in the mix"
            ]
        );
        faded.sources = vec![stage(9.0, 9.0, None)];
        assert_eq!(pictures(&faded).len(), 1);
    }

    #[test]
    fn sounds() {
        let of = |silences: &[Option<f32>]| {
            let sources = silences.iter().map(|silent_s| stage(0.0, 0.0, *silent_s));
            said(&[sound(&programme(sources.collect()))]).remove(0)
        };
        assert_eq!(of(&[Some(0.0)]), "ok sound: heard from stage");
        let mut loud = programme(vec![stage(0.0, 0.0, Some(0.0))]);
        loud.loudness_lufs = Some(-21.4);
        assert_eq!(
            said(&[sound(&loud)]),
            ["ok sound: heard from stage, -21 LUFS"]
        );
        loud.loudness_lufs = Some(-52.0);
        assert_eq!(
            said(&[sound(&loud)]),
            [
                "warning sound: heard from stage, -52 LUFS → turn it up at the desk: it is hardly to be heard"
            ]
        );
        assert_eq!(
            of(&[Some(40.0), Some(9.0)]),
            "warning sound: silent for 9 s → look at mutes, faders and the cable from the desk"
        );
        assert_eq!(
            of(&[None]),
            "warning sound: no source gives any → look at mutes, faders and the cable from the desk"
        );
    }
}
