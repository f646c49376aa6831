//! Real sessions' bytes, damaged at random, in both directions: no panic, bounded output. 100,000 cases.

use super::support::*;
use crate::media::MediaTime;
use crate::rtmp::{Publisher, Receiver, ReceiverEvent, ReceiverSettings};

const CASES: u64 = 49_000;
/// Slower: each makes and checks the digests of a handshake.
const CASES_WITH_HANDSHAKE: u64 = 1_000;
/// S0 S1 S2, or C0 C1 C2.
const HANDSHAKE: usize = 1 + 2 * 1536;
const MAX_OUTPUT: usize = 300_000;

/// Names the case when a panic passes through.
struct Case(&'static str, u64);

impl Drop for Case {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: case {}", self.0, self.1);
        }
    }
}

/// A short session with everything in it; its bytes to the server and to the publisher.
fn session() -> (Vec<u8>, Vec<u8>) {
    let mut settings = settings();
    settings.chunk_size = 128;
    let mut joined = Joined::on_air(settings, 7, MediaTime::ZERO, 0xff_ffff - 50);
    for n in 0..6 {
        let at = n * 33_333;
        joined.send(&video(at, at + 66_666, n == 0, vec![n as u8; 300]));
        joined.send(&audio(at, vec![n as u8; 40]));
    }
    joined.receiver.request_reconnect(Some("rtmp://b/c"), "now");
    joined.settle();
    joined.publisher.finish();
    joined.settle();
    (joined.to_server, joined.to_publisher)
}

/// What comes before a random place stays whole, so that every depth of a session is reached.
fn damage(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let whole = random.below(bytes.len());
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(6) {
        let at = (whole + random.below(bytes.len() - whole.min(bytes.len()))).min(bytes.len() - 1);
        match random.below(8) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 | 2 => bytes[at] = random.next() as u8,
            3 => bytes[at] = [0, 0xff, 0x7f, 0x80][random.below(4)],
            4 => bytes.truncate(at + 1),
            5 => {
                bytes.remove(at);
                if bytes.is_empty() {
                    bytes.push(0);
                }
            }
            6 => bytes.insert(at, random.next() as u8),
            _ => {
                let end = (at + random.below(200)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, piece);
            }
        }
    }
    bytes
}

/// True: it got as far as media.
fn attack_publisher(mut publisher: Publisher, bytes: &[u8], random: &mut Random) -> bool {
    publisher.publish();
    let mut out = Vec::new();
    for portion in random.split(bytes) {
        if publisher.handle_input(portion).is_err() {
            break;
        }
        while publisher.poll_event().is_some() {}
        if publisher.is_publishing() && out.is_empty() {
            publisher.start_media(&config(), MediaTime::ZERO, &mut out);
        }
    }
    publisher.write_unit(&video(0, 0, true, &b"x"[..]), &mut out);
    publisher.finish();
    assert!(publisher.take_output().len() < MAX_OUTPUT);
    !out.is_empty()
}

/// True: media arrived.
fn attack_receiver(mut receiver: Receiver, bytes: &[u8], random: &mut Random) -> bool {
    let mut arrived = false;
    for portion in random.split(bytes) {
        if receiver.handle_input(portion).is_err() {
            break;
        }
        while let Some(event) = receiver.poll_event() {
            arrived |= matches!(event, ReceiverEvent::Tag { .. });
        }
        receiver.accept_publish();
    }
    assert!(receiver.take_output().len() < MAX_OUTPUT);
    arrived
}

#[test]
fn damaged_bytes_of_a_server_never_panic() {
    let (_, bytes) = session();
    let mut deep = 0;
    for n in 0..CASES + CASES_WITH_HANDSHAKE {
        let _case = Case("publisher", n);
        let mut random = Random(n);
        let on_air = if n < CASES {
            let damaged = damage(&bytes[HANDSHAKE..], &mut random);
            attack_publisher(Publisher::handshaken(settings()), &damaged, &mut random)
        } else {
            let damaged = damage(&bytes, &mut random);
            attack_publisher(Publisher::new(settings()), &damaged, &mut random)
        };
        deep += u64::from(on_air);
    }
    assert!(deep > CASES / 10, "only {deep} cases got as far as media");
}

#[test]
fn damaged_bytes_of_a_publisher_never_panic() {
    let (bytes, _) = session();
    let mut deep = 0;
    for n in 0..CASES + CASES_WITH_HANDSHAKE {
        let _case = Case("receiver", n);
        let mut random = Random(n);
        let settings = ReceiverSettings::default();
        let on_air = if n < CASES {
            let damaged = damage(&bytes[HANDSHAKE..], &mut random);
            attack_receiver(Receiver::handshaken(settings), &damaged, &mut random)
        } else {
            let damaged = damage(&bytes, &mut random);
            attack_receiver(Receiver::new(settings), &damaged, &mut random)
        };
        deep += u64::from(on_air);
    }
    assert!(deep > CASES / 10, "only {deep} cases got as far as media");
}
