//! Pre-flight's owner: one measurement at a time, whoever asks. Shell.

use super::judge::{self, Planned, Programme, Source};
use super::keys::KeyBook;
use super::measured::{Key, Load, Power, Seen, Temperature, Way};
use super::row::{Check, Grade, Report, Row};
use super::{machine, network};
use crate::config::{Destination, Settings};
use crate::doctor::{self, Clock};
use crate::session::{SessionHandle, SourceStatus, Status};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

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
}

/// How others ask. Cloning makes another handle.
#[derive(Clone)]
pub struct Preflight {
    requests: mpsc::Sender<Request>,
}

struct Request {
    ask: Ask,
    /// What was measured before is of no use.
    not_before: Instant,
    /// It is about a start: of what runs already, nothing is asked.
    to_start: bool,
    reply: oneshot::Sender<Result<Report, PreflightError>>,
}

/// Starts the service. It ends when every handle is dropped.
pub fn start(
    settings: Settings,
    session: SessionHandle,
    state: PathBuf,
    keys: Arc<dyn KeyBook>,
) -> Preflight {
    let (requests, inbox) = mpsc::channel(16);
    let service = Service {
        settings,
        session,
        state,
        keys,
        last: None,
    };
    tokio::spawn(service.run(inbox));
    Preflight { requests }
}

impl Preflight {
    /// Measures and judges everything.
    pub async fn report(&self, ask: Ask) -> Result<Report, PreflightError> {
        self.ask(ask, Instant::now(), false).await
    }

    /// An error unless nothing stands against a start. What takes seconds to measure may be a minute old.
    pub async fn clear(&self, destinations: Vec<String>) -> Result<(), PreflightError> {
        let now = Instant::now();
        let ask = Ask {
            destinations,
            planned: None,
        };
        let not_before = now.checked_sub(STILL_TRUE).unwrap_or(now);
        let report = self.ask(ask, not_before, true).await?;
        if report.ok {
            Ok(())
        } else {
            Err(PreflightError::NotReady(Box::new(report)))
        }
    }

    async fn ask(
        &self,
        ask: Ask,
        not_before: Instant,
        to_start: bool,
    ) -> Result<Report, PreflightError> {
        let (reply, answer) = oneshot::channel();
        let request = Request {
            ask,
            not_before,
            to_start,
            reply,
        };
        let gone = |_| PreflightError::Gone;
        self.requests
            .send(request)
            .await
            .map_err(|_| PreflightError::Gone)?;
        answer.await.map_err(gone)?
    }
}

struct Service {
    settings: Settings,
    session: SessionHandle,
    state: PathBuf,
    keys: Arc<dyn KeyBook>,
    last: Option<Measurement>,
}

/// What takes seconds.
struct Measurement {
    destinations: BTreeSet<String>,
    ways: Seen<Vec<Way>>,
    machine: Seen<Machine>,
}

struct Machine {
    clock: Clock,
    unix_s: u64,
    load: Load,
    power: Power,
    temperature: Option<Temperature>,
}

