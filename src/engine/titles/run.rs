//! One title at work: when it comes and goes, and what of it is in a frame. Drawing is ordered from the studio, and what was
//! drawn last is shown until the answer is there.

use super::look::Look;
use super::motion;
use super::presence::Presence;
use super::studio::{Done, Order, Studio};
use super::words::{self, Face};
use super::{Canvas, Drawing};
use crate::config::{CountdownTo, Title, TitleKind};
use crate::media::MediaTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};

/// A clock's next text is drawn so long before it is needed.
const AHEAD: SignedDuration = SignedDuration::from_secs(1);
/// Different notices that one title gives; more would say nothing new.
const MOST_NOTICES: usize = 32;

pub struct TitleRun {
    /// As it was configured, with the text it has now.
    title: Title,
    canvas: Canvas,
    studio: Studio,
    zone: TimeZone,
    says: Says,
    presence: Presence,
    /// Shown, but not drawn yet: it comes in from its first frame on.
    is_awaited: bool,
    /// When it began to come in.
    shown_at: MediaTime,
    /// It went by itself.
    went: bool,
    /// Counts the texts.
    edition: u64,
    /// The newest is in no frame before this.
    from: MediaTime,
    /// The same, for the studio: what is out of date before it is drawn need not be.
    newest: Arc<AtomicU64>,
    /// What is in the frames.
    current: Option<Version>,
    /// What is drawn and not in the frames yet: a new text, a clock's next time.
    ready: Vec<Version>,
    /// What is being drawn.
    ordered: Vec<Text>,
    /// When the current text was first in a frame: a new ticker begins anew.
    began: MediaTime,
    drawn: Receiver<Done>,
    reply: Sender<Done>,
    notices: Vec<String>,
    told: Vec<String>,
}

/// What is written: which of the texts, and what a clock says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Text {
    edition: u64,
    face: Option<String>,
}

struct Version {
    text: Text,
    look: Option<Arc<Look>>,
}

/// What a title says by itself.
#[derive(Clone, Copy)]
enum Says {
    Nothing,
    Clock { seconds: bool },
    Countdown(CountdownTo),
}

impl Says {
    fn of(title: &Title) -> Self {
        match title.kind {
            TitleKind::Clock => Says::Clock {
                seconds: Face::of(&title.lines).seconds,
            },
            TitleKind::Countdown => {
                let to = title.to.as_deref().and_then(CountdownTo::parse);
                // Settings have one that can be read.
                to.map_or(Says::Nothing, Says::Countdown)
            }
            _ => Says::Nothing,
        }
    }
}

impl TitleRun {
    /// Begins to draw it at once, so that it is ready when it is shown. `zone` is the one clocks are read in.
    pub fn new(title: &Title, canvas: Canvas, studio: &Studio, zone: TimeZone) -> Self {
        let (reply, drawn) = mpsc::channel();
        let mut run = TitleRun {
            title: title.clone(),
            canvas,
            studio: studio.clone(),
            zone,
            says: Says::of(title),
            presence: Presence::GONE,
            is_awaited: false,
            shown_at: MediaTime::ZERO,
            went: false,
            edition: 1,
            from: MediaTime::ZERO,
            newest: Arc::new(AtomicU64::new(1)),
            current: None,
            ready: Vec::new(),
            ordered: Vec::new(),
            began: MediaTime::ZERO,
            drawn,
            reply,
            notices: Vec::new(),
            told: Vec::new(),
        };
        run.order_text();
        run
    }

    /// It comes in, from the frame at `at` on, or from the first in which it is drawn; nothing changes if it is there.
    pub fn show(&mut self, at: MediaTime) {
        if self.presence.is_on() || self.is_awaited {
            return;
        }
        self.went = false;
        self.receive(at);
        // What a clock has to say is known only in the frame.
        match &self.current {
            Some(version) if self.is_newest(version) && version.text.face.is_none() => {
                self.come_in(at);
            }
            _ => self.is_awaited = true,
        }
    }

    /// It goes, from the frame at `at` on.
    pub fn hide(&mut self, at: MediaTime) {
        self.is_awaited = false;
        self.presence.turn(at, false, self.title.vanish);
    }

    /// It is shown, and not on its way out.
    pub fn is_shown(&self) -> bool {
        self.presence.is_on() || self.is_awaited
    }

    /// The text as it is now, or as it will be once it is drawn.
    #[cfg(test)]
    pub fn lines(&self) -> &[String] {
        &self.title.lines
    }

    /// New text, from the frame at `from` on. What was there stays until the new is drawn, and is replaced in one frame.
    pub fn set_lines(&mut self, lines: Vec<String>, from: MediaTime) {
        if self.title.lines != lines {
            self.title.lines = lines;
            self.from = from;
            self.says = Says::of(&self.title);
            self.edition += 1;
            self.newest.store(self.edition, Ordering::Relaxed);
            self.ordered.clear(); // An answer to them may never come.
            self.order_text();
        }
    }

