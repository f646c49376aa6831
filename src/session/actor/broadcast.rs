//! From what the control decided to what runs: sessions, their destinations and recordings begin, are stopped, and end. Shell.

use super::Actor;
use super::recordings::Recordings;
use crate::media::{MediaTime, Track};
use crate::session::clock;
use crate::session::control::{Act, RunId};
use crate::session::event::{EndReason, Event, SessionId, Totals, Who};
use crate::session::watch::Watcher;
use crate::store::KeyMark;
use crate::uplink::destination::{RunningDestination, SessionStart};
use crate::window::{Cursor, View};
use std::time::{Duration, Instant};
use tracing::error;

/// A stop that finds no whole unit within this (the engine may be gone) ends with the newest.
const WHOLE_WAIT: Duration = Duration::from_millis(700);
/// A session starts at a keyframe behind which there is sound; an engine without any is waited for no longer than this.
const SOUND_WAIT: Duration = Duration::from_millis(700);

/// From the first start to the last destination's end.
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) running: Vec<Running>,
    pub(super) was_on_air: bool,
    pub(super) recordings: Recordings,
    /// Of the destination that was delivered most.
    pub(super) delivered_s: f64,
}

/// One run of a destination.
pub(super) struct Running {
    pub(super) run: RunId,
    pub(super) destination: usize,
    mark: KeyMark,
    /// Since its first publish, where it was under way before this process.
    elapsed: Option<Duration>,
    /// None: it waits for its first keyframe.
    pub(super) task: Option<RunningDestination>,
    /// Nothing that was mixed before it was asked for is sent.
    from: Option<MediaTime>,
    pub(super) preferred: Option<String>,
    pub(super) stop: Stop,
    pub(super) watcher: Watcher,
    /// Of the processes before this one.
    before: Totals,
}

/// A stop waits for a unit at which the pictures are whole, since those before it may have left already; and then for the
/// delay, until that unit goes out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    No,
    Asked { at: Instant, newest: u64 },
    Named { at: Instant, until: u64 },
    Under,
}

impl Running {
    /// Of the whole run.
    pub(super) fn totals(&self) -> Totals {
        let (before, now) = (self.before, self.watcher.totals());
        Totals {
            delivered_s: before.delivered_s + now.delivered_s,
            shed_s: before.shed_s + now.shed_s,
            shed_units: before.shed_units + now.shed_units,
            replayed_s: before.replayed_s + now.replayed_s,
            undelivered_s: now.undelivered_s,
            reconnects: before.reconnects + now.reconnects,
        }
    }
}

impl Actor {
    /// Does all that the control has decided.
    pub(super) fn carry_out(&mut self, now: Instant) {
        while let Some(act) = self.control.poll_act() {
            match act {
                Act::Open(id) => self.open(id),
                Act::Begin {
                    run,
                    destination,
                    mark,
                    elapsed,
                } => self.begin(run, destination, mark, elapsed),
                Act::Finish(run) => self.finish(now, run),
                Act::FinishNow(run) => self.finish_now(run),
                Act::Drop(run) => self.end(run),
                Act::Slate(on) => self.show_close(on),
                Act::Log(who, event) => self.log_with_recordings(who, event),
                Act::Used(mark) => self.mark_used(mark),
                Act::Save => self.save(),
                Act::Close(id) => self.close(now, &id),
            }
        }
        self.begin_pending(now);
        self.carry_out_stops(now);
    }

    fn open(&mut self, id: SessionId) {
        let automatic = self.settings.recordings.iter().filter(|one| one.auto);
        let recordings = Recordings::plan(automatic);
        self.ended_at = None;
        self.session = Some(Session {
            id,
            running: Vec::new(),
            was_on_air: false,
            recordings,
            delivered_s: 0.0,
        });
    }

