//! The schedule's owner: one task that holds the shows and the run under way, and takes requests through a channel. Shell.
//!
//! What it has and remembers is read in `loading`; `planning` begins what is due; `running` minds the run under way; `shows` answers about
//! what is planned.

mod loading;
mod planning;
mod running;
mod shows;

use super::alarm::Alarm;
use super::carry::{Hands, Lanes};
use super::dry::Facts;
use super::handle::{Detail, Schedule};
use super::listing::{Listed, Upcoming};
use super::run::{Command, Input, View};
use super::shelf::{Shelf, ShowError};
use super::{hooks, watch};
use crate::alert::Alerts;
use crate::config::Show;
use crate::preflight::Preflight;
use crate::session::SessionHandle;
use crate::session::clock::{Clock, moment};
use crate::session::event::Who;
use crate::session::moment::Moment;
use crate::store::Store;
use jiff::Timestamp;
use running::Running;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};

type Reply<T> = oneshot::Sender<T>;

pub(in crate::schedule) enum Request {
    List(Reply<Vec<Arc<Listed>>>),
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
        who: Who,
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
                    self.reload().await;
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

    async fn answer(&mut self, request: Request) {
        // Whoever asked may have gone.
        match request {
            Request::List(reply) => drop(reply.send(self.shelf.list())),
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
                who,
                reply,
            } => drop(reply.send(self.run_now(&id, at_start, who).await)),
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
}

/// Where a time of the wall clock lies on the boot clock, as the two stand now.
fn moment_of(at: Timestamp) -> Moment {
    let now = moment();
    let ahead_us = at
        .as_microsecond()
        .saturating_sub(Timestamp::now().as_microsecond());
    Moment(now.0.saturating_add(ahead_us))
}
