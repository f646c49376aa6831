//! The keys over the programme, and how they come and go. Pure.

use super::plan::Key;
use crate::config::{Appear, AppearKind, Content, Layer, Overlay, Title};
use crate::media::FrameRate;
use regia_paint::WHOLE;
use std::sync::Arc;

/// From one weight to another, over some frames.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fade {
    pub(super) from: u16,
    pub(super) to: u16,
    pub(super) first: i64,
    pub(super) frames: i64,
}

impl Fade {
    pub(super) fn still(weight: u16) -> Self {
        Fade {
            from: weight,
            to: weight,
            first: 0,
            frames: 0,
        }
    }

    pub(super) fn at(&self, point: i64) -> u16 {
        let frames = self.frames.max(1);
        let done = (point - self.first + 1).clamp(0, frames);
        let (from, to) = (i64::from(self.from), i64::from(self.to));
        // Between two weights, which fit.
        (from + (to - from) * done / frames) as u16
    }

    /// Whether it is over from this point on and was not before.
    pub(super) fn settle(&mut self, point: i64) -> bool {
        let over = self.from != self.to && self.at(point - 1) == self.to;
        if over {
            *self = Fade::still(self.to);
        }
        over
    }

    /// To another weight from where it is before `first`.
    pub(super) fn go(&mut self, to: u16, first: i64, frames: i64) {
        *self = Fade {
            from: self.at(first - 1),
            to,
            first,
            frames,
        };
    }
}

pub(super) struct KeyState {
    pub(super) overlay: Overlay,
    pub(super) layer: Arc<Layer>,
    /// It comes and goes by its own way; here it is only there or not.
    pub(super) is_title: bool,
    pub(super) appear: Appear,
    pub(super) vanish: Appear,
    pub(super) on: bool,
    pub(super) fade: Fade,
    pub(super) how: AppearKind,
}

impl KeyState {
    pub(super) fn new(overlay: &Overlay, titles: &[Title], on: bool) -> Self {
        let title = match &overlay.layer.content {
            Content::Title(id) => titles.iter().find(|title| title.id == *id),
            _ => None,
        };
        let usual = Appear {
            how: AppearKind::Cut,
            ms: 0,
        };
        let own = |own: Option<Appear>, title: Option<Appear>| own.or(title).unwrap_or(usual);
        KeyState {
            layer: Arc::new(overlay.layer.clone()),
            is_title: title.is_some(),
            appear: own(overlay.appear, title.map(|title| title.appear)),
            vanish: own(overlay.vanish, title.map(|title| title.vanish)),
            on,
            fade: Fade::still(if on { WHOLE } else { 0 }),
            how: AppearKind::Cut,
            overlay: overlay.clone(),
        }
    }

    /// Gives how many frames it takes.
    pub(super) fn switch(&mut self, on: bool, next: i64, fps: FrameRate) -> i64 {
        let appear = if on { self.appear } else { self.vanish };
        let length = match appear.how {
            AppearKind::Cut => 0,
            _ => (f64::from(appear.ms) / 1_000.0 * fps.as_f64()).round() as i64,
        };
        if on != self.on {
            self.on = on;
            self.how = appear.how;
            self.fade.go(if on { WHOLE } else { 0 }, next, length);
        }
        length
    }

    pub(super) fn at(&self, point: i64) -> Option<Key> {
        // A title that is half in when it is told to go takes as long as it was told.
        let there = if self.is_title && (self.on || self.fade.at(point - 1) > 0) {
            WHOLE
        } else {
            self.fade.at(point)
        };
        if there == 0 {
            return None;
        }
        let slides = self.how == AppearKind::Slide && !self.is_title;
        Some(Key {
            overlay: self.overlay.id.clone(),
            layer: Arc::clone(&self.layer),
            weight: if slides { WHOLE } else { there },
            away: if slides { WHOLE - there } else { 0 },
        })
    }
}
