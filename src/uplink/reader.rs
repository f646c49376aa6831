//! Does the server's program read what its kernel acknowledges? Pure.
//!
//! TCP acknowledges on behalf of a program that has hung until its receive buffer is full (424 KB in one of our tests, more
//! than a second of media), and on behalf of a proxy in front of it for as long as that likes. RTMP's Acknowledgement comes
//! from the program itself, and Window Acknowledgement Size asks for one each `ACK_WINDOW` bytes. A server that gives them as
//! asked (nginx-rtmp does) is believed, and then nothing else counts as delivered. One that gives them seldom, or claims to
//! have read what was never sent (nginx-rtmp starts its count again at 0xf0000000), is judged by TCP alone.

/// Acknowledgements in a row, as asked, after which they are relied upon.
const PROOF: u32 = 3;

#[derive(Debug)]
pub struct Reader {
    /// In bytes, as asked for.
    window: u64,
    /// Running totals of plain RTMP bytes: what the program has read at least, and what its kernel has.
    read: u64,
    received: u64,
    as_asked: u32,
    disbelieved: bool,
}

impl Reader {
    pub fn new(window: u64) -> Self {
        Reader {
            window,
            read: 0,
            received: 0,
            as_asked: 0,
            disbelieved: false,
        }
    }

    /// The server says that it has read `total` bytes, of `sent`.
    pub fn acknowledged(&mut self, total: u64, sent: u64) {
        if total > sent {
            self.disbelieve();
            return;
        }
        let step = total.saturating_sub(self.read);
        self.read += step;
        // It looks at its count after each read or message, so a large one may make a step longer.
        self.as_asked = if step <= 2 * self.window {
            self.as_asked.saturating_add(1)
        } else {
            0
        };
    }

    /// Its kernel has acknowledged `total` bytes.
    pub fn received(&mut self, total: u64) {
        self.received = self.received.max(total);
    }

    /// What it says is of no use, for good.
    pub fn disbelieve(&mut self) {
        self.disbelieved = true;
    }

    /// Bytes that it has read at least, as far as it says; 0 when it says nothing of use.
    pub fn read(&self) -> u64 {
        if self.disbelieved { 0 } else { self.read }
    }

    /// Whether nothing counts as delivered but what it says it has read.
    pub fn is_believed(&self) -> bool {
        !self.disbelieved && self.as_asked >= PROOF
    }

    /// Whether an acknowledgement should have come for what its kernel has.
    pub fn is_overdue(&self) -> bool {
        self.is_believed() && self.received - self.received.min(self.read) > self.window * 5 / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows of 100 bytes; acknowledgements as (total, sent).
    fn reader(acknowledged: &[(u64, u64)]) -> Reader {
        let mut reader = Reader::new(100);
        for (total, sent) in acknowledged {
            reader.acknowledged(*total, *sent);
        }
        reader
    }

    #[test]
    fn who_does_as_asked_is_believed() {
        assert!(!reader(&[]).is_believed());
        assert!(!reader(&[(100, 150), (200, 250)]).is_believed());
        assert!(reader(&[(100, 150), (200, 250), (330, 400)]).is_believed());
    }

    #[test]
    fn who_acknowledges_seldom_is_not_but_what_it_says_is_true() {
        let seldom = reader(&[(2500, 2600), (5000, 5100), (7500, 7600), (10_000, 10_100)]);
        assert!(!seldom.is_believed());
        assert_eq!(seldom.read(), 10_000);
        let mut lapsed = reader(&[(100, 150), (200, 250), (300, 350)]);
        lapsed.acknowledged(600, 700);
        assert!(!lapsed.is_believed());
    }

    #[test]
    fn who_has_read_what_was_never_sent_is_never_believed_again() {
        let mut wrapped = reader(&[(100, 150), (200, 250), (300, 350)]);
        wrapped.acknowledged(5000, 400);
        for n in 4..10 {
            wrapped.acknowledged(n * 100, 2000);
        }
        assert!(!wrapped.is_believed());
    }

    #[test]
    fn one_that_stops_reading_is_overdue_when_its_kernel_goes_on() {
        let mut frozen = reader(&[(100, 150), (200, 250), (300, 350)]);
        frozen.received(425);
        assert!(!frozen.is_overdue());
        frozen.received(426);
        assert!(frozen.is_overdue());
        frozen.acknowledged(400, 450);
        assert!(!frozen.is_overdue());
        let mut unknown = reader(&[]);
        unknown.received(1_000_000);
        assert!(!unknown.is_overdue());
    }
}
