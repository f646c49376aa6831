//! `GET /events`: what happens, as it happens. Shell.
//!
//! One task turns changes into messages, each numbered and written as JSON once for all clients. It keeps the log's newest entries,
//! so that a client that was away goes on where it was; one that is too slow gets a new snapshot. Numbers start with the wall
//! clock, so that one from before a restart is never taken for one of now.

use super::access::{Access, Caller, DeskView, Mark};
use super::api::Api;
use super::problem::{Params, Problem, Refused};
use super::server::Place;
use crate::session::event::Entry;
use crate::session::{DestinationView, SessionHandle, Status, clock};
use axum::Extension;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::{Instant, timeout};
use utoipa::IntoParams;

/// Numbers don't dance: no more than four of them a second, unless something happened.
const STATUS_EACH: Duration = Duration::from_millis(240);
const PING_EACH: Duration = Duration::from_secs(1);
/// Some seconds of messages; who is further behind begins anew.
const QUEUE: usize = 128;
/// Log entries and changes of the desk that a client may have missed and still gets one by one.
const KEPT: usize = 500;
/// Log entries of a snapshot.
const SHOWN: usize = 100;
const GONE: Duration = Duration::from_secs(10);

/// What a client is sent.
#[derive(Clone, Debug)]
enum Sent {
    All(Utf8Bytes),
    /// The desk's holder is told that it is theirs.
    Desk {
        holder: Option<Mark>,
        theirs: Utf8Bytes,
        others: Utf8Bytes,
    },
}

impl Sent {
    fn text(self, login: Option<&Mark>) -> Utf8Bytes {
        match self {
            Sent::All(text) => text,
            Sent::Desk { holder, theirs, .. } if holder.is_some() && holder.as_ref() == login => {
                theirs
            }
            Sent::Desk { others, .. } => others,
        }
    }
}

struct Join {
    after: Option<u64>,
    login: Option<Mark>,
    reply: oneshot::Sender<Joined>,
}

struct Joined {
    first: Vec<Utf8Bytes>,
    rest: broadcast::Receiver<Sent>,
}

/// How clients join. Cloning makes another handle.
#[derive(Clone)]
pub struct Events(mpsc::Sender<Join>);

/// Starts the task. It ends with the session.
pub async fn start(session: SessionHandle, access: Access) -> Events {
    let (joins, inbox) = mpsc::channel(64);
    let log = session.log();
    let known = session
        .newest_entries(SHOWN as u32)
        .await
        .unwrap_or_default();
    let mut hub = Hub {
        seq: u64::try_from(clock::wall_ms()).unwrap_or_default(),
        sent: broadcast::channel(QUEUE).0,
        kept: VecDeque::new(),
        left_out: 0,
        log: VecDeque::new(),
        shown: None,
        shown_at: Instant::now(),
        desk: (access.desk_holder(), access.desk(None)),
        session,
        access,
    };
    hub.left_out = hub.seq;
    for entry in known {
        if let Ok(entry) = serde_json::from_str::<Entry>(&entry) {
            hub.remember(&entry);
        }
    }
    tokio::spawn(hub.run(inbox, log));
    Events(joins)
}

struct Hub {
    session: SessionHandle,
    access: Access,
    /// Of the newest message.
    seq: u64,
    sent: broadcast::Sender<Sent>,
    kept: VecDeque<(u64, Sent)>,
    /// Whoever knows this number misses nothing that is not kept.
    left_out: u64,
    log: VecDeque<Value>,
    shown: Option<Status>,
    shown_at: Instant,
    desk: (Option<Mark>, DeskView),
}