    fn begin(&mut self, run: RunId, destination: usize, mark: KeyMark, elapsed: Option<Duration>) {
        let settings = &self.settings.destinations[destination];
        let follows = self.control.run(run).is_some_and(|(_, number)| number > 1);
        // A show that begins shows nothing of what was before; one that goes on shows all that is there.
        let goes_on = elapsed.is_some() || follows || self.settings.window.delay.is_zero();
        let newest = self.programme.view().keyframe.as_ref();
        let from = newest.and_then(|keyframe| Some(keyframe.peek()?.unit.dts));
        let Some(session) = &mut self.session else {
            return;
        };
        session.running.push(Running {
            run,
            destination,
            mark,
            elapsed,
            task: None,
            from: from.filter(|_| !goes_on),
            preferred: settings.uplinks.first().cloned(),
            stop: Stop::No,
            watcher: Watcher::new(&settings.id, elapsed.is_some()),
            before: self.totals_before.remove(&run).unwrap_or_default(),
        });
    }

    /// Starts what was asked for, as soon as there is a keyframe to start with.
    fn begin_pending(&mut self, now: Instant) {
        let Some(session) = &mut self.session else {
            return;
        };
        if session.recordings.wait()
            && let Some(start) = start_at(self.programme.view(), None)
        {
            session.recordings.begin(&self.programme.feed(), &start);
        }
        let feed = self.on_air.feed();
        let mut failed = Vec::new();
        for running in &mut session.running {
            if running.task.is_some() || running.stop != Stop::No {
                continue;
            }
            let Some(start) = start_at(self.on_air.view(), running.from) else {
                continue;
            };
            let Some(key) = self.secrets.get(&running.mark) else {
                // The control begins only what was resolved.
                failed.push((running.run, "its key is gone".to_owned()));
                continue;
            };
            let mut settings = self.settings.destinations[running.destination].clone();
            // A timeline that continues does so across a restart.
            settings.timeline_start += running.elapsed.unwrap_or_default();
            let task = RunningDestination::start(
                &settings,
                key,
                &self.settings.uplinks,
                &self.settings.window,
                &self.settings.programme,
                &feed,
                &start,
                &self.carriers,
            );
            match task {
                Ok(task) => running.task = Some(task),
                Err(error) => failed.push((running.run, error.to_string())),
            }
        }
        for (run, reason) in failed {
            self.fail(now, run, reason);
        }
    }

    fn fail(&mut self, now: Instant, run: RunId, reason: String) {
        let Some((destination, _)) = self.control.run(run) else {
            return;
        };
        let id = self.settings.destinations[destination].id.clone();
        error!(destination = %id, %reason, "this destination can't start");
        self.log(
            Who::Regia,
            Event::StartFailed {
                destination: id,
                reason,
            },
        );
        self.end(run);
        self.carry_out(now);
    }

    fn running_mut(&mut self, run: RunId) -> Option<&mut Running> {
        let session = self.session.as_mut()?;
        session
            .running
            .iter_mut()
            .find(|running| running.run == run)
    }

    fn finish(&mut self, now: Instant, run: RunId) {
        let newest = self.programme.view().newest.seq();
        let Some(running) = self.running_mut(run) else {
            return;
        };
        if running.task.is_none() {
            self.end(run);
        } else if running.stop == Stop::No {
            running.stop = Stop::Asked { at: now, newest };
        }
    }

    fn finish_now(&mut self, run: RunId) {
        if let Some(running) = self.running_mut(run) {
            running.stop = Stop::Under;
            if let Some(task) = &running.task {
                // Every connection is past the unit before the first.
                task.stop(0);
            }
        }
    }

