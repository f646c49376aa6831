//! Carrying out what a step says. Shell: the one place where a run-of-show touches the programme and the broadcast.
//!
//! There are two lanes, each with its own task and in order: what changes the programme is never behind a start that takes seconds. It
//! is handed on to the engine ahead, with its time; for everything else that is waited for here.

use super::run::Input;
use crate::alert::{Alerts, Telling};
use crate::bridge::mix::{MixAnswer, MixCommand};
use crate::calendar::zones;
use crate::config::show::{Action, millis, shifted};
use crate::config::{AlertLevel, Show};
use crate::preflight::{Ask, Preflight, Report};
use crate::session::clock;
use crate::session::event::Who;
use crate::session::moment::Moment;
use crate::session::{Anyway, SessionError, SessionHandle, StartAsk, StopAsk};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// What stands against a start is told in the log, if it is known by then.
const PROBLEMS_WITHIN: Duration = Duration::from_millis(500);

/// The handles that steps act through.
#[derive(Clone)]
pub(super) struct Hands {
    pub session: SessionHandle,
    pub preflight: Preflight,
    pub alerts: Alerts,
}

/// What a run's steps have in common. It is written down with the run: the show may be another when that goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Context {
    pub show: String,
    pub title: String,
    pub destinations: Vec<String>,
    pub keys: BTreeMap<String, String>,
    pub length: Duration,
    pub occurrence: String,
    /// By its name.
    pub zone: String,
    pub start: Timestamp,
    /// The person who began it; None: its time has come.
    #[serde(default)]
    pub by: Option<Who>,
}

impl Context {
    pub fn of(show: &Show, occurrence: String, start: Timestamp) -> Self {
        Context {
            show: show.id.clone(),
            title: show.title().to_owned(),
            destinations: show.destinations.clone(),
            keys: show.keys.clone(),
            length: show.length,
            occurrence,
            zone: show.zone.clone(),
            start,
            by: None,
        }
    }

    pub fn schedule(&self) -> Who {
        Who::Schedule(self.show.clone())
    }

    /// Who brings an action about: the person who asks for it or, of going live, who began the run.
    pub fn who(&self, action: &Action, asks: Option<&Who>) -> Who {
        let began = self.by.as_ref().filter(|_| *action == Action::Live);
        asks.or(began).cloned().unwrap_or_else(|| self.schedule())
    }

    fn end(&self) -> Timestamp {
        shifted(self.start, millis(self.length))
    }

    /// The venue's; UTC where the machine has lost it.
    pub fn time_zone(&self) -> TimeZone {
        zones::find(&self.zone).unwrap_or(TimeZone::UTC)
    }

    pub fn ask(&self) -> Ask {
        Ask {
            destinations: self.destinations.clone(),
            planned: Some(self.length),
            occurrence: Some(self.occurrence.clone()),
            slots: self.keys.clone(),
        }
    }

    pub fn tell(&self, alerts: &Alerts, level: AlertLevel, title: String, text: String) {
        alerts.tell(Telling {
            level,
            title,
            text,
            show: Some(self.show.clone()),
            occurrence: Some(self.occurrence.clone()),
            zone: self.time_zone(),
        });
    }
}

/// A step to carry out; what became of it goes back through `results`.
pub(super) struct Job {
    pub context: Arc<Context>,
    /// None: nobody waits for the result.
    pub step: Option<usize>,
    pub action: Action,
    /// When; what is past means at once.
    pub at: Moment,
    pub who: Who,
}

impl Job {
    /// What became of it goes to whoever waits for that. False: nobody does any more.
    async fn settle(
        self,
        results: &mpsc::Sender<(String, Input)>,
        began: Moment,
        result: Result<String, String>,
    ) -> bool {
        let Some(step) = self.step else {
            if let Err(reason) = result {
                tracing::warn!(%reason, show = %self.context.show, "the programme is not as the show had left it");
            }
            return true;
        };
        let input = Input::Result {
            step,
            began,
            result,
        };
        let occurrence = self.context.occurrence.clone();
        results.send((occurrence, input)).await.is_ok()
    }
}

pub(super) struct Lanes {
    programme: mpsc::UnboundedSender<Job>,
    broadcast: mpsc::UnboundedSender<Job>,
}

impl Lanes {
    /// `results`: of which occurrence, and what.
    pub fn start(hands: &Hands, results: &mpsc::Sender<(String, Input)>) -> Self {
        let (programme, changes) = mpsc::unbounded_channel();
        let (broadcast, inbox) = mpsc::unbounded_channel();
        tokio::spawn(serve_programme(hands.clone(), changes, results.clone()));
        tokio::spawn(serve_broadcast(hands.clone(), inbox, results.clone()));
        Lanes {
            programme,
            broadcast,
        }
    }

