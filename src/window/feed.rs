//! How the window's newest state reaches its readers: a watch channel. Shell around the pure window.

use super::{View, Window};
use crate::media::{MediaTime, MediaUnit, StreamConfig};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The writer's end: owns the window.
#[derive(Debug)]
pub struct FeedWriter {
    window: Window,
    sender: watch::Sender<Newest>,
    gather: Duration,
    /// When the readers were woken last.
    told: Option<Instant>,
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
        FeedWriter::gathering(Duration::ZERO)
    }
}

impl FeedWriter {
    /// Readers are woken for new units no more often than each `gather`, by the first unit after that. What a destination costs is
    /// mostly its wake-ups and writes, so a few units at a time cost much less than each on its own. A reader that looks without
    /// being woken sees every unit at once.
    pub fn gathering(gather: Duration) -> Self {
        let window = Window::default();
        let (sender, _) = watch::channel(Newest {
            view: window.view().clone(),
            at: None,
        });
        FeedWriter {
            window,
            sender,
            gather,
            told: None,
        }
    }

    pub fn view(&self) -> &View {
        self.window.view()
    }

    pub fn push(&mut self, now: Instant, unit: MediaUnit, config: Arc<StreamConfig>) {
        let gathering = |told| now.saturating_duration_since(told) < self.gather;
        let tell = !self.told.is_some_and(gathering);
        if tell {
            self.told = Some(now);
        }
        self.window.push(unit, config);
        let newest = Newest {
            view: self.window.view().clone(),
            at: Some(now),
        };
        self.sender.send_if_modified(|old| {
            *old = newest;
            tell
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::tests::{config, video};

    #[tokio::test]
    async fn readers_are_woken_once_for_what_comes_together_and_see_all_of_it() {
        let mut writer = FeedWriter::gathering(Duration::from_millis(45));
        let mut feed = writer.feed();
        let start = Instant::now();
        let mut woken = Vec::new();
        for n in 0..8 {
            let now = start + Duration::from_millis(20 * n);
            writer.push(now, video(n as i64, n == 0), config());
            let told = tokio::time::timeout(Duration::ZERO, feed.changed()).await;
            if told.is_ok() {
                woken.push(n);
            }
            assert_eq!(feed.view().newest.seq(), n + 1);
        }
        assert_eq!(woken, [0, 3, 6]);
    }
}
