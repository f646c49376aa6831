//! Recordings that somebody begins and ends, whether or not there is a broadcast. Shell.

use super::Actor;
use super::broadcast::start_at;
use super::handle::SessionError;
use super::recordings::Recordings;
use crate::session::event::{Event, Who};

impl Actor {
    pub(super) fn record(&mut self, id: &str, on: bool, who: Who) -> Result<(), SessionError> {
        let all = &self.settings.recordings;
        let recording = all.iter().find(|recording| recording.id == id);
        let recording = recording.ok_or_else(|| SessionError::UnknownRecording(id.to_owned()))?;
        let by_broadcast = recording.auto && self.session.is_some();
        match (on, self.by_hand.contains_key(id)) {
            (true, false) if !by_broadcast => {
                let recordings = Recordings::plan([recording]);
                let file = recordings.paths().join(", ");
                self.by_hand.insert(id.to_owned(), recordings);
                let recording = id.to_owned();
                self.log(who, Event::RecordingOn { recording, file });
                self.tend_recordings();
            }
            (false, true) => {
                self.end_recording(id);
                let recording = id.to_owned();
                self.log(who, Event::RecordingOff { recording });
            }
            _ => {}
        }
        Ok(())
    }

    /// Begins those that wait for a keyframe, and tells of those that ended by themselves.
    pub(super) fn tend_recordings(&mut self) {
        let start = start_at(&self.programme.view(), None);
        let mut failed = Vec::new();
        for recordings in self.by_hand.values_mut() {
            if let Some(start) = start.as_ref().filter(|_| recordings.wait()) {
                recordings.begin(&self.programme.feed(), start);
            }
            failed.extend(recordings.failures());
        }
        for (recording, reason) in failed {
            self.by_hand.remove(&recording);
            self.log(Who::Regia, Event::RecordingFailed { recording, reason });
        }
        self.closing_by_hand
            .retain_mut(|recordings| !recordings.have_ended());
    }

    fn end_recording(&mut self, id: &str) {
        if let Some(mut recordings) = self.by_hand.remove(id) {
            recordings.end(self.programme.view().whole_end());
            self.closing_by_hand.push(recordings);
        }
    }
}
