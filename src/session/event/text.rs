//! Events as sentences for an operator. Pure.

use super::{Covered, EndReason, Event};
use crate::config::TransitionKind;
use std::fmt;

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Started {
                destinations,
                recordings,
            } => {
                write!(f, "The broadcast to {} starts", list(destinations))?;
                match recordings.as_slice() {
                    [] => f.write_str("; it is not recorded."),
                    files => write!(f, "; it is recorded to {}.", list(files)),
                }
            }
            Event::Anyway { reason, problems } if problems.is_empty() => {
                write!(f, "Started without waiting for pre-flight: {reason}.")
            }
            Event::Anyway { reason, problems } => write!(
                f,
                "Started although pre-flight found {}: {reason}.",
                match problems.len() {
                    1 => "a problem".to_owned(),
                    n => format!("{n} problems"),
                }
            ),
            Event::Resumed {
                destinations,
                outage_s,
            } => write!(
                f,
                "Regia was away for {} and goes on with {}.",
                span(*outage_s),
                list(destinations)
            ),
            Event::NotResumed {
                destination,
                outage_s,
                reason,
            } => {
                let what = destination.as_deref().unwrap_or("the broadcast");
                let away = span(*outage_s);
                write!(
                    f,
                    "Regia was away for {away}, and {what} stays off the air: {reason}."
                )
            }
            Event::StartFailed {
                destination,
                reason,
            } => write!(f, "{destination} can't start: {reason}."),
            Event::Publishing {
                destination,
                uplink,
                ingest,
                resumed,
            } => {
                let verb = if *resumed {
                    "is published again"
                } else {
                    "is published"
                };
                write!(f, "{destination} {verb} to {ingest}{}.", over(uplink))
            }
            Event::OnAir { destination } => write!(f, "{destination} is on air."),
            Event::Stalled {
                destination,
                reason,
            } => write!(f, "{destination} has stalled: {reason}."),
            Event::Lost {
                destination,
                reason,
            } => write!(f, "{destination} lost its connection: {reason}."),
            Event::Failover {
                destination,
                from,
                to,
                outage_s,
                covered,
            } => {
                let way = if from == to {
                    format!("again by {to}")
                } else {
                    format!("by {to} instead of {from}")
                };
                let covered = match covered {
                    Covered::Replay => "nothing was lost",
                    Covered::Partly => "a part of it was lost",
                    Covered::Live => "it goes on with the newest picture",
                };
                let away = span(*outage_s);
                write!(
                    f,
                    "{destination} is delivered {way} after {away}: {covered}."
                )
            }
            Event::Shed {
                destination,
                seconds,
                ..
            } => write!(
                f,
                "{destination} lost {}: it had become older than the hold.",
                span(*seconds)
            ),
            Event::Replayed {
                destination,
                seconds,
            } => write!(f, "{destination} was sent {} again.", span(*seconds)),
            Event::Bitrate {
                kbps,
                from_kbps,
                reason,
            } => write!(
                f,
                "The picture's bitrate goes from {from_kbps} to {kbps} kb/s: {reason}."
            ),
            Event::GuardWarning {
                destination,
                ends_in_s,
                rolls_over,
            } => {
                let end = if *rolls_over {
                    "goes over to its next session"
                } else {
                    "ends"
                };
                let left = span(*ends_in_s);
                write!(f, "{destination} {end} in {left}: the platform's limit.")
            }
            Event::ArchiveWarning {
                destination,
                ends_in_s,
            } => write!(
                f,
                "{destination} is not archived by its platform when it goes on for more than {}.",
                span(*ends_in_s)
            ),
            Event::Extended {
                destination,
                by_s,
                ends_in_s,
            } => write!(
                f,
                "{destination} was extended by {} and ends in {}.",
                span(*by_s),
                span(*ends_in_s)
            ),
            Event::NotExtended {
                destination,
                reason,
            } => write!(f, "{destination} was not extended: {reason}."),
            Event::Rollover {
                destination,
                session,
            } => write!(
                f,
                "{destination} goes on in its session {session}; the one before is ended."
            ),
            Event::RolloverFailed {
                destination,
                reason,
            } => write!(
                f,
                "{destination} could not go over to its next session: {reason}."
            ),
            Event::ClosingScene { scene: Some(scene) } => {
                write!(f, "The closing scene {scene} is shown.")
            }
            Event::ClosingScene { scene: None } => f.write_str("The slate is shown to close."),
            Event::SceneTaken {
                scene,
                transition: TransitionKind::Cut,
                ..
            } => write!(f, "Scene {scene} is on air."),
            Event::SceneTaken {
                scene,
                transition,
                ms,
            } => write!(f, "Scene {scene} is on air, by {transition} of {ms} ms."),
            Event::FadedToBlack { on: true } => f.write_str("The programme is faded to black."),
            Event::FadedToBlack { on: false } => f.write_str("The programme is back from black."),
            Event::OverlaySwitched { overlay, on } => {
                write!(
                    f,
                    "Overlay {overlay} is {}.",
                    if *on { "on" } else { "off" }
                )
            }
            Event::TitleSet { title, lines } => {
                write!(f, "Title {title} reads {:?}.", lines.join(" / "))
            }
            Event::AudioChanged { source, change } => {
                write!(f, "Sound of {source}: {}.", change)
            }
            Event::LoudnessReset => f.write_str("Loudness counts from here."),
            Event::LimitReached {
                destination,
                limit_s,
            } => write!(
                f,
                "{destination} is ended before the platform does, whose limit is {}.",
                span(*limit_s)
            ),
            Event::Dump { seconds, .. } => write!(
                f,
                "{} that had not left yet were thrown away; the slate is shown.",
                span(*seconds)
            ),
            Event::DumpOver => f.write_str("The delay has filled again; the programme is back."),
            Event::SourceLost { source, detail } => {
                write!(
                    f,
                    "Source {source} is lost, its slate is shown{}.",
                    of(detail)
                )
            }
            Event::SourceLive { source, detail } => {
                write!(f, "Source {source} is live{}.", of(detail))
            }
            Event::EngineDied { run, reason } => write!(
                f,
                "Engine {run} ended ({reason}); another is started, the connections stay."
            ),
            Event::EngineBack { run, gap_s } => write!(
                f,
                "Engine {run} gives pictures; the programme had none for {}.",
                span(*gap_s)
            ),
            Event::FramesLeftOut { frames } => write!(
                f,
                "{frames} frames were left out: this machine is too slow for the programme."
            ),
            Event::RecordingFailed { recording, reason } => write!(
                f,
                "Recording {recording} ended ({reason}); the broadcast goes on."
            ),
            Event::Marker { text } if text.is_empty() => f.write_str("Marked."),
            Event::Marker { text } => write!(f, "Marked: {text}"),
            Event::StopAsked { destinations } => {
                write!(f, "The end of {} was asked for.", list(destinations))
            }
            Event::DestinationEnded {
                destination,
                reason,
                totals,
            } => {
                let why = match reason {
                    EndReason::Asked => "as asked",
                    EndReason::Limit => "by the guard",
                    EndReason::RolledOver => "for its next session",
                    EndReason::Failed => "by a failure",
                };
                let delivered = span(totals.delivered_s);
                write!(f, "{destination} ended {why}: {delivered} delivered")?;
                if totals.shed_s > 0.0 {
                    write!(f, ", {} lost to outages", span(totals.shed_s))?;
                }
                if totals.undelivered_s > 0.0 {
                    write!(f, ", {} undelivered at the end", span(totals.undelivered_s))?;
                }
                f.write_str(".")
            }
            Event::Ended { delivered_s } => {
                write!(f, "The broadcast has ended after {}.", span(*delivered_s))
            }
            Event::RecordingOn { recording, file } => {
                write!(f, "Recording {recording} begins: {file}.")
            }
            Event::RecordingOff { recording } => write!(f, "Recording {recording} ends."),
            Event::Sample {
                destination, kbps, ..
            } => write!(f, "{destination} is sent {kbps} kb/s."),
            Event::KeySaved { slot, fingerprint } => {
                write!(f, "A key was saved in slot {slot}: {fingerprint}.")
            }
            Event::KeyDeleted { slot } => write!(f, "The key in slot {slot} was deleted."),
            Event::ShowBegins { occurrence, .. } => write!(f, "The run of {occurrence} begins."),
            Event::ShowStep {
                show,
                step,
                what,
                note,
                ..
            } => {
                write!(f, "{show}, step {step}: {what}")?;
                match note.as_str() {
                    "" => f.write_str("."),
                    note => write!(f, " ({note})."),
                }
            }
            Event::ShowStepFailed {
                show,
                step,
                what,
                reason,
                ..
            } => write!(f, "{show}, step {step} ({what}) failed: {reason}."),
            Event::ShowStepSkipped {
                show,
                step,
                what,
                reason,
                ..
            } => write!(f, "{show}, step {step} ({what}) is left out: {reason}."),
            Event::ShowHeld { show, .. } => write!(f, "{show} is held."),
            Event::ShowReleased { show, held_s, .. } => {
                write!(f, "{show} goes on after {}.", span(*held_s))
            }
            Event::ShowMissed {
                occurrence, reason, ..
            } => write!(f, "{occurrence} was missed: {reason}."),
            Event::ShowOver { occurrence, .. } => write!(f, "The run of {occurrence} is over."),
            Event::AlertFailed { alert, reason } => {
                write!(f, "{alert} could not be told: {reason}.")
            }
            Event::ConfigChanged { what, later } => {
                let when = if *later {
                    "; it holds when the broadcast has ended"
                } else {
                    ""
                };
                write!(f, "The configuration was changed ({what}){when}.")
            }
        }
    }
}

