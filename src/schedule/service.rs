//! The schedule's owner: one task that holds the shows and the run under way, and takes requests through a channel. Shell.

use super::alarm::Alarm;
use super::carry::{self, Context, Hands, Job, Lanes};
use super::dry::Facts;
use super::handle::{Detail, Listed, Schedule, Upcoming};
use super::plan::{self, Ahead};
use super::run::{Command, Input, Output, Run, View};
use super::shelf::{Entry, Origin, Shelf, ShowError};
use super::{hooks, watch};
use crate::alert::Alerts;
use crate::calendar::{Occurrence, Oddity};
use crate::config::show::{millis, shifted};
use crate::config::{AlertLevel, Show, parse_show};
use crate::preflight::Preflight;
use crate::session::clock::{Clock, moment, wall_ms};
use crate::session::event::{Event, Who};
use crate::session::moment::{Moment, Stamp};
use crate::session::{SessionHandle, Status};
use crate::store::{RunRow, ShowRow, Store};
use jiff::{SignedDuration, Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch as watch_channel};
use tracing::{info, warn};

/// A disk that takes longer than this to write an intent down makes no step late.
const SAVE_WAIT: Duration = Duration::from_millis(250);
/// Zone data is looked at so often, and a clock that is slewed is followed.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(60);
/// What people were told is remembered for so long.
const REMEMBERED_MS: i64 = 40 * 24 * 3_600_000;
/// Under this word it is remembered when a show was first seen.
const SEEN: &str = "seen";

type Reply<T> = oneshot::Sender<T>;

pub(super) enum Request {
    List(Reply<Vec<Listed>>),
    Detail {
        id: String,
        reply: Reply<Result<Detail, ShowError>>,
    },
    Upcoming {
        most: usize,
        reply: Reply<Vec<Upcoming>>,
    },
    Shows(Reply<Vec<Show>>),
    Save {
        shows: Vec<(Show, String)>,
        replace: bool,
        reply: Reply<Result<(), ShowError>>,
    },
    Delete {
        id: String,
        reply: Reply<Result<(), ShowError>>,
    },
    Run {
        id: String,
        at_start: bool,
        reply: Reply<Result<View, ShowError>>,
    },
    DryRun {
        id: String,
        reply: Reply<Result<Facts, ShowError>>,
    },
    Running(Reply<Option<View>>),
    Command {
        id: Option<String>,
        command: Command,
        who: Who,
        reply: Reply<Result<View, ShowError>>,
    },
}

/// A run and what its steps act with.
struct Running {
    run: Run,
    context: Arc<Context>,
    /// When it goes live by the wall clock, which the run's own clock follows until then.
    start: Timestamp,
}

/// What is written down of a run.
#[derive(Serialize, Deserialize)]
struct Saved {
    stamp: Stamp,
    context: Context,
    run: Run,
}

struct Service {
    hands: Hands,
    store: Option<Store>,
    shelf: Shelf,
    told: BTreeSet<(String, String)>,
    clock: Clock,
    lanes: Lanes,
    running: Option<Running>,
    zones_at: Timestamp,
}

/// Starts the schedule, and goes on with a run that was under way when the process before this one ended. It ends when every handle is
/// dropped. Without a store, shows are those of the configuration, and a restart forgets the run.
pub async fn start(
    session: SessionHandle,
    preflight: Preflight,
    alerts: Alerts,
    store: Option<Store>,
) -> io::Result<Schedule> {
    let (requests, inbox) = mpsc::channel(16);
    let (results, outcomes) = mpsc::channel(64);
    let hands = Hands {
        session: session.clone(),
        preflight,
        alerts,
    };
    tokio::spawn(hooks::serve(session.clone()));
    tokio::spawn(watch::serve(hands.clone()));
    let (wall, boot) = (Alarm::of_wall_clock()?, Alarm::of_boot_clock()?);
    let mut service = Service {
        lanes: Lanes::start(&hands, &results),
        hands,
        store: store.clone(),
        shelf: Shelf::default(),
        told: BTreeSet::new(),
        clock: Clock::of_this_boot(),
        running: None,
        zones_at: Timestamp::now(),
    };
    service.load().await;
    service.resume().await;
    tokio::spawn(service.serve(inbox, outcomes, wall, boot));
    Ok(Schedule {
        requests,
        session,
        store,
    })
}

