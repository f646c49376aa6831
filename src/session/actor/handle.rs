//! How others act on the session: a handle with a channel to the actor, and the status it shows. Shell.

use super::mix::{Look, MixReply, Thumbnails};
use super::reload::Applies;
use super::status::Status;
use crate::bridge::mix::MixCommand;
use crate::bridge::report::Levels;
use crate::config::{Destination, Settings, StreamKey};
use crate::media::MediaTime;
use crate::session::control::{Armed, Keys, Refusal};
use crate::session::event::{Entry, Event, Who};
use crate::session::keys::{KeyError, Keyring, Secrets, fingerprint};
use crate::store::{SessionRow, SlotError, SlotInfo, SlotSettings, Store, StoreError};
use crate::window::Feed;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

#[derive(Clone, Debug, thiserror::Error)]
pub enum SessionError {
    #[error("there is no destination {0:?}")]
    UnknownDestination(String),
    #[error("the configuration has no destination: add one to go live")]
    NoDestination,
    #[error("{0}")]
    Key(String),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("nothing is delayed, so nothing can be dumped: set window.delay_s")]
    NothingDelayed,
    #[error("there is no recording {0:?}")]
    UnknownRecording(String),
    #[error("this Idempotency-Key was used for another request: each click has its own")]
    IdempotencyReused,
    #[error("the configuration was changed just now: look at it, and do this again")]
    Changed,
    #[error("there is no {kind} {id:?}; {known}")]
    Unknown {
        kind: &'static str,
        id: String,
        known: String,
    },
    /// In the mixer's own words.
    #[error("{0}")]
    Mix(String),
    #[error("the engine is starting: try again in a moment")]
    NoEngine,
    #[error("the engine has not answered: it may still do what was asked; look at the status")]
    Unanswered,
    #[error("the session has ended")]
    Gone,
}

/// What a start says.
#[derive(Clone, Debug)]
pub struct StartAsk {
    /// Ids; empty: all.
    pub destinations: Vec<String>,
    pub who: Who,
    /// The occurrence of a show that it is for: keys may be bound to one.
    pub occurrence: Option<String>,
    /// The key slots to publish from instead of the destinations' own, by the destinations' ids.
    pub slots: BTreeMap<String, String>,
    pub anyway: Option<Anyway>,
    /// The same request again, by its own key, changes nothing.
    pub idempotency: Option<String>,
}

/// Pre-flight had problems, and it starts all the same.
#[derive(Clone, Debug)]
pub struct Anyway {
    pub reason: String,
    pub problems: Vec<String>,
}

impl StartAsk {
    pub fn all(who: Who) -> Self {
        StartAsk {
            destinations: Vec::new(),
            who,
            occurrence: None,
            slots: BTreeMap::new(),
            anyway: None,
            idempotency: None,
        }
    }
}

/// What a stop says.
#[derive(Clone, Debug)]
pub struct StopAsk {
    /// The session's id; whoever stops looks first what it is.
    pub session: Option<String>,
    /// Ids; empty: all.
    pub destinations: Vec<String>,
    /// The platform's word again, where an end can't be taken back.
    pub confirm: Option<String>,
    pub who: Who,
    pub idempotency: Option<String>,
    /// The daemon itself ends: nothing is asked.
    pub unconditional: bool,
}

impl StopAsk {
    /// Ends whatever runs, as the daemon does at its own end.
    pub fn everything(who: Who) -> Self {
        StopAsk {
            session: None,
            destinations: Vec::new(),
            confirm: None,
            who,
            idempotency: None,
            unconditional: true,
        }
    }
}

/// An engine ends and another is started.
const TAKEN_WITHIN: Duration = Duration::from_secs(15);

pub(super) type Reply = oneshot::Sender<Result<(), SessionError>>;

pub(super) enum Request {
    Start {
        ask: StartAsk,
        /// Those that the indices are of.
        settings: Arc<Settings>,
        /// Of each destination that was asked for, by its index.
        keys: Vec<(usize, Keys)>,
        secrets: Secrets,
        reply: Reply,
    },
    Stop {
        ask: StopAsk,
        reply: Reply,
    },
    Extend {
        destination: String,
        by: Duration,
        who: Who,
        reply: Reply,
    },
    Dump {
        who: Who,
        reply: Reply,
    },
    Mark {
        text: String,
        who: Who,
        reply: Reply,
    },
    Record {
        recording: String,
        on: bool,
        who: Who,
        reply: Reply,
    },
    /// A slot's key changed.
    Arm {
        settings: Arc<Settings>,
        destination: usize,
        next: Option<Armed>,
        secrets: Secrets,
    },
    Mix {
        command: MixCommand,
        at: MediaTime,
        who: Who,
        reply: MixReply,
    },
    /// Somebody looks, or looks no more.
    Look {
        looker: u64,
        look: Option<Look>,
    },
    /// For the log.
    Note(Who, Event),
    Reload {
        settings: Arc<Settings>,
        reply: oneshot::Sender<Applies>,
    },
}

