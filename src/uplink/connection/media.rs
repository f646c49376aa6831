//! The broadcast on one connection: which unit may be sealed now.

use super::Connection;
use crate::media::{MediaTime, StreamConfig};
use crate::uplink::error::ConnectionError;
use crate::uplink::flow::{Pace, Shed, shed};
use crate::uplink::liveness::Liveness;
use crate::uplink::position::MARGIN;
use crate::uplink::reader::Reader;
use crate::uplink::wire::InFlight;
use crate::window::Cursor;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Units are sealed ahead of the socket up to this many bytes; the rest stays in the window, where it can be shed.
const SEALED_AHEAD: usize = 64 * 1024;
/// No receive buffer holds so much: a server whose acknowledgements are so far behind has stopped giving them.
const UNREAD_MAX: Duration = Duration::from_secs(20);

/// A broadcast under way.
pub(super) struct Live {
    pub(super) cursor: Cursor,
    pub(super) config: Option<Arc<StreamConfig>>,
    pub(super) base: MediaTime,
    pub(super) timestamp_ms: u64,
    pub(super) begin: MediaTime,
    pub(super) pace: Pace,
    pub(super) in_flight: InFlight,
    /// By plain RTMP bytes, for the peer's own acknowledgements.
    pub(super) unread: InFlight,
    pub(super) reader: Reader,
    pub(super) reading: Liveness,
    pub(super) shed: Shed,
}

impl Live {
    /// How far the peer says it has read, no further than TCP knows it has (a server may overstate). What lies more than the
    /// margin behind is of no use and is let go of, since a server may never acknowledge anything.
    pub(super) fn confirmed(&mut self, acknowledged: &Cursor) -> Option<Cursor> {
        let newest = acknowledged.last()?.unit.dts;
        if let Some(received) = self.unread.end_within(acknowledged.seq()) {
            self.reader.received(received);
        }
        if !self.reader.is_believed() {
            self.unread.forget_before(newest - MARGIN);
        } else if self.unread.forget_before(newest - UNREAD_MAX) {
            self.reader.disbelieve();
        }
        self.unread
            .acknowledged_within(self.reader.read(), acknowledged.seq())
    }
}

/// What the next unit waits for.
pub(super) enum Next {
    /// Its time.
    At(Instant),
    /// Being encoded.
    Unit,
    /// Room in the socket.
    Room,
    /// There is none: the last one was written, and the peer has yet to acknowledge it.
    Acknowledgement,
    /// There is none: the last one was acknowledged.
    Drained,
}

impl Connection {
    /// Seals units while the socket keeps up and the pace allows.
    pub(super) fn fill(&mut self, now: Instant) -> Result<Next, ConnectionError> {
        let Some(live) = self
            .live
            .as_mut()
            .filter(|_| self.publisher.is_publishing())
        else {
            return Ok(Next::Room);
        };
        let time = self.setup.feed.time(now);
        let mut plain = Vec::new();
        loop {
            if self.out.len() - self.sent >= SEALED_AHEAD {
                return Ok(Next::Room);
            }
            // The first unit is the one that the timeline was laid for; what a slow publish lets grow too old goes behind it.
            if live.config.is_some() {
                let dropped = shed(&mut live.cursor, time - self.setup.hold - self.setup.delay);
                live.shed.add(dropped);
            }
            let entry = live.cursor.peek();
            // Looked at after the unit: the session names the last unit before it lets a later one in.
            if self
                .setup
                .stop
                .borrow()
                .is_some_and(|until| live.cursor.seq() >= until)
            {
                return Ok(if live.in_flight.is_empty() {
                    Next::Drained
                } else {
                    Next::Acknowledgement
                });
            }
            let Some(entry) = entry else {
                return Ok(Next::Unit);
            };
            let due = entry.unit.dts + self.setup.delay;
            if due > time && !self.setup.delay.is_zero() {
                return Ok(Next::At(now + due.since(time)));
            }
            if let Some(at) = live.pace.wait_until(now, entry.unit.dts) {
                return Ok(Next::At(at));
            }
            plain.clear();
            match &live.config {
                None => self.publisher.start_media_at(
                    &entry.config,
                    live.base,
                    live.timestamp_ms,
                    live.begin,
                    &mut plain,
                ),
                Some(config) if !Arc::ptr_eq(config, &entry.config) => {
                    self.publisher
                        .write_config(&entry.config, entry.unit.dts, &mut plain);
                }
                Some(_) => {}
            }
            live.config = Some(Arc::clone(&entry.config));
            self.publisher.write_unit(&entry.unit, &mut plain);
            live.pace.sent(now, entry.unit.dts);
            live.cursor.advance();
            self.plain_written += plain.len() as u64;
            self.wire
                .seal(&plain, &mut self.out)
                .map_err(ConnectionError::Io)?;
            let end = self.written + (self.out.len() - self.sent) as u64;
            live.in_flight.wrote(end, live.cursor.clone());
            live.unread.wrote(self.plain_written, live.cursor.clone());
        }
    }
}
