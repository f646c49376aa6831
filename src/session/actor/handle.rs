//! How others act on the session: a handle with a channel to the actor, and the status it shows. Shell.

use super::status::Status;
use crate::session::machine::State;
use tokio::sync::{mpsc, oneshot, watch};

#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("there is no destination {0:?}")]
    UnknownDestination(String),
    #[error("the configuration has no destination: add one to go live")]
    NoDestination,
    #[error("the session has ended")]
    Gone,
}

pub(super) enum Request {
    Start {
        destinations: Vec<String>,
        reply: oneshot::Sender<Result<(), SessionError>>,
    },
    Stop {
        destinations: Vec<String>,
        reply: oneshot::Sender<Result<(), SessionError>>,
    },
}

/// How panel, CLI and schedule act. Cloning makes another handle.
#[derive(Clone)]
pub struct SessionHandle {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) status: watch::Receiver<Status>,
}

impl SessionHandle {
    /// Goes live to these destinations, or to all. Those that are live already stay as they are.
    pub async fn start(&self, destinations: Vec<String>) -> Result<(), SessionError> {
        self.ask(|reply| Request::Start {
            destinations,
            reply,
        })
        .await
    }

    /// Delivers what is left and ends the broadcast on these destinations, or on all.
    pub async fn stop(&self, destinations: Vec<String>) -> Result<(), SessionError> {
        self.ask(|reply| Request::Stop {
            destinations,
            reply,
        })
        .await
    }

    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Returns when the programme is on air on any destination. Never, when it does not come so far.
    pub async fn on_air(&mut self) {
        let on_air = |status: &Status| {
            matches!(
                status.state,
                State::OnAir | State::Degraded | State::BackupUplink
            )
        };
        if self.status.wait_for(on_air).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Returns when nothing is being published any more.
    pub async fn standby(&mut self) {
        // An actor that is gone publishes nothing.
        let _ = self
            .status
            .wait_for(|status| status.state == State::Standby)
            .await;
    }

    /// Returns when an engine tells how its sources do. Never, when none comes so far.
    pub async fn engine_tells(&mut self) {
        let tells = |status: &Status| status.health_age_s.is_some();
        if self.status.wait_for(tells).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Returns when the actor shows its status anew: it does so with every tick. `Err`: it is gone.
    pub async fn ticked(&mut self) -> Result<Status, SessionError> {
        self.status
            .changed()
            .await
            .map_err(|_| SessionError::Gone)?;
        Ok(self.status.borrow_and_update().clone())
    }

    async fn ask(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<(), SessionError>>) -> Request,
    ) -> Result<(), SessionError> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(request(reply))
            .await
            .map_err(|_| SessionError::Gone)?;
        answer.await.map_err(|_| SessionError::Gone)?
    }
}
