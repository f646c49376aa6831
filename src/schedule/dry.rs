//! A dry run: the timeline of a show's next occurrence, and everything that would fail. `timeline` and what it finds are pure; `look` asks
//! for files and keys.

use super::listing::{at_text, oddity_text};
use crate::calendar::{Occupied, Occurrence};
use crate::config::show::{Action, Condition, Step, Timing, millis, shifted};
use crate::config::{Settings, Show, SourceKind, conflict_text};
use crate::session::SessionHandle;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a dry run looks at.
#[derive(Clone, Debug)]
pub struct Facts {
    pub show: Show,
    pub zone: TimeZone,
    pub next: Option<Occurrence>,
    pub in_the_way: Option<Occupied>,
    /// Who would be told.
    pub alerts: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DryRun {
    pub show: String,
    pub title: String,
    /// None: it has been.
    pub occurrence: Option<String>,
    pub start: Option<String>,
    pub zone: String,
    pub steps: Vec<Line>,
    pub findings: Vec<Finding>,
    /// Nothing would fail.
    pub ok: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub step: u32,
    /// From the start on: `+02:00`, or behind which step.
    pub time: String,
    /// By the wall clock; None: it depends.
    pub at: Option<String>,
    pub what: String,
    /// What it waits for; empty: nothing.
    pub waits: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// It would fail; else somebody should know.
    pub problem: bool,
    pub text: String,
}

fn problem(text: String) -> Finding {
    Finding {
        problem: true,
        text,
    }
}

fn warning(text: String) -> Finding {
    Finding {
        problem: false,
        text,
    }
}

/// The timeline and all that would fail.
pub(super) async fn look(facts: Facts, session: &SessionHandle) -> DryRun {
    let settings = &*session.settings();
    let mut findings = judge(&facts, settings);
    for path in files(&facts.show, settings) {
        if tokio::fs::metadata(&path).await.is_err() {
            findings.push(problem(format!("{} is not there", path.display())));
        }
    }
    let occurrence = facts
        .next
        .as_ref()
        .map(|next| facts.show.occurrence_id(next));
    let chosen = &facts.show.destinations;
    for destination in settings
        .destinations
        .iter()
        .filter(|to| chosen.is_empty() || chosen.contains(&to.id))
    {
        let with_slot = destination.with_slot(facts.show.keys.get(&destination.id));
        match session
            .keyring()
            .resolve(&with_slot, occurrence.as_deref())
            .await
        {
            Ok((keys, _)) => {
                let once =
                    keys.first.single_use || crate::session::keys::is_single_use(destination);
                if let Some(used) = keys.first.used_in.filter(|_| once) {
                    let text = format!(
                        "{}: its key was used for {used}, and serves once: save another",
                        destination.id
                    );
                    findings.push(problem(text));
                }
            }
            Err(error) => findings.push(problem(error.to_string())),
        }
    }
    findings.sort_by_key(|finding| !finding.problem);
    DryRun {
        show: facts.show.id.clone(),
        title: facts.show.title().to_owned(),
        start: facts
            .next
            .as_ref()
            .map(|next| at_text(next.at, &facts.zone)),
        zone: facts.show.zone.clone(),
        steps: timeline(
            &facts.show,
            facts.next.as_ref().map(|next| next.at),
            &facts.zone,
        ),
        ok: findings.iter().all(|finding| !finding.problem),
        occurrence,
        findings,
    }
}

/// Files that its scenes show.
fn files(show: &Show, settings: &Settings) -> Vec<PathBuf> {
    let (steps, _) = show.run_of_show();
    let taken = steps.iter().filter_map(|step| match &step.action {
        Action::Scene { scene, .. } | Action::Preview { scene } => Some(scene),
        _ => None,
    });
    let scenes: Vec<&String> = taken.collect();
    let shown = |id: &str| {
        let mut all = settings
            .scenes
            .iter()
            .filter(|scene| scenes.contains(&&scene.id));
        all.any(|scene| scene.shows(id))
    };
    let mut paths: Vec<PathBuf> = settings
        .sources
        .iter()
        .filter(|source| shown(&source.id))
        .filter_map(|source| match &source.kind {
            SourceKind::File { path, .. } | SourceKind::Image { path } => Some(path.clone()),
            _ => None,
        })
        .collect();
    paths.dedup();
    paths
}

/// What the show itself and the configuration tell.
fn judge(facts: &Facts, settings: &Settings) -> Vec<Finding> {
    let show = &facts.show;
    let mut found = Vec::new();
    match &facts.next {
        None => found.push(problem("it has been: no occurrence is to come".to_owned())),
        Some(next) => found.extend(
            next.oddity
                .map(|oddity| warning(oddity_text(oddity).to_owned())),
        ),
    }
    if let (Some(next), Some(other)) = (&facts.next, &facts.in_the_way) {
        let one = Occupied {
            show: show.id.clone(),
            from: shifted(next.at, -show.lead_ms()),
            to: shifted(next.at, millis(show.length)),
        };
        let conflict = crate::calendar::Conflict {
            one,
            other: other.clone(),
        };
        found.push(problem(conflict_text(&conflict, &facts.zone)));
    }
    if settings.destinations.is_empty() {
        found.push(problem("there is no destination to go live to".to_owned()));
    }
    let chosen = |id: &String| show.destinations.is_empty() || show.destinations.contains(id);
    for destination in settings.destinations.iter().filter(|to| chosen(&to.id)) {
        let limit = destination
            .limit
            .or(destination.rules().limit.map(|limit| limit.value));
        if let Some(limit) = limit.filter(|limit| *limit < show.length) {
            let text = format!(
                "{} ends a broadcast after {} min, and the show is planned for {}",
                destination.id,
                limit.as_secs() / 60,
                show.length.as_secs() / 60
            );
            found.push(problem(text));
        }
    }
    let (steps, _) = show.run_of_show();
    let mut scene: Option<&str> = None;
    for (index, step) in steps.iter().enumerate() {
        let number = index + 1;
        if let Some(wait) = &step.wait {
            match (&wait.condition, wait.time_out) {
                (Condition::Clip, _) if !scene.is_some_and(|id| plays_a_clip(id, settings)) => {
                    found.push(problem(format!("step {number} waits for the end of a clip, and the scene on air then plays none")));
                }
                (Condition::Next, None) => {
                    found.push(warning(format!(
                        "step {number} waits for somebody's \"next\", and for ever"
                    )));
                }
                (Condition::Sound { source, .. }, None) => {
                    found.push(warning(format!(
                        "step {number} waits until {source} is heard, and for ever: give time_out_s"
                    )));
                }
                _ => {}
            }
        }
        if let Action::Scene { scene: taken, .. } = &step.action {
            scene = Some(taken);
        }
    }
    if facts.alerts.is_empty() {
        found.push(warning(
            "nobody is told when something goes wrong: add [[alert]] to the configuration"
                .to_owned(),
        ));
    }
    found
}

fn plays_a_clip(id: &str, settings: &Settings) -> bool {
    let scene = settings.scenes.iter().find(|scene| scene.id == id);
    scene.is_some_and(|scene| scene.then.is_some())
}

/// Each step with its time, as far as that is known.
fn timeline(show: &Show, start: Option<Timestamp>, zone: &TimeZone) -> Vec<Line> {
    let (steps, _) = show.run_of_show();
    let mut last: Option<i64> = Some(0);
    let line = |(index, step): (usize, &Step)| {
        let ms = match step.timing {
            Timing::At(ms) => Some(ms),
            Timing::After(after) => last.map(|last| last + millis(after)),
        };
        // Of one that waits nobody knows when it is done.
        last = ms.filter(|_| step.wait.is_none());
        let at = start.zip(ms).map(|(start, ms)| {
            let at = shifted(start, ms).to_zoned(zone.clone());
            at.strftime("%H:%M:%S").to_string()
        });
        let waits = step.wait.as_ref().map(|wait| {
            let what = match &wait.condition {
                Condition::Clip => "the clip's end".to_owned(),
                Condition::Next => "somebody's \"next\"".to_owned(),
                Condition::Sound { source, .. } => format!("the sound of {source}"),
            };
            match wait.time_out {
                Some(time_out) => format!("waits for {what}, at most {} s", time_out.as_secs_f64()),
                None => format!("waits for {what}"),
            }
        });
        Line {
            step: u32::try_from(index + 1).unwrap_or(u32::MAX),
            time: super::run::time(&step.timing),
            at,
            what: step.action.to_string(),
            waits: waits.unwrap_or_default(),
        }
    };
    steps.iter().enumerate().map(line).collect()
}
