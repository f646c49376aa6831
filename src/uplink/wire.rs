//! The bytes of one connection, with or without TLS, and which of them carry which unit. Pure: rustls is
//! driven by hand, so that the offset of every sealed unit is known exactly.

use crate::media::MediaTime;
use crate::window::Cursor;
use rustls::ClientConnection;
use std::collections::VecDeque;
use std::io::{self, Read, Write};

pub enum Wire {
    Plain,
    Tls(Box<ClientConnection>),
}

impl Wire {
    /// Turns plain bytes into what goes on the socket, appended to `out`; also flushes what TLS has to say itself.
    pub fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Wire::Plain => out.extend_from_slice(plain),
            Wire::Tls(tls) => {
                tls.writer().write_all(plain)?;
                while tls.wants_write() {
                    tls.write_tls(out)?;
                }
            }
        }
        Ok(())
    }

    /// Turns bytes from the socket into plain bytes, appended to `plain`; what TLS answers goes to `out`.
    /// `Ok(false)` when the peer has closed its side in TLS's own way.
    pub fn open(
        &mut self,
        mut sealed: &[u8],
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<bool, rustls::Error> {
        let Wire::Tls(tls) = self else {
            plain.extend_from_slice(sealed);
            return Ok(true);
        };
        let mut open = true;
        while !sealed.is_empty() && open {
            // Reading from a slice fails only when rustls's own buffer is full, which processing empties.
            if tls.read_tls(&mut sealed).is_err() {
                break;
            }
            let state = tls.process_new_packets();
            // An alert that tells the peer what we found wrong must leave even when the session is over.
            while tls.wants_write() && tls.write_tls(out).is_ok() {}
            let state = state?;
            open = !state.peer_has_closed();
            let start = plain.len();
            plain.resize(start + state.plaintext_bytes_to_read(), 0);
            if tls.reader().read_exact(&mut plain[start..]).is_err() {
                plain.truncate(start);
            }
        }
        Ok(open)
    }

    pub fn handshaking(&self) -> bool {
        match self {
            Wire::Plain => false,
            Wire::Tls(tls) => tls.is_handshaking(),
        }
    }

    /// Says good-bye in TLS's own way, after everything else.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        if let Wire::Tls(tls) = self {
            tls.send_close_notify();
            while tls.wants_write() && tls.write_tls(out).is_ok() {}
        }
    }
}

/// Units that were written and not yet acknowledged, by the offset at which each ends on the socket.
#[derive(Debug, Default)]
pub struct InFlight {
    units: VecDeque<(u64, Cursor)>,
}

impl InFlight {
    /// `cursor` stands behind the unit whose last byte is the `end`-th of the connection.
    pub fn wrote(&mut self, end: u64, cursor: Cursor) {
        self.units.push_back((end, cursor));
    }

    /// The place behind the newest unit that is acknowledged whole, if any became so.
    pub fn acknowledged(&mut self, bytes: u64) -> Option<Cursor> {
        self.acknowledged_within(bytes, u64::MAX)
    }

    /// The same, but not beyond the unit numbered `seq`.
    pub fn acknowledged_within(&mut self, bytes: u64, seq: u64) -> Option<Cursor> {
        let mut newest = None;
        while self
            .units
            .front()
            .is_some_and(|(end, cursor)| *end <= bytes && cursor.seq() <= seq)
        {
            newest = self.units.pop_front().map(|(_, cursor)| cursor);
        }
        newest
    }

    /// Lets go of units before this time, acknowledged or not; true when there were any.
    pub fn forget_before(&mut self, time: MediaTime) -> bool {
        let old = |cursor: &Cursor| cursor.last().is_none_or(|entry| entry.unit.dts < time);
        let before = self.units.len();
        while self.units.front().is_some_and(|(_, cursor)| old(cursor)) {
            self.units.pop_front();
        }
        self.units.len() < before
    }

    /// Where the newest unit up to the one numbered `seq` ends, if it is still here.
    pub fn end_within(&self, seq: u64) -> Option<u64> {
        let mut from_newest = self.units.iter().rev();
        from_newest
            .find(|(_, cursor)| cursor.seq() <= seq)
            .map(|(end, _)| *end)
    }

    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Window;
    use crate::window::tests::{config, video};

    #[test]
    fn a_unit_counts_when_its_last_byte_does() {
        let mut window = Window::default();
        let mut cursor = window.view().newest.clone();
        let mut in_flight = InFlight::default();
        for n in 1..=3u64 {
            window.push(video(n as i64, n == 1), config());
            cursor.advance();
            in_flight.wrote(n * 100, cursor.clone());
        }
        assert!(in_flight.acknowledged(99).is_none());
        assert_eq!(in_flight.acknowledged(250).map(|c| c.seq()), Some(2));
        assert!(in_flight.acknowledged(299).is_none());
        assert_eq!(in_flight.acknowledged(300).map(|c| c.seq()), Some(3));
        assert!(in_flight.is_empty());
    }
}
