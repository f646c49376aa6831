//! The thread that draws titles, so that no frame waits for a font, an image or a PDF.

use super::Canvas;
use super::artwork::Artwork;
use super::look::{Drawer, Look};
use super::pen::Pen;
use crate::config::Title;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};

/// A handle to the thread; it ends when the last handle is gone.
#[derive(Clone, Debug)]
pub struct Studio {
    orders: Sender<Order>,
}

/// A title to be drawn.
#[derive(Debug)]
pub struct Order {
    /// With the text that it is to have.
    pub title: Arc<Title>,
    pub canvas: Canvas,
    /// What a clock or countdown is to say.
    pub face: Option<String>,
    /// Of the text, as its run counts.
    pub edition: u64,
    /// The edition that is wanted by now.
    pub newest: Arc<AtomicU64>,
    pub reply: Sender<Done>,
}

/// An order as it was carried out.
#[derive(Debug)]
pub struct Done {
    pub edition: u64,
    pub face: Option<String>,
    /// None: there is nothing to see.
    pub look: Option<Arc<Look>>,
    /// What the operator should know.
    pub notices: Vec<String>,
}

impl Studio {
    /// Starts the thread, which reads the system's fonts first.
    pub fn start() -> io::Result<Self> {
        Studio::start_with(Pen::with_system_fonts)
    }

    /// With other fonts. `pen` is asked for in the thread, and again after a fault in it.
    pub fn start_with(pen: impl Fn() -> Pen + Send + 'static) -> io::Result<Self> {
        let (orders, inbox) = mpsc::channel();
        std::thread::Builder::new()
            .name("titles".to_owned())
            .spawn(move || work(&inbox, &pen))?;
        Ok(Studio { orders })
    }

    /// The answer comes over the order's own channel.
    pub fn order(&self, order: Order) {
        // The thread outlives its handles; were it gone, what is shown would stay.
        let _ = self.orders.send(order);
    }
}

fn work(inbox: &Receiver<Order>, new_pen: &dyn Fn() -> Pen) {
    let mut pen = new_pen();
    let mut artwork = Artwork::default();
    while let Ok(order) = inbox.recv() {
        // Texts that come faster than they can be drawn: a later order has the newer one.
        if order.edition < order.newest.load(Ordering::Relaxed) {
            continue;
        }
        let drawn = catch_unwind(AssertUnwindSafe(|| {
            carry_out(&order, &mut pen, &mut artwork)
        }));
        let (look, notices) = drawn.unwrap_or_else(|_| {
            // A font or image that upsets a library must not take the programme's other titles along.
            pen = new_pen();
            let text = "can't be drawn with this text; what was shown before is gone";
            (None, vec![text.to_owned()])
        });
        let done = Done {
            edition: order.edition,
            face: order.face,
            look,
            notices,
        };
        // A title that is gone needs no answer.
        let _ = order.reply.send(done);
    }
}

fn carry_out(
    order: &Order,
    pen: &mut Pen,
    artwork: &mut Artwork,
) -> (Option<Arc<Look>>, Vec<String>) {
    let mut drawer = Drawer {
        pen,
        artwork,
        canvas: order.canvas,
        notices: Vec::new(),
    };
    let look = drawer.draw(&order.title, order.face.as_deref());
    (look.map(Arc::new), drawer.notices)
}
