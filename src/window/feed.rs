//! How the window's newest state reaches its readers: a watch channel. Shell around the pure window.

use super::{View, Window};
use crate::media::{MediaTime, MediaUnit, StreamConfig};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;

/// The writer's end: owns the window.
#[derive(Debug)]
pub struct FeedWriter {
    window: Window,
    sender: watch::Sender<Newest>,
}

#[derive(Clone, Debug)]
struct Newest {
    view: View,
    /// When the newest unit came in.
    at: Option<Instant>,
}

/// A reader's end. Cloning makes another reader.
#[derive(Clone, Debug)]
pub struct Feed {
    receiver: watch::Receiver<Newest>,
}

impl Default for FeedWriter {
    fn default() -> Self {
        let window = Window::default();
        let (sender, _) = watch::channel(Newest {
            view: window.view().clone(),
            at: None,
        });
        FeedWriter { window, sender }
    }
}

impl FeedWriter {
    pub fn view(&self) -> &View {
        self.window.view()
    }

    pub fn push(&mut self, now: Instant, unit: MediaUnit, config: Arc<StreamConfig>) {
        self.window.push(unit, config);
        self.sender.send_replace(Newest {
            view: self.window.view().clone(),
            at: Some(now),
        });
    }

    pub fn feed(&self) -> Feed {
        Feed {
            receiver: self.sender.subscribe(),
        }
    }
}

impl Feed {
    pub fn view(&self) -> View {
        self.receiver.borrow().view.clone()
    }

    /// The programme time at `now`: goes on at the clock's pace when the engine pauses. Zero before the first unit.
    pub fn time(&self, now: Instant) -> MediaTime {
        let newest = self.receiver.borrow();
        newest.at.map_or(MediaTime::ZERO, |at| {
            newest.view.time + now.saturating_duration_since(at)
        })
    }

    /// Returns once there is something newer than at the last call. Never, when the writer is gone.
    pub async fn changed(&mut self) {
        if self.receiver.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