/// How panel, CLI and schedule act. Cloning makes another handle.
#[derive(Clone)]
pub struct SessionHandle {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) status: watch::Receiver<Status>,
    pub(super) settings: watch::Receiver<Arc<Settings>>,
    pub(super) programme: watch::Receiver<Feed>,
    pub(super) levels: watch::Receiver<Option<Levels>>,
    pub(super) keyring: Keyring,
    pub(super) store: Option<Store>,
    pub(super) entries: broadcast::Sender<Arc<Entry>>,
    pub(super) thumbnails: watch::Receiver<Thumbnails>,
    /// How many have looked so far.
    pub(super) lookers: Arc<AtomicU64>,
}

impl SessionHandle {
    /// Goes live. Those that are live already stay as they are.
    pub async fn start(&self, ask: StartAsk) -> Result<(), SessionError> {
        let mut keys = Vec::new();
        let mut secrets = Secrets::new();
        let settings = self.settings();
        for (index, destination) in chosen(&settings, &ask.destinations)? {
            let occurrence = ask.occurrence.as_deref();
            let destination = destination.with_slot(ask.slots.get(&destination.id));
            let resolved = self.keyring.resolve(&destination, occurrence).await;
            let (its, more) =
                resolved.map_err(|error: KeyError| SessionError::Key(error.to_string()))?;
            keys.push((index, its));
            secrets.extend(more);
        }
        self.ask(|reply| Request::Start {
            ask,
            settings,
            keys,
            secrets,
            reply,
        })
        .await
    }

    /// Delivers what is left and ends the broadcast on these destinations, or on all.
    pub async fn stop(&self, ask: StopAsk) -> Result<(), SessionError> {
        self.ask(|reply| Request::Stop { ask, reply }).await
    }

    /// Puts off the end that the guard has set.
    pub async fn extend(
        &self,
        destination: String,
        by: Duration,
        who: Who,
    ) -> Result<(), SessionError> {
        self.ask(|reply| Request::Extend {
            destination,
            by,
            who,
            reply,
        })
        .await
    }

    /// Throws away what is delayed and was not sent yet.
    pub async fn dump(&self, who: Who) -> Result<(), SessionError> {
        self.ask(|reply| Request::Dump { who, reply }).await
    }

    /// Sets a mark in the log.
    pub async fn mark(&self, text: String, who: Who) -> Result<(), SessionError> {
        self.ask(|reply| Request::Mark { text, who, reply }).await
    }

    /// Begins or ends a recording apart from the broadcast's own. One that is made already goes on.
    pub async fn record(&self, recording: String, on: bool, who: Who) -> Result<(), SessionError> {
        self.ask(|reply| Request::Record {
            recording,
            on,
            who,
            reply,
        })
        .await
    }

    /// Takes other settings: at once if nothing is on air, or else when the broadcast has ended.
    pub async fn reload(&self, settings: Settings) -> Result<Applies, SessionError> {
        let (reply, answer) = oneshot::channel();
        let settings = Arc::new(settings);
        let request = Request::Reload {
            settings: Arc::clone(&settings),
            reply,
        };
        let sent = self.requests.send(request).await;
        sent.map_err(|_| SessionError::Gone)?;
        let applies = answer.await.map_err(|_| SessionError::Gone)?;
        if applies == Applies::Now {
            // Whoever asked goes on with them. If they can't be taken, a notice says so.
            let mut shown = self.settings.clone();
            let taken = shown.wait_for(|shown| Arc::ptr_eq(shown, &settings));
            let _ = tokio::time::timeout(TAKEN_WITHIN, taken).await;
        }
        Ok(applies)
    }

