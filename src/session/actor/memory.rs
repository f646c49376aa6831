//! What the session writes down for later: its log, and what a restart needs. Shell.

use super::Actor;
use super::broadcast::{Running, Session};
use crate::session::clock;
use crate::session::control::{Control, Keys, RunId, Snapshot};
use crate::session::event::{Event, SessionId, Totals, Who};
use crate::session::keys::{Keyring, Secrets};
use crate::store::{KeyMark, SessionRow, Write};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// How often the report's curves get a point…
const SAMPLE_EVERY: Duration = Duration::from_secs(5);
/// …and the snapshot the time: by so much an outage may seem longer than it was.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// A session's row.
#[derive(Serialize, Deserialize)]
struct Saved {
    control: Snapshot,
    totals: BTreeMap<u32, Totals>,
}

/// What was found of a session that was under way.
pub(super) struct Found {
    row: SessionRow,
    saved: Saved,
    keys: Vec<(usize, Keys)>,
    secrets: Secrets,
}

impl Found {
    /// Of the process before this one. A row that can't be read is told and left.
    pub(super) async fn look(
        keyring: &Keyring,
        store: &crate::store::Store,
        settings: &crate::config::Settings,
    ) -> Result<Option<Found>, String> {
        let row = match store.unfinished().await {
            Ok(Some(row)) => row,
            Ok(None) => return Ok(None),
            Err(error) => return Err(format!("what was on air can't be read: {error}")),
        };
        let saved: Saved = match serde_json::from_str(&row.snapshot) {
            Ok(saved) => saved,
            Err(error) => {
                let ended_ms = Some(clock::wall_ms());
                store.post(Write::Session(SessionRow { ended_ms, ..row }));
                return Err(format!("what was on air can't be read: {error}"));
            }
        };
        let mut keys = Vec::new();
        let mut secrets = Secrets::new();
        for (index, destination) in settings.destinations.iter().enumerate() {
            let runs = &saved.control.runs;
            if !runs.iter().any(|run| run.destination == destination.id) {
                continue;
            }
            // A show may have started it on a key of its own.
            let first = runs.iter().find(|run| run.destination == destination.id);
            let slot = match first {
                Some(run) => keyring.slot_of(run.mark).await,
                None => None,
            };
            let destination = &destination.with_slot(slot.as_ref());
            // Its occurrence was looked at when it started; a key that is gone is told by what does not go on.
            if let Ok((its, more)) = keyring.resolve_again(destination).await {
                keys.push((index, its));
                secrets.extend(more);
            }
        }
        Ok(Some(Found {
            row,
            saved,
            keys,
            secrets,
        }))
    }
}

impl Actor {
    /// Goes on with what was on air when the process before this one ended.
    pub(super) fn resume(&mut self, found: Found) {
        let Found {
            row,
            saved,
            keys,
            secrets,
        } = found;
        self.secrets.extend(secrets);
        let totals = saved.totals.into_iter();
        self.totals_before = totals.map(|(run, totals)| (RunId(run), totals)).collect();
        self.row = Some(row);
        let stamp = self.clock.stamp();
        let resumption = self.control.resume(saved.control, &keys, &stamp);
        self.notices.extend(resumption.notices);
    }

    pub(super) fn log(&mut self, who: Who, event: Event) {
        match self.session.as_ref().map(|session| session.id.clone()) {
            Some(id) => self.log_of(&id, who, event),
            None => self
                .journal
                .write(clock::wall_ms(), None, Duration::ZERO, who, event),
        }
    }

    pub(super) fn log_of(&mut self, id: &SessionId, who: Who, event: Event) {
        let elapsed = match &self.control {
            control if control.session() == Some(id) => control.elapsed(clock::moment()),
            _ => self.last_elapsed,
        };
        self.last_elapsed = elapsed;
        self.journal
            .write(clock::wall_ms(), Some(id), elapsed, who, event);
    }

    /// The control knows nothing of files.
    pub(super) fn log_with_recordings(&mut self, who: Who, mut event: Event) {
        if let Event::Started { recordings, .. } = &mut event
            && let Some(session) = &self.session
        {
            *recordings = session.recordings.paths();
        }
        // What comes of a snapshot that does not go on still belongs to its session.
        match (&self.session, &self.row) {
            (None, Some(row)) => {
                let id = SessionId::new(row.id.clone());
                self.log_of(&id, who, event);
            }
            _ => self.log(who, event),
        }
    }

