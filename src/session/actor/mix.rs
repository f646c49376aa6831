//! Mix commands on their way to the engine, and what the engine makes of them. Shell.

use super::Actor;
use super::handle::{Request, SessionError, SessionHandle};
use crate::bridge::mix::{MixAnswer, MixCommand, MixState, Thumbnail, View};
use crate::config::Settings;
use crate::media::MediaTime;
use crate::session::event::{Event, Who};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// How long the engine may take to answer: it does within a frame, unless the machine is beyond its limits.
const ANSWER: Duration = Duration::from_secs(2);
/// Of each view.
const THUMBNAILS_PER_S: u32 = 4;

pub(super) type MixReply = oneshot::Sender<Result<MixAnswer, SessionError>>;

/// The newest picture of each view, as JPEG.
pub type Thumbnails = BTreeMap<View, Bytes>;

/// A command that the engine has not answered yet.
struct Pending {
    asked: Instant,
    command: MixCommand,
    who: Who,
    /// None: nobody waits.
    reply: Option<MixReply>,
}

/// The actor's side of the mixer.
#[derive(Default)]
pub(super) struct Desk {
    last_request: u64,
    pending: BTreeMap<u64, Pending>,
    pub state: Option<MixState>,
    /// Since the status was renewed.
    pub changed: bool,
    lookers: BTreeMap<u64, Look>,
    /// The closing scene was asked for, and what was on air before.
    closing: Option<Closing>,
    thumbnails: watch::Sender<Thumbnails>,
}

struct Closing {
    request: u64,
    asked: Instant,
    /// The engine has taken it.
    taken: bool,
    before: Option<String>,
}

/// What somebody looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// The big picture with all of it as well.
    pub multiview: bool,
}

impl Desk {
    pub fn thumbnails(&self) -> watch::Receiver<Thumbnails> {
        self.thumbnails.subscribe()
    }

    pub fn take(&mut self, Thumbnail { of, jpeg }: Thumbnail) {
        // One that was made for somebody who has gone would be old when the next one comes.
        if !self.lookers.is_empty() {
            self.thumbnails.send_modify(|newest| {
                newest.insert(of, jpeg);
            });
        }
    }

    /// For another engine with other settings. Whoever looks goes on looking.
    pub fn anew(self) -> Self {
        Desk {
            pending: BTreeMap::new(),
            state: None,
            ..self
        }
    }

    fn wanted(&self) -> MixCommand {
        let nobody = self.lookers.is_empty();
        MixCommand::Look {
            thumbnails_per_s: if nobody { 0 } else { THUMBNAILS_PER_S },
            multiview: self.lookers.values().any(|look| look.multiview),
        }
    }
}

impl Actor {
    /// Passes a command on, to show from `at` on.
    pub(super) fn mix(
        &mut self,
        command: MixCommand,
        at: MediaTime,
        who: Who,
        reply: Option<MixReply>,
    ) {
        // The first engine finds it waiting: what a show had made of the programme is in its first frame again. Between two engines it
        // would be too late.
        if self.engine_pid.is_none() && self.engine_runs > 0 {
            if let Some(reply) = reply {
                // Whoever asked may have gone.
                let _ = reply.send(Err(SessionError::NoEngine));
            }
            return;
        }
        self.desk.last_request += 1;
        let request = self.desk.last_request;
        self.engine.mix_at(request, at, command.clone());
        let pending = Pending {
            asked: Instant::now(),
            command,
            who,
            reply,
        };
        self.desk.pending.insert(request, pending);
    }

    pub(super) fn mixed(&mut self, request: u64, result: Result<MixAnswer, String>) {
        let Some(pending) = self.desk.pending.remove(&request) else {
            return;
        };
        if let Some(closing) = &mut self.desk.closing
            && closing.request == request
        {
            match result {
                Ok(_) => closing.taken = true,
                Err(_) => self.close_by_slate(),
            }
        }
        if let Ok(answer) = &result
            && let Some(event) = self.told(pending.command, answer)
        {
            self.log(pending.who, event);
        }
        if let Some(reply) = pending.reply {
            // Whoever asked may have gone.
            let _ = reply.send(result.map_err(SessionError::Mix));
        }
    }

