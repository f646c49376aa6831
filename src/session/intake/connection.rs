//! One encoder's connection, from its first byte to its last.

use super::feed::Feed;
use super::{Entry, Intake};
use crate::bridge::protocol::Pushed;
use crate::media::Track;
use crate::rtmp::receiver::{Receiver, ReceiverError, ReceiverEvent, ReceiverSettings};
use crate::secret::Secret;
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::info;

const READ_BUFFER: usize = 64 << 10;
/// To the publish. Who dawdles keeps a place from others.
const PUBLISH_WITHIN: Duration = Duration::from_secs(10);
/// A phone between two cells is away for some seconds; its connection may live on.
const IDLE: Duration = Duration::from_secs(10);
const WRITE_WITHIN: Duration = Duration::from_secs(5);
/// A wrong key can't be tried more often than this, and the encoder reads why.
const REFUSED: Duration = Duration::from_secs(1);
/// How much of what the encoder calls its application may be a key.
const DENIED: &str = "NetStream.Publish.Denied";
const REJECTED: &str = "NetStream.Publish.Rejected";

#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error("it broke off: {0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Rtmp(#[from] ReceiverError),
    #[error("it did not publish within {0:?}")]
    NoPublish(Duration),
    #[error("for {0:?} nothing arrived")]
    Idle(Duration),
    #[error("it did not read what it was sent within {0:?}")]
    Unread(Duration),
    #[error("its key is none of the sources'")]
    WrongKey,
    #[error("{0}")]
    Unusable(String),
    #[error("Regia's configuration was changed")]
    Closed,
}

pub(super) struct Connection {
    stream: TcpStream,
    intake: Arc<Intake>,
    receiver: Receiver,
    publishing: Option<Publishing>,
}

struct Publishing {
    /// Index into the intake's entries' sources.
    source: u16,
    id: String,
    feed: Feed,
    holder: watch::Receiver<u64>,
    number: u64,
}

enum Next {
    Go,
    Close,
}

impl Connection {
    pub fn new(stream: TcpStream, intake: Arc<Intake>) -> Self {
        Connection {
            stream,
            intake,
            receiver: Receiver::new(ReceiverSettings::default()),
            publishing: None,
        }
    }

    pub async fn run(mut self) -> Result<(), ConnectionError> {
        let intake = Arc::clone(&self.intake);
        let ended = tokio::select! {
            ended = self.converse() => ended,
            () = intake.ended() => Err(ConnectionError::Closed),
        };
        let why = match &ended {
            Ok(()) => "the encoder has ended its stream".to_owned(),
            Err(error) => format!("the encoder is lost: {error}"),
        };
        self.let_go(why).await;
        ended
    }

    async fn converse(&mut self) -> Result<(), ConnectionError> {
        let mut buffer = vec![0; READ_BUFFER];
        let opened = tokio::time::Instant::now();
        loop {
            let read = match &mut self.publishing {
                None => {
                    let left = PUBLISH_WITHIN.saturating_sub(opened.elapsed());
                    let read = timeout(left, self.stream.read(&mut buffer)).await;
                    read.map_err(|_| ConnectionError::NoPublish(PUBLISH_WITHIN))?
                }
                Some(publishing) => {
                    let number = publishing.number;
                    tokio::select! {
                        biased;
                        _ = publishing.holder.wait_for(|holder| *holder != number) => {
                            info!(source = publishing.id, "another encoder takes over");
                            return Ok(());
                        }
                        read = timeout(IDLE, self.stream.read(&mut buffer)) => {
                            read.map_err(|_| ConnectionError::Idle(IDLE))?
                        }
                    }
                }
            };
            let read = match read {
                Ok(0) => return Ok(()),
                Ok(read) => buffer.get(..read).unwrap_or_default(),
                Err(error) => return Err(error.into()),
            };
            if let Next::Close = self.take(read).await? {
                return Ok(());
            }
        }
    }

    async fn take(&mut self, bytes: &[u8]) -> Result<Next, ConnectionError> {
        let read = self.receiver.handle_input(bytes);
        let mut next = Next::Go;
        // What came before an error still counts.
        while let Some(event) = self.receiver.poll_event() {
            match event {
                ReceiverEvent::PublishRequested { app, key } => self.publish(&app, &key).await?,
                ReceiverEvent::Tag {
                    kind,
                    timestamp_ms,
                    body,
                } => self.tag(kind, timestamp_ms, &body).await?,
                ReceiverEvent::Unpublished | ReceiverEvent::Deleted => next = Next::Close,
                ReceiverEvent::Connect { .. }
                | ReceiverEvent::Metadata(_)
                | ReceiverEvent::Acknowledged { .. } => {}
            }
        }
        self.write().await?;
        read?;
        Ok(next)
    }

    async fn write(&mut self) -> Result<(), ConnectionError> {
        let output = self.receiver.take_output();
        if output.is_empty() {
            return Ok(());
        }
        match timeout(WRITE_WITHIN, self.stream.write_all(&output)).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(ConnectionError::Unread(WRITE_WITHIN)),
        }
    }

    async fn publish(&mut self, app: &str, key: &Secret) -> Result<(), ConnectionError> {
        let intake = Arc::clone(&self.intake);
        // An encoder that has one field for both sends no key, and the application's last part is it.
        let given = match key.expose() {
            "" => Secret::new(app.rsplit('/').next().unwrap_or_default()),
            _ => key.clone(),
        };
        let Some(entry) = intake.entry_of(&given).await else {
            let text = "this key is none of the sources of this box: see key in its configuration";
            return Err(self.refuse(DENIED, text, ConnectionError::WrongKey).await);
        };
        self.let_go("the encoder publishes anew".into()).await;
        self.receiver.accept_publish();
        let mut number = 0;
        entry.holder.send_modify(|holder| {
            *holder += 1;
            number = *holder;
        });
        info!(source = entry.id, "an encoder pushes");
        self.publishing = Some(Publishing::new(entry, number));
        Ok(())
    }

    /// Tells the encoder why, and gives it the time to read it.
    async fn refuse(&mut self, code: &str, text: &str, error: ConnectionError) -> ConnectionError {
        self.receiver.reject_publish(code, text);
        if let Err(error) = self.write().await {
            return error;
        }
        sleep(REFUSED).await;
        error
    }

    async fn tag(
        &mut self,
        track: Track,
        timestamp_ms: u64,
        body: &Bytes,
    ) -> Result<(), ConnectionError> {
        let Some(publishing) = &mut self.publishing else {
            return Ok(());
        };
        let parts = match publishing.feed.handle_tag(track, timestamp_ms, body) {
            Ok(parts) => parts,
            Err(error) => {
                let text = error.to_string();
                let error = ConnectionError::Unusable(text.clone());
                return Err(self.refuse(REJECTED, &text, error).await);
            }
        };
        for part in parts {
            if !self.intake.inlet.put(publishing.source, part) {
                publishing.feed.handle_loss();
                break;
            }
        }
        Ok(())
    }

    /// The source is without this encoder, unless another one has it by now.
    async fn let_go(&mut self, text: String) {
        let Some(publishing) = self.publishing.take() else {
            return;
        };
        if *publishing.holder.borrow() == publishing.number {
            info!(source = publishing.id, "{text}");
            // The engine that does not take it sees by itself that nothing comes.
            self.intake
                .inlet
                .put(publishing.source, Pushed::End { text });
        }
    }
}

impl Publishing {
    fn new(entry: &Entry, number: u64) -> Self {
        Publishing {
            source: entry.source,
            id: entry.id.clone(),
            feed: Feed::default(),
            holder: entry.holder.subscribe(),
            number,
        }
    }
}