    /// Those that hold now.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.borrow())
    }

    /// Those that hold, whenever they change.
    pub fn settings_watch(&self) -> watch::Receiver<Arc<Settings>> {
        self.settings.clone()
    }

    /// The programme as it is made. Another feed follows when other settings are taken.
    pub fn programme(&self) -> watch::Receiver<Feed> {
        self.programme.clone()
    }

    /// As often as the engine tells them.
    pub fn levels(&self) -> watch::Receiver<Option<Levels>> {
        self.levels.clone()
    }

    /// Writes something down in the log.
    pub async fn note(&self, who: Who, event: Event) {
        // An actor that is gone keeps no log.
        let _ = self.requests.send(Request::Note(who, event)).await;
    }

    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Renewed several times a second.
    pub fn statuses(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Log entries from now on.
    pub fn log(&self) -> broadcast::Receiver<Arc<Entry>> {
        self.entries.subscribe()
    }

    /// Sessions that are kept, the newest first.
    pub async fn sessions(&self, most: u32) -> Result<Vec<SessionRow>, StoreError> {
        self.store()?.sessions(most).await
    }

    /// A session's log entries as JSON, oldest first; with `samples`, the curves as well.
    pub async fn entries(&self, session: String, samples: bool) -> Result<Vec<String>, StoreError> {
        self.store()?.entries(session, samples).await
    }

    /// The newest log entries as JSON, oldest first.
    pub async fn newest_entries(&self, most: u32) -> Result<Vec<String>, StoreError> {
        self.store()?.newest_entries(most).await
    }

    fn store(&self) -> Result<&Store, StoreError> {
        self.store.as_ref().ok_or(StoreError::Gone)
    }

    /// Saves a key. What rolls over later uses it, where its slot is the one.
    pub async fn save_key(
        &self,
        slot: &str,
        key: &str,
        settings: SlotSettings,
        who: Who,
    ) -> Result<SlotInfo, SlotError> {
        let info = self.keyring.save(slot, key, settings).await?;
        let event = Event::KeySaved {
            slot: slot.to_owned(),
            fingerprint: fingerprint(&info, info.saved_ms),
        };
        // An actor that is gone keeps no log.
        let _ = self.requests.send(Request::Note(who, event)).await;
        let of_slot = StreamKey::Slot(slot.to_owned());
        let settings = self.settings();
        for (index, destination) in settings.destinations.iter().enumerate() {
            if destination.rollover_key.as_ref() != Some(&of_slot) {
                continue;
            }
            if let Some((next, secret)) = self.keyring.next(destination).await {
                let arm = Request::Arm {
                    settings: Arc::clone(&settings),
                    destination: index,
                    secrets: Secrets::from([(next.mark, secret)]),
                    next: Some(next),
                };
                let _ = self.requests.send(arm).await;
            }
        }
        Ok(info)
    }

    pub async fn slots(&self) -> Result<Vec<SlotInfo>, SlotError> {
        self.keyring.list().await
    }

    /// False: there was none.
    pub async fn delete_key(&self, slot: &str, who: Who) -> Result<bool, SlotError> {
        let deleted = self.keyring.delete(slot).await?;
        if deleted {
            let event = Event::KeyDeleted {
                slot: slot.to_owned(),
            };
            let _ = self.requests.send(Request::Note(who, event)).await;
        }
        Ok(deleted)
    }

    /// Ids, in the configuration's order.
    pub fn destinations(&self) -> Vec<String> {
        let settings = self.settings();
        let all = settings.destinations.iter();
        all.map(|destination| destination.id.clone()).collect()
    }

    /// Where keys come from, for whoever looks before a start.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Returns when the programme is on air on any destination. Never, when it does not come so far.
    pub async fn on_air(&mut self) {
        let on_air = |status: &Status| status.state.is_on_air();
        if self.status.wait_for(on_air).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Returns when nothing is being published any more.
    pub async fn standby(&mut self) {
        // An actor that is gone publishes nothing.
        let _ = self.status.wait_for(|status| status.state.is_idle()).await;
    }

    /// Returns when nothing is being published any more to any of these; none: to anybody.
    pub async fn ended(&mut self, destinations: &[String]) {
        let is_there = |status: &Status| {
            let mut there = status.destinations.iter();
            destinations.is_empty() || there.any(|to| destinations.contains(&to.delivery.id))
        };
        // An actor that is gone publishes nothing.
        let over = |status: &Status| status.state.is_idle() || !is_there(status);
        let _ = self.status.wait_for(over).await;
    }

    async fn ask(&self, request: impl FnOnce(Reply) -> Request) -> Result<(), SessionError> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(request(reply))
            .await
            .map_err(|_| SessionError::Gone)?;
        answer.await.map_err(|_| SessionError::Gone)?
    }
}

fn chosen<'a>(
    settings: &'a Settings,
    ids: &[String],
) -> Result<Vec<(usize, &'a Destination)>, SessionError> {
    let all = &settings.destinations;
    if ids.is_empty() && all.is_empty() {
        return Err(SessionError::NoDestination);
    }
    indices(all, ids).map(|chosen| chosen.into_iter().map(|n| (n, &all[n])).collect())
}

/// Of the destinations with these ids; without any, of all.
pub(super) fn indices(all: &[Destination], ids: &[String]) -> Result<Vec<usize>, SessionError> {
    if ids.is_empty() {
        return Ok((0..all.len()).collect());
    }
    let find = |id: &String| {
        all.iter()
            .position(|destination| destination.id == *id)
            .ok_or_else(|| SessionError::UnknownDestination(id.clone()))
    };
    ids.iter().map(find).collect()
}
