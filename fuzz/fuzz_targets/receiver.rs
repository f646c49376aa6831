//! The accepting session against a publisher that says anything: no panic, bounded output.
#![no_main]

use libfuzzer_sys::fuzz_target;
use regia::media::Track;
use regia::rtmp::{Receiver, ReceiverEvent, ReceiverSettings, flv};

fuzz_target!(|input: (u8, &[u8])| {
    let (portion, bytes) = input;
    let mut receiver = Receiver::new(ReceiverSettings::default());
    // C0, and a C1 and C2 of the plain handshake.
    let mut hello = vec![0; 1 + 2 * 1536];
    hello[0] = 3;
    receiver.handle_input(&hello).expect("a plain handshake");
    receiver.take_output();
    for portion in bytes.chunks(usize::from(portion).max(1)) {
        if receiver.handle_input(portion).is_err() {
            break;
        }
        while let Some(event) = receiver.poll_event() {
            match event {
                ReceiverEvent::PublishRequested { key, .. } if key.expose().len() % 2 == 0 => {
                    receiver.reject_publish("NetStream.Publish.BadName", "no");
                }
                ReceiverEvent::PublishRequested { .. } => receiver.accept_publish(),
                ReceiverEvent::Tag { kind, body, .. } => {
                    assert!(!body.is_empty());
                    match kind {
                        Track::Video => drop(flv::parse_video(&body)),
                        Track::Audio => drop(flv::parse_audio(&body)),
                    }
                }
                _ => {}
            }
        }
    }
    receiver.request_reconnect(None, "");
    assert!(receiver.take_output().len() < 400_000);
});