    /// What of it is in the frame at `at`, lowest first; `wall` is the time that clocks show. Empty: nothing. Parts may lie
    /// outside the canvas. Asked for in each frame, shown or not, it has a clock's text ready when it is shown.
    pub fn draw(&mut self, at: MediaTime, wall: Timestamp) -> Vec<Drawing> {
        self.receive(at);
        let wanted = self.text_at(wall);
        self.take_up(at, &wanted);
        self.order_ahead(wanted, wall);
        if !self.is_shown() && self.presence.is_settled(at) {
            return Vec::new();
        }
        if self.is_awaited && self.current.is_some() {
            self.is_awaited = false;
            self.come_in(at);
        }
        if let Some(limit) = self.title.auto_off
            && self.presence.is_on()
            && at >= self.shown_at + limit
        {
            self.went = true;
            self.hide(at);
        }
        match self.current.as_ref().and_then(|c| c.look.as_ref()) {
            Some(look) => {
                motion::drawings(look, &self.canvas, self.presence.seen(at), self.began, at)
            }
            None => Vec::new(),
        }
    }

    /// Something is drawn that could be shown.
    #[cfg(test)]
    pub fn is_ready(&self) -> bool {
        self.current.is_some()
    }

    /// Something is drawn that is not in the frames yet.
    #[cfg(test)]
    pub fn has_next(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Its time to be there by itself (`auto_off_s`) is over: it goes, or is gone, until it is shown again.
    pub fn is_over(&self, at: MediaTime) -> bool {
        let limit = self.title.auto_off;
        self.went || limit.is_some_and(|limit| self.presence.is_on() && at >= self.shown_at + limit)
    }

    /// What an operator should know of what was drawn since the last call: a font that is not there, an image that can't be
    /// read. Each is told once.
    pub fn take_notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    fn come_in(&mut self, at: MediaTime) {
        if self.presence.is_settled(at) {
            self.began = at;
        }
        self.shown_at = at;
        self.presence.turn(at, true, self.title.appear);
    }

    fn is_newest(&self, version: &Version) -> bool {
        version.text.edition == self.edition
    }

    /// What should be written in a frame.
    fn text_at(&self, wall: Timestamp) -> Text {
        let face = match self.says {
            Says::Nothing => None,
            Says::Clock { seconds } => {
                Some(words::clock(&wall.to_zoned(self.zone.clone()), seconds))
            }
            Says::Countdown(to) => Some(words::countdown(to, wall, &self.zone)),
        };
        Text {
            edition: self.edition,
            face,
        }
    }

    /// Fetches what was drawn.
    fn receive(&mut self, at: MediaTime) {
        while let Ok(done) = self.drawn.try_recv() {
            let text = Text {
                edition: done.edition,
                face: done.face,
            };
            self.ordered.retain(|ordered| *ordered != text);
            for notice in done.notices {
                if self.told.len() < MOST_NOTICES && !self.told.contains(&notice) {
                    self.told.push(notice.clone());
                    self.notices.push(notice);
                }
            }
            self.ready.push(Version {
                text,
                look: done.look,
            });
        }
        // One that nobody has seen yet is replaced whenever the next is drawn.
        if !self.presence.is_on() && matches!(self.says, Says::Nothing) {
            let wanted = Text {
                edition: self.edition,
                face: None,
            };
            self.take_up(at, &wanted);
        }
    }

    /// Puts into the frames what is wanted, if it is drawn; else what is newer than what is there, so that texts which come
    /// faster than they can be drawn are seen all the same. One that is awaited waits for exactly what is wanted.
    fn take_up(&mut self, at: MediaTime, wanted: &Text) {
        let edition = self.current.as_ref().map_or(0, |c| c.text.edition);
        let is_early = at < self.from;
        let fits = |version: &Version| {
            let newer = version.text.face.is_none() && version.text.edition > edition;
            (version.text == *wanted || newer) && !(is_early && self.is_newest(version))
        };
        if let Some(found) = self.ready.iter().rposition(fits) {
            let version = self.ready.remove(found);
            if version.text.edition != edition {
                self.began = at;
            }
            self.current = Some(version);
        } else if self.is_awaited && self.current.as_ref().is_some_and(|c| c.text != *wanted) {
            // A time of long ago, from when it was last shown.
            self.current = None;
        }
        let edition = self.edition;
        self.ready.retain(|version| version.text.edition == edition);
    }

    /// Orders the text in use of a title that says nothing by itself.
    fn order_text(&mut self) {
        if matches!(self.says, Says::Nothing) {
            self.order(Text {
                edition: self.edition,
                face: None,
            });
        }
    }

    fn order_ahead(&mut self, wanted: Text, wall: Timestamp) {
        if matches!(self.says, Says::Nothing) {
            return self.order_text();
        }
        let next = wall.checked_add(AHEAD).map(|wall| self.text_at(wall));
        // A clock that ran into another day's text keeps only what it can still show.
        if let Ok(next) = &next {
            self.ready
                .retain(|version| version.text == wanted || version.text == *next);
        }
        self.order(wanted);
        if let Ok(next) = next {
            self.order(next);
        }
    }

    fn order(&mut self, text: Text) {
        let is_there = |version: &Version| version.text == text;
        if self.current.as_ref().is_some_and(is_there)
            || self.ready.iter().any(is_there)
            || self.ordered.contains(&text)
        {
            return;
        }
        self.studio.order(Order {
            title: Arc::new(self.title.clone()),
            canvas: self.canvas,
            face: text.face.clone(),
            edition: text.edition,
            newest: self.newest.clone(),
            reply: self.reply.clone(),
        });
        self.ordered.push(text);
    }
}
