//! Whether the encoder that we call was started anew. A connection to the one before it gives nothing more, and SRT keeps it for
//! another 5 s, as the network could have been cut; but who listens there answers the first packet of a call, which costs nothing
//! until the call goes on. So once nothing comes, we ask: the answer's timestamp counts from when the listener was opened (so libsrt
//! 1.5 does), and one that is younger than the last packet of our stream belongs to another encoder.

use crate::engine::clock::Clock;
use crate::engine::stop::Stop;
use crate::media::MediaTime;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// From this long without a packet of the stream on.
const ASK_AFTER: Duration = Duration::from_millis(400);
const ASK_EVERY: Duration = Duration::from_millis(100);

/// When the stream's last packet came, on the monotonic clock in µs; 0: none yet.
#[derive(Clone, Default)]
pub struct LastPacket(Arc<AtomicI64>);

impl LastPacket {
    pub fn seen(&self, now: MediaTime) {
        self.0.store(now.0, Ordering::Relaxed);
    }

    fn get(&self) -> Option<MediaTime> {
        let at = self.0.load(Ordering::Relaxed);
        (at != 0).then_some(MediaTime(at))
    }
}

/// Until `over`, or until another encoder is there: true. `latency` is what SRT holds the stream back by.
pub fn wait(
    (host, port): (&str, u16),
    clock: &Clock,
    last: &LastPacket,
    latency: Duration,
    over: &Stop,
) -> bool {
    // While the encoder is away, so may be who knows its name.
    let host = host.trim_matches(['[', ']']);
    let Some(to) = (host, port)
        .to_socket_addrs()
        .ok()
        .and_then(|mut to| to.next())
    else {
        return false;
    };
    let mut socket = None;
    while !over.wait(ASK_EVERY) {
        // Who has not sent anything yet may do so late: the larger of both sides' latencies is kept.
        let quiet = last.get().map(|last| clock.now().since(last));
        let Some(quiet) = quiet.filter(|quiet| *quiet >= ASK_AFTER) else {
            socket = None;
            continue;
        };
        if socket.is_none() {
            socket = connect(to).ok();
        }
        let Some(socket) = &socket else { continue };
        if answers(socket).any(|age| age < quiet + latency) {
            return true;
        }
        // While the encoder is away, the machine it ran on refuses, or nothing can be sent at all.
        let _ = socket.send(&induction());
    }
    false
}

fn connect(to: SocketAddr) -> std::io::Result<UdpSocket> {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect(to)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The ages that were told since the last look.
fn answers(socket: &UdpSocket) -> impl Iterator<Item = Duration> {
    let mut packet = [0; 128];
    // At most one for each packet that was sent; somebody who floods us does not keep us here.
    (0..8).filter_map(move |_| {
        // The machine's refusal is told here once, and is no answer.
        let length = socket.recv(&mut packet).ok()?;
        age(&packet[..length])
    })
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

/// For how long who answers has listened, less whole turns of its clock (71 minutes). None: this is no answer, or one without a clock.
fn age(packet: &[u8]) -> Option<Duration> {
    let word = |index: usize| {
        let bytes = packet.as_chunks().0.get(index)?;
        Some(u32::from_be_bytes(*bytes))
    };
    let is_answer = packet.len() >= HANDSHAKE
        && word(0) == Some(CONTROL_HANDSHAKE)
        && word(9) == Some(INDUCTION);
    let micros = word(2).filter(|micros| is_answer && *micros != 0)?;
    Some(Duration::from_micros(micros.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gstreamer as gst;

    /// As libsrt 1.5.1 answered 2.06 s after it began to listen.
    fn answer(micros: u32) -> [u8; HANDSHAKE] {
        let mut packet = induction();
        packet[8..12].copy_from_slice(&micros.to_be_bytes());
        packet[16..20].copy_from_slice(&5u32.to_be_bytes());
        packet[20..24].copy_from_slice(&0x4a17u32.to_be_bytes());
        packet
    }

    #[test]
    fn an_answer_tells_its_age_and_others_tell_nothing() {
        assert_eq!(
            age(&answer(2_058_511)),
            Some(Duration::from_micros(2_058_511))
        );
        assert_eq!(age(&answer(0)), None);
        for length in 0..HANDSHAKE {
            assert_eq!(age(&answer(9)[..length]), None);
        }
        let mut conclusion = answer(9);
        conclusion[36..40].copy_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(age(&conclusion), None);
    }

    /// Whether one that has listened for so long is taken for another, when nothing came for a second.
    fn is_another(listened: Duration) -> bool {
        gst::init().unwrap();
        let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let micros = u32::try_from(listened.as_micros()).unwrap();
        let stop = Stop::default();
        let over = stop.clone();
        let answering = std::thread::spawn(move || {
            let mut asked = [0; 128];
            for _ in 0..3 {
                let (_, from) = listener.recv_from(&mut asked).unwrap();
                listener.send_to(&answer(micros), from).unwrap();
            }
            stop.set();
        });
        let clock = Clock::start();
        let last = LastPacket::default();
        last.seen(MediaTime(clock.now().0 - 1_000_000));
        let latency = Duration::from_millis(120);
        let another = wait(("127.0.0.1", port), &clock, &last, latency, &over);
        if another {
            // It is waited for no more than it asks.
            drop(answering);
        } else {
            answering.join().unwrap();
        }
        another
    }

    #[test]
    fn one_that_was_started_since_is_another() {
        assert!(is_another(Duration::from_millis(300)));
    }

    #[test]
    fn one_that_pauses_or_whose_network_was_cut_is_the_same() {
        assert!(!is_another(Duration::from_secs(3_600)));
    }
}
