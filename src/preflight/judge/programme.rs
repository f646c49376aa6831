//! What the engine makes just now: a moving picture, and sound. Pure.

use super::super::measured::Seen;
use super::super::row::{Check, Grade, Row};
use std::time::Instant;

/// An engine that has said nothing for so long gives no pictures.
const FRESH_S: f64 = 3.0;
/// A speaker stands still for a moment and is silent between two sentences.
const STILL_S: f64 = 4.0;
const SILENT_S: f64 = 4.0;
/// Peaks under this are a microphone that is off or a desk with its main fader down.
const FAINT_DBFS: f64 = -50.0;
/// Peaks at full scale are cut off.
const CLIPPING_DBFS: f64 = -0.1;

/// The programme as the engine last described it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Programme {
    /// Sources that are lost, with what is known of it.
    pub lost: Vec<(String, String)>,
    /// All that is shown are images, which do not move.
    pub still_by_design: bool,
    pub picture: Option<Seen<Picture>>,
    pub sound: Option<Seen<Sound>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Since when no frame differs from the one before, seconds.
    pub still_for_s: f64,
    /// Since when every frame is black, seconds.
    pub black_for_s: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// The highest sample over the last seconds, dB under full scale.
    pub peak_dbfs: f64,
    /// Since when there is nothing but silence, seconds.
    pub silent_for_s: f64,
}

pub fn picture(programme: &Programme, now: Instant) -> Row {
    let row = |grade, found: String, advice: &str| {
        Row::new(Check::Picture, "", grade, found, advice)
    };
    if let Some((source, detail)) = programme.lost.first() {
        let detail = match detail.as_str() {
            "" => String::new(),
            detail => format!(" ({detail})"),
        };
        let found = format!("source {source} is lost{detail}, and its slate is shown");
        return row(Grade::Problem, found, "look at its cable, power and address");
    }
    let Some((picture, age_s)) = fresh(&programme.picture, now) else {
        return row(
            Grade::Problem,
            "the engine gives none".to_owned(),
            "the log says why (journalctl -u regia)",
        );
    };
    let Picture {
        still_for_s,
        black_for_s,
    } = *picture;
    if black_for_s >= STILL_S {
        let found = format!("black for {black_for_s:.0} s");
        row(Grade::Warning, found, "look for a lens cap or a camera that is off")
    } else if still_for_s >= STILL_S && programme.still_by_design {
        row(Grade::Ok, "still, as an image is".to_owned(), "")
    } else if still_for_s >= STILL_S {
        let found = format!("frozen for {still_for_s:.0} s");
        row(Grade::Warning, found, "see whether the camera or its converter hangs")
    } else {
        row(Grade::Ok, "moving".to_owned(), "")
    }
    .aged(age_s)
}

pub fn sound(programme: &Programme, now: Instant) -> Row {
    let row = |grade, found: String, advice: &str| {
        Row::new(Check::Sound, "", grade, found, advice)
    };
    let Some((sound, age_s)) = fresh(&programme.sound, now) else {
        let found = "the engine gives none".to_owned();
        return row(Grade::Problem, found, "the log says why (journalctl -u regia)");
    };
    let peak = format!("peaks at {:.0} dB", sound.peak_dbfs);
    if sound.silent_for_s >= SILENT_S {
        let found = format!("silent for {:.0} s", sound.silent_for_s);
        row(Grade::Warning, found, "look at mutes, faders and the cable from the desk")
    } else if sound.peak_dbfs < FAINT_DBFS {
        row(Grade::Warning, format!("{peak}: hardly to be heard"), "turn it up at the desk")
    } else if sound.peak_dbfs > CLIPPING_DBFS {
        row(Grade::Warning, format!("{peak}: it is cut off"), "turn it down at the desk")
    } else {
        row(Grade::Ok, peak, "")
    }
    .aged(age_s)
}

fn fresh<T>(seen: &Option<Seen<T>>, now: Instant) -> Option<(&T, f64)> {
    let seen = seen.as_ref()?;
    let age_s = now.duration_since(seen.at).as_secs_f64();
    (age_s < FRESH_S).then_some((&seen.value, age_s))
}

#[cfg(test)]
mod tests {
    use super::super::said;
    use super::*;
    use std::time::Duration;

    fn programme(still: f64, black: f64, peak: f64, silent: f64) -> (Programme, Instant) {
        let now = Instant::now();
        let picture = Picture {
            still_for_s: still,
            black_for_s: black,
        };
        let sound = Sound {
            peak_dbfs: peak,
            silent_for_s: silent,
        };
        let programme = Programme {
            picture: Some(Seen::new(now, picture)),
            sound: Some(Seen::new(now, sound)),
            ..Programme::default()
        };
        (programme, now)
    }

    #[test]
    fn pictures() {
        let said = |programme: &Programme, now| said(&[picture(programme, now)]).remove(0);
        let of = |still, black| {
            let (programme, now) = programme(still, black, -20.0, 0.0);
            said(&programme, now)
        };
        assert_eq!(of(0.1, 0.0), "ok picture: moving");
        assert_eq!(
            of(12.0, 0.0),
            "warning picture: frozen for 12 s → see whether the camera or its converter hangs"
        );
        assert_eq!(
            of(12.0, 12.0),
            "warning picture: black for 12 s → look for a lens cap or a camera that is off"
        );
        let (mut programme, now) = programme(12.0, 0.0, -20.0, 0.0);
        programme.still_by_design = true;
        assert_eq!(said(&programme, now), "ok picture: still, as an image is");
        assert_eq!(
            said(&programme, now + Duration::from_secs(5)),
            "problem picture: the engine gives none → the log says why (journalctl -u regia)"
        );
        programme.lost = vec![("stage".into(), "no such device".into())];
        assert_eq!(
            said(&programme, now),
            "problem picture: source stage is lost (no such device), and its slate is shown → look at its cable, power and address"
        );
    }

    #[test]
    fn sounds() {
        let of = |peak, silent| {
            let (programme, now) = programme(0.0, 0.0, peak, silent);
            said(&[sound(&programme, now + Duration::from_secs(1))]).remove(0)
        };
        assert_eq!(of(-18.2, 0.0), "ok sound: peaks at -18 dB");
        assert_eq!(
            of(-120.0, 9.0),
            "warning sound: silent for 9 s → look at mutes, faders and the cable from the desk"
        );
        assert_eq!(
            of(-60.0, 0.0),
            "warning sound: peaks at -60 dB: hardly to be heard → turn it up at the desk"
        );
        assert_eq!(
            of(0.0, 0.0),
            "warning sound: peaks at 0 dB: it is cut off → turn it down at the desk"
        );
        let none = Programme::default();
        assert!(said(&[sound(&none, Instant::now())])[0].starts_with("problem sound"));
    }
}
