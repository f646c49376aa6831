//! The log: each entry goes to the store, to whoever listens, and, where nothing else has told it, to the daemon's own log. Shell.

use super::event::{Entry, Event, SessionId, Who};
use crate::store::{EventRow, Store, Write};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use tracing::{debug, info, warn};

/// What a listener may lag behind.
const LISTENERS_QUEUE: usize = 1_024;
/// Kept at hand for whoever begins to listen.
const RECENT: usize = 200;

pub struct Journal {
    store: Option<Store>,
    listeners: broadcast::Sender<Arc<Entry>>,
    recent: VecDeque<Arc<Entry>>,
}

impl Journal {
    pub fn new(store: Option<Store>) -> Self {
        Journal {
            store,
            listeners: broadcast::channel(LISTENERS_QUEUE).0,
            recent: VecDeque::new(),
        }
    }

    pub fn listen(&self) -> broadcast::Sender<Arc<Entry>> {
        self.listeners.clone()
    }

    pub fn write(
        &mut self,
        wall_ms: i64,
        session: Option<&SessionId>,
        elapsed: Duration,
        who: Who,
        event: Event,
    ) {
        tell(&who, &event);
        let entry = Arc::new(Entry {
            at: wall_ms,
            session: session.cloned(),
            elapsed,
            who,
            event,
        });
        if let Some(store) = &self.store
            && let Some(row) = row(&entry)
        {
            store.post(Write::Event(row));
        }
        if entry.event.is_for_people() {
            self.recent.push_back(Arc::clone(&entry));
            if self.recent.len() > RECENT {
                self.recent.pop_front();
            }
        }
        // Nobody has to listen.
        let _ = self.listeners.send(entry);
    }
}

fn row(entry: &Entry) -> Option<EventRow> {
    let json = serde_json::to_value(entry).ok()?;
    Some(EventRow {
        at_ms: entry.at,
        session: entry.session.as_ref().map(|id| id.as_str().to_owned()),
        kind: json.get("event")?.as_str()?.to_owned(),
        entry: json.to_string(),
    })
}

fn tell(who: &Who, event: &Event) {
    match event {
        // Destinations, engine and sources tell of these themselves, where they happen.
        Event::Publishing { .. }
        | Event::OnAir { .. }
        | Event::Stalled { .. }
        | Event::Lost { .. }
        | Event::Failover { .. }
        | Event::Shed { .. }
        | Event::Replayed { .. }
        | Event::Bitrate { .. }
        | Event::SourceLost { .. }
        | Event::SourceLive { .. }
        | Event::EngineDied { .. }
        | Event::EngineBack { .. }
        | Event::FramesLeftOut { .. }
        | Event::RecordingFailed { .. }
        | Event::Sample { .. } => debug!("{event}"),
        Event::GuardWarning { .. }
        | Event::ArchiveWarning { .. }
        | Event::NotResumed { .. }
        | Event::RolloverFailed { .. }
        | Event::StartFailed { .. }
        | Event::Anyway { .. }
        | Event::Dump { .. } => warn!(by = %who, "{event}"),
        _ => info!(by = %who, "{event}"),
    }
}
