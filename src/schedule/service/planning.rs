//! What is due: looks ahead, and the beginnings of runs. Shell.

use super::running::Running;
use super::{Service, moment_of};
use crate::alert::Telling;
use crate::config::{AlertLevel, Show};
use crate::schedule::carry::{self, Context};
use crate::schedule::plan::{self, Ahead};
use crate::schedule::run::{Input, Output, Run};
use crate::session::clock::wall_ms;
use crate::session::event::{Event, Who};
use crate::store::RunRow;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use tracing::{info, warn};

/// Zone data is looked at so often, and a clock that is slewed is followed.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(60);

/// What is to be done now, by the shows' ids, and when there is more.
struct Due {
    looks: Vec<(String, Ahead)>,
    /// With the time at which each was to begin, the first first.
    begins: Vec<(String, Timestamp)>,
    then: Timestamp,
}

impl Service {
    /// Does what is due, and says when something is due next.
    pub(super) async fn plan(&mut self) -> Timestamp {
        let now = Timestamp::now();
        if now.duration_since(self.zones_at).abs() >= LOOK_AGAIN && self.running.is_none() {
            self.zones_at = now;
            self.shelf.renew_zones(now);
        }
        if let Some(running) = &mut self.running {
            running.follow();
            // The shelf may have been filled anew since.
            let context = &running.context;
            self.shelf.pass(&context.show, &context.occurrence);
        }
        let mut next = now.checked_add(LOOK_AGAIN).unwrap_or(now);
        let mut others = Vec::new();
        loop {
            let Due {
                looks,
                begins,
                then,
            } = self.due(now);
            for (id, ahead) in looks {
                self.look_ahead(&id, ahead);
            }
            others.clear();
            let mut begun = false;
            for (id, _) in begins {
                if self.running.is_some() {
                    // It waits for the box, and whoever has it gives way; what it looks at and tells before needs no box.
                    others.extend(self.shelf.needs_the_box(&id));
                    continue;
                }
                self.begin_planned(&id).await;
                begun = true;
            }
            if !begun {
                next = next.min(then);
                break;
            }
        }
        self.give_way(now, others).await;
        next
    }

    /// Looks and beginnings that are due, and when the next is.
    fn due(&self, now: Timestamp) -> Due {
        let mut all = Due {
            looks: Vec::new(),
            begins: Vec::new(),
            then: Timestamp::MAX,
        };
        for (id, entry) in &self.shelf.entries {
            let (Ok(show), Some(next)) = (&entry.show, entry.next()) else {
                continue;
            };
            // A day and some more ahead there is nothing to do; most shows are further.
            let begin = plan::begins(next.at, show.first_step_ms());
            if begin <= now {
                all.begins.push((id.clone(), begin));
                continue;
            }
            let told = |ahead: Ahead| {
                let key = (show.occurrence_id(next), ahead.word().to_owned());
                self.told.contains(&key)
            };
            let (due, at) = plan::due(next.at, show.first_step_ms(), told, now);
            all.looks
                .extend(due.into_iter().map(|ahead| (id.clone(), ahead)));
            all.then = all.then.min(at);
        }
        all.begins.sort_by_key(|(_, at)| *at);
        all
    }

    /// Tells the run when another show needs the box.
    async fn give_way(&mut self, now: Timestamp, waiting: Vec<Timestamp>) {
        let Some(running) = &self.running else { return };
        let own = running.context.show.clone();
        let mut soonest = waiting.into_iter().min();
        for id in self.shelf.entries.keys().filter(|id| **id != own) {
            let needs = self.shelf.needs_the_box(id);
            soonest = soonest.into_iter().chain(needs).min();
        }
        let at = soonest.map(|at| moment_of(at.max(now)));
        self.input(Input::GiveWay(at)).await;
    }

    fn look_ahead(&mut self, id: &str, ahead: Ahead) {
        let Ok((show, entry)) = self.shelf.show(id) else {
            return;
        };
        let Some(next) = entry.next() else { return };
        let context = Context::of(show, show.occurrence_id(next), next.at);
        let hands = self.hands.clone();
        self.remember(context.occurrence.clone(), ahead.word());
        // Ways are measured for seconds.
        tokio::spawn(async move { carry::look(&hands, &context).await });
    }

