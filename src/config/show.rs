//! A show: when it is, where it goes, and its run-of-show, step by step. Pure.

use super::desk::AudioChange;
use super::picture::{Transition, TransitionKind};
use crate::calendar::{Occupied, Occurrence, Recurrence};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq)]
pub struct Show {
    pub id: String,
    /// What people read; None: the id.
    pub name: Option<String>,
    /// Ids; empty: all.
    pub destinations: Vec<String>,
    /// The key slot that a destination publishes from instead of its own, by the destination's id.
    pub keys: BTreeMap<String, String>,
    /// The scenes that it may show, by their ids; empty: all.
    pub scenes: Vec<String>,
    /// The venue's, by the IANA's name.
    pub zone: String,
    pub recurrence: Recurrence,
    /// From going live to the end.
    pub length: Duration,
    pub missed: Missed,
    pub overrun: Overrun,
    /// As they are written; `run_of_show` has those as well that nobody needs to write.
    pub steps: Vec<Step>,
}

/// What becomes of an occurrence whose time came while the box was off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Missed {
    Skip,
    /// It starts late, its whole run-of-show moved, if no more than this has passed.
    Late {
        within: Duration,
    },
}

/// What becomes of a show that is not at its end when its length is over. Whatever it says, it ends when the next show begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Overrun {
    /// Its closing steps are done at once.
    End,
    /// The same, but so much later.
    Extend { by: Duration },
    /// It goes on, and gives way to the next show only.
    Yield,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub timing: Timing,
    pub wait: Option<Wait>,
    pub action: Action,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Timing {
    /// From the show's start on, in ms; what is negative is before it.
    At(i64),
    /// After the step before was begun.
    After(Duration),
}

/// What a step waits for once its time has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    pub condition: Condition,
    /// None: for as long as it takes.
    pub time_out: Option<Duration>,
    pub on_time_out: OnTimeOut,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Condition {
    /// The clip on air is at its end.
    Clip,
    /// A source is heard: over so many dBFS, for so long.
    Sound {
        source: String,
        over_db: f32,
        lasting: Duration,
    },
    /// A person says "next".
    Next,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnTimeOut {
    /// The step is done all the same.
    Go,
    Skip,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// Looks, and tells what would go wrong.
    Preflight,
    /// Goes live.
    Live,
    Scene {
        scene: String,
        /// None: the scene's own.
        transition: Option<Transition>,
    },
    Preview {
        scene: String,
    },
    Overlay {
        overlay: String,
        on: bool,
    },
    /// `{start}`, `{end}` and `{name}` in a line are the occurrence's.
    Title {
        title: String,
        lines: Vec<String>,
    },
    Audio {
        source: String,
        change: AudioChange,
    },
    Black {
        on: bool,
        ms: u32,
    },
    Mark {
        text: String,
    },
    /// Begins or ends a recording that is not made by itself.
    Record {
        recording: String,
        on: bool,
    },
    /// Tells people, by every way of alerting.
    Notify {
        text: String,
    },
    /// Shows the closing scene for its time, then delivers what is left and ends the broadcast.
    End {
        scene: Option<String>,
        closing: Duration,
    },
}

impl Action {
    /// It changes the programme, and is due within a frame.
    pub fn is_programme(&self) -> bool {
        matches!(
            self,
            Action::Scene { .. }
                | Action::Preview { .. }
                | Action::Overlay { .. }
                | Action::Title { .. }
                | Action::Audio { .. }
                | Action::Black { .. }
        )
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on_off = |on: &bool| if *on { "on" } else { "off" };
        match self {
            Action::Preflight => f.write_str("pre-flight"),
            Action::Live => f.write_str("go live"),
            Action::Scene {
                scene,
                transition: None,
            } => write!(f, "scene {scene}"),
            Action::Scene {
                scene,
                transition: Some(how),
            } => {
                let kind = word(how.kind);
                write!(f, "scene {scene}, {kind}")?;
                match how.kind {
                    TransitionKind::Cut => Ok(()),
                    _ => write!(f, " {} ms", how.ms),
                }
            }
            Action::Preview { scene } => write!(f, "preview {scene}"),
            Action::Overlay { overlay, on } => write!(f, "overlay {overlay} {}", on_off(on)),
            Action::Title { title, lines } => write!(f, "title {title}: {}", lines.join(" / ")),
            Action::Audio { source, .. } => write!(f, "sound of {source}"),
            Action::Black { on: true, .. } => f.write_str("to black"),
            Action::Black { on: false, .. } => f.write_str("from black"),
            Action::Mark { text } => write!(f, "mark {text:?}"),
            Action::Record { recording, on } => write!(f, "recording {recording} {}", on_off(on)),
            Action::Notify { text } => write!(f, "tell {text:?}"),
            Action::End {
                scene: Some(scene),
                closing,
            } => {
                write!(f, "end, after {} s of {scene}", closing.as_secs_f64())
            }
            Action::End { scene: None, .. } => f.write_str("end"),
        }
    }
}

/// A unit variant's word in the configuration.
fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        // Those that are asked for are words.
        _ => String::new(),
    }
}

