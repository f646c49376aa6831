//! Pre-flight's owner: one measurement at a time, whoever asks; what is known already is told without waiting for one. Shell.

use super::judge::{self, Planned, Programme, Source};
use super::keys;
use super::measured::{Load, Power, Temperature, Way};
use super::row::{Check, Grade, Report, Row};
use super::{machine, network};
use crate::config::{Destination, Settings};
use crate::doctor::{self, Clock};
use crate::session::{SessionHandle, SourceStatus, Status};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// For a start, ways and box are as they were so long ago.
const STILL_TRUE: Duration = Duration::from_secs(60);
/// A helper that tells the time may hang, and an engine that was just started finds its devices first.
const PATIENCE: Duration = Duration::from_secs(8);

#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    #[error("there is no destination {0:?}")]
    UnknownDestination(String),
    #[error(
        "pre-flight found {}; see `regia preflight`, or start all the same with --anyway and the reason",
        problems(.0)
    )]
    NotReady(Box<Report>),
    #[error("pre-flight has ended")]
    Gone,
}

fn problems(report: &Report) -> String {
    let rows: Vec<String> = report.problems().map(ToString::to_string).collect();
    match rows.as_slice() {
        [row] => format!("a problem: {row}"),
        rows => format!("{} problems: {}", rows.len(), rows.join(" · ")),
    }
}

/// What is to be looked at.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// Ids; none: all.
    pub destinations: Vec<String>,
    /// How long the show is to be, if anybody said.
    pub planned: Option<Duration>,
    /// The occurrence of a show that it is for: keys may be bound to one.
    pub occurrence: Option<String>,
    /// The key slots that the show publishes from, by the destinations' ids.
    pub slots: BTreeMap<String, String>,
}

/// How others ask. Cloning makes another handle.
#[derive(Clone)]
pub struct Preflight {
    requests: mpsc::Sender<Request>,
    session: SessionHandle,
    state: PathBuf,
    last: watch::Receiver<Option<Arc<Measurement>>>,
}

struct Request {
    ask: Ask,
    purpose: Purpose,
    reply: oneshot::Sender<Result<Report, PreflightError>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// What was measured before the request is of no use.
    Look,
    /// Of what runs already nothing is asked, and what takes seconds may be a minute old.
    Start,
}

/// Starts the service. It ends when every handle is dropped.
pub fn start(session: SessionHandle, state: PathBuf) -> Preflight {
    let (requests, inbox) = mpsc::channel(16);
    let (last, known) = watch::channel(None);
    let service = Service {
        session: session.clone(),
        state: state.clone(),
        last,
    };
    tokio::spawn(service.run(inbox));
    Preflight {
        requests,
        session,
        state,
        last: known,
    }
}

impl Preflight {
    /// Measures and judges everything.
    pub async fn report(&self, ask: Ask) -> Result<Report, PreflightError> {
        self.ask(ask, Purpose::Look).await
    }

    /// An error unless nothing stands against a start.
    pub async fn clear(&self, ask: Ask) -> Result<(), PreflightError> {
        let report = self.ask(ask, Purpose::Start).await?;
        if report.ok {
            Ok(())
        } else {
            Err(PreflightError::NotReady(Box::new(report)))
        }
    }

    /// The problems that are known without measuring anew, in sentences.
    pub async fn known_problems(&self, ask: Ask) -> Vec<String> {
        let look = Look::new(&self.session, &self.state);
        let Ok((on_air, idle)) = look.chosen(&ask.destinations) else {
            // The start itself will say what is wrong with the request.
            return Vec::new();
        };
        let last = self.last.borrow().clone();
        let last = last.filter(|last| last.is_young(&look.settings));
        let report = look.judge(last.as_deref(), &ask, &idle, &on_air).await;
        report.problems().map(ToString::to_string).collect()
    }