    /// Once is enough.
    pub(super) fn remember(&mut self, occurrence: String, word: &'static str) {
        self.told.insert((occurrence.clone(), word.to_owned()));
        if let Some(store) = self.store.clone() {
            tokio::spawn(async move {
                if let Err(error) = store.tell(occurrence, word, wall_ms()).await {
                    warn!(%error, "what people were told can't be remembered");
                }
            });
        }
    }

    /// The show's next occurrence, whose time has come.
    async fn begin_planned(&mut self, id: &str) {
        let Ok((show, entry)) = self.shelf.show(id) else {
            return;
        };
        let Some(next) = entry.next().cloned() else {
            return;
        };
        let (show, occurrence) = (show.clone(), show.occurrence_id(&next));
        self.shelf.advance(id, next.at);
        let now = Timestamp::now();
        match plan::start(next.at, show.missed, now) {
            plan::Start::OnTime => self.begin(&show, occurrence, next.at, false, None).await,
            plan::Start::Late => {
                let late = now.duration_since(next.at);
                let title = format!("{} starts late", show.title());
                let text = format!(
                    "{occurrence} starts {} min late: the box was not there at its time.",
                    late.as_mins()
                );
                self.tell_of(
                    id,
                    Some(occurrence.clone()),
                    AlertLevel::Warning,
                    title,
                    text,
                );
                self.begin(&show, occurrence, now, true, None).await;
            }
            plan::Start::Missed => {
                let reason = "the box was not there at its time".to_owned();
                self.give_up(id, occurrence, next.at.as_millisecond(), reason)
                    .await;
            }
        }
    }

    /// `by`: the person who begins it, if its time does not.
    pub(super) async fn begin(
        &mut self,
        show: &Show,
        occurrence: String,
        start: Timestamp,
        at_start: bool,
        by: Option<Who>,
    ) {
        info!(%occurrence, "a run begins");
        let mut context = Context::of(show, occurrence.clone(), start);
        context.by = by;
        let who = context.by.clone().unwrap_or_else(|| context.schedule());
        let mut run = Run::new(show, occurrence.clone(), moment_of(start));
        let outputs = if at_start {
            run.begin_at_start()
        } else {
            vec![Output::Save]
        };
        let event = Event::ShowBegins {
            show: show.id.clone(),
            occurrence,
            start_ms: start.as_millisecond(),
        };
        self.running = Some(Running {
            run,
            context: Arc::new(context),
            start,
        });
        self.carry_out(outputs, None).await;
        self.hands.session.note(who, event).await;
        self.poll().await;
    }

    /// An occurrence that is not run: told, and never tried again.
    pub(super) async fn give_up(
        &mut self,
        show: &str,
        occurrence: String,
        start_ms: i64,
        reason: String,
    ) {
        warn!(%occurrence, %reason, "missed");
        if let Some(store) = &self.store {
            let row = RunRow {
                occurrence: occurrence.clone(),
                show: show.to_owned(),
                start_ms,
                ended_ms: Some(wall_ms()),
                snapshot: "{}".to_owned(),
            };
            if let Err(error) = store.save_run(row).await {
                warn!(%error, "a missed show can't be remembered");
            }
        }
        let title = format!("{show} was missed");
        let text = format!("{occurrence} was not run: {reason}.");
        self.tell_of(
            show,
            Some(occurrence.clone()),
            AlertLevel::Problem,
            title,
            text,
        );
        let event = Event::ShowMissed {
            show: show.to_owned(),
            occurrence,
            reason,
        };
        self.hands
            .session
            .note(Who::Schedule(show.to_owned()), event)
            .await;
    }

    pub(super) fn tell_of(
        &self,
        id: &str,
        occurrence: Option<String>,
        level: AlertLevel,
        title: String,
        text: String,
    ) {
        let zone = self.shelf.entries.get(id).map(|entry| entry.zone.clone());
        self.hands.alerts.tell(Telling {
            level,
            title,
            text,
            show: Some(id.to_owned()),
            occurrence,
            zone: zone.unwrap_or_else(jiff::tz::TimeZone::system),
        });
    }
}