    pub fn give(&self, job: Job) {
        let lane = if job.action.is_programme() {
            &self.programme
        } else {
            &self.broadcast
        };
        // A lane ends only with its sender.
        let _ = lane.send(job);
    }
}

/// Hands changes over in their order. Their answers are waited for beside that: two of one time are both there at it.
async fn serve_programme(
    hands: Hands,
    mut jobs: mpsc::UnboundedReceiver<Job>,
    results: mpsc::Sender<(String, Input)>,
) {
    while let Some(job) = jobs.recv().await {
        let handed = match change(&job) {
            Ok(command) => {
                let at = clock::to_monotonic(job.at);
                let handed = hands.session.mix_at(command, at, job.who.clone()).await;
                handed.map_err(|error| error.to_string())
            }
            Err(reason) => Err(reason),
        };
        let results = results.clone();
        tokio::spawn(async move {
            let answer = match handed {
                Ok(mixing) => mixing.answer().await.map_err(|error| error.to_string()),
                Err(reason) => Err(reason),
            };
            let (began, result) = match answer {
                Ok(MixAnswer { at, note, .. }) => (clock::of_monotonic(at), Ok(note)),
                Err(reason) => (clock::moment(), Err(reason)),
            };
            job.settle(&results, began, result).await
        });
    }
}

async fn serve_broadcast(
    hands: Hands,
    mut jobs: mpsc::UnboundedReceiver<Job>,
    results: mpsc::Sender<(String, Input)>,
) {
    while let Some(job) = jobs.recv().await {
        tokio::time::sleep(job.at.since(clock::moment())).await;
        let began = clock::moment();
        let result = carry_out(&hands, &job).await;
        if !job.settle(&results, began, result).await {
            return;
        }
    }
}

/// A note for people, or why it could not be done.
async fn carry_out(hands: &Hands, job: &Job) -> Result<String, String> {
    let (context, who) = (&*job.context, job.who.clone());
    match &job.action {
        Action::Preflight => Ok(look(hands, context).await),
        Action::Live => go_live(hands, context, who).await,
        Action::End { .. } => end(hands, context, who).await,
        Action::Mark { text } => {
            let marked = hands.session.mark(text.clone(), who).await;
            marked
                .map(|()| String::new())
                .map_err(|error| error.to_string())
        }
        Action::Record { recording, on } => {
            let done = hands.session.record(recording.clone(), *on, who).await;
            done.map(|()| String::new())
                .map_err(|error| error.to_string())
        }
        Action::Notify { text } => {
            let (title, text) = (context.title.clone(), text.clone());
            context.tell(&hands.alerts, AlertLevel::Info, title, text);
            Ok(String::new())
        }
        other => Err(format!("\"{other}\" is the programme's")),
    }
}

/// The vision mixer's part.
fn change(job: &Job) -> Result<MixCommand, String> {
    Ok(match job.action.clone() {
        Action::Scene { scene, transition } => MixCommand::Take {
            scene: Some(scene),
            transition,
        },
        Action::Preview { scene } => MixCommand::Preview { scene },
        Action::Overlay { overlay, on } => MixCommand::Overlay { id: overlay, on },
        Action::Title { title, lines } => MixCommand::Title {
            id: title,
            lines: lines
                .iter()
                .map(|line| fill_in(line, &job.context))
                .collect(),
        },
        Action::Audio { source, change } => MixCommand::Audio { source, change },
        Action::Black { on, ms } => MixCommand::Black { on, ms },
        other => return Err(format!("\"{other}\" is nothing of the programme")),
    })
}

/// `{start}`, `{end}` and `{name}`.
fn fill_in(line: &str, context: &Context) -> String {
    line.replace("{start}", &context.start.to_string())
        .replace("{end}", &context.end().to_string())
        .replace("{name}", &context.title)
}

/// Looks, and tells what is wrong.
pub(super) async fn look(hands: &Hands, context: &Context) -> String {
    match hands.preflight.report(context.ask()).await {
        Ok(report) => {
            tell_report(hands, context, &report);
            match (report.problems, report.warnings) {
                (0, 0) => "ready".to_owned(),
                (problems, warnings) => format!("{problems} problems, {warnings} warnings"),
            }
        }
        Err(error) => {
            let title = format!("{}: pre-flight failed", context.title);
            context.tell(&hands.alerts, AlertLevel::Problem, title, error.to_string());
            error.to_string()
        }
    }
}