    pub(super) fn mark_used(&mut self, mark: KeyMark) {
        let session = match (self.control.session(), &self.row) {
            (Some(id), _) => id.as_str().to_owned(),
            (None, Some(row)) => row.id.clone(),
            (None, None) => return,
        };
        if let Some(store) = &self.store {
            store.post(Write::KeyUsed {
                mark,
                session,
                used_ms: clock::wall_ms(),
            });
        }
    }

    pub(super) fn save(&mut self) {
        let stamp = self.clock.stamp();
        let Some(control) = self.control.snapshot(&stamp) else {
            return;
        };
        // The control may be at its next session while this one's last acts are carried out.
        let is_open = |session: &Session| session.id == control.session;
        if !self.session.as_ref().is_some_and(is_open) {
            return;
        }
        let id = control.session.as_str().to_owned();
        let started_ms = control.started.wall_ms;
        let totals = self
            .session
            .iter()
            .flat_map(|session| &session.running)
            .map(|running| (running.run.0, running.totals()))
            .collect();
        // What is made of plain data can always be written.
        let Ok(snapshot) = serde_json::to_string(&Saved { control, totals }) else {
            return;
        };
        let started_ms = match &self.row {
            Some(row) if row.id == id => row.started_ms,
            _ => started_ms,
        };
        let row = SessionRow {
            id,
            started_ms,
            ended_ms: None,
            snapshot,
        };
        self.saved = Some(Instant::now());
        self.row = Some(row.clone());
        if let Some(store) = &self.store {
            store.post(Write::Session(row));
        }
    }

    pub(super) fn save_ended(&mut self, id: &SessionId) {
        let row = self.row.take_if(|row| row.id == id.as_str());
        if let (Some(row), Some(store)) = (row, &self.store) {
            store.post(Write::Session(SessionRow {
                ended_ms: Some(clock::wall_ms()),
                ..row
            }));
        }
    }

    /// Proves now and then that it was on air until now, and gives each curve a point.
    pub(super) fn keep_account(&mut self, now: Instant) {
        let due = |at: Option<Instant>, every| at.is_none_or(|at| now.duration_since(at) >= every);
        let is_on_air = |running: &Running| running.watcher.is_on_air();
        let running = || self.session.iter().flat_map(|session| &session.running);
        if !running().any(is_on_air) {
            return;
        }
        // A tenth is finer than anybody hears.
        let levels = self.levels.as_ref();
        let loudness_lufs = levels
            .and_then(|levels| levels.programme.short_term_lufs)
            .map(|lufs| (f64::from(lufs) * 10.0).round() / 10.0);
        let samples: Vec<Event> = running()
            .filter(|running| is_on_air(running) && due(self.sampled, SAMPLE_EVERY))
            .filter_map(|running| {
                let status = running.task.as_ref()?.status();
                Some(Event::Sample {
                    destination: status.id,
                    kbps: status.bitrate_kbps,
                    rtt_ms: status.rtt_ms,
                    hold_used_s: status.hold_used_s,
                    loudness_lufs,
                })
            })
            .collect();
        if due(self.saved, HEARTBEAT) {
            self.save();
        }
        if !samples.is_empty() {
            self.sampled = Some(now);
        }
        for sample in samples {
            self.log(Who::Regia, sample);
        }
    }
}

/// A name that no session has had.
pub(super) fn new_id(control: &Control, row: Option<&SessionRow>, last: &mut i64) -> SessionId {
    let second = (clock::wall_ms() / 1_000).max(*last + 1);
    *last = second;
    let name = |second: i64| {
        let at = jiff::Timestamp::from_second(second).unwrap_or_default();
        SessionId::new(at.strftime("%Y%m%d-%H%M%S").to_string())
    };
    let id = name(second);
    let taken = control.session() == Some(&id) || row.is_some_and(|row| row.id == id.as_str());
    if taken { name(second + 1) } else { id }
}

pub(super) fn tell_notices(notices: &[String]) {
    for notice in notices {
        warn!("{notice}");
    }
    if notices.is_empty() {
        info!("the session is ready");
    }
}