    async fn ask(&self, ask: Ask, purpose: Purpose) -> Result<Report, PreflightError> {
        let (reply, answer) = oneshot::channel();
        let request = Request {
            ask,
            purpose,
            reply,
        };
        self.requests
            .send(request)
            .await
            .map_err(|_| PreflightError::Gone)?;
        answer.await.map_err(|_| PreflightError::Gone)?
    }
}

struct Service {
    session: SessionHandle,
    state: PathBuf,
    last: watch::Sender<Option<Arc<Measurement>>>,
}

/// What takes seconds.
struct Measurement {
    at: Instant,
    /// By these.
    settings: Arc<Settings>,
    destinations: BTreeSet<String>,
    ways: Vec<Way>,
    clock: Clock,
    unix_s: u64,
    load: Load,
    power: Power,
    temperature: Option<Temperature>,
}

impl Service {
    async fn run(self, mut requests: mpsc::Receiver<Request>) {
        while let Some(request) = requests.recv().await {
            let report = self.answer(&request).await;
            // Whoever asked may have gone.
            let _ = request.reply.send(report);
        }
    }

    async fn answer(&self, request: &Request) -> Result<Report, PreflightError> {
        let look = Look::new(&self.session, &self.state);
        let (on_air, idle) = look.chosen(&request.ask.destinations)?;
        if request.purpose == Purpose::Start && idle.is_empty() {
            return Ok(Report::new(Vec::new()));
        }
        let last = self.last.borrow().clone();
        let usable = last.filter(|last| {
            let covers = idle.iter().all(|to| last.destinations.contains(&to.id));
            request.purpose == Purpose::Start && covers && last.is_young(&look.settings)
        });
        let last = match usable {
            Some(last) => last,
            None => {
                let measured = Arc::new(look.measure(&idle).await);
                self.last.send_replace(Some(Arc::clone(&measured)));
                measured
            }
        };
        Ok(look.judge(Some(&last), &request.ask, &idle, &on_air).await)
    }
}

/// One look, by the settings of the moment.
struct Look {
    settings: Arc<Settings>,
    session: SessionHandle,
    state: PathBuf,
}

impl Look {
    fn new(session: &SessionHandle, state: &Path) -> Self {
        Look {
            settings: session.settings(),
            session: session.clone(),
            state: state.to_owned(),
        }
    }

    /// The destinations that are meant: those on air, and the others.
    fn chosen(
        &self,
        ids: &[String],
    ) -> Result<(Vec<Destination>, Vec<Destination>), PreflightError> {
        let all = &self.settings.destinations;
        let find = |id: &String| {
            let found = all.iter().find(|destination| destination.id == *id);
            found
                .cloned()
                .ok_or_else(|| PreflightError::UnknownDestination(id.clone()))
        };
        let chosen = match ids {
            [] => all.clone(),
            ids => ids.iter().map(find).collect::<Result<_, _>>()?,
        };
        let status = self.session.status();
        let runs = |destination: &Destination| {
            let mut running = status.destinations.iter();
            running.any(|to| to.delivery.id == destination.id && !to.ending)
        };
        Ok(chosen.into_iter().partition(runs))
    }

    async fn measure(&self, destinations: &[Destination]) -> Measurement {
        let status = self.session.status();
        let busy = status.destinations.iter().map(|to| &to.delivery);
        let busy = busy.filter(|to| to.state != "ended");
        let on_air: BTreeSet<Option<String>> = busy.map(|to| to.uplink.clone()).collect();
        let mut statuses = self.session.statuses();
        let engine = async move {
            let tells = |status: &Status| status.health_age_s.is_some();
            // What is not told by then is a row's business.
            let _ = tokio::time::timeout(PATIENCE, statuses.wait_for(tells)).await;
        };
        let (ways, load, clock, (power, temperature), ()) = tokio::join!(
            network::ways(&self.settings, destinations, &on_air),
            machine::load(&self.session, self.settings.programme.fps),
            clock(),
            blocking(|| (machine::power(), machine::temperature())),
            engine,
        );
        let ids = destinations.iter().map(|to| to.id.clone());
        Measurement {
            at: Instant::now(),
            settings: Arc::clone(&self.settings),
            destinations: ids.collect(),
            ways,
            clock,
            unix_s: doctor::unix_s(),
            load,
            power,
            temperature,
        }
    }