impl Hub {
    async fn run(
        mut self,
        mut joins: mpsc::Receiver<Join>,
        mut log: broadcast::Receiver<Arc<Entry>>,
    ) {
        let mut statuses = self.session.statuses();
        let mut levels = self.session.levels();
        let mut desk = self.access.desk_changes();
        let mut ping = tokio::time::interval(PING_EACH);
        loop {
            tokio::select! {
                join = joins.recv() => match join {
                    Some(join) => self.join(join),
                    None => return,
                },
                changed = statuses.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let status = statuses.borrow_and_update().clone();
                    self.status(status);
                }
                Ok(()) = levels.changed() => {
                    let levels = levels.borrow_and_update().clone();
                    if self.sent.receiver_count() > 0 {
                        self.send("levels", "levels", &levels);
                    }
                }
                entry = log.recv() => match entry {
                    Ok(entry) if entry.event.is_for_people() => {
                        let value = self.remember(&entry);
                        let sent = self.send("log", "entry", &value);
                        self.keep(sent);
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => self.left_out = self.seq + 1,
                    Err(RecvError::Closed) => return,
                },
                Ok(()) = desk.changed() => self.desk(),
                _ = ping.tick() => {
                    self.access.tick();
                    self.send("ping", "", &Value::Null);
                }
            }
        }
    }

    fn remember(&mut self, entry: &Entry) -> Value {
        let value = entry_for_people(entry);
        self.log.push_back(value.clone());
        if self.log.len() > SHOWN {
            self.log.pop_front();
        }
        value
    }

    fn send(&mut self, kind: &str, name: &str, what: &impl serde::Serialize) -> Sent {
        self.seq += 1;
        let sent = Sent::All(message(self.seq, kind, name, what));
        // Nobody has to listen.
        let _ = self.sent.send(sent.clone());
        sent
    }

    fn keep(&mut self, sent: Sent) {
        self.kept.push_back((self.seq, sent));
        if self.kept.len() > KEPT
            && let Some((seq, _)) = self.kept.pop_front()
        {
            self.left_out = seq;
        }
    }

    fn status(&mut self, status: Status) {
        let happened = self
            .shown
            .as_ref()
            .is_none_or(|shown| something_happened(shown, &status));
        if !happened && self.shown_at.elapsed() < STATUS_EACH {
            return;
        }
        self.shown_at = Instant::now();
        self.send("status", "status", &status);
        self.shown = Some(status);
    }

    fn desk(&mut self) {
        let holder = self.access.desk_holder();
        let now = (holder, self.access.desk(None));
        if now == self.desk {
            return;
        }
        self.desk = now;
        self.seq += 1;
        let view =
            |login: Option<&Mark>| message(self.seq, "desk", "desk", &self.access.desk(login));
        let sent = Sent::Desk {
            theirs: view(holder.as_ref()),
            others: view(None),
            holder,
        };
        let _ = self.sent.send(sent.clone());
        self.keep(sent);
    }

    fn join(&mut self, join: Join) {
        let login = join.login.as_ref();
        let known = join
            .after
            .filter(|after| (self.left_out..=self.seq).contains(after));
        let first = match known {
            Some(after) => {
                let missed = self.kept.iter().filter(|(seq, _)| *seq > after);
                let mut first: Vec<Utf8Bytes> =
                    missed.map(|(_, sent)| sent.clone().text(login)).collect();
                // As it is now: what it was meanwhile is over.
                first.push(message(
                    self.seq,
                    "status",
                    "status",
                    &self.session.status(),
                ));
                first
            }
            None => {
                let snapshot = json!({
                    "seq": self.seq,
                    "kind": "snapshot",
                    "status": self.session.status(),
                    "levels": *self.session.levels().borrow(),
                    "log": self.log,
                    "desk": self.access.desk(login),
                });
                vec![snapshot.to_string().into()]
            }
        };
        let rest = self.sent.subscribe();
        // It may have gone already.
        let _ = join.reply.send(Joined { first, rest });
    }
}

