//! When a clip begins: told by the mix, waited for by the threads that decode it. Until then it stands on its first frames.

use super::graph::Happened;
use crate::media::MediaTime;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Debug, Default)]
pub struct Cue(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    /// How often the clip was made ready.
    round: u32,
    /// When its first frame is on air.
    start: Option<MediaTime>,
    /// The thread that watches over its pipeline.
    watcher: Option<Sender<Happened>>,
}

impl Cue {
    pub fn start(&self, at: MediaTime) {
        self.state().start = Some(at);
        self.0.1.notify_all();
    }

    /// Whatever plays ends, and the clip is made ready once more. Gives the number of that time.
    pub fn ready(&self) -> u32 {
        let mut state = self.state();
        state.round = state.round.wrapping_add(1);
        state.start = None;
        if let Some(watcher) = state.watcher.take() {
            // One that is gone plays nothing.
            let _ = watcher.send(Happened::Recalled);
        }
        self.0.1.notify_all();
        state.round
    }

    pub fn round(&self) -> u32 {
        self.state().round
    }

    /// `watcher` is told when this round is over; at once if it is already.
    pub(super) fn watch(&self, round: u32, watcher: Sender<Happened>) {
        let mut state = self.state();
        if state.round == round {
            state.watcher = Some(watcher);
        } else {
            let _ = watcher.send(Happened::Recalled);
        }
    }

    /// Waits until the clip is started. None: this round is over.
    pub(super) fn wait(&self, round: u32) -> Option<MediaTime> {
        let waiting = |state: &mut State| state.round == round && state.start.is_none();
        let state = self.0.1.wait_while(self.state(), waiting);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        state.start.filter(|_| state.round == round)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn whoever_waits_hears_of_the_start_or_of_the_end() {
        let cue = Cue::default();
        let waiting = thread::spawn({
            let cue = cue.clone();
            move || cue.wait(0)
        });
        cue.start(MediaTime(7));
        assert_eq!(waiting.join().unwrap(), Some(MediaTime(7)));
        assert_eq!(cue.wait(0), Some(MediaTime(7)));
        let (watcher, told) = mpsc::channel();
        cue.watch(0, watcher.clone());
        assert_eq!(cue.ready(), 1);
        assert!(matches!(told.try_recv(), Ok(Happened::Recalled)));
        // Of a round that is over nothing starts.
        cue.start(MediaTime(9));
        assert_eq!(cue.wait(0), None);
        cue.watch(0, watcher);
        assert!(matches!(told.try_recv(), Ok(Happened::Recalled)));
    }
}