    pub(super) fn carry_out_stops(&mut self, now: Instant) {
        let Some(session) = &mut self.session else {
            return;
        };
        let (view, aired) = (self.programme.view(), self.on_air.view().newest.seq());
        for running in &mut session.running {
            if let Stop::Asked { at, newest } = running.stop {
                let whole = view.whole_end();
                if whole >= newest {
                    running.stop = Stop::Named { at, until: whole };
                } else if now.duration_since(at) >= WHOLE_WAIT {
                    let until = view.newest.seq();
                    running.stop = Stop::Named { at, until };
                }
                if let Stop::Named { until, .. } = running.stop {
                    session.recordings.ends_at(until);
                }
            }
            if let Stop::Named { until, .. } = running.stop
                && aired >= until
            {
                running.stop = Stop::Under;
                if let Some(task) = &running.task {
                    task.stop(until);
                }
            }
        }
        let told = |running: &Running| matches!(running.stop, Stop::Named { .. } | Stop::Under);
        if !session.running.is_empty() && session.running.iter().all(told) {
            session.recordings.end(view.whole_end());
        }
    }

    /// Tells the control how destinations fare, and takes leave of those that have ended.
    pub(super) fn tend_session(&mut self, now: Instant) {
        let moment = clock::moment();
        let mut events = Vec::new();
        let mut ended = Vec::new();
        for running in self.session.iter_mut().flat_map(|s| &mut s.running) {
            let Some(task) = &mut running.task else {
                continue;
            };
            let had_published = running.watcher.has_published();
            events.extend(running.watcher.note(now, &task.status()));
            if running.watcher.has_published() && !had_published {
                self.control.published(moment, running.run);
            }
            self.control
                .on_air(moment, running.run, running.watcher.is_on_air());
            if task.has_ended() {
                ended.push(running.run);
            }
        }
        for event in events {
            self.log(Who::Regia, event);
        }
        if let Some(session) = &mut self.session {
            session.was_on_air |= session
                .running
                .iter()
                .any(|running| running.watcher.is_on_air());
        }
        for run in ended {
            self.end(run);
        }
        self.closing
            .retain_mut(|recordings| !recordings.have_ended());
        let failed = self.session.as_mut().map(|s| s.recordings.failures());
        for (recording, reason) in failed.into_iter().flatten() {
            self.log(Who::Regia, Event::RecordingFailed { recording, reason });
        }
    }

    /// Nothing of the run is left, or is to be left: its connections go with it.
    fn end(&mut self, run: RunId) {
        let Some(session) = &mut self.session else {
            return;
        };
        let Some(at) = session.running.iter().position(|r| r.run == run) else {
            return;
        };
        let mut running = session.running.remove(at);
        let rest = match &running.task {
            Some(task) => running.watcher.finish(&task.status()),
            None => Vec::new(),
        };
        let totals = running.totals();
        session.delivered_s = session.delivered_s.max(totals.delivered_s);
        let reason = self.control.ended(clock::moment(), run);
        for event in rest {
            self.log(Who::Regia, event);
        }
        let destination = self.settings.destinations[running.destination].id.clone();
        if running.task.is_some() || reason != EndReason::Failed {
            self.log(
                Who::Regia,
                Event::DestinationEnded {
                    destination,
                    reason,
                    totals,
                },
            );
        }
    }

    fn close(&mut self, now: Instant, id: &SessionId) {
        let session = self.session.take_if(|session| session.id == *id);
        if let Some(mut session) = session {
            session.recordings.end(self.programme.view().whole_end());
            self.closing.push(session.recordings);
            let delivered_s = session.delivered_s;
            self.log_of(id, Who::Regia, Event::Ended { delivered_s });
            self.ended_at = Some(now);
        }
        self.save_ended(id);
    }
}

/// Where a broadcast or a recording starts: at the newest keyframe, if there is sound behind it, and nothing before `from`.
pub(super) fn start_at(view: &View, from: Option<MediaTime>) -> Option<SessionStart> {
    let keyframe = view.keyframe.clone()?;
    let keyframe_at = keyframe.peek()?.unit.dts;
    if from.is_some_and(|from| keyframe_at < from) {
        return None;
    }
    if !has_sound(&keyframe) && view.time.since(keyframe_at) < SOUND_WAIT {
        return None;
    }
    Some(SessionStart {
        base: keyframe.timeline_base()?,
        from: keyframe,
    })
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
