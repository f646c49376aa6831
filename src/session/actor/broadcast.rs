//! From what was asked for to what runs: sessions, their destinations and recordings begin, are stopped, and end. Shell.

use super::Actor;
use super::handle::SessionError;
use crate::config::{Destination, Recording};
use crate::media::Track;
use crate::recording;
use crate::uplink::destination::{RunningDestination, SessionStart};
use crate::window::{Cursor, Feed};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{Instrument, error, info};

/// A stop that finds no whole unit within this (the engine may be gone) ends with the newest.
const WHOLE_WAIT: Duration = Duration::from_millis(700);
/// A session starts at a keyframe behind which there is sound; an engine without any is waited for no longer than this.
const SOUND_WAIT: Duration = Duration::from_millis(700);

/// From the first start to the last destination's end.
pub(super) struct Session {
    pub(super) started: Instant,
    pub(super) running: Vec<Running>,
    pub(super) was_on_air: bool,
    /// The newest unit that any destination that was stopped delivers.
    pub(super) last_unit: u64,
    pub(super) stop_recordings: watch::Sender<Option<u64>>,
    pub(super) recordings: JoinSet<()>,
}

impl Session {
    pub(super) fn is_ending(&self) -> bool {
        self.running.iter().all(|running| running.stop != Stop::No)
    }
}

pub(super) struct Running {
    pub(super) destination: RunningDestination,
    pub(super) preferred: Option<String>,
    pub(super) stop: Stop,
}

/// A stop waits for a unit at which the pictures are whole, since those before it may have left already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    No,
    Asked { at: Instant, newest: u64 },
    Under,
}

impl Actor {
    fn chosen(&self, ids: &[String]) -> Result<Vec<Destination>, SessionError> {
        let all = &self.settings.destinations;
        if ids.is_empty() {
            return if all.is_empty() {
                Err(SessionError::NoDestination)
            } else {
                Ok(all.clone())
            };
        }
        let find = |id: &String| {
            all.iter()
                .find(|d| d.id == *id)
                .cloned()
                .ok_or_else(|| SessionError::UnknownDestination(id.clone()))
        };
        ids.iter().map(find).collect()
    }

    /// Starting what is started already changes nothing: a double click is one start. One that is still ending starts
    /// again when it has.
    pub(super) fn ask_start(&mut self, ids: &[String]) -> Result<(), SessionError> {
        for destination in self.chosen(ids)? {
            let on = |running: &Running| {
                running.destination.id() == destination.id && running.stop == Stop::No
            };
            let running = self.session.iter().flat_map(|s| &s.running).any(on);
            let pending = self
                .pending
                .iter()
                .any(|pending| pending.id == destination.id);
            if !running && !pending {
                self.pending.push(destination);
            }
        }
        Ok(())
    }

    /// Starts what was asked for, as soon as there is a keyframe to start with.
    pub(super) fn begin_pending(&mut self, now: Instant) {
        // A session that is ending ends first: the next one has recordings of its own.
        if self.pending.is_empty() || self.session.as_ref().is_some_and(Session::is_ending) {
            return;
        }
        let Some(start) = self.session_start() else {
            return;
        };
        let feed = self.writer.feed();
        if self.session.is_none() {
            let (stop_recordings, stopped) = watch::channel(None);
            let mut recordings = JoinSet::new();
            for recording in &self.settings.recordings {
                record(recording, &mut recordings, &feed, &start, &stopped);
            }
            self.session = Some(Session {
                started: now,
                running: Vec::new(),
                was_on_air: false,
                last_unit: 0,
                stop_recordings,
                recordings,
            });
        }
        let Some(session) = &mut self.session else {
            return;
        };
        for destination in std::mem::take(&mut self.pending) {
            if session
                .running
                .iter()
                .any(|r| r.destination.id() == destination.id)
            {
                // It is still ending.
                self.pending.push(destination);
                continue;
            }
            let running = RunningDestination::start(
                &destination,
                &self.settings.uplinks,
                &self.settings.window,
                &self.settings.programme,
                &feed,
                &start,
                &self.carriers,
            );
            match running {
                Ok(running) => session.running.push(Running {
                    destination: running,
                    preferred: destination.uplinks.first().cloned(),
                    stop: Stop::No,
                }),
                Err(error) => {
                    error!(destination = %destination.id, %error, "this destination can't start")
                }
            }
        }
    }

    fn session_start(&self) -> Option<SessionStart> {
        let view = self.writer.view();
        let from = view.keyframe.clone()?;
        let keyframe_at = from.peek()?.unit.dts;
        if !has_sound(&from) && view.time.since(keyframe_at) < SOUND_WAIT {
            return None;
        }
        Some(SessionStart {
            base: from.timeline_base()?,
            from,
        })
    }

    pub(super) fn stop(&mut self, ids: &[String]) -> Result<(), SessionError> {
        let chosen = self.chosen(ids)?;
        self.pending
            .retain(|pending| !chosen.iter().any(|d| d.id == pending.id));
        let asked = Stop::Asked {
            at: Instant::now(),
            newest: self.writer.view().newest.seq(),
        };
        for running in self.session.iter_mut().flat_map(|s| &mut s.running) {
            if running.stop == Stop::No && chosen.iter().any(|d| d.id == running.destination.id()) {
                running.stop = asked;
            }
        }
        Ok(())
    }

    pub(super) fn carry_out_stops(&mut self, now: Instant) {
        let Some(session) = &mut self.session else {
            return;
        };
        for running in &mut session.running {
            let Stop::Asked { at, newest } = running.stop else {
                continue;
            };
            let view = self.writer.view();
            let whole = view.whole_end();
            let until = if whole >= newest {
                whole
            } else if now.duration_since(at) >= WHOLE_WAIT {
                view.newest.seq()
            } else {
                continue;
            };
            running.stop = Stop::Under;
            running.destination.stop(until);
            session.last_unit = until;
        }
        if session
            .running
            .iter()
            .all(|running| running.stop == Stop::Under)
        {
            let until = session.last_unit;
            session.stop_recordings.send_if_modified(|stop| {
                let first = stop.is_none();
                stop.get_or_insert(until);
                first
            });
        }
    }

    /// Takes leave of destinations and recordings that have ended, and of the session with the last of them.
    pub(super) fn tend_session(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        session.was_on_air |= session
            .running
            .iter()
            .any(|r| r.destination.status().state == "on_air");
        session
            .running
            .retain_mut(|running| !running.destination.has_ended());
        while session.recordings.try_join_next().is_some() {}
        if session.running.is_empty() && session.recordings.is_empty() {
            info!(
                elapsed_s = session.started.elapsed().as_secs(),
                "the session has ended"
            );
            self.session = None;
        }
    }
}

fn has_sound(from: &Cursor) -> bool {
    let mut ahead = from.clone();
    while let Some(entry) = ahead.advance() {
        if entry.unit.track == Track::Audio {
            return true;
        }
    }
    false
}

fn record(
    settings: &Recording,
    tasks: &mut JoinSet<()>,
    feed: &Feed,
    start: &SessionStart,
    stop: &watch::Receiver<Option<u64>>,
) {
    let path = settings
        .path
        .join(recording::file_name(&settings.id, jiff::Timestamp::now()));
    let (feed, start, stop) = (feed.clone(), start.clone(), stop.clone());
    let span = tracing::info_span!("recording", id = %settings.id);
    tasks.spawn(
        async move {
            info!(path = %path.display(), "recording");
            if let Err(error) = recording::record(&path, feed, start.from, start.base, stop).await {
                error!(%error, "the recording ended; the broadcast goes on");
            }
        }
        .instrument(span),
    );
}