    /// What of a command is worth keeping.
    fn told(&self, command: MixCommand, answer: &MixAnswer) -> Option<Event> {
        Some(match command {
            MixCommand::Take { scene, .. } => Event::SceneTaken {
                scene: scene.or_else(|| Some(self.desk.state.as_ref()?.scene.clone()))?,
                transition: answer.ran.kind,
                ms: answer.ran.ms,
            },
            MixCommand::Black { on, .. } => Event::FadedToBlack { on },
            MixCommand::Overlay { id, on } => Event::OverlaySwitched { overlay: id, on },
            MixCommand::Title { id, lines } => Event::TitleSet { title: id, lines },
            MixCommand::Audio { source, change } => Event::AudioChanged { source, change },
            MixCommand::ResetLoudness => Event::LoudnessReset,
            MixCommand::Preview { .. } | MixCommand::Look { .. } => return None,
        })
    }

    /// The programme closes, by its closing scene or the slate; or it does not after all.
    pub(super) fn show_close(&mut self, on: bool) {
        let before = self.desk.state.as_ref().map(|mix| mix.scene.clone());
        match (super::closing_scene(&self.settings), on) {
            (Some(scene), true) if self.engine_gives => {
                let take = MixCommand::Take {
                    scene: Some(scene),
                    transition: None,
                };
                self.mix(take, MediaTime::ZERO, Who::Regia, None);
                self.desk.closing = Some(Closing {
                    request: self.desk.last_request,
                    asked: Instant::now(),
                    taken: false,
                    before,
                });
            }
            (_, true) => self.air.cover(true),
            (_, false) => {
                self.air.cover(false);
                // Only if it went on: after the end nobody sees what is on air.
                let closing = self.desk.closing.take();
                let before = closing.filter(|closing| closing.taken);
                if let Some(scene) = before.and_then(|closing| closing.before) {
                    let take = MixCommand::Take {
                        scene: Some(scene),
                        transition: None,
                    };
                    self.mix(take, MediaTime::ZERO, Who::Regia, None);
                }
            }
        }
    }

    /// The slate closes where the scene can't.
    fn close_by_slate(&mut self) {
        self.desk.closing = None;
        self.air.cover(true);
        self.log(Who::Regia, Event::ClosingScene { scene: None });
    }

    /// The engine is gone, and will answer nothing that it was asked.
    pub(super) fn mix_is_gone(&mut self) {
        // An engine that comes back goes on with the scene it has taken.
        if self
            .desk
            .closing
            .as_ref()
            .is_some_and(|closing| !closing.taken)
        {
            self.close_by_slate();
        }
        for pending in std::mem::take(&mut self.desk.pending).into_values() {
            if let Some(reply) = pending.reply {
                let _ = reply.send(Err(SessionError::NoEngine));
            }
        }
    }

    /// Another supervisor is told what is looked at; it tells its engines.
    pub(super) fn tell_looks(&self) {
        if !self.desk.lookers.is_empty() {
            self.engine.mix(0, self.desk.wanted());
        }
    }

    /// Forgets what nobody waits for any more.
    pub(super) fn tend_mix(&mut self, now: Instant) {
        let waited = |pending: &Pending| now.duration_since(pending.asked) < ANSWER * 2;
        self.desk.pending.retain(|_, pending| waited(pending));
        let unanswered =
            |closing: &Closing| !closing.taken && now.duration_since(closing.asked) >= ANSWER;
        if self.desk.closing.as_ref().is_some_and(unanswered) {
            self.close_by_slate();
        }
    }

    pub(super) fn look(&mut self, looker: u64, look: Option<Look>) {
        let before = self.desk.wanted();
        match look {
            Some(look) => self.desk.lookers.insert(looker, look),
            None => self.desk.lookers.remove(&looker),
        };
        let wanted = self.desk.wanted();
        if wanted != before {
            // The supervisor keeps it for engines to come.
            self.engine.mix(0, wanted);
        }
        if self.desk.lookers.is_empty() {
            self.desk.thumbnails.send_replace(Thumbnails::new());
        }
    }
}