impl Service {
    async fn serve(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        mut outcomes: mpsc::Receiver<(String, Input)>,
        wall: Alarm,
        boot: Alarm,
    ) {
        let mut statuses = self.hands.session.statuses();
        let mut settings = self.hands.session.settings_watch();
        settings.mark_unchanged();
        loop {
            let next = self.plan().await;
            let armed = self.arm(&wall, &boot, next);
            if let Err(error) = armed {
                // Without a timer nothing would ever begin: this is as good as the end of the task.
                warn!(%error, "the schedule has no timers and ends");
                return;
            }
            tokio::select! {
                biased;
                () = boot.rings(), if self.running.is_some() => self.poll().await,
                Some((occurrence, input)) = outcomes.recv() => self.outcome(&occurrence, input).await,
                () = wall.rings() => {}
                request = requests.recv() => match request {
                    Some(request) => self.answer(request).await,
                    None => return,
                },
                changed = settings.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    info!("the configuration was changed: shows are looked at again");
                    self.shelf = Shelf::default();
                    self.load().await;
                }
                changed = statuses.changed(), if self.running.is_some() => {
                    if changed.is_err() {
                        return;
                    }
                    self.observe(&mut statuses).await;
                }
            }
        }
    }

    fn arm(&self, wall: &Alarm, boot: &Alarm, next: Timestamp) -> io::Result<()> {
        wall.set_wall(next)?;
        let due = self.running.as_ref().and_then(|running| {
            let due = running.run.poll_timeout()?;
            let now = moment();
            // Until the start comes, its moment follows a wall clock that may be slewed: half-way it is looked at again.
            let far = due.0 - now.0 > 2_000_000 && now < running.run.start();
            Some(if far {
                Moment(now.0 + (due.0 - now.0) / 2)
            } else {
                due
            })
        });
        match due {
            Some(due) => boot.set_boot(due),
            None => boot.clear(),
        }
    }

    async fn load(&mut self) {
        let now = Timestamp::now();
        let settings = self.hands.session.settings();
        for show in &settings.shows {
            let text = toml::to_string(&show.to_value()).unwrap_or_default();
            self.shelf.load(
                show.id.clone(),
                Origin::Configuration,
                text,
                Ok(show.clone()),
                now,
            );
        }
        let Some(store) = self.store.clone() else {
            return;
        };
        let rows = store.shows().await.unwrap_or_else(|error| {
            warn!(%error, "saved shows can't be read");
            Vec::new()
        });
        let mut since = std::collections::BTreeMap::new();
        for row in rows {
            since.insert(row.id.clone(), row.saved_ms);
            let show = parse_show(&row.text, "show", &settings).map_err(|errors| {
                let lines: Vec<String> = errors.problems.iter().map(ToString::to_string).collect();
                lines.join("; ")
            });
            self.shelf.load(row.id, Origin::Saved, row.text, show, now);
        }
        let since_ms = wall_ms() - REMEMBERED_MS;
        let told = store.told(since_ms).await.unwrap_or_default();
        self.told = told.into_iter().collect();
        let past = store.past_runs(since_ms).await.unwrap_or_default();
        let past: BTreeSet<String> = past.into_iter().collect();
        let (mut fresh, mut broken) = (Vec::new(), Vec::new());
        for (id, entry) in &self.shelf.entries {
            if entry.origin == Origin::Configuration
                && !self.told.contains(&(id.clone(), SEEN.to_owned()))
            {
                fresh.push(id.clone());
            }
            if let Err(problem) = &entry.show {
                broken.push((id.clone(), problem.clone()));
            }
        }
        for id in &fresh {
            self.remember(id.clone(), SEEN);
        }
        let known_since = |id: &str| {
            let saved = since
                .get(id)
                .and_then(|ms| Timestamp::from_millisecond(*ms).ok());
            saved.unwrap_or(if fresh.iter().any(|new| new == id) {
                now
            } else {
                Timestamp::UNIX_EPOCH
            })
        };
        self.shelf.look_back(&past, known_since, now);
        for (id, problem) in broken {
            warn!(show = %id, %problem, "this show will not run");
            let title = format!("the show {id} will not run");
            self.tell_of(
                &id,
                None,
                AlertLevel::Problem,
                title,
                format!("{problem}. Change it with `regia show add --replace`, or delete it."),
            );
        }
    }

    /// Goes on with the run of before, if there was one.
    async fn resume(&mut self) {
        let Some(store) = self.store.clone() else {
            return;
        };
        let rows = store.unfinished_runs().await.unwrap_or_default();
        let now = self.clock.stamp();
        for (index, row) in rows.into_iter().enumerate() {
            let saved =
                serde_json::from_str::<Saved>(&row.snapshot).map_err(|error| error.to_string());
            let resumed = saved.and_then(|mut saved| {
                saved
                    .run
                    .rebase(&saved.stamp, &now)
                    .map_err(|error| error.to_string())?;
                Ok(saved)
            });
            let reason = match resumed {
                Ok(saved) if index == 0 => {
                    let Saved {
                        context, mut run, ..
                    } = saved;
                    let policy = self.shelf.missed_policy(&context.show);
                    let start = match (
                        run.has_begun(),
                        plan::start(context.start, policy, Timestamp::now()),
                    ) {
                        (true, _) | (false, plan::Start::OnTime) => Some(context.start),
                        (false, plan::Start::Late) => {
                            run.start_late(now.moment);
                            Some(Timestamp::now())
                        }
                        (false, plan::Start::Missed) => None,
                    };
                    match start {
                        Some(start) => {
                            info!(occurrence = %context.occurrence, "the run goes on");
                            let mut running = Running {
                                run,
                                context: Arc::new(context),
                                start,
                            };
                            follow(&mut running);
                            let outputs = running.run.resume(moment());
                            self.running = Some(running);
                            self.carry_out(outputs).await;
                            continue;
                        }
                        None => "Regia came back too late".to_owned(),
                    }
                }
                Ok(_) => "another run was begun after it".to_owned(),
                Err(reason) => reason,
            };
            self.give_up(&row.show, row.occurrence.clone(), row.start_ms, reason)
                .await;
        }
    }

    /// Does what is due, and says when something is due next.
    async fn plan(&mut self) -> Timestamp {
        let now = Timestamp::now();
        if now.duration_since(self.zones_at).abs() >= LOOK_AGAIN && self.running.is_none() {
            self.zones_at = now;
            self.shelf.renew_zones(now);
        }
        if let Some(running) = &mut self.running {
            follow(running);
        }
        let mut next = now.checked_add(LOOK_AGAIN).unwrap_or(now);
        let mut others = Vec::new();
        loop {
            let (looks, begins, then) = self.due(now);
            for (id, ahead) in looks {
                self.look_ahead(&id, ahead);
            }
            others.clear();
            let mut begun = false;
            for (id, begin) in begins {
                if self.running.is_some() {
                    // It waits for the box, and whoever has it gives way.
                    others.push(begin);
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
    fn due(&self, now: Timestamp) -> (Vec<(String, Ahead)>, Vec<(String, Timestamp)>, Timestamp) {
        let (mut looks, mut begins, mut then) = (Vec::new(), Vec::new(), Timestamp::MAX);
        for (id, entry) in &self.shelf.entries {
            let (Ok(show), Some(next)) = (&entry.show, &entry.next) else {
                continue;
            };
            // A day and some more ahead there is nothing to do; most shows are further.
            let begin = plan::begins(next.at, show.first_step_ms());
            if begin <= now {
                begins.push((id.clone(), begin));
                continue;
            }
            let told = |ahead: Ahead| {
                let key = (show.occurrence_id(next), ahead.word().to_owned());
                self.told.contains(&key)
            };
            let (due, at) = plan::due(next.at, show.first_step_ms(), told, now);
            looks.extend(due.into_iter().map(|ahead| (id.clone(), ahead)));
            then = then.min(at);
        }
        begins.sort_by_key(|(_, at)| *at);
        (looks, begins, then)
    }

    /// Tells the run when another show needs the box.
    async fn give_way(&mut self, now: Timestamp, waiting: Vec<Timestamp>) {
        let Some(running) = &self.running else { return };
        let own = running.context.show.clone();
        let mut soonest = waiting.into_iter().min();
        for (id, entry) in &self.shelf.entries {
            if let (Ok(show), Some(next)) = (&entry.show, &entry.next)
                && *id != own
            {
                let needs = shifted(next.at, -show.lead_ms());
                soonest = Some(soonest.map_or(needs, |soonest| soonest.min(needs)));
            }
        }
        let at = soonest.map(|at| moment_of(at.max(now)));
        self.input(Input::GiveWay(at)).await;
    }

    fn look_ahead(&mut self, id: &str, ahead: Ahead) {
        let Ok((show, entry)) = self.shelf.show(id) else {
            return;
        };
        let Some(next) = &entry.next else { return };
        let context = Context::of(show, show.occurrence_id(next), next.at);
        let hands = self.hands.clone();
        self.remember(context.occurrence.clone(), ahead.word());
        // Ways are measured for seconds.
        tokio::spawn(async move { carry::look(&hands, &context).await });
    }

    /// Once is enough.
    fn remember(&mut self, occurrence: String, word: &'static str) {
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
        let Some(next) = entry.next.clone() else {
            return;
        };
        let (show, occurrence) = (show.clone(), show.occurrence_id(&next));
        self.shelf.advance(id, next.at);
        let now = Timestamp::now();
        match plan::start(next.at, show.missed, now) {
            plan::Start::OnTime => self.begin(&show, occurrence, next.at, false).await,
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
                self.begin(&show, occurrence, now, true).await;
            }
            plan::Start::Missed => {
                let reason = "the box was not there at its time".to_owned();
                self.give_up(id, occurrence, next.at.as_millisecond(), reason)
                    .await;
            }
        }
    }

    async fn begin(&mut self, show: &Show, occurrence: String, start: Timestamp, at_start: bool) {
        info!(%occurrence, "a run begins");
        let context = Arc::new(Context::of(show, occurrence.clone(), start));
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
            context: Arc::clone(&context),
            start,
        });
        self.carry_out(outputs).await;
        self.hands.session.note(context.who(), event).await;
        self.poll().await;
    }

    /// An occurrence that is not run: told, and never tried again.
    async fn give_up(&mut self, show: &str, occurrence: String, start_ms: i64, reason: String) {
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

    fn tell_of(
        &self,
        id: &str,
        occurrence: Option<String>,
        level: AlertLevel,
        title: String,
        text: String,
    ) {
        let zone = self.shelf.entries.get(id).map(|entry| entry.zone.clone());
        self.hands.alerts.tell(crate::alert::Telling {
            level,
            title,
            text,
            show: Some(id.to_owned()),
            occurrence,
            zone: zone.unwrap_or_else(jiff::tz::TimeZone::system),
        });
    }

    async fn poll(&mut self) {
        let Some(running) = &mut self.running else {
            return;
        };
        follow(running);
        let outputs = running.run.poll(moment());
        self.carry_out(outputs).await;
    }

    async fn outcome(&mut self, occurrence: &str, input: Input) {
        if self
            .running
            .as_ref()
            .is_some_and(|running| running.context.occurrence == occurrence)
        {
            self.input(input).await;
        }
    }

    async fn input(&mut self, input: Input) {
        if let Some(running) = &mut self.running {
            let outputs = running.run.take(moment(), input);
            self.carry_out(outputs).await;
        }
    }

    /// What steps may wait for.
    async fn observe(&mut self, statuses: &mut watch_channel::Receiver<Status>) {
        let mut heard: Vec<Input> = Vec::new();
        {
            let status = statuses.borrow_and_update();
            for input in status.levels.iter().flat_map(|levels| &levels.inputs) {
                let peaks = input.peak_db.iter().flatten().copied();
                heard.push(Input::Heard {
                    source: input.id.clone(),
                    db: peaks.reduce(f32::max),
                });
            }
            if let Some(mix) = &status.mix {
                // While one scene goes into another, what plays may still be that of before.
                let clip = mix.clip.as_ref().filter(|_| mix.transition.is_none());
                let plays =
                    clip.filter(|clip| clip.length_s.is_none_or(|length| clip.position_s < length));
                let scene = plays.map(|clip| clip.scene.clone());
                heard.push(Input::Clip { scene });
            }
        }
        for input in heard {
            self.input(input).await;
        }
    }

    async fn carry_out(&mut self, outputs: Vec<Output>) {
        let Some(running) = &self.running else { return };
        let context = Arc::clone(&running.context);
        let acts = |output: &Output| matches!(output, Output::Do { .. });
        let last_act = outputs.iter().rposition(acts);
        for (index, output) in outputs.into_iter().enumerate() {
            match output {
                // Only what is about to be done waits for the disk.
                Output::Save => self.save(last_act.is_some_and(|act| index < act)).await,
                Output::Do { step, action } => {
                    self.lanes.give(Job {
                        context: Arc::clone(&context),
                        step: Some(step),
                        action,
                    });
                }
                Output::Restore(actions) => {
                    for action in actions {
                        self.lanes.give(Job {
                            context: Arc::clone(&context),
                            step: None,
                            action,
                        });
                    }
                }
                Output::Log(event) => self.hands.session.note(context.who(), event).await,
                Output::Alert(level, text) => {
                    context.tell(&self.hands.alerts, level, text.clone(), text)
                }
                Output::Over => {
                    info!(occurrence = %context.occurrence, "the run is over");
                    self.save(false).await;
                    self.running = None;
                    return;
                }
            }
        }
    }

    /// `waits`: until it is on the disk, or that takes too long.
    async fn save(&self, waits: bool) {
        let (Some(store), Some(running)) = (&self.store, &self.running) else {
            return;
        };
        let saved = Saved {
            stamp: self.clock.stamp(),
            context: Context::clone(&running.context),
            run: running.run.clone(),
        };
        let snapshot = match serde_json::to_string(&saved) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                warn!(%error, "the run can't be written down");
                return;
            }
        };
        let row = RunRow {
            occurrence: running.context.occurrence.clone(),
            show: running.context.show.clone(),
            start_ms: running.start.as_millisecond(),
            ended_ms: running.run.is_over().then(wall_ms),
            snapshot,
        };
        if !waits {
            store.save_run_soon(row);
            return;
        }
        match tokio::time::timeout(SAVE_WAIT, store.save_run(row)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                warn!(%error, "the run can't be written down; it goes on, but a restart may not")
            }
            Err(_) => warn!("the disk is slow; the run goes on"),
        }
    }

    async fn answer(&mut self, request: Request) {
        // Whoever asked may have gone.
        match request {
            Request::List(reply) => {
                drop(reply.send(self.shelf.entries.iter().map(listed).collect()))
            }
            Request::Detail { id, reply } => drop(reply.send(self.detail(id))),
            Request::Upcoming { most, reply } => drop(reply.send(self.upcoming(most))),
            Request::Shows(reply) => {
                let shows = self
                    .shelf
                    .entries
                    .values()
                    .filter_map(|entry| entry.show.clone().ok());
                drop(reply.send(shows.collect()));
            }
            Request::Save {
                shows,
                replace,
                reply,
            } => drop(reply.send(self.save_shows(shows, replace).await)),
            Request::Delete { id, reply } => drop(reply.send(self.delete(&id).await)),
            Request::Run {
                id,
                at_start,
                reply,
            } => drop(reply.send(self.run_now(&id, at_start).await)),
            Request::DryRun { id, reply } => drop(reply.send(self.facts(&id))),
            Request::Running(reply) => drop(reply.send(self.view())),
            Request::Command {
                id,
                command,
                who,
                reply,
            } => drop(reply.send(self.command(id, command, who).await)),
        }
    }

    fn view(&self) -> Option<View> {
        self.running
            .as_ref()
            .map(|running| running.run.view(moment()))
    }

    fn detail(&self, id: String) -> Result<Detail, ShowError> {
        let entry = self.shelf.entries.get(&id).ok_or(ShowError::Unknown(id))?;
        Ok(Detail {
            origin: entry.origin,
            text: entry.text.clone(),
            show: entry.show.as_ref().ok().map(Show::to_value),
            problem: entry.show.as_ref().err().cloned(),
        })
    }

    fn upcoming(&self, most: usize) -> Vec<Upcoming> {
        let now = Timestamp::now();
        let horizon = now.checked_add((366 * 24).hours()).unwrap_or(now);
        let mut found = Vec::new();
        for entry in self.shelf.entries.values() {
            let (Ok(show), Some(next)) = (&entry.show, &entry.next) else {
                continue;
            };
            for occurrence in show
                .recurrence
                .occurrences(&entry.zone, next.at, horizon, most)
            {
                found.push(upcoming(show, entry, &occurrence));
            }
        }
        found.sort_by_key(|one: &Upcoming| one.start_ms);
        found.truncate(most);
        found
    }

    async fn save_shows(
        &mut self,
        shows: Vec<(Show, String)>,
        replace: bool,
    ) -> Result<(), ShowError> {
        let saved_ms = wall_ms();
        let row = |(show, text): &(Show, String)| ShowRow {
            id: show.id.clone(),
            text: text.clone(),
            saved_ms,
        };
        let rows: Vec<ShowRow> = shows.iter().map(row).collect();
        let prepared = self.shelf.prepare(&shows, replace, Timestamp::now())?;
        if let Some(store) = &self.store {
            store.save_shows(rows).await?;
        }
        self.shelf.apply(prepared);
        Ok(())
    }

    async fn delete(&mut self, id: &str) -> Result<(), ShowError> {
        self.shelf.check_delete(id)?;
        if let Some(running) = self
            .running
            .as_ref()
            .filter(|running| running.context.show == id)
        {
            return Err(ShowError::Running(running.context.occurrence.clone()));
        }
        if let Some(store) = &self.store {
            store.delete_show(id).await?;
        }
        self.shelf.delete(id);
        Ok(())
    }

    async fn run_now(&mut self, id: &str, at_start: bool) -> Result<View, ShowError> {
        if let Some(running) = &self.running {
            return Err(ShowError::Running(running.context.occurrence.clone()));
        }
        let (show, _) = self.shelf.show(id)?;
        let show = show.clone();
        let now = Timestamp::now();
        let start = if at_start {
            now
        } else {
            shifted(now, show.first_step_ms())
        };
        let occurrence = format!("{id}/by-hand-{}", now.strftime("%Y-%m-%dT%H:%M:%SZ"));
        self.begin(&show, occurrence, start, at_start).await;
        self.view().ok_or(ShowError::NotRunning)
    }

    fn facts(&self, id: &str) -> Result<Facts, ShowError> {
        let (show, entry) = self.shelf.show(id)?;
        let in_the_way = entry.next.as_ref().and_then(|next| {
            let stretch = crate::calendar::Occupied {
                show: id.to_owned(),
                from: shifted(next.at, -show.lead_ms()),
                to: shifted(next.at, millis(show.length)),
            };
            self.shelf.in_the_way(&stretch).cloned()
        });
        Ok(Facts {
            show: show.clone(),
            zone: entry.zone.clone(),
            next: entry.next.clone(),
            in_the_way,
            alerts: self.hands.alerts.ids(),
        })
    }

    async fn command(
        &mut self,
        id: Option<String>,
        command: Command,
        who: Who,
    ) -> Result<View, ShowError> {
        let running = self.running.as_mut().ok_or(ShowError::NotRunning)?;
        if let Some(id) = id.filter(|id| *id != running.context.show) {
            return Err(ShowError::OtherRuns(running.context.show.clone(), id));
        }
        info!(%who, ?command, "the run is told");
        let outputs = running.run.command(moment(), command)?;
        let view = running.run.view(moment());
        self.carry_out(outputs).await;
        Ok(view)
    }
}

