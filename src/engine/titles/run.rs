//! One title at work: when it comes and goes, and what of it is in a frame.

use super::presence::Presence;
use super::studio::Studio;
use super::{Canvas, Drawing};
use crate::config::Title;
use crate::media::MediaTime;
use jiff::Timestamp;
use jiff::tz::TimeZone;

pub struct TitleRun {
    title: Title,
    presence: Presence,
    shown_at: MediaTime,
    notices: Vec<String>,
}

impl TitleRun {
    /// Begins to draw it at once, so that it is ready when it is shown. `zone` is the one clocks are read in.
    pub fn new(title: &Title, canvas: Canvas, studio: &Studio, zone: TimeZone) -> Self {
        let _ = (canvas, studio, zone);
        TitleRun {
            title: title.clone(),
            presence: Presence::GONE,
            shown_at: MediaTime::ZERO,
            notices: Vec::new(),
        }
    }

    /// It comes in, from the frame at `at` on; nothing changes if it is there.
    pub fn show(&mut self, at: MediaTime) {
        if !self.presence.is_on() {
            self.shown_at = at;
            self.presence.turn(at, true, self.title.appear);
        }
    }

    /// It goes, from the frame at `at` on.
    pub fn hide(&mut self, at: MediaTime) {
        self.presence.turn(at, false, self.title.vanish);
    }

    /// New text. What was there stays until the new is drawn, and is replaced in one frame.
    pub fn set_lines(&mut self, at: MediaTime, lines: Vec<String>) {
        let _ = at;
        self.title.lines = lines;
    }

    /// What of it is in the frame at `at`, lowest first; `wall` is the time that clocks show. Empty: nothing.
    pub fn draw(&mut self, at: MediaTime, wall: Timestamp) -> Vec<Drawing> {
        let _ = (at, wall);
        Vec::new()
    }

    /// Its time to be there by itself (`auto_off_s`) is over: from here on it goes, or is gone, until it is shown again.
    pub fn is_over(&self, at: MediaTime) -> bool {
        let limit = self.title.auto_off;
        limit.is_some_and(|limit| self.presence.is_on() && at >= self.shown_at + limit)
    }

    /// What an operator should know of what was drawn since the last call, and why: a font that is not there, an image that
    /// can't be read.
    pub fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }
}
