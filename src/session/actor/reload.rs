//! New settings in a running daemon: taken as soon as nothing is on air. Shell.

use super::handle::SessionError;
use super::{Actor, Shown, carriers, spec, start_engine, terms, wants_slate};
use crate::bridge::supervisor::EngineOutput;
use crate::config::Settings;
use crate::session::control::Control;
use crate::session::intake;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{error, info};

/// An engine that was told to stop is killed after less; this is for the system that buries it.
const ENGINE_ENDS: Duration = Duration::from_secs(10);
const NOTICE: &str = "The configuration was changed: it holds from the end of this broadcast on, recordings included.";

/// When new settings hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    Now,
    /// Something is on air, or is still being written.
    AfterTheBroadcast,
}

impl Actor {
    fn is_idle(&self) -> bool {
        let records = !self.by_hand.is_empty() || !self.closing_by_hand.is_empty();
        self.session.is_none() && !self.control.is_started() && self.closing.is_empty() && !records
    }

    /// Of several, the newest is taken.
    pub(super) fn ask_reload(&mut self, settings: Arc<Settings>) -> Applies {
        self.waiting = Some(settings);
        if self.is_idle() {
            return Applies::Now;
        }
        if !self.notices.iter().any(|notice| notice == NOTICE) {
            self.notices.push(NOTICE.to_owned());
        }
        Applies::AfterTheBroadcast
    }

    /// Whoever chose destinations or keys by other settings looks again.
    pub(super) fn check_settings(&self, theirs: &Arc<Settings>) -> Result<(), SessionError> {
        if Arc::ptr_eq(theirs, &self.settings) {
            Ok(())
        } else {
            Err(SessionError::Changed)
        }
    }

    pub(super) fn may_reload(&mut self) -> Option<Arc<Settings>> {
        if self.waiting.is_some() && self.is_idle() {
            return self.waiting.take();
        }
        None
    }

    /// What the engine makes stays as it is: it goes on, and whoever looks at the programme sees no break.
    async fn reload_around_the_engine(mut self, settings: Arc<Settings>, shown: &Shown) -> Self {
        if settings.uplinks != self.settings.uplinks {
            match carriers(&settings).await {
                Ok(carriers) => self.carriers = carriers,
                Err(error) => return self.not_taken(&error),
            }
        }
        if wants_slate(&settings) {
            self.engine.want_slate();
        }
        if settings.rtmp != self.settings.rtmp {
            self.end_intake().await;
            self.intake = intake::start(&settings, self.keyring.clone(), self.engine.inlet());
        }
        self.control =
            Control::new(terms::of(&settings)).closing_with(super::closing_scene(&settings));
        self.settings = settings;
        self.taken(shown)
    }

    /// Nothing is pushed any more, and what follows may listen at the same address.
    async fn end_intake(&mut self) {
        if let Some(intake) = self.intake.take() {
            intake.end().await;
        }
    }

    fn not_taken(mut self, error: &io::Error) -> Self {
        error!(%error, "the new configuration can't be taken: restart the daemon");
        let notice = format!("The new configuration can't be taken ({error}): restart Regia.");
        self.notices.push(notice);
        self
    }

    fn taken(mut self, shown: &Shown) -> Self {
        self.notices.retain(|notice| notice != NOTICE);
        info!("the new configuration is in use");
        shown.settings.send_replace(Arc::clone(&self.settings));
        self.tick(Instant::now());
        self.publish(&shown.status);
        self
    }

    /// Begins anew, with another engine and another timeline where it makes something else. The engine before has ended by then: two
    /// would fight for the devices.
    pub(super) async fn reload(
        mut self,
        settings: Arc<Settings>,
        engine: &mut mpsc::Receiver<EngineOutput>,
        shown: &Shown,
    ) -> Self {
        let same_delay = settings.window.delay == self.settings.window.delay;
        if same_delay && spec(&settings) == spec(&self.settings) {
            return self.reload_around_the_engine(settings, shown).await;
        }
        self.engine.stop();
        let ended = timeout(ENGINE_ENDS, async {
            while engine.recv().await.is_some() {}
        });
        if ended.await.is_err() {
            error!("the engine does not end; the new one may find its devices taken");
        }
        self.end_intake().await;
        let started = match start_engine(&settings) {
            Ok(started) => carriers(&settings)
                .await
                .map(|carriers| (started, carriers)),
            Err(error) => Err(error),
        };
        let ((handle, output), carriers) = match started {
            Ok(started) => started,
            Err(error) => return self.not_taken(&error),
        };
        self.mix_is_gone();
        *engine = output;
        let store = self.store.clone();
        let (journal, keyring) = (self.journal, self.keyring);
        let mut next = Actor::new(settings, handle, carriers, store, journal, keyring);
        next.notices = self.notices;
        next.answers = self.answers;
        next.desk = self.desk.anew();
        next.tell_looks();
        next.last_id = self.last_id;
        next.ended_at = self.ended_at;
        shown.programme.send_replace(next.programme.feed());
        shown.levels.send_replace(None);
        next.taken(shown)
    }
}
