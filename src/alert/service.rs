//! The channels: a task and a queue for each. Shell.

use super::message::Message;
use super::{mail, webhook};
use crate::config::{Alert, AlertLevel, AlertWay};
use crate::session::SessionHandle;
use crate::session::clock::wall_ms;
use crate::session::event::{Event, Who};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::{debug, warn};

/// Of messages that wait for a channel; more of them than this nobody reads.
const QUEUE: usize = 200;
/// How long a message is tried for…
const TRIED_FOR: Duration = Duration::from_secs(15 * 60);
/// …and how long after the first failure again, doubling.
const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_MOST: Duration = Duration::from_secs(120);

/// How others tell. Cloning makes another handle; without any alert configured, telling does nothing.
#[derive(Clone)]
pub struct Alerts {
    messages: mpsc::UnboundedSender<Message>,
    session: SessionHandle,
}

/// What is told.
#[derive(Clone, Debug)]
pub struct Telling {
    pub level: AlertLevel,
    pub title: String,
    pub text: String,
    pub show: Option<String>,
    pub occurrence: Option<String>,
    /// The venue's zone.
    pub zone: jiff::tz::TimeZone,
}

/// Starts a task for each channel, and others when the configuration changes. They end when every handle is dropped.
pub fn start(session: SessionHandle) -> Alerts {
    let (messages, inbox) = mpsc::unbounded_channel();
    tokio::spawn(share_out(session.clone(), inbox));
    Alerts { messages, session }
}

struct Channel {
    id: String,
    least: AlertLevel,
    queue: mpsc::Sender<Message>,
}

async fn share_out(session: SessionHandle, mut inbox: mpsc::UnboundedReceiver<Message>) {
    let mut settings = session.settings_watch();
    let mut channels = open(&session);
    settings.mark_unchanged();
    loop {
        tokio::select! {
            message = inbox.recv() => {
                let Some(message) = message else { return };
                for channel in channels.iter().filter(|channel| message.level >= channel.least) {
                    if channel.queue.try_send(message.clone()).is_err() {
                        warn!(alert = %channel.id, title = %message.title, "too much waits to be told; this is not");
                    }
                }
            }
            changed = settings.changed() => {
                if changed.is_err() {
                    return;
                }
                // What waits in the channels of before is still delivered.
                channels = open(&session);
            }
        }
    }
}

fn open(session: &SessionHandle) -> Vec<Channel> {
    let settings = session.settings();
    let channel = |alert: &Alert| {
        let (queue, inbox) = mpsc::channel(QUEUE);
        tokio::spawn(serve(alert.clone(), session.clone(), inbox));
        Channel {
            id: alert.id.clone(),
            least: alert.least,
            queue,
        }
    };
    settings.alerts.iter().map(channel).collect()
}

impl Alerts {
    /// Hands a message to every channel that wants it; never waits.
    pub fn tell(&self, telling: Telling) {
        let at_ms = wall_ms();
        let at = jiff::Timestamp::from_millisecond(at_ms).unwrap_or_default();
        let host = nix::unistd::gethostname()
            .ok()
            .and_then(|name| name.into_string().ok());
        let random = ring::rand::generate::<[u8; 8]>(&ring::rand::SystemRandom::new());
        let random = random
            .map(|bytes| u64::from_be_bytes(bytes.expose()))
            .unwrap_or_default();
        let message = Message {
            level: telling.level,
            title: telling.title,
            text: telling.text,
            show: telling.show,
            occurrence: telling.occurrence,
            at_ms,
            at: at
                .to_zoned(telling.zone)
                .strftime("%a %Y-%m-%d %H:%M:%S %Z")
                .to_string(),
            host: host.unwrap_or_else(|| "regia".to_owned()),
            id: format!("regia-{at_ms}-{random:016x}"),
        };
        // The one that shares out ends with the last handle.
        let _ = self.messages.send(message);
    }

    pub fn ids(&self) -> Vec<String> {
        let settings = self.session.settings();
        settings
            .alerts
            .iter()
            .map(|alert| alert.id.clone())
            .collect()
    }
}

async fn serve(alert: Alert, session: SessionHandle, mut inbox: mpsc::Receiver<Message>) {
    while let Some(message) = inbox.recv().await {
        if let Err(reason) = deliver(&alert, &message).await {
            warn!(alert = %alert.id, title = %message.title, %reason, "could not be told");
            let event = Event::AlertFailed {
                alert: alert.id.clone(),
                reason,
            };
            session.note(Who::Regia, event).await;
        }
    }
}

/// Until it is delivered, or can't be any more; then why.
async fn deliver(alert: &Alert, message: &Message) -> Result<(), String> {
    let began = Instant::now();
    let mut wait = RETRY_FIRST;
    loop {
        let (reason, may_pass) = match &alert.way {
            AlertWay::Email(email) => match mail::send(email, message).await {
                Ok(()) => return Ok(()),
                Err(error) => (error.to_string(), true),
            },
            AlertWay::Webhook(hook) => match webhook::send(hook, message).await {
                Ok(()) => return Ok(()),
                Err(error) => (error.to_string(), error.may_pass()),
            },
        };
        if !may_pass || began.elapsed() + wait > TRIED_FOR {
            return Err(reason);
        }
        debug!(alert = %alert.id, %reason, "tried again soon");
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY_MOST);
    }
}
