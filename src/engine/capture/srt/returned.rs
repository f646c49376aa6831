//! Whether the encoder that we call was started anew. A connection to the one before it gives nothing more, and SRT keeps it for
//! another 5 s, as the network could have been cut; but who is there answers the first packet of a call, and a call costs nothing
//! until it goes on. So once nothing comes, we ask: an answer without the stream coming back means that there is another encoder.

use crate::engine::clock::Clock;
use crate::engine::stop::Stop;
use crate::media::MediaTime;
use std::net::{ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// From this long without a packet of the stream on.
const ASK_AFTER: Duration = Duration::from_millis(800);
const ASK_EVERY: Duration = Duration::from_millis(100);
/// When the network is back, the old connection needs what is on its way, what SRT holds back (`latency_ms`), and this.
const GRACE: Duration = Duration::from_millis(200);

/// When the stream's last packet came, on the monotonic clock in µs.
#[derive(Clone)]
pub struct LastPacket(Arc<AtomicI64>);

impl LastPacket {
    pub fn new(now: MediaTime) -> Self {
        LastPacket(Arc::new(AtomicI64::new(now.0)))
    }

    pub fn seen(&self, now: MediaTime) {
        self.0.store(now.0, Ordering::Relaxed);
    }
}

/// Until `over`, or until another encoder is there: true.
pub fn wait(
    address: (&str, u16),
    clock: &Clock,
    last: &LastPacket,
    latency: Duration,
    over: &Stop,
) -> bool {
    let mut encoder = Encoder::new(latency);
    let mut socket = None;
    while !over.wait(ASK_EVERY) {
        let answered = socket.as_ref().is_some_and(answers);
        let last = MediaTime(last.0.load(Ordering::Relaxed));
        match encoder.decide(clock.now(), last, answered) {
            Next::Wait => socket = None,
            Next::Ask => {
                if socket.is_none() {
                    socket = connect(address);
                }
                if let Some(socket) = &socket {
                    // While the encoder is away, the machine it ran on refuses, or nothing can be sent at all.
                    let _ = socket.send(&induction());
                }
            }
            Next::Anew => return true,
        }
    }
    false
}

fn connect(address: (&str, u16)) -> Option<UdpSocket> {
    let to = address.to_socket_addrs().ok()?.next()?;
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(to).ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

/// Whether an answer has come since the last look.
fn answers(socket: &UdpSocket) -> bool {
    let mut packet = [0; 128];
    let mut any = false;
    // At most one for each packet that was sent; somebody who floods us does not keep us here.
    for _ in 0..8 {
        match socket.recv(&mut packet) {
            Ok(length) => any |= is_induction(&packet[..length]),
            // The machine's refusal is told once, and then there may be more.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
            Err(_) => break,
        }
    }
    any
}

enum Next {
    Wait,
    Ask,
    /// It is another encoder.
    Anew,
}

/// What is known of the one at the other side.
struct Encoder {
    latency: Duration,
    /// When it first answered while nothing came.
    answered: Option<MediaTime>,
}

impl Encoder {
    fn new(latency: Duration) -> Self {
        Encoder {
            latency,
            answered: None,
        }
    }

    fn decide(&mut self, now: MediaTime, last: MediaTime, answered: bool) -> Next {
        if now.since(last) < ASK_AFTER {
            self.answered = None;
            return Next::Wait;
        }
        if answered {
            self.answered.get_or_insert(now);
        }
        match self.answered {
            Some(at) if now.since(at) >= GRACE + self.latency => Next::Anew,
            _ => Next::Ask,
        }
    }
}

/// Of a handshake, in 32-bit words: a header of four, and its content of twelve (draft-sharabayko-srt-01, 3.2.1).
const HANDSHAKE: usize = 64;
const CONTROL_HANDSHAKE: u32 = 0x8000_0000;
const INDUCTION: u32 = 1;

/// The first packet of a call; it asks for a cookie, and the one who is called keeps nothing of it (draft-sharabayko-srt-01, 4.3.1.1).
fn induction() -> [u8; HANDSHAKE] {
    const VERSION: u32 = 4;
    const EXTENSION: u32 = 2;
    const MTU: u32 = 1_500;
    const FLOW_WINDOW: u32 = 8_192;
    /// Any but 0, which stands for who is called.
    const SOCKET: u32 = 1;
    let mut words = [0; HANDSHAKE / 4];
    words[0] = CONTROL_HANDSHAKE;
    words[4] = VERSION;
    words[5] = EXTENSION;
    words[7] = MTU;
    words[8] = FLOW_WINDOW;
    words[9] = INDUCTION;
    words[10] = SOCKET;
    let mut packet = [0; HANDSHAKE];
    for (bytes, word) in packet.as_chunks_mut().0.iter_mut().zip(words) {
        *bytes = word.to_be_bytes();
    }
    packet
}

/// Whether a packet is a handshake's first, with the cookie.
fn is_induction(packet: &[u8]) -> bool {
    let word = |index: usize| {
        let bytes = packet.as_chunks().0.get(index)?;
        Some(u32::from_be_bytes(*bytes))
    };
    packet.len() >= HANDSHAKE && word(0) == Some(CONTROL_HANDSHAKE) && word(9) == Some(INDUCTION)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    /// What is decided each 0.2 s from 10 s on, and when it is another encoder; it answers from `back` on, and the stream is there
    /// in `flows`.
    fn anew_at(back: f64, flows: impl Fn(f64) -> bool) -> Option<f64> {
        let mut encoder = Encoder::new(Duration::from_millis(120));
        let mut last = MediaTime(10 * SECOND);
        (0..100).find_map(|step| {
            let at = 10.0 + f64::from(step) * 0.2;
            let now = MediaTime((at * SECOND as f64) as i64);
            if flows(at) {
                last = now;
            }
            let next = encoder.decide(now, last, at >= back);
            matches!(next, Next::Anew).then_some(at)
        })
    }

    #[test]
    fn one_that_was_started_anew_is_called_anew() {
        let at = anew_at(13.0, |_| false).unwrap();
        assert!((13.4..13.7).contains(&at), "{at}");
        // It was back before anybody asked.
        let at = anew_at(10.2, |_| false).unwrap();
        assert!((11.2..11.5).contains(&at), "{at}");
    }

    #[test]
    fn one_whose_network_was_cut_is_not() {
        assert_eq!(anew_at(14.0, |at| at >= 14.2), None);
        assert_eq!(anew_at(30.0, |_| false), None, "nobody is there");
    }

    #[test]
    fn a_first_packet_is_known_and_others_are_not() {
        assert!(is_induction(&induction()));
        for length in 0..HANDSHAKE {
            assert!(!is_induction(&induction()[..length]));
        }
        let mut conclusion = induction();
        conclusion[36..40].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(!is_induction(&conclusion));
    }
}