fn tell_report(hands: &Hands, context: &Context, report: &Report) {
    let name = &context.title;
    let at = context
        .start
        .to_zoned(context.time_zone())
        .strftime("%a %d %b, %H:%M %Z")
        .to_string();
    let (level, said) = match (report.problems, report.warnings) {
        (0, 0) => (AlertLevel::Info, "ready".to_owned()),
        (0, warnings) => (
            AlertLevel::Warning,
            format!("ready, with {warnings} warning{}", plural(warnings)),
        ),
        (problems, _) => (
            AlertLevel::Problem,
            format!("not ready, {problems} problem{}", plural(problems)),
        ),
    };
    let in_minutes = context
        .start
        .duration_since(Timestamp::now())
        .as_secs()
        .max(0)
        / 60;
    let ahead = match in_minutes {
        0..120 => format!("in {in_minutes} min"),
        _ => format!("in {} h", (in_minutes + 30) / 60),
    };
    let title = format!("{name} ({ahead}): {said}");
    let text = format!("{name} goes live on {at}.\n\n{report}");
    context.tell(&hands.alerts, level, title, text);
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Starts all that can be: nobody is in the room who could say "anyway", and one that is refused keeps none of the others off the air.
async fn go_live(hands: &Hands, context: &Context, who: Who) -> Result<String, String> {
    let session = &hands.session;
    let wanted = match context.destinations.as_slice() {
        [] => session.destinations(),
        some => some.to_vec(),
    };
    let runs: Vec<String> = session
        .status()
        .destinations
        .into_iter()
        .filter(|to| !to.ending)
        .map(|to| to.delivery.id)
        .collect();
    let missing: Vec<String> = wanted
        .iter()
        .filter(|id| !runs.contains(id))
        .cloned()
        .collect();
    if missing.is_empty() && !wanted.is_empty() {
        return Ok("on air already".to_owned());
    }
    let ask = Ask {
        destinations: missing.clone(),
        ..context.ask()
    };
    // They are for the log: a disk that hangs makes no start late.
    let known = tokio::time::timeout(PROBLEMS_WITHIN, hands.preflight.known_problems(ask));
    let problems = known.await.unwrap_or_default();
    let ask = StartAsk {
        destinations: missing.clone(),
        who,
        occurrence: Some(context.occurrence.clone()),
        slots: context.keys.clone(),
        anyway: (!problems.is_empty()).then(|| Anyway {
            reason: "it is an unattended show".to_owned(),
            problems,
        }),
        idempotency: None,
    };
    let Err(error) = session.start(ask.clone()).await else {
        return Ok(String::new());
    };
    if matches!(error, SessionError::NoDestination | SessionError::Gone) {
        return Err(error.to_string());
    }
    let mut refused = Vec::new();
    for destination in &missing {
        let alone = StartAsk {
            destinations: vec![destination.clone()],
            ..ask.clone()
        };
        if let Err(error) = session.start(alone).await {
            refused.push(error.to_string());
        }
    }
    let said = refused.join("; ");
    if refused.len() == missing.len() {
        return Err(said);
    }
    let title = format!("{}: not everywhere on air", context.title);
    context.tell(&hands.alerts, AlertLevel::Problem, title, said.clone());
    Ok(format!("not everywhere: {said}"))
}

async fn end(hands: &Hands, context: &Context, who: Who) -> Result<String, String> {
    let status = hands.session.status();
    if status.session.is_none() {
        return Ok("nothing was on air".to_owned());
    }
    let ask = StopAsk {
        session: status.session.map(|id| id.to_string()),
        destinations: context.destinations.clone(),
        // A plan is a decision: what the platform's event can't take back was meant.
        unconditional: true,
        ..StopAsk::everything(who)
    };
    hands
        .session
        .stop(ask)
        .await
        .map_err(|error| error.to_string())?;
    let mut session = hands.session.clone();
    // What is left may take as long as the hold, and the run is not over before.
    let patience = Duration::from_secs(15 * 60);
    match tokio::time::timeout(patience, session.ended(&context.destinations)).await {
        Ok(()) => Ok(String::new()),
        Err(_) => Ok("what is left is still being delivered".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_titles() {
        let context = Context {
            show: "talk".into(),
            title: "A talk".into(),
            destinations: Vec::new(),
            keys: BTreeMap::new(),
            length: Duration::from_secs(60),
            occurrence: "talk/2026-08-02T10:00".into(),
            zone: "UTC".into(),
            start: "2026-08-02T10:00:00Z".parse().unwrap(),
            by: None,
        };
        assert_eq!(
            fill_in("{name}: {start} to {end}", &context),
            "A talk: 2026-08-02T10:00:00Z to 2026-08-02T10:01:00Z"
        );
    }
}
