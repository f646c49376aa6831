//! What an obs-websocket client says, from any text: it is read, or the connection is closed with one of the protocol's codes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use regia::panel::obs::codec::{Heard, MOST_REQUESTS, Subscriptions, read};

fuzz_target!(|input: (bool, &str)| {
    let (identified, text) = input;
    match read(text, identified) {
        Ok(Heard::Batch(batch)) => assert!(identified && batch.requests.len() <= MOST_REQUESTS),
        Ok(Heard::Identify { events, .. }) => {
            assert!(!identified);
            let _ = events.has(Subscriptions::SCENES);
        }
        Ok(Heard::Request { .. } | Heard::Reidentify { .. }) => assert!(identified),
        Err(close) => assert!((4002..=4012).contains(&(close.code as u16)) && !close.reason.is_empty()),
    }
});
