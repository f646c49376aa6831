//! A connection that publishes nothing: as far as RTMP's answer to `connect`, and if asked, with a load of ballast on it
//! to see what the way carries. Shell.
//!
//! It goes by the same name server, interface and options as a broadcast's connections, and is closed without a word
//! of RTMP: no stream was created, so there is none to delete.

use super::dial::{Way, dial};
use super::error::ConnectionError;
use super::meter::{Load, Meter};
use super::sockopt;
use super::tls;
use super::wire::Wire;
use crate::config::IngestUrl;
use crate::rtmp::{Ballast, Publisher, PublisherEvent, PublisherSettings};
use rustls::ClientConfig;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::{sleep_until, timeout_at};

/// How often more is offered and acknowledgements are looked at: the kernel gives no event for them.
const STEP: Duration = Duration::from_millis(20);
/// After a measurement, for what is still under way.
const LAST_BYTES: Duration = Duration::from_millis(500);
/// What is sealed ahead of the socket, at most.
const SEALED_AHEAD: usize = 64 * 1024;
const READ_BUFFER: usize = 16 * 1024;

/// Where to, and how.
#[derive(Clone)]
pub struct Probe {
    pub server: IngestUrl,
    pub way: Way,
    pub tls: Arc<ClientConfig>,
    pub publisher: PublisherSettings,
    /// From the name to RTMP's answer.
    pub patience: Duration,
    /// None: the way is not measured.
    pub load: Option<Load>,
}

/// How an ingest was reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Reached {
    pub address: SocketAddr,
    /// Name and TCP, then TLS, then RTMP up to its answer to `connect`.
    pub dialled: Duration,
    pub secured: Option<Duration>,
    pub accepted: Duration,
    pub carried: Option<Carried>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    /// The peer's TCP has had so much, in kb/s, of what was offered. (Cumulative acknowledgements alone would leave out what
    /// lies beyond a hole: a way of 2.7 Mb/s was seen as 1.9.)
    Measured { kbps: u32, offered_kbps: u32 },
    /// The connection ended before anything could be said.
    CutOff { why: String },
}

/// Connects, measures if asked, and goes.
pub async fn probe(probe: &Probe) -> Result<Reached, ConnectionError> {
    let deadline = Instant::now() + probe.patience;
    let mut publisher = probe.publisher.clone();
    // Adobe authentication takes up to three connections; a server that asks for ever meets the deadline.
    let (mut link, mut reached) = loop {
        match Link::open(probe, &publisher, deadline).await? {
            Opened::Standby(link, reached) => break (*link, reached),
            Opened::Again(settings) => publisher = *settings,
        }
    };
    if let Some(load) = probe.load {
        reached.carried = Some(link.carry(load).await);
    }
    link.close().await;
    Ok(reached)
}

enum Opened {
    Standby(Box<Link>, Reached),
    /// The server wants another `connect`, with these settings.
    Again(Box<PublisherSettings>),
}

struct Link {
    host: String,
    socket: TcpStream,
    wire: Wire,
    publisher: Publisher,
    /// Sealed and not yet taken by the kernel, from `sent` on.
    out: Vec<u8>,
    sent: usize,
    /// Bytes that the kernel has taken in all.
    written: u64,
    stage: Stage,
}

enum Stage {
    Tls,
    Rtmp,
    Standby,
    Retry(Box<PublisherSettings>),
}

impl Link {
    async fn open(
        probe: &Probe,
        settings: &PublisherSettings,
        deadline: Instant,
    ) -> Result<Opened, ConnectionError> {
        let server = &probe.server;
        let address = || format!("{}:{}", server.host, server.port);
        let began = Instant::now();
        let socket = timeout_at(deadline.into(), dial(&probe.way, server))
            .await
            .map_err(|_| ConnectionError::NoAnswer { address: address() })??;
        let dialled = began.elapsed();
        let peer = socket.peer_addr().map_err(ConnectionError::Io)?;
        // What a narrow way has not taken in time is thrown away rather than sent on behind our back.
        let _ = socket.set_zero_linger();
        let (wire, stage) = if server.tls {
            let session = tls::session(&probe.tls, &server.host)?;
            (Wire::Tls(Box::new(session)), Stage::Tls)
        } else {
            (Wire::Plain, Stage::Rtmp)
        };
        let mut link = Link {
            host: server.host.clone(),
            socket,
            wire,
            publisher: Publisher::new(settings.clone()),
            out: Vec::new(),
            sent: 0,
            written: 0,
            stage,
        };
        let silent = |_| ConnectionError::Silent {
            address: address(),
            protocol: if server.tls { "RTMPS" } else { "RTMP" },
        };
        let handshakes = timeout_at(deadline.into(), link.handshakes());
        let (secured, accepted) = handshakes.await.map_err(silent)??;
        if let Stage::Retry(settings) = link.stage {
            return Ok(Opened::Again(settings));
        }
        let reached = Reached {
            address: peer,
            dialled,
            secured: server.tls.then_some(secured),
            accepted,
            carried: None,
        };
        Ok(Opened::Standby(Box::new(link), reached))
    }

    /// How long TLS took, and RTMP after it.
    async fn handshakes(&mut self) -> Result<(Duration, Duration), ConnectionError> {
        let began = Instant::now();
        self.seal_control()?;
        self.exchange_while(|stage| matches!(stage, Stage::Tls))
            .await?;
        let secured = began.elapsed();
        self.exchange_while(|stage| matches!(stage, Stage::Rtmp))
            .await?;
        Ok((secured, began.elapsed() - secured))
    }

