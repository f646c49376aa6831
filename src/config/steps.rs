//! `[[show.step]]`: what a run-of-show does, step by step.

use super::desk::{AudioChange, AudioMode, GAIN_DB, PAN, SourceAudio};
use super::picture::{Side, Transition, TransitionKind};
use super::reader::Table;
use super::show::{Action, Condition, OnTimeOut, Step, Timing, Wait, millis, parse_clock};
use super::shows::{Known, LONGEST, LONGEST_WAIT, reference, text};
use super::sound;
use std::time::Duration;

const OVER_DB: f32 = -40.0;
const LASTING: Duration = Duration::from_millis(300);

pub(super) fn step(
    table: &Table<'_>,
    known: &Known,
    scenes: &[String],
    narrowed: bool,
) -> Option<Step> {
    let timing = timing(table);
    let wait = wait(table, known);
    let action = action(table, known, scenes, narrowed);
    table.finish();
    Some(Step {
        timing: timing?,
        wait: wait?,
        action: action?,
    })
}

fn timing(table: &Table<'_>) -> Option<Timing> {
    match (table.has("at"), table.has("after_s")) {
        (true, true) => {
            table.string("at", "+02:00");
            table.duration("after_s", Duration::ZERO..=LONGEST_WAIT);
            table.problem(
                "after_s",
                "there are both at and after_s",
                "give one of them",
            );
            None
        }
        (true, false) => {
            let text = table.string("at", "+02:00")?;
            let ms = parse_clock(text).filter(|ms| ms.abs() <= millis(LONGEST));
            if ms.is_none() {
                let what = format!("{text:?} is no time from the start on");
                table.problem(
                    "at",
                    what,
                    "for example \"-10:00\", \"+02:00\" or \"+1:30:00\"",
                );
            }
            ms.map(Timing::At)
        }
        (false, true) => table
            .duration("after_s", Duration::ZERO..=LONGEST_WAIT)
            .map(Timing::After),
        (false, false) => Some(Timing::After(Duration::ZERO)),
    }
}

/// None: what is there is of no use.
fn wait(table: &Table<'_>, known: &Known) -> Option<Option<Wait>> {
    let words = [("clip", 'c'), ("sound", 's'), ("next", 'n')];
    let word = table.word("wait", &words);
    let heard = match word {
        Some('s') => reference(table, "heard", "source", &known.sources),
        _ => table.string("heard", "desk").map(str::to_owned),
    };
    let over_db = sound::number(table, "over_db", &(-60.0..=0.0), " dBFS");
    let lasting = table.duration("for_s", Duration::ZERO..=Duration::from_secs(60));
    let time_out = table.duration("time_out_s", Duration::from_millis(1)..=LONGEST_WAIT);
    let on_time_out = table.word(
        "on_time_out",
        &[("go", OnTimeOut::Go), ("skip", OnTimeOut::Skip)],
    );
    for key in ["heard", "over_db", "for_s"] {
        if word != Some('s') && table.has(key) {
            table.problem(key, "belongs to wait = \"sound\"", "");
        }
    }
    for key in ["time_out_s", "on_time_out"] {
        if !table.has("wait") && table.has(key) {
            table.problem(
                key,
                "is there, but the step waits for nothing",
                "say for what: wait = \"clip\", \"sound\" or \"next\"",
            );
        }
    }
    if table.has("on_time_out") && !table.has("time_out_s") {
        table
            .report()
            .absence(&table.at("on_time_out"), "there is no time_out_s", "");
    }
    let condition = match word {
        None if table.has("wait") => return None,
        None => return Some(None),
        Some('c') => Condition::Clip,
        Some('n') => Condition::Next,
        Some(_) => Condition::Sound {
            source: heard?,
            over_db: over_db.unwrap_or(OVER_DB),
            lasting: lasting.unwrap_or(LASTING),
        },
    };
    Some(Some(Wait {
        condition,
        time_out,
        on_time_out: on_time_out.unwrap_or(OnTimeOut::Go),
    }))
}

#[derive(Clone, Copy)]
enum Verb {
    Preflight,
    Live,
    Scene,
    Preview,
    Overlay,
    Title,
    Audio,
    Black,
    Mark,
    Record,
    Notify,
    End,
}

const VERBS: [(&str, Verb); 12] = [
    ("scene", Verb::Scene),
    ("live", Verb::Live),
    ("end", Verb::End),
    ("preflight", Verb::Preflight),
    ("preview", Verb::Preview),
    ("overlay", Verb::Overlay),
    ("title", Verb::Title),
    ("audio", Verb::Audio),
    ("black", Verb::Black),
    ("mark", Verb::Mark),
    ("record", Verb::Record),
    ("notify", Verb::Notify),
];