fn list(words: &[String]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn over(uplink: &Option<String>) -> String {
    uplink
        .as_deref()
        .map(|uplink| format!(" over {uplink}"))
        .unwrap_or_default()
}

fn of(detail: &str) -> String {
    if detail.is_empty() {
        String::new()
    } else {
        format!(" ({detail})")
    }
}

/// Seconds in an operator's words: 0.4 s, 12 s, 5 min, 3 h 58 min.
pub fn span(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        _ if seconds < 9.95 => format!("{:.1} s", seconds.max(0.0)),
        0..=99 => format!("{whole} s"),
        100..=3_599 => match (whole / 60, whole % 60) {
            (minutes, 0) => format!("{minutes} min"),
            (minutes, seconds) => format!("{minutes} min {seconds} s"),
        },
        _ => match (whole / 3_600, whole / 60 % 60) {
            (hours, 0) => format!("{hours} h"),
            (hours, minutes) => format!("{hours} h {minutes} min"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::event::Totals;

    #[test]
    fn sentences() {
        let destination = || "linkedin".to_owned();
        let says = |event: Event, text: &str| assert_eq!(event.to_string(), text);
        says(
            Event::Started {
                destinations: vec![destination(), "youtube".into(), "own".into()],
                recordings: Vec::new(),
            },
            "The broadcast to linkedin, youtube and own starts; it is not recorded.",
        );
        says(
            Event::GuardWarning {
                destination: destination(),
                ends_in_s: 1_800.0,
                rolls_over: false,
            },
            "linkedin ends in 30 min: the platform's limit.",
        );
        says(
            Event::Publishing {
                destination: destination(),
                uplink: Some("fibre".into()),
                ingest: "host:443".into(),
                resumed: true,
            },
            "linkedin is published again to host:443 over fibre.",
        );
        says(
            Event::DestinationEnded {
                destination: destination(),
                reason: EndReason::Limit,
                totals: Totals {
                    delivered_s: 14_280.2,
                    shed_s: 4.0,
                    ..Totals::default()
                },
            },
            "linkedin ended by the guard: 3 h 58 min delivered, 4.0 s lost to outages.",
        );
    }

    #[test]
    fn spans() {
        let said = [0.42, 9.96, 99.6, 240.0, 245.0, 14_400.0, 14_280.0].map(span);
        assert_eq!(
            said,
            [
                "0.4 s",
                "10 s",
                "1 min 40 s",
                "4 min",
                "4 min 5 s",
                "4 h",
                "3 h 58 min"
            ]
        );
    }
}
