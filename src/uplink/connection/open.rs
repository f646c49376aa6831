//! From the dial to RTMP's answer.

use super::{Connection, Event, Events, Phase, Progress, Setup, said_something};
use crate::rtmp::Publisher;
use crate::uplink::dial::dial;
use crate::uplink::error::ConnectionError;
use crate::uplink::failover::ConnectionId;
use crate::uplink::liveness::{Liveness, STALL_AFTER};
use crate::uplink::tls;
use crate::uplink::wire::Wire;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::timeout_at;

/// A path with a second of round trip needs six.
const DIAL_TIMEOUT: Duration = Duration::from_secs(8);

/// How far the dial came.
pub(super) enum Opened {
    Standby(Box<Connection>),
    /// An end that is no failure: the server wants another `connect`.
    Ended(Event),
}

impl Connection {
    /// Dials and goes as far as RTMP's answer to `connect`.
    pub(super) async fn open(
        setup: Setup,
        progress: watch::Sender<Progress>,
        id: ConnectionId,
        events: Events,
    ) -> Result<Opened, ConnectionError> {
        let deadline = (Instant::now() + DIAL_TIMEOUT).into();
        let host = setup.server.host.clone();
        let no_answer = || ConnectionError::NoAnswer {
            address: format!("{host}:{}", setup.server.port),
        };
        let socket = timeout_at(deadline, dial(&setup.way, &setup.server))
            .await
            .map_err(|_| no_answer())??;
        // Whatever ends this connection but the operator's stop resets it.
        let _ = socket.set_zero_linger();
        let wire = match &setup.tls {
            None => Wire::Plain,
            Some(config) => Wire::Tls(Box::new(tls::session(config, &setup.server.host)?)),
        };
        let publisher = Publisher::new(setup.publisher.clone());
        let mut connection = Connection {
            id,
            phase: if setup.tls.is_some() {
                Phase::TlsHandshake
            } else {
                Phase::RtmpHandshake
            },
            setup: setup.clone(),
            socket,
            wire,
            publisher,
            out: Vec::new(),
            sent: 0,
            answers: 0,
            listen_at: None,
            remarks: 0,
            written: 0,
            plain_written: 0,
            live: None,
            liveness: Liveness::new(STALL_AFTER),
            stalled: false,
            sampled: None,
            progress,
            events,
        };
        connection.seal_control()?;
        let connected = timeout_at(deadline, connection.connect());
        let silent = |_| ConnectionError::Silent {
            address: format!("{host}:{}", setup.server.port),
            protocol: if setup.tls.is_some() { "RTMPS" } else { "RTMP" },
        };
        Ok(match connected.await.map_err(silent)?? {
            Some(event) => Opened::Ended(event),
            None => Opened::Standby(Box::new(connection)),
        })
    }

    async fn connect(&mut self) -> Result<Option<Event>, ConnectionError> {
        while self.phase != Phase::Standby {
            self.flush()?;
            let has_out = !self.out.is_empty();
            tokio::select! {
                ready = said_something(&self.socket, self.answers, self.listen_at) => {
                    ready.map_err(ConnectionError::Io)?;
                    if let Some(event) = self.read().await? {
                        return Ok(Some(event));
                    }
                }
                ready = self.socket.writable(), if has_out => ready.map_err(ConnectionError::Io)?,
            }
        }
        Ok(None)
    }
}
