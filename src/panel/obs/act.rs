//! What other desks ask for, done through the session's handle. Shell.

use super::codec::{Failure, Outcome, RequestStatus};
use super::request::{Command, failure};
use super::socket::{Counts, Obs};
use super::view::View;
use super::vitals;
use crate::preflight::{Ask, PreflightError};
use crate::session::control::Refusal;
use crate::session::event::Who;
use crate::session::{SessionError, StartAsk, StopAsk};
use serde_json::{Value, json};
use std::sync::PoisonError;
use std::time::Instant;

impl Obs {
    /// Does it, and says what came of it.
    pub(super) async fn act(&self, command: Command, who: Who, counts: Counts) -> Outcome {
        match self.done(command, who, counts).await {
            Ok(answer) => Outcome::Done(answer),
            Err(failure) => Outcome::Failed(failure),
        }
    }

    async fn done(&self, command: Command, who: Who, counts: Counts) -> Result<Value, Failure> {
        match command {
            Command::Mix(command, answer) => {
                self.session().mix(command, who).await.map_err(refused)?;
                Ok(answer)
            }
            Command::Choose(chosen) => {
                self.choose(chosen);
                Ok(Value::Null)
            }
            Command::Start(answer) => {
                let clear = self.preflight().clear(Ask::default()).await;
                clear.map_err(|error| not_clear(&error))?;
                let started = self.session().start(StartAsk::all(who)).await;
                started.map_err(refused)?;
                Ok(answer)
            }
            Command::Stop(session, answer) => {
                let ask = StopAsk {
                    session,
                    destinations: Vec::new(),
                    confirm: None,
                    who,
                    idempotency: None,
                    unconditional: false,
                };
                self.session().stop(ask).await.map_err(refused)?;
                Ok(answer)
            }
            Command::Record { ids, on, answer } => {
                for id in ids {
                    let asked = self.session().record(id, on, who.clone()).await;
                    asked.map_err(refused)?;
                }
                Ok(answer)
            }
            Command::Stats => Ok(self.stats(counts).await),
        }
    }

    async fn stats(&self, counts: Counts) -> Value {
        let obs = self.clone();
        let settings = self.session().settings();
        let recording = settings.recordings.first();
        let disk = recording.map_or_else(|| self.state().to_owned(), |one| one.path.clone());
        // A network's disk may take its time.
        let look = tokio::task::spawn_blocking(move || {
            let mut looked = obs.looked().lock().unwrap_or_else(PoisonError::into_inner);
            vitals::look(&disk, &mut looked, Instant::now())
        });
        let vitals = look.await.unwrap_or_default();
        let view = View::new(&settings, &self.session().status());
        json!({
            "cpuUsage": vitals.cpu_percent,
            "memoryUsage": vitals.memory_mb,
            "availableDiskSpace": vitals.free_mb,
            "activeFps": view.picture.fps,
            // Regia does not measure it: its engine is another process.
            "averageFrameRenderTime": 0.0,
            "renderSkippedFrames": view.picture.dropped,
            "renderTotalFrames": view.picture.frames,
            "outputSkippedFrames": view.stream.skipped_frames,
            "outputTotalFrames": view.picture.frames,
            "webSocketSessionIncomingMessages": counts.heard,
            "webSocketSessionOutgoingMessages": counts.said,
        })
    }
}

fn not_clear(error: &PreflightError) -> Failure {
    let text = format!("{error}; the panel can do that as well");
    failure(RequestStatus::ResourceActionFailed, text)
}

/// What the session says against it, in its own words.
fn refused(error: SessionError) -> Failure {
    let status = match &error {
        SessionError::Unknown { .. }
        | SessionError::UnknownDestination(_)
        | SessionError::UnknownRecording(_) => RequestStatus::ResourceNotFound,
        SessionError::NoEngine => RequestStatus::NotReady,
        SessionError::Refused(Refusal::Confirm { .. }) => {
            let text =
                format!("{error}; do that in the panel, or with `regia live stop --confirm`");
            return failure(RequestStatus::CannotAct, text);
        }
        SessionError::Refused(_)
        | SessionError::NoDestination
        | SessionError::Key(_)
        | SessionError::Changed
        | SessionError::NothingDelayed
        | SessionError::IdempotencyReused => RequestStatus::ResourceActionFailed,
        SessionError::Mix(_) | SessionError::Unanswered | SessionError::Gone => {
            RequestStatus::RequestProcessingFailed
        }
    };
    failure(status, error.to_string())
}