impl Show {
    pub fn title(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }

    /// What names an occurrence to people, key slots and the log: `sunday/2026-08-02T10:00`.
    pub fn occurrence_id(&self, occurrence: &Occurrence) -> String {
        format!(
            "{}/{}",
            self.id,
            occurrence.original.strftime("%Y-%m-%dT%H:%M")
        )
    }

    /// All steps: going live at the start and the end at the planned length where nobody wrote them, and the closing scene as a
    /// step of its own. Behind them: where the closing begins.
    pub fn run_of_show(&self) -> (Vec<Step>, usize) {
        let step = |timing, action| Step {
            timing,
            wait: None,
            action,
        };
        let mut steps = self.steps.clone();
        if !steps.iter().any(|step| step.action == Action::Live) {
            let before = |step: &Step| matches!(step.timing, Timing::At(ms) if ms < 0);
            // Those triggered behind a step before the start are before it as well.
            let at = steps.iter().rposition(before).map_or(0, |last| {
                let triggered = |step: &&Step| matches!(step.timing, Timing::After(_));
                last + 1 + steps[last + 1..].iter().take_while(triggered).count()
            });
            steps.insert(at, step(Timing::At(0), Action::Live));
        }
        if !steps
            .iter()
            .any(|step| matches!(step.action, Action::End { .. }))
        {
            let end = Action::End {
                scene: None,
                closing: Duration::ZERO,
            };
            steps.push(step(Timing::At(millis(self.length)), end));
        }
        let closing = |one: Step| match one.action {
            Action::End {
                scene: Some(scene),
                closing,
            } => {
                let close = Action::Scene {
                    scene,
                    transition: None,
                };
                let end = Action::End {
                    scene: None,
                    closing: Duration::ZERO,
                };
                vec![
                    Step {
                        action: close,
                        ..one
                    },
                    step(Timing::After(closing), end),
                ]
            }
            _ => vec![one],
        };
        let written = steps.len();
        let steps: Vec<Step> = steps.into_iter().flat_map(closing).collect();
        // The end is the last, and became two steps with a closing scene.
        let closing = steps.len() - 1 - (steps.len() - written);
        (steps, closing)
    }

    /// How long before the start it needs the box, in ms: looking and telling disturb nobody.
    pub fn lead_ms(&self) -> i64 {
        let disturbs =
            |step: &&Step| !matches!(step.action, Action::Preflight | Action::Notify { .. });
        let early = self
            .steps
            .iter()
            .filter(disturbs)
            .filter_map(|step| match step.timing {
                Timing::At(ms) => Some(-ms),
                Timing::After(_) => None,
            });
        early.max().unwrap_or(0).max(0)
    }

    /// How long before the start its first step is, in ms.
    pub fn first_step_ms(&self) -> i64 {
        let at = self.steps.iter().filter_map(|step| match step.timing {
            Timing::At(ms) => Some(-ms),
            Timing::After(_) => None,
        });
        at.max().unwrap_or(0).max(0)
    }

    /// When it has the box, between two moments.
    pub fn occupied(
        &self,
        zone: &TimeZone,
        from: Timestamp,
        to: Timestamp,
        most: usize,
    ) -> Vec<Occupied> {
        let found = self.recurrence.occurrences(zone, from, to, most);
        let stretch = |occurrence: Occurrence| Occupied {
            show: self.id.clone(),
            from: shifted(occurrence.at, -self.lead_ms()),
            to: shifted(occurrence.at, millis(self.length)),
        };
        found.into_iter().map(stretch).collect()
    }

