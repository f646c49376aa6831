//! A client's connection: who it is, what it asks, what it is told. Shell.
//!
//! Each connection has the view that its client knows, and tells the difference to the newest: whoever reads slowly gets fewer and
//! larger steps, and whoever does not read at all is let go.

use super::auth::{BYTES, Challenge};
use super::codec::{
    self, Asked, Batch, Close, CloseCode, Heard, InBatch, LARGEST_MESSAGE, Outcome, RPC_VERSION,
    RequestStatus, Subscriptions,
};
use super::event::{self, Event};
use super::request::{self, Decision, failure};
use super::view::{Chosen, View};
use super::vitals::Before;
use crate::panel::Api;
use crate::panel::access::{Guesser, Lockout};
use crate::panel::events::not_a_socket;
use crate::panel::gate::Transport;
use crate::panel::problem::Refused;
use crate::panel::server::Place;
use crate::preflight::Preflight;
use crate::secret::Secret;
use crate::session::SessionHandle;
use crate::session::event::Who;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::any;
use axum::{Extension, Router};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{debug, info, warn};

const PROTOCOL: &str = "obswebsocket.json";
/// Desks and tally lights of a venue, several times over.
const CLIENTS: usize = 32;
const IDENTIFY_WITHIN: Duration = Duration::from_secs(10);
/// For one message: who takes longer is gone, or holds us up.
const TAKEN_WITHIN: Duration = Duration::from_secs(5);
/// A peer that is gone without a word is noticed by what it does not acknowledge.
const PING_EACH: Duration = Duration::from_secs(15);
/// Requests of one client that take long, at the same time.
const SLOW_MOST: usize = 4;
const CLOSED_WITHIN: Duration = Duration::from_secs(2);
/// RFC 6455's, of a close frame's reason in bytes.
const REASON_LONGEST: usize = 123;

/// What all connections share. Cloning makes another handle.
#[derive(Clone)]
pub struct Obs(Arc<Inner>);

struct Inner {
    session: SessionHandle,
    preflight: Preflight,
    state: PathBuf,
    password: Option<Secret>,
    chosen: watch::Sender<Chosen>,
    lockout: Mutex<Lockout>,
    looked: Mutex<Before>,
    places: Arc<Semaphore>,
    /// True: Regia ends.
    leaving: watch::Receiver<bool>,
}

/// Messages of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub heard: u64,
    pub said: u64,
}

impl Obs {
    /// `leaving`: becomes true when Regia begins to end.
    pub fn new(api: &Api, password: Option<Secret>, leaving: watch::Receiver<bool>) -> Self {
        Obs(Arc::new(Inner {
            session: api.session.clone(),
            preflight: api.preflight.clone(),
            state: api.state.clone(),
            password,
            chosen: watch::Sender::default(),
            lockout: Mutex::default(),
            looked: Mutex::default(),
            places: Arc::new(Semaphore::new(CLIENTS)),
            leaving,
        }))
    }

    pub(super) fn session(&self) -> &SessionHandle {
        &self.0.session
    }

    pub(super) fn preflight(&self) -> &Preflight {
        &self.0.preflight
    }

    pub(super) fn state(&self) -> &Path {
        &self.0.state
    }

    pub(super) fn looked(&self) -> &Mutex<Before> {
        &self.0.looked
    }

    pub(super) fn choose(&self, chosen: Chosen) {
        self.0.chosen.send_replace(chosen);
    }

    fn view(&self) -> View {
        View::new(&self.0.session.settings(), &self.0.session.status())
    }