    /// Everything else is looked at now.
    async fn judge(
        &self,
        last: Option<&Measurement>,
        ask: &Ask,
        idle: &[Destination],
        on_air: &[Destination],
    ) -> Report {
        let made = &self.settings.programme;
        let mut rows = Vec::new();
        for destination in idle {
            rows.extend(judge::settings(made, destination));
        }
        for destination in idle {
            let occurrence = ask.occurrence.as_deref();
            let destination = &destination.with_slot(ask.slots.get(&destination.id));
            let key = keys::look_up(self.session.keyring(), destination, occurrence).await;
            rows.push(judge::key(&key, destination));
        }
        rows.extend(on_air.iter().map(|destination| {
            let subject = &destination.id;
            Row::new(Check::Ingest, subject, Grade::Ok, "it is on air", "")
        }));
        if let Some(last) = last {
            let wanted = |way: &&Way| idle.iter().any(|to| to.id == way.destination);
            let ways: Vec<Way> = last.ways.iter().filter(wanted).cloned().collect();
            let seen = judge::ingests(&ways)
                .into_iter()
                .chain(judge::uplinks(&ways));
            rows.extend(last.aged(seen));
        }
        let programme = programme(&self.session.status(), &self.settings);
        rows.extend(judge::pictures(&programme));
        rows.push(judge::sound(&programme));
        let planned = match ask.planned {
            Some(planned) => Planned::Told(planned),
            None => Planned::longest(if idle.is_empty() { on_air } else { idle }),
        };
        let (settings, state) = (Arc::clone(&self.settings), self.state.clone());
        let disks = blocking(move || machine::disks(&settings, &state)).await;
        let recordings = &self.settings.recordings;
        rows.extend(judge::disks(&disks, recordings, made, planned));
        if let Some(last) = last {
            let seen = [
                Some(judge::clock(&last.clock, last.unix_s)),
                Some(judge::load(&last.load)),
                judge::power(&last.power),
                judge::temperature(last.temperature.as_ref()),
            ];
            rows.extend(last.aged(seen.into_iter().flatten()));
        }
        Report::new(rows)
    }
}

impl Measurement {
    /// It is still true of these settings.
    fn is_young(&self, settings: &Arc<Settings>) -> bool {
        Arc::ptr_eq(&self.settings, settings) && self.at.elapsed() < STILL_TRUE
    }

    fn aged(&self, rows: impl Iterator<Item = Row>) -> impl Iterator<Item = Row> {
        let age_s = self.at.elapsed().as_secs_f64();
        rows.map(move |row| row.aged(age_s))
    }
}

fn programme(status: &Status, settings: &Settings) -> Programme {
    let scene = settings
        .scenes
        .iter()
        .find(|scene| Some(&scene.id) == status.scene.as_ref());
    let source = |source: &SourceStatus| Source {
        id: source.id.clone(),
        shown: scene.is_some_and(|scene| scene.shows(&source.id)),
        state: source.state,
        detail: source.detail.clone(),
        health: source.health.clone(),
    };
    Programme {
        age_s: status.health_age_s,
        alarms: status.alarms.clone(),
        loudness_lufs: status
            .levels
            .as_ref()
            .and_then(|levels| levels.programme.short_term_lufs),
        sources: status.sources.iter().map(source).collect(),
    }
}

/// Helpers of the system are asked, each of which may hang.
async fn clock() -> Clock {
    tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(doctor::clock))
        .await
        .ok()
        .and_then(Result::ok)
        .unwrap_or(Clock::Unknown)
}

/// Reads files that are not network and not disk, or close to it. A panic in it is one of ours.
async fn blocking<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(read).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