    /// As an object of the configuration's keys: what `[[show]]` would have.
    pub fn to_value(&self) -> Value {
        let mut value = Map::new();
        let mut set = |key: &str, what: Value| value.insert(key.to_owned(), what);
        set("id", json!(self.id));
        if let Some(name) = &self.name {
            set("name", json!(name));
        }
        let recurrence = &self.recurrence;
        set("start", json!(recurrence.start.to_string()));
        set("zone", json!(self.zone));
        if let Some(rule) = &recurrence.rule {
            set("repeat", json!(rule.to_string()));
        }
        let texts = |times: &[jiff::civil::DateTime]| -> Vec<String> {
            times.iter().map(ToString::to_string).collect()
        };
        if !recurrence.except.is_empty() {
            set("except", json!(texts(&recurrence.except)));
        }
        if !recurrence.added.is_empty() {
            set("added", json!(texts(&recurrence.added)));
        }
        if !recurrence.moved.is_empty() {
            let moved = recurrence.moved.iter();
            let moved =
                moved.map(|m| json!({ "from": m.from.to_string(), "to": m.to.to_string() }));
            set("moved", moved.collect());
        }
        set("length_s", seconds(self.length));
        if !self.destinations.is_empty() {
            set("destinations", json!(self.destinations));
        }
        if !self.keys.is_empty() {
            set("keys", json!(self.keys));
        }
        if !self.scenes.is_empty() {
            set("scenes", json!(self.scenes));
        }
        match self.missed {
            Missed::Skip => set("missed", json!("skip")),
            Missed::Late { within } => {
                set("missed", json!("late"));
                set("late_within_s", seconds(within))
            }
        };
        match self.overrun {
            Overrun::End => set("overrun", json!("end")),
            Overrun::Yield => set("overrun", json!("yield")),
            Overrun::Extend { by } => {
                set("overrun", json!("extend"));
                set("extend_s", seconds(by))
            }
        };
        if !self.steps.is_empty() {
            set("step", self.steps.iter().map(Step::to_value).collect());
        }
        Value::Object(value)
    }
}

impl Step {
    fn to_value(&self) -> Value {
        let mut value = match self.timing {
            Timing::At(ms) => json!({ "at": clock(ms) }),
            Timing::After(after) => json!({ "after_s": seconds(after) }),
        };
        if let Some(wait) = &self.wait {
            match &wait.condition {
                Condition::Clip => value["wait"] = json!("clip"),
                Condition::Next => value["wait"] = json!("next"),
                Condition::Sound {
                    source,
                    over_db,
                    lasting,
                } => {
                    value["wait"] = json!("sound");
                    value["heard"] = json!(source);
                    value["over_db"] = decibels(*over_db);
                    value["for_s"] = seconds(*lasting);
                }
            }
            if let Some(time_out) = wait.time_out {
                value["time_out_s"] = seconds(time_out);
                value["on_time_out"] = json!(match wait.on_time_out {
                    OnTimeOut::Go => "go",
                    OnTimeOut::Skip => "skip",
                });
            }
        }
        let mut set = |key: &str, what: Value| value[key] = what;
        match &self.action {
            Action::Preflight => set("do", json!("preflight")),
            Action::Live => set("do", json!("live")),
            Action::Scene { scene, transition } => {
                set("do", json!("scene"));
                set("scene", json!(scene));
                if let Some(how) = transition {
                    set("transition", json!(how.kind));
                    set("ms", json!(how.ms));
                    set("side", json!(how.from));
                }
            }
            Action::Preview { scene } => {
                set("do", json!("preview"));
                set("scene", json!(scene));
            }
            Action::Overlay { overlay, on } => {
                set("do", json!("overlay"));
                set("overlay", json!(overlay));
                set("on", json!(on));
            }
            Action::Title { title, lines } => {
                set("do", json!("title"));
                set("title", json!(title));
                set("lines", json!(lines));
            }
            Action::Audio { source, change } => {
                set("do", json!("audio"));
                set("source", json!(source));
                if let Some(mode) = change.mode {
                    set("mode", json!(mode));
                }
                if let Some(gain) = change.gain_db {
                    set("gain_db", decibels(gain));
                }
                if let Some(mute) = change.mute {
                    set("mute", json!(mute));
                }
                if let Some(pan) = change.pan {
                    set("pan", decibels(pan));
                }
            }
            Action::Black { on, ms } => {
                set("do", json!("black"));
                set("on", json!(on));
                set("ms", json!(ms));
            }
            Action::Mark { text } => {
                set("do", json!("mark"));
                set("text", json!(text));
            }
            Action::Record { recording, on } => {
                set("do", json!("record"));
                set("recording", json!(recording));
                set("on", json!(on));
            }
            Action::Notify { text } => {
                set("do", json!("notify"));
                set("text", json!(text));
            }
            Action::End { scene, closing } => {
                set("do", json!("end"));
                if let Some(scene) = scene {
                    set("scene", json!(scene));
                    set("closing_s", seconds(*closing));
                }
            }
        }
        value
    }
}

pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A moment some ms later; at the calendar's ends it stays there.
pub fn shifted(at: Timestamp, ms: i64) -> Timestamp {
    let moved = at.checked_add(SignedDuration::from_millis(ms));
    moved.unwrap_or(if ms < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

/// Whole where it is whole, as people write it.
fn seconds(duration: Duration) -> Value {
    match duration.subsec_nanos() {
        0 => json!(duration.as_secs()),
        _ => json!(duration.as_secs_f64()),
    }
}

/// The number that was written, not what its 32 bits make of it.
fn decibels(value: f32) -> Value {
    json!(value.to_string().parse::<f64>().unwrap_or_default())
}

/// A step's time as it is written: `-10:00`, `+02:00`, `+1:30:00.5`.
pub fn clock(ms: i64) -> String {
    let sign = if ms < 0 { '-' } else { '+' };
    let all = ms.unsigned_abs();
    let (hours, minutes, s) = (all / 3_600_000, all / 60_000 % 60, all / 1_000 % 60);
    let mut text = match hours {
        0 => format!("{sign}{minutes:02}:{s:02}"),
        _ => format!("{sign}{hours}:{minutes:02}:{s:02}"),
    };
    if all % 1_000 != 0 {
        let thousandths = format!(".{:03}", all % 1_000);
        text.push_str(thousandths.trim_end_matches('0'));
    }
    text
}

/// The ms of such a time. The sign may be left out of those after the start.
pub fn parse_clock(text: &str) -> Option<i64> {
    let (sign, text) = match text.strip_prefix(['-', '\u{2212}']) {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, thousandths) = match text.split_once('.') {
        None => (text, 0),
        Some((whole, fraction)) if (1..=3).contains(&fraction.len()) => {
            (whole, digits(&format!("{fraction:0<3}"))?)
        }
        Some(_) => return None,
    };
    let parts: Vec<i64> = whole.split(':').map(digits).collect::<Option<_>>()?;
    let (hours, minutes, s) = match parts.as_slice() {
        [minutes, s] => (0, *minutes, *s),
        [hours, minutes, s] if *minutes < 60 => (*hours, *minutes, *s),
        _ => return None,
    };
    if s >= 60 {
        return None;
    }
    Some(sign * (((hours * 60 + minutes) * 60 + s) * 1_000 + thousandths))
}

fn digits(text: &str) -> Option<i64> {
    let fits = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_steps() {
        for (text, ms) in [
            ("-10:00", -600_000),
            ("+00:00", 0),
            ("+02:00", 120_000),
            ("+1:30:00.5", 5_400_500),
            ("-00:00.04", -40),
        ] {
            assert_eq!(parse_clock(text), Some(ms), "{text}");
            assert_eq!(clock(ms), text);
        }
        assert_eq!(parse_clock("90:00"), Some(5_400_000));
        for bad in [
            "",
            "+",
            "10",
            "1:2:3:4",
            "+1:60:00",
            "00:60",
            "+-1:00",
            "1.5:00",
            "00:00.0001",
            "99999:00",
            "é:00",
        ] {
            assert_eq!(parse_clock(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_nobody_needs_to_write() {
        let mut show = Show {
            id: "talk".into(),
            name: None,
            destinations: Vec::new(),
            keys: BTreeMap::new(),
            scenes: Vec::new(),
            zone: "UTC".into(),
            recurrence: Recurrence::once("2026-08-02T10:00".parse().unwrap()),
            length: Duration::from_secs(60),
            missed: Missed::Skip,
            overrun: Overrun::End,
            steps: Vec::new(),
        };
        let said = |show: &Show| -> Vec<String> {
            let steps = show.run_of_show().0.into_iter();
            steps
                .map(|step| format!("{:?} {}", step.timing, step.action))
                .collect()
        };
        assert_eq!(said(&show), ["At(0) go live", "At(60000) end"]);
        let step = |timing, action| Step {
            timing,
            wait: None,
            action,
        };
        let scene = |id: &str| Action::Scene {
            scene: id.into(),
            transition: None,
        };
        show.steps = vec![
            step(Timing::At(-600_000), Action::Preflight),
            step(Timing::After(Duration::ZERO), scene("slate")),
            step(Timing::At(5_000), scene("wide")),
            step(
                Timing::At(50_000),
                Action::End {
                    scene: Some("close".into()),
                    closing: Duration::from_secs(4),
                },
            ),
        ];
        assert_eq!(
            said(&show),
            [
                "At(-600000) pre-flight",
                "After(0ns) scene slate",
                "At(0) go live",
                "At(5000) scene wide",
                "At(50000) scene close",
                "After(4s) end",
            ]
        );
        assert_eq!(show.run_of_show().1, 4);
        // Looking disturbs nobody.
        assert_eq!((show.lead_ms(), show.first_step_ms()), (0, 600_000));
    }
}