/// Where a time of the wall clock lies on the boot clock, as the two stand now.
fn moment_of(at: Timestamp) -> Moment {
    let now = moment();
    let ahead_us = at
        .as_microsecond()
        .saturating_sub(Timestamp::now().as_microsecond());
    Moment(now.0.saturating_add(ahead_us))
}

fn follow(running: &mut Running) {
    running.run.set_start(moment_of(running.start), moment());
}

fn listed((id, entry): (&String, &Entry)) -> Listed {
    let show = entry.show.as_ref().ok();
    let next = entry.next.as_ref().filter(|_| show.is_some());
    Listed {
        id: id.clone(),
        name: show.and_then(|show| show.name.clone()),
        origin: entry.origin,
        zone: show.map(|show| show.zone.clone()).unwrap_or_default(),
        repeat: show
            .and_then(|show| show.recurrence.rule.as_ref())
            .map(ToString::to_string),
        length_s: show.map_or(0.0, |show| show.length.as_secs_f64()),
        occurrence: next.zip(show).map(|(next, show)| show.occurrence_id(next)),
        next_ms: next.map(|next| next.at.as_millisecond()),
        next: next.map(|next| at_text(next.at, &entry.zone)),
        problem: entry.show.as_ref().err().cloned(),
    }
}

fn upcoming(show: &Show, entry: &Entry, occurrence: &Occurrence) -> Upcoming {
    let start_ms = occurrence.at.as_millisecond();
    Upcoming {
        show: show.id.clone(),
        name: show.name.clone(),
        occurrence: show.occurrence_id(occurrence),
        start_ms,
        end_ms: start_ms.saturating_add(millis(show.length)),
        at: at_text(occurrence.at, &entry.zone),
        zone: show.zone.clone(),
        note: occurrence
            .oddity
            .map(|oddity| oddity_text(oddity).to_owned()),
    }
}

pub(super) fn oddity_text(oddity: Oddity) -> &'static str {
    match oddity {
        Oddity::InGap => "the clocks skip its time that day: it is later by as much",
        Oddity::Doubled => "its time comes twice that day: the first counts",
    }
}

/// With the zone's own word, so that nobody takes it for another's.
pub(super) fn at_text(at: Timestamp, zone: &jiff::tz::TimeZone) -> String {
    let name = zone.iana_name().unwrap_or("UTC").to_owned();
    let zoned = at.to_zoned(zone.clone());
    format!("{} ({name})", zoned.strftime("%a %Y-%m-%d %H:%M:%S %Z"))
}