/// `{"seq":…,"kind":…,NAME:…}`; without a name, without more.
fn message(seq: u64, kind: &str, name: &str, what: &impl serde::Serialize) -> Utf8Bytes {
    // What is made of plain data can always be written.
    let what = serde_json::to_string(what).unwrap_or_else(|_| "null".to_owned());
    let text = if name.is_empty() {
        format!(r#"{{"seq":{seq},"kind":"{kind}"}}"#)
    } else {
        format!(r#"{{"seq":{seq},"kind":"{kind}","{name}":{what}}}"#)
    };
    text.into()
}

/// The entry with its sentence. A mark's own words, which have the sentence's name, are its `mark`.
pub fn entry_for_people(entry: &Entry) -> Value {
    let mut value = serde_json::to_value(entry).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        let sentence = entry.event.to_string().into();
        if let Some(words) = object.insert("text".to_owned(), sentence) {
            object.insert("mark".to_owned(), words);
        }
    }
    value
}

/// What an operator is to see at once.
fn something_happened(before: &Status, now: &Status) -> bool {
    let is_of = |to: &DestinationView| {
        let its = &to.delivery;
        (
            its.id.clone(),
            its.state,
            its.uplink.clone(),
            to.ending,
            to.reach,
        )
    };
    let destinations =
        |status: &Status| -> Vec<_> { status.destinations.iter().map(is_of).collect() };
    let sources = |status: &Status| -> Vec<_> {
        status
            .sources
            .iter()
            .map(|source| (source.id.clone(), source.state))
            .collect()
    };
    before.state != now.state
        || before.session != now.session
        || before.scene != now.scene
        || before.preview != now.preview
        || before.mix != now.mix
        || before.alarms != now.alarms
        || before.notices != now.notices
        || destinations(before) != destinations(now)
        || sources(before) != sources(now)
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct After {
    /// The number of the newest message that the client has: it goes on behind that, where that is possible.
    #[serde(default)]
    after: Option<u64>,
}

pub(super) fn not_a_socket(_: WebSocketUpgradeRejection) -> Refused {
    let text = "this is a WebSocket: open it as one (Upgrade: websocket, version 13)";
    Refused::new(StatusCode::UPGRADE_REQUIRED, "websocket", text.to_owned())
}

/// What happens, as it happens: a snapshot, then numbered changes. A WebSocket.
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(After), responses(
    (status = 101, description = "a WebSocket of JSON objects with seq and kind"),
    (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn events(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    place: Option<Extension<Place>>,
    Params(after): Params<After>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refused> {
    let upgrade = upgrade.map_err(not_a_socket)?;
    Ok(upgrade
        .max_message_size(4 * 1024)
        .on_upgrade(move |socket| async move {
            // A client that has gone is no error.
            let _ = attend(socket, api, caller, after.after).await;
            drop(place);
        }))
}

async fn attend(
    mut socket: WebSocket,
    api: Api,
    caller: Caller,
    mut after: Option<u64>,
) -> Result<(), axum::Error> {
    let _presence = api.access.at_the_desk(&caller);
    let mut looked = Instant::now();
    loop {
        let (reply, joined) = oneshot::channel();
        let login = caller.login;
        let join = Join {
            after: after.take(),
            login,
            reply,
        };
        if api.events.0.send(join).await.is_err() {
            return Ok(());
        }
        let Ok(Joined { first, mut rest }) = joined.await else {
            return Ok(());
        };
        for text in first {
            send(&mut socket, text).await?;
        }
        loop {
            tokio::select! {
                message = rest.recv() => match message {
                    Ok(sent) => send(&mut socket, sent.text(login.as_ref())).await?,
                    // Too slow: it begins anew, with a snapshot.
                    Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => return Ok(()),
                },
                heard = socket.recv() => match heard {
                    None | Some(Err(_) | Ok(Message::Close(_))) => return Ok(()),
                    Some(Ok(_)) => {}
                },
            }
            if looked.elapsed() >= PING_EACH {
                looked = Instant::now();
                if !api.access.still(&caller) {
                    return socket.send(Message::Close(None)).await;
                }
            }
        }
    }
}

async fn send(socket: &mut WebSocket, text: Utf8Bytes) -> Result<(), axum::Error> {
    match timeout(GONE, socket.send(Message::Text(text))).await {
        Ok(sent) => sent,
        Err(slow) => Err(axum::Error::new(slow)),
    }
}
