//! A session's recordings: they begin with it, take every unit of the programme, and end with its last destination. Shell.

use super::status::RecordingView;
use crate::config::Recording;
use crate::recording;
use crate::uplink::destination::SessionStart;
use crate::window::Feed;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{Instrument, error, info, info_span};

/// A disk that is there says sooner what is on it.
const LOOK: Duration = Duration::from_millis(200);
/// Names tried for a file that is there already.
const NAMES: u32 = 100;

pub(super) struct Recordings {
    /// What is to be recorded, until it is begun.
    planned: Vec<(String, PathBuf)>,
    paths: Vec<PathBuf>,
    /// Those that are being written, and since when.
    written: Vec<(String, PathBuf, Instant)>,
    tasks: JoinSet<Option<(String, String)>>,
    stop: watch::Sender<Option<u64>>,
    /// The newest unit that any destination that was stopped delivers.
    last_unit: u64,
}

impl Recordings {
    pub(super) fn plan<'a>(recordings: impl IntoIterator<Item = &'a Recording>) -> Self {
        let planned: Vec<(String, PathBuf)> = recordings
            .into_iter()
            .map(|recording| (recording.id.clone(), free_path(recording)))
            .collect();
        Recordings {
            paths: planned.iter().map(|(_, path)| path.clone()).collect(),
            planned,
            written: Vec::new(),
            tasks: JoinSet::new(),
            stop: watch::channel(None).0,
            last_unit: 0,
        }
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.paths
            .iter()
            .map(|path| path.display().to_string())
            .collect()
    }

    /// Whether they wait for the first keyframe.
    pub(super) fn wait(&self) -> bool {
        !self.planned.is_empty()
    }

    pub(super) fn begin(&mut self, feed: &Feed, start: &SessionStart) {
        for (id, path) in self.planned.drain(..) {
            let (feed, start, stop) = (feed.clone(), start.clone(), self.stop.subscribe());
            let span = info_span!("recording", %id);
            self.written
                .push((id.clone(), path.clone(), Instant::now()));
            let task = async move {
                info!(path = %path.display(), "recording");
                let ended = recording::record(&path, feed, start.from, start.base, stop).await;
                let error = ended.err()?;
                error!(%error, "the recording ended; the broadcast goes on");
                Some((id, error.to_string()))
            };
            self.tasks.spawn(task.instrument(span));
        }
    }

    /// A destination delivers up to this unit.
    pub(super) fn ends_at(&mut self, until: u64) {
        self.last_unit = until;
    }

    /// Every destination has its last unit; without any, `newest` is the last.
    pub(super) fn end(&mut self, newest: u64) {
        let until = if self.last_unit == 0 {
            newest
        } else {
            self.last_unit
        };
        self.planned.clear();
        self.stop.send_if_modified(|stop| {
            let first = stop.is_none();
            stop.get_or_insert(until);
            first
        });
    }

    /// Those that ended by themselves, with why.
    pub(super) fn failures(&mut self) -> Vec<(String, String)> {
        let mut failed = Vec::new();
        while let Some(ended) = self.tasks.try_join_next() {
            failed.extend(ended.ok().flatten());
        }
        let over = |id: &String| failed.iter().any(|(its, _)| its == id);
        self.written.retain(|(id, ..)| !over(id));
        failed
    }

    /// `by_hand`: somebody began it, and may end it.
    pub(super) fn views(&self, now: Instant, by_hand: bool) -> impl Iterator<Item = RecordingView> {
        let ending = self.stop.borrow().is_some();
        self.written.iter().map(move |(id, path, since)| {
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            RecordingView {
                id: id.clone(),
                file: name.unwrap_or_default(),
                for_s: now.duration_since(*since).as_secs_f64(),
                by_hand,
                ending,
            }
        })
    }

    pub(super) fn have_ended(&mut self) -> bool {
        while self.tasks.try_join_next().is_some() {}
        self.tasks.is_empty()
    }
}

/// Named by the second it begins in; a restart may come within the same. A disk of the network's may hang: then the name is taken as it
/// is, and only the recording waits.
fn free_path(recording: &Recording) -> PathBuf {
    let name = recording::file_name(&recording.id, jiff::Timestamp::now());
    let path = recording.path.join(&name);
    let (tell, told) = mpsc::channel();
    let (directory, taken) = (recording.path.clone(), path.clone());
    let looking = std::thread::Builder::new().spawn(move || {
        let stem = Path::new(&name).with_extension("");
        let others = (2..NAMES).map(|n| directory.join(format!("{}-{n}.flv", stem.display())));
        let free = std::iter::once(taken)
            .chain(others)
            .find(|path| !path.exists());
        // Nobody waits for it any more.
        let _ = tell.send(free);
    });
    let free = looking.ok().and_then(|_| told.recv_timeout(LOOK).ok());
    free.flatten().unwrap_or(path)
}