    async fn exchange_while(
        &mut self,
        goes_on: impl Fn(&Stage) -> bool,
    ) -> Result<(), ConnectionError> {
        while goes_on(&self.stage) {
            self.flush()?;
            let has_out = !self.out.is_empty();
            tokio::select! {
                ready = self.socket.readable() => {
                    ready.map_err(ConnectionError::Io)?;
                    self.read()?;
                }
                ready = self.socket.writable(), if has_out => ready.map_err(ConnectionError::Io)?,
            }
        }
        self.flush()
    }

    /// Offers a load and counts what is acknowledged of it.
    async fn carry(&mut self, load: Load) -> Carried {
        let began = Instant::now();
        let mut meter = Meter::new(load, began);
        let cut_off = self.offer(&mut meter).await.err();
        match (meter.kbps(), cut_off) {
            (Some(kbps), _) => Carried::Measured {
                kbps,
                offered_kbps: load.kbps,
            },
            (None, Some(error)) => Carried::CutOff {
                why: error.to_string(),
            },
            (None, None) => Carried::CutOff {
                why: "this machine was too busy to measure it".to_owned(),
            },
        }
    }

    async fn offer(&mut self, meter: &mut Meter) -> Result<(), ConnectionError> {
        // The pictures of two probes at once need not differ; they only must not compress.
        let mut ballast = Ballast::new(self.written.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let before = self.carried();
        let (mut offered, mut plain) = (0, Vec::new());
        loop {
            let now = Instant::now();
            meter.sample(now, self.carried().saturating_sub(before));
            if now >= meter.ends_at() {
                return Ok(());
            }
            while offered < meter.due(now) && self.out.len() - self.sent < SEALED_AHEAD {
                plain.clear();
                self.publisher.write_ballast(&mut ballast, &mut plain);
                offered += plain.len() as u64;
                self.wire
                    .seal(&plain, &mut self.out)
                    .map_err(ConnectionError::Io)?;
            }
            self.flush()?;
            // While the socket takes no more, its next chance is worth no more than the next step.
            tokio::select! {
                ready = self.socket.readable() => {
                    ready.map_err(ConnectionError::Io)?;
                    self.read()?;
                }
                () = sleep_until((now + STEP).into()) => {}
            }
        }
    }

    /// Bytes that the peer's TCP has acknowledged in all.
    fn acknowledged(&self) -> u64 {
        let waiting = sockopt::unacknowledged(&self.socket).unwrap_or(0) as u64;
        self.written.saturating_sub(waiting)
    }

    /// And those that it has beyond what was lost on the way and will come again.
    fn carried(&self) -> u64 {
        self.acknowledged() + sockopt::selectively_acknowledged(&self.socket).unwrap_or(0)
    }

    fn seal_control(&mut self) -> Result<(), ConnectionError> {
        let control = self.publisher.take_output();
        self.wire
            .seal(&control, &mut self.out)
            .map_err(ConnectionError::Io)
    }

    /// Gives the kernel as much as it takes.
    fn flush(&mut self) -> Result<(), ConnectionError> {
        while self.sent < self.out.len() {
            match self.socket.try_write(&self.out[self.sent..]) {
                Ok(n) => {
                    self.sent += n;
                    self.written += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(ConnectionError::Io(error)),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(())
    }

    /// Reads once.
    fn read(&mut self) -> Result<(), ConnectionError> {
        let mut buffer = [0u8; READ_BUFFER];
        let n = match self.socket.try_read(&mut buffer) {
            Ok(0) => return Err(self.closed()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => {
                tracing::debug!(%error, "the probe was reset");
                return Err(self.closed());
            }
        };
        let mut plain = Vec::new();
        let opened = self.wire.open(&buffer[..n], &mut plain, &mut self.out);
        if opened.is_err() {
            // Let the alert out, so that the server's log names the cause too.
            self.flush()?;
        }
        let open = opened.map_err(|error| ConnectionError::tls(&self.host, &error))?;
        if matches!(self.stage, Stage::Tls) && !self.wire.handshaking() {
            self.stage = Stage::Rtmp;
        }
        let read = self.publisher.handle_input(&plain);
        while let Some(event) = self.publisher.poll_event() {
            match event {
                PublisherEvent::Connected => self.stage = Stage::Standby,
                PublisherEvent::Retry { query } => {
                    let settings = self.publisher.settings().with_query(&query);
                    self.stage = Stage::Retry(Box::new(settings));
                    return Ok(());
                }
                _ => {}
            }
        }
        read?;
        self.seal_control()?;
        if open { Ok(()) } else { Err(self.closed()) }
    }

    /// What it means that the server closed now.
    fn closed(&mut self) -> ConnectionError {
        match self.stage {
            Stage::Tls => ConnectionError::ClosedInTls {
                host: self.host.clone(),
            },
            _ => ConnectionError::Rtmp(self.publisher.handle_close()),
        }
    }

    /// In order when the peer soon has everything; otherwise dropping the socket resets the connection.
    async fn close(mut self) {
        let deadline = Instant::now() + LAST_BYTES;
        while self.flush().is_ok() && (!self.out.is_empty() || self.acknowledged() < self.written) {
            if Instant::now() >= deadline {
                return;
            }
            tokio::time::sleep(STEP).await;
        }
        let _ = socket2::SockRef::from(&self.socket).set_linger(None);
        self.wire.close(&mut self.out);
        // An error is an end too.
        let _ = self.flush();
    }
}