impl Service {
    async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(request) = requests.recv().await {
            let report = self.answer(&request).await;
            // Whoever asked may have gone.
            let _ = request.reply.send(report);
        }
    }

    async fn answer(&mut self, request: &Request) -> Result<Report, PreflightError> {
        let Request {
            ask,
            not_before,
            to_start,
            ..
        } = request;
        let chosen = self.chosen(&ask.destinations)?;
        let status = self.session.status();
        let runs = |destination: &Destination| {
            let mut running = status.destinations.iter();
            running.any(|to| to.id == destination.id && to.state != "ended")
        };
        let (on_air, idle): (Vec<_>, Vec<_>) = chosen.into_iter().partition(runs);
        if *to_start && idle.is_empty() {
            return Ok(Report::new(Vec::new()));
        }
        let usable = self.last.take().filter(|last| {
            let covers = idle.iter().all(|to| last.destinations.contains(&to.id));
            covers && last.machine.at >= *not_before
        });
        let last = match usable {
            Some(last) => last,
            None => self.measure(&idle).await,
        };
        let report = self.judge(&last, ask.planned, &idle, &on_air).await;
        self.last = Some(last);
        Ok(report)
    }

    fn chosen(&self, ids: &[String]) -> Result<Vec<Destination>, PreflightError> {
        let all = &self.settings.destinations;
        if ids.is_empty() {
            return Ok(all.clone());
        }
        let find = |id: &String| {
            let found = all.iter().find(|destination| destination.id == *id);
            found
                .cloned()
                .ok_or_else(|| PreflightError::UnknownDestination(id.clone()))
        };
        ids.iter().map(find).collect()
    }

    async fn measure(&self, destinations: &[Destination]) -> Measurement {
        let status = self.session.status();
        let busy = status.destinations.iter().filter(|to| to.state != "ended");
        let on_air: BTreeSet<Option<String>> = busy.map(|to| to.uplink.clone()).collect();
        let mut session = self.session.clone();
        let engine = async move {
            // What is not told by then is a row's business.
            let _ = tokio::time::timeout(PATIENCE, session.engine_tells()).await;
        };
        let (ways, load, clock, (power, temperature), ()) = tokio::join!(
            network::ways(&self.settings, destinations, &on_air),
            machine::load(&self.session, self.settings.programme.fps),
            clock(),
            blocking(|| (machine::power(), machine::temperature())),
            engine,
        );
        let now = Instant::now();
        let ids = destinations.iter().map(|to| to.id.clone());
        Measurement {
            destinations: ids.collect(),
            ways: Seen::new(now, ways),
            machine: Seen::new(
                now,
                Machine {
                    clock,
                    unix_s: doctor::unix_s(),
                    load,
                    power,
                    temperature,
                },
            ),
        }
    }

    /// Everything else is looked at now.
    async fn judge(
        &self,
        last: &Measurement,
        planned: Option<Duration>,
        idle: &[Destination],
        on_air: &[Destination],
    ) -> Report {
        let (settings, state) = (self.settings.clone(), self.state.clone());
        let disks = blocking(move || machine::disks(&settings, &state)).await;
        let now = Instant::now();
        let programme = programme(&self.session.status(), &self.settings);
        let key = |destination: &Destination| Key {
            destination: destination.id.clone(),
            state: self.keys.look_up(destination),
        };
        let keys: Vec<Key> = idle.iter().map(key).collect();
        let wanted = |way: &&Way| idle.iter().any(|to| to.id == way.destination);
        let ways = Seen::new(
            last.ways.at,
            last.ways.value.iter().filter(wanted).cloned().collect(),
        );
        let planned = match planned {
            Some(planned) => Planned::Told(planned),
            None => Planned::longest(if idle.is_empty() { on_air } else { idle }),
        };
        let machine = &last.machine.value;
        let age_s = now.duration_since(last.machine.at).as_secs_f64();
        let made = &self.settings.programme;
        let mut rows = Vec::new();
        for destination in idle {
            rows.extend(judge::settings(made, destination));
        }
        rows.extend(judge::keys(&keys, idle));
        rows.extend(on_air.iter().map(|destination| {
            Row::new(
                Check::Ingest,
                &destination.id,
                Grade::Ok,
                "it is on air",
                "",
            )
        }));
        rows.extend(judge::ingests(&ways, now));
        rows.extend(judge::uplinks(&ways, now));
        rows.extend(judge::pictures(&programme));
        rows.push(judge::sound(&programme));
        rows.extend(judge::disks(
            &disks,
            &self.settings.recordings,
            made,
            planned,
        ));
        rows.push(judge::clock(&machine.clock, machine.unix_s).aged(age_s));
        rows.push(judge::load(&machine.load).aged(age_s));
        rows.extend(judge::power(&machine.power).map(|row| row.aged(age_s)));
        let temperature = judge::temperature(machine.temperature.as_ref());
        rows.extend(temperature.map(|row| row.aged(age_s)));
        Report::new(rows)
    }
}

fn programme(status: &Status, settings: &Settings) -> Programme {
    let scene = settings
        .scenes
        .iter()
        .find(|scene| Some(&scene.id) == status.scene.as_ref());
    let layers = scene.map_or(&[][..], |scene| &scene.layers);
    let source = |source: &SourceStatus| Source {
        id: source.id.clone(),
        shown: layers.iter().any(|layer| layer.source == source.id),
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