fn action(table: &Table<'_>, known: &Known, scenes: &[String], narrowed: bool) -> Option<Action> {
    table.missing("do", "what the step does, for example do = \"scene\"");
    let scene = || {
        let id = table.string("scene", "wide");
        if let Some(id) = id.filter(|id| {
            narrowed
                && known.scenes.iter().any(|known| known == id)
                && !scenes.iter().any(|scene| scene == id)
        }) {
            let what = format!("{id:?} is not among the show's scenes");
            table.problem("scene", what, "add it to the show's scenes");
            return None;
        }
        reference(table, "scene", "scene", scenes)
    };
    Some(match table.word("do", &VERBS)? {
        Verb::Preflight => Action::Preflight,
        Verb::Live => Action::Live,
        Verb::Scene => {
            let transition = transition(table);
            Action::Scene {
                scene: scene()?,
                transition: transition?,
            }
        }
        Verb::Preview => Action::Preview { scene: scene()? },
        Verb::Overlay => {
            let overlay = reference(table, "overlay", "overlay", &known.overlays);
            Action::Overlay {
                on: on(table)?,
                overlay: overlay?,
            }
        }
        Verb::Title => {
            let title = reference(table, "title", "title", &known.titles);
            table.missing("lines", "for example lines = [\"Anna Rossi\", \"Mayor\"]");
            let lines = table.strings("lines", "Anna Rossi").into_iter();
            Action::Title {
                title: title?,
                lines: lines.map(|(line, _)| line.to_owned()).collect(),
            }
        }
        Verb::Audio => audio(table, known)?,
        Verb::Black => {
            let ms = table
                .whole("ms", 0..=Transition::LONGEST_MS, " ms")
                .unwrap_or(500);
            Action::Black { on: on(table)?, ms }
        }
        Verb::Mark => Action::Mark {
            text: text(table, "text", "sermon").unwrap_or_default(),
        },
        Verb::Record => {
            let recording = reference(table, "recording", "recording", &known.recordings);
            Action::Record {
                on: on(table)?,
                recording: recording?,
            }
        }
        Verb::Notify => {
            table.missing("text", "what people are told");
            Action::Notify {
                text: text(table, "text", "on air in ten minutes")?,
            }
        }
        Verb::End => {
            let closing = table.duration(
                "closing_s",
                Duration::from_millis(100)..=Duration::from_secs(600),
            );
            if !table.has("scene") {
                if table.has("closing_s") {
                    table.problem(
                        "closing_s",
                        "is there without a scene to show",
                        "give scene, or leave it out",
                    );
                }
                return Some(Action::End {
                    scene: None,
                    closing: Duration::ZERO,
                });
            }
            Action::End {
                scene: Some(scene()?),
                closing: closing.unwrap_or(Duration::from_secs(10)),
            }
        }
    })
}

fn on(table: &Table<'_>) -> Option<bool> {
    table.missing("on", "true or false");
    table.boolean("on")
}

/// None: of no use.
fn transition(table: &Table<'_>) -> Option<Option<Transition>> {
    let kinds = [
        ("cut", TransitionKind::Cut),
        ("fade", TransitionKind::Fade),
        ("dip", TransitionKind::Dip),
        ("slide", TransitionKind::Slide),
        ("push", TransitionKind::Push),
        ("wipe", TransitionKind::Wipe),
    ];
    let sides = [
        ("right", Side::Right),
        ("left", Side::Left),
        ("top", Side::Top),
        ("bottom", Side::Bottom),
    ];
    let kind = table.word("transition", &kinds);
    let ms = table.whole("ms", 0..=Transition::LONGEST_MS, " ms");
    let from = table.word("side", &sides);
    let Some(kind) = kind else {
        if !table.has("transition") && table.has("ms") {
            table.problem(
                "ms",
                "is there without a transition",
                "for example transition = \"fade\"",
            );
        }
        return (!table.has("transition")).then_some(None);
    };
    let ms = if kind == TransitionKind::Cut {
        0
    } else {
        ms.unwrap_or(500)
    };
    Some(Some(Transition {
        kind,
        ms,
        from: from.unwrap_or(Side::Right),
    }))
}

fn audio(table: &Table<'_>, known: &Known) -> Option<Action> {
    let source = reference(table, "source", "source", &known.sources);
    let modes = [
        ("follow", AudioMode::Follow),
        ("on", AudioMode::On),
        ("off", AudioMode::Off),
    ];
    let change = AudioChange {
        mode: table.word("mode", &modes),
        gain_db: sound::number(table, "gain_db", &GAIN_DB, " dB"),
        mute: table.boolean("mute"),
        pan: sound::number(table, "pan", &PAN, ""),
        ..AudioChange::default()
    };
    if let Err(error) = SourceAudio::default().changed(&change) {
        let what = format!("{error}: give mode, gain_db, mute or pan");
        table.report().absence(table.here(), what, "");
        return None;
    }
    Some(Action::Audio {
        source: source?,
        change,
    })
}

/// What no step alone shows.
pub(super) fn check_steps(tables: &[Table<'_>], steps: &[Step], length: Duration) {
    let mut last: Option<(i64, &str)> = None;
    let mut live = 0;
    let mut ended = false;
    for (table, step) in tables.iter().zip(steps) {
        let at = match step.timing {
            Timing::At(ms) => Some(ms),
            Timing::After(_) => None,
        };
        if let Some(ms) = at {
            if let Some((before, said)) = last.filter(|(before, _)| ms < *before) {
                let _ = before;
                let what = format!(
                    "{} stands behind {said}: steps are done in their order",
                    super::show::clock(ms)
                );
                table.problem("at", what, "put them in the order of their times");
            }
            if ms > millis(length) {
                let what = format!(
                    "{} is behind the show's end, {}",
                    super::show::clock(ms),
                    super::show::clock(millis(length))
                );
                table.problem("at", what, "make it earlier, or length_s longer");
            }
            last = Some((ms, table.string("at", "").unwrap_or_default()));
        }
        if ended {
            table.problem("do", "stands behind the end", "nothing is done after it");
        }
        match step.action {
            Action::Live => {
                live += 1;
                if live > 1 {
                    table.problem("do", "goes live a second time", "leave one of them out");
                }
            }
            Action::End { .. } => {
                ended = true;
                if at.is_some_and(|ms| ms <= 0) {
                    table.problem("at", "the show ends before it began", "");
                }
            }
            _ => {}
        }
    }
}