    /// The password or the lack of one is judged; an attempt counts when it begins, so that many at once gain nothing.
    fn check(
        &self,
        address: IpAddr,
        challenge: &Challenge,
        given: Option<&str>,
    ) -> Result<(), Close> {
        let Some(password) = &self.0.password else {
            return Ok(());
        };
        let failed = |reason: String| Close::new(CloseCode::AuthenticationFailed, reason);
        let lock = || {
            self.0
                .lockout
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let guesser = Guesser::new(address, None);
        if let Err(wait) = lock().begin(Instant::now(), &guesser) {
            let seconds = wait.as_secs() + 1;
            let reason = format!("Too many wrong passwords: try again in {seconds} s.");
            return Err(failed(reason));
        }
        match given {
            Some(given) if challenge.fits(password.expose(), given) => {
                lock().succeeded(&guesser);
                Ok(())
            }
            Some(_) => Err(failed("The password is another.".to_owned())),
            None => Err(failed("A password is needed.".to_owned())),
        }
    }
}

/// Every path is OBS's: clients name none.
pub fn router(obs: Obs) -> Router {
    Router::new().fallback(any(open)).with_state(obs)
}

async fn open(
    State(obs): State<Obs>,
    Extension(transport): Extension<Transport>,
    place: Option<Extension<Place>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refused> {
    let upgrade = upgrade.map_err(not_a_socket)?;
    // A page of any site can open sockets of this machine. Where there is a password, it does not know it.
    if obs.0.password.is_none() && headers.contains_key(header::ORIGIN) {
        let text =
            "web pages are let in only with a password: set panel.obs_websocket.password_file";
        let status = StatusCode::FORBIDDEN;
        return Err(Refused::new(status, "foreign-origin", text.to_owned()));
    }
    let Ok(client) = Arc::clone(&obs.0.places).try_acquire_owned() else {
        let text = format!("{CLIENTS} clients are connected, which is the most");
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Err(Refused::new(status, "too-many", text));
    };
    let spoken = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let spoken: Vec<&str> = spoken.filter_map(|line| line.to_str().ok()).collect();
    let speaks = spoken.is_empty()
        || spoken
            .iter()
            .flat_map(|line| line.split(','))
            .any(|one| one.trim() == PROTOCOL);
    let address = transport.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let held = (client, place);
    Ok(upgrade
        .protocols([PROTOCOL])
        .max_message_size(LARGEST_MESSAGE)
        .on_upgrade(move |socket| attend(socket, obs, address, speaks, held)))
}

type Held = (OwnedSemaphorePermit, Option<Extension<Place>>);

/// Why a connection is over.
enum End {
    /// It is gone, or reads nothing.
    Gone,
    Close(Close),
    /// A message was too large, or no UTF-8; or the connection broke, and nobody hears why.
    Unreadable,
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        End::Close(close)
    }
}

async fn attend(socket: WebSocket, obs: Obs, address: IpAddr, speaks: bool, held: Held) {
    let mut client = Client {
        socket,
        events: Subscriptions::USUAL,
        address,
        who: Who::Operator(format!("obs-websocket {address}")),
        counts: Counts::default(),
        known: View::default(),
        chosen: Chosen::default(),
        obs,
    };
    let end = if speaks {
        match client.identified().await {
            Ok(()) => client.serve().await,
            Err(end) => end,
        }
    } else {
        // msgpack is what OBS has besides.
        let reason = format!("Only {PROTOCOL} is spoken here.");
        End::Close(Close::new(CloseCode::MessageDecodeError, reason))
    };
    match end {
        End::Gone => info!(%address, "an obs-websocket client has gone"),
        End::Close(close) => {
            let code = close.code as u16;
            info!(%address, code, "an obs-websocket client was let go: {}", close.reason);
            client.close(close).await;
        }
        End::Unreadable => {
            debug!(%address, "an obs-websocket client broke off, or sent what can't be read");
            let reason = format!("A message is UTF-8 of at most {LARGEST_MESSAGE} bytes.");
            client
                .close(Close::new(CloseCode::MessageDecodeError, reason))
                .await;
        }
    }
    drop(held);
}

struct Client {
    socket: WebSocket,
    obs: Obs,
    address: IpAddr,
    who: Who,
    events: Subscriptions,
    counts: Counts,
    /// What it has been told.
    known: View,
    chosen: Chosen,
}

/// The next text; what belongs to WebSocket itself is passed over.
async fn next_text(socket: &mut WebSocket) -> Result<String, End> {
    loop {
        match socket.recv().await {
            None | Some(Ok(Message::Close(_))) => return Err(End::Gone),
            Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
            Some(Ok(Message::Binary(_))) => {
                let reason = "This connection speaks JSON in text messages.";
                return Err(Close::new(CloseCode::MessageDecodeError, reason).into());
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Err(_)) => return Err(End::Unreadable),
        }
    }
}

impl Client {
    async fn say(&mut self, text: String) -> Result<(), End> {
        self.counts.said += 1;
        self.send(Message::Text(text.into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        match timeout(TAKEN_WITHIN, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => {
                warn!(address = %self.address, "an obs-websocket client reads nothing: it is let go");
                Err(End::Gone)
            }
        }
    }

    /// Says why, and waits a moment for the other side, so that what is unread does not reset the connection before it is heard.
    async fn close(&mut self, close: Close) {
        let mut reason = close.reason;
        while reason.len() > REASON_LONGEST {
            reason.pop();
        }
        let frame = CloseFrame {
            code: close.code as u16,
            reason: reason.into(),
        };
        let closed = async {
            self.socket.send(Message::Close(Some(frame))).await?;
            while let Some(Ok(_)) = self.socket.recv().await {}
            Ok::<(), axum::Error>(())
        };
        // One that is gone needs no word.
        let _ = timeout(CLOSED_WITHIN, closed).await;
    }

    /// Hello, Identify, Identified.
    async fn identified(&mut self) -> Result<(), End> {
        let mut random = [[0; BYTES]; 2];
        for bytes in &mut random {
            SystemRandom::new().fill(bytes).map_err(|_| {
                let reason = "The system gives no random numbers.";
                Close::new(CloseCode::SessionInvalidated, reason)
            })?;
        }
        let [challenge, salt] = random;
        let challenge = Challenge::new(challenge, salt);
        let asks = self.obs.0.password.is_some();
        let pair = (challenge.challenge.as_str(), challenge.salt.as_str());
        self.say(codec::hello(asks.then_some(pair))).await?;
        let Ok(text) = timeout(IDENTIFY_WITHIN, next_text(&mut self.socket)).await else {
            let reason = format!("No Identify came within {} s.", IDENTIFY_WITHIN.as_secs());
            return Err(Close::new(CloseCode::NotIdentified, reason).into());
        };
        self.counts.heard += 1;
        let Heard::Identify {
            rpc_version,
            authentication,
            events,
        } = codec::read(&text?, false)?
        else {
            // The codec lets nothing else through before Identified.
            return Err(Close::new(CloseCode::NotIdentified, "Identify comes first.").into());
        };
        self.obs
            .check(self.address, &challenge, authentication.as_deref())?;
        if rpc_version != RPC_VERSION {
            let reason = format!("rpcVersion {RPC_VERSION} is spoken here.");
            return Err(Close::new(CloseCode::UnsupportedRpcVersion, reason).into());
        }
        self.events = events;
        info!(address = %self.address, "an obs-websocket client has come");
        Ok(())
    }

    /// Until it is over.
    async fn serve(&mut self) -> End {
        match self.attended().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn attended(&mut self) -> Result<std::convert::Infallible, End> {
        let obs = Arc::clone(&self.obs.0);
        let mut statuses = obs.session.statuses();
        let mut chosen = obs.chosen.subscribe();
        let mut leaving = obs.leaving.clone();
        let mut jobs: JoinSet<String> = JoinSet::new();
        let mut ping = interval(PING_EACH);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        statuses.mark_unchanged();
        self.known = self.obs.view();
        self.chosen = *chosen.borrow_and_update();
        // Before that, nobody listens to events.
        self.say(codec::identified()).await?;
        loop {
            tokio::select! {
                heard = next_text(&mut self.socket) => {
                    let heard = heard?;
                    self.counts.heard += 1;
                    self.hear(codec::read(&heard, true)?, &mut jobs).await?;
                }
                changed = statuses.changed() => {
                    if changed.is_err() {
                        let reason = "Regia ends.";
                        return Err(Close::new(CloseCode::SessionInvalidated, reason).into());
                    }
                    statuses.mark_unchanged();
                    self.tell_changes().await?;
                }
                Ok(()) = chosen.changed() => {
                    let now = *chosen.borrow_and_update();
                    let events = event::chosen(std::mem::replace(&mut self.chosen, now), now);
                    self.tell(events).await?;
                }
                Ok(()) = leaving.changed() => self.tell(vec![event::exit()]).await?,
                Some(done) = jobs.join_next() => {
                    // One that panicked is one of ours, and has no answer.
                    if let Ok(answer) = done {
                        self.say(answer).await?;
                    }
                }
                _ = ping.tick() => self.send(Message::Ping(Vec::new().into())).await?,
            }
        }
    }

    async fn tell_changes(&mut self) -> Result<(), End> {
        let now = self.obs.view();
        let events = event::changes(&self.known, &now);
        self.known = now;
        self.tell(events).await
    }

    async fn tell(&mut self, events: Vec<Event>) -> Result<(), End> {
        for Event { kind, intent, data } in events {
            if self.events.has(intent) {
                self.say(codec::event(kind, intent, data)).await?;
            }
        }
        Ok(())
    }

    async fn hear(&mut self, heard: Heard, jobs: &mut JoinSet<String>) -> Result<(), End> {
        match heard {
            // The codec knows who is identified.
            Heard::Identify { .. } => Ok(()),
            Heard::Reidentify { events } => {
                self.events = events.unwrap_or(self.events);
                self.say(codec::identified()).await
            }
            Heard::Request { id, asked } => {
                let decision = self.obs.decide(&asked);
                let (obs, who, counts) = (self.obs.clone(), self.who.clone(), self.counts);
                let is_slow = matches!(&decision, Decision::Do(command) if command.is_slow());
                let done = async move {
                    let outcome = obs.carry_out(decision, who, counts).await;
                    codec::response(&id, &asked.kind, outcome)
                };
                self.answer(done, is_slow, jobs).await
            }
            Heard::Batch(batch) => {
                let (obs, who, counts) = (self.obs.clone(), self.who.clone(), self.counts);
                let is_slow = batch.requests.iter().any(InBatch::may_be_slow);
                let done = async move { obs.batch(batch, who, counts).await };
                self.answer(done, is_slow, jobs).await
            }
        }
    }

    /// What takes long is done beside the rest, and answered when it is done.
    async fn answer(
        &mut self,
        done: impl Future<Output = String> + Send + 'static,
        is_slow: bool,
        jobs: &mut JoinSet<String>,
    ) -> Result<(), End> {
        if !is_slow || jobs.len() >= SLOW_MOST {
            // A client that asks for more than it may waits.
            let answer = done.await;
            return self.say(answer).await;
        }
        jobs.spawn(done);
        Ok(())
    }
}

impl Obs {
    fn decide(&self, asked: &Asked) -> Decision {
        let chosen = *self.0.chosen.borrow();
        request::decide(asked, &self.view(), chosen)
    }

    async fn carry_out(&self, decision: Decision, who: Who, counts: Counts) -> Outcome {
        match decision {
            Decision::Answer(outcome) => outcome,
            Decision::Do(command) => self.act(command, who, counts).await,
        }
    }

    /// One after the other; the next sees what the one before has done.
    async fn batch(&self, batch: Batch, who: Who, counts: Counts) -> String {
        let mut results: Vec<Value> = Vec::new();
        for request in &batch.requests {
            let outcome = match &request.asked {
                Some(asked) => {
                    self.carry_out(self.decide(asked), who.clone(), counts)
                        .await
                }
                None => {
                    let text = "The request has no requestType.";
                    Outcome::Failed(failure(RequestStatus::MissingRequestType, text))
                }
            };
            let halts = batch.halt_on_failure && matches!(outcome, Outcome::Failed(_));
            results.push(codec::batch_result(request, outcome));
            if halts {
                break;
            }
        }
        codec::batch_response(&batch.id, results)
    }
}
