//! Titles: text and images over the programme. What a title looks like is drawn in a thread of its own (`studio`) and kept as a
//! `Raster`; what of it is to be laid over a frame, and where, is a function of time (`run`).

mod artwork;
mod look;
mod motion;
pub mod pen;
mod place;
mod presence;
mod raster;
mod run;
mod studio;
mod ticker;
mod words;

pub use raster::{Raster, Rect};
pub use run::TitleRun;
pub use studio::Studio;

use crate::media::FrameRate;
use std::sync::Arc;

/// What titles are drawn for: the programme's frame, or the part of it that a layer gives a title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canvas {
    /// In pixels, even.
    pub width: usize,
    /// In pixels, even.
    pub height: usize,
    pub fps: FrameRate,
}

/// What of a title is to be laid over a frame; later ones over earlier ones.
#[derive(Clone, Debug)]
pub struct Drawing {
    pub raster: Arc<Raster>,
    /// Where its top left lies in the canvas: even, may be negative.
    pub x: i32,
    pub y: i32,
    /// 0 to 1.
    pub opacity: f32,
    /// In the canvas; nothing outside it is drawn.
    pub clip: Option<Rect>,
}

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod run_tests;
