//! The multiview on the box's own screen: a process of its own shows it (`engine/apart`), and this thread gives it the pictures. A
//! screen that isn't there, or breaks, costs the programme nothing and is tried again.

use super::geometry::Size;
use crate::config::Screen;
use crate::engine::apart::child::Apart;
use crate::engine::apart::wire::{self, Order, What};
use gstreamer as gst;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Somebody plugs a screen in.
const RETRY: Duration = Duration::from_secs(5);

/// Takes pictures for the screen; never waits.
pub struct Shown {
    pictures: SyncSender<gst::Buffer>,
    /// There is a process that takes them.
    taken: Arc<AtomicBool>,
}

impl Shown {
    /// Of I420 in `size`.
    pub fn start(screen: Screen, size: Size) -> std::io::Result<Self> {
        let (pictures, given) = sync_channel(1);
        let taken = Arc::new(AtomicBool::new(false));
        let takes = Arc::clone(&taken);
        std::thread::Builder::new()
            .name("screen".into())
            .spawn(move || keep_shown(&screen, size, &given, &takes))?;
        Ok(Shown { pictures, taken })
    }

    /// Nothing is to be made for a screen that isn't there.
    pub fn is_there(&self) -> bool {
        self.taken.load(Ordering::Relaxed)
    }

    pub fn show(&self, picture: gst::Buffer) {
        // A screen that is still at the one before leaves this one out.
        let _ = self.pictures.try_send(picture);
    }
}

/// Until there are no more pictures.
fn keep_shown(screen: &Screen, size: Size, given: &Receiver<gst::Buffer>, taken: &AtomicBool) {
    let mut told = String::new();
    while let Some(text) = show(screen, size, given, taken) {
        taken.store(false, Ordering::Relaxed);
        // The same failure again and again is told once.
        if text != told {
            tracing::warn!(
                "the multiview is not shown on {}: {text}. It is tried again every {} s.",
                name(screen),
                RETRY.as_secs()
            );
            told = text;
        }
        let again = Instant::now() + RETRY;
        loop {
            match given.recv_timeout(again.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// What went wrong; None: there are no more pictures.
fn show(
    screen: &Screen,
    size: Size,
    given: &Receiver<gst::Buffer>,
    taken: &AtomicBool,
) -> Option<String> {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let order = Order {
        what: What::Show(screen.clone()),
        frame: (number(size.width), number(size.height)),
        fps: (0, 1),
    };
    let mut apart = match Apart::open(&order) {
        Ok(apart) => apart,
        Err(error) => return Some(format!("the process for it can't be started: {error}")),
    };
    taken.store(true, Ordering::Relaxed);
    loop {
        let picture = given.recv().ok()?;
        let Ok(bytes) = picture.map_readable() else {
            continue;
        };
        let pipe = apart.orders.as_mut()?;
        if pipe.write_all(&bytes).is_err() {
            return Some(why(&mut apart));
        }
    }
}

/// It has ended, and may have said why.
fn why(apart: &mut Apart) -> String {
    if let Some(out) = &mut apart.child.stdout
        && let Ok(Some((wire::FAILED, text))) = wire::read(out)
    {
        return String::from_utf8_lossy(&text)
            .trim_end_matches('.')
            .to_owned();
    }
    format!("its process ended ({})", apart.how_it_ended())
}

fn name(screen: &Screen) -> String {
    match screen {
        Screen::Kms { connector: None } => "the screen".into(),
        Screen::Kms {
            connector: Some(connector),
        } => format!("the screen at connector {connector}"),
        Screen::X { display } => format!("display {display}"),
    }
}