/// While this is held, pictures are made of what is looked at.
pub struct Looking {
    looker: u64,
    requests: mpsc::Sender<Request>,
}

impl Drop for Looking {
    fn drop(&mut self) {
        let request = Request::Look {
            looker: self.looker,
            look: None,
        };
        // A full inbox is emptied within the moment; what can't be told now is told by a task.
        if let Err(mpsc::error::TrySendError::Full(request)) = self.requests.try_send(request)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let requests = self.requests.clone();
            runtime.spawn(async move { requests.send(request).await });
        }
    }
}

/// What the engine will have made of a command.
pub struct Mixing(oneshot::Receiver<Result<MixAnswer, SessionError>>);

impl Mixing {
    pub async fn answer(self) -> Result<MixAnswer, SessionError> {
        match tokio::time::timeout(ANSWER, self.0).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(SessionError::NoEngine),
            Err(_) => Err(SessionError::Unanswered),
        }
    }
}

impl SessionHandle {
    /// Changes the programme while it runs, and gives what came of it.
    pub async fn mix(&self, command: MixCommand, who: Who) -> Result<MixAnswer, SessionError> {
        let mixing = self.mix_at(command, MediaTime::ZERO, who).await?;
        mixing.answer().await
    }

    /// Hands a command over that shows from a time of CLOCK_MONOTONIC on, a second ahead at most. Those that are handed over one after
    /// the other are done in that order, whether or not their answers are waited for.
    pub async fn mix_at(
        &self,
        command: MixCommand,
        at: MediaTime,
        who: Who,
    ) -> Result<Mixing, SessionError> {
        check(&command, &self.settings())?;
        let (reply, answer) = oneshot::channel();
        let request = Request::Mix {
            command,
            at,
            who,
            reply,
        };
        self.requests
            .send(request)
            .await
            .map_err(|_| SessionError::Gone)?;
        Ok(Mixing(answer))
    }

    /// Has pictures made for as long as what it gives is held.
    pub async fn look(&self, look: Look) -> Result<Looking, SessionError> {
        let looker = self.lookers.fetch_add(1, Ordering::Relaxed);
        let request = Request::Look {
            looker,
            look: Some(look),
        };
        self.requests
            .send(request)
            .await
            .map_err(|_| SessionError::Gone)?;
        Ok(Looking {
            looker,
            requests: self.requests.clone(),
        })
    }

    /// The newest pictures; empty while nobody looks.
    pub fn thumbnails(&self) -> watch::Receiver<Thumbnails> {
        self.thumbnails.clone()
    }
}

/// An id that nothing bears is told before the engine is asked.
fn check(command: &MixCommand, settings: &Settings) -> Result<(), SessionError> {
    let (kind, id, known): (_, _, Vec<&str>) = match command {
        MixCommand::Preview { scene: id }
        | MixCommand::Take {
            scene: Some(id), ..
        } => {
            let scenes = settings.scenes.iter();
            ("scene", id, scenes.map(|scene| scene.id.as_str()).collect())
        }
        MixCommand::Overlay { id, .. } => {
            let overlays = settings.overlays.iter();
            ("overlay", id, overlays.map(|o| o.id.as_str()).collect())
        }
        MixCommand::Title { id, .. } => {
            let titles = settings.titles.iter();
            ("title", id, titles.map(|title| title.id.as_str()).collect())
        }
        MixCommand::Audio { source: id, .. } => {
            let sources = settings.sources.iter();
            ("source", id, sources.map(|s| s.id.as_str()).collect())
        }
        MixCommand::Take { scene: None, .. }
        | MixCommand::Black { .. }
        | MixCommand::ResetLoudness
        | MixCommand::Look { .. } => return Ok(()),
    };
    if known.contains(&id.as_str()) {
        return Ok(());
    }
    let known = if known.is_empty() {
        "the configuration has none".to_owned()
    } else {
        format!("there are {}", known.join(", "))
    };
    Err(SessionError::Unknown {
        kind,
        id: id.clone(),
        known,
    })
}
