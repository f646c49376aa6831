//! Chunks from bytes that a peer chose, in portions: no panic, and no more bytes out than came in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use regia::rtmp::{ChunkLimits, ChunkReader};

fuzz_target!(|input: (u8, &[u8])| {
    let (portion, bytes) = input;
    let limits = ChunkLimits {
        message: 100_000,
        buffered: 150_000,
        chunk_streams: 16,
    };
    let mut reader = ChunkReader::new(limits);
    let mut out = 0;
    for portion in bytes.chunks(usize::from(portion).max(1)) {
        reader.push(portion);
        loop {
            match reader.next_message() {
                Ok(Some(message)) => out += message.payload.len(),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
    assert!(out <= bytes.len());
    assert_eq!(reader.received(), bytes.len() as u64);
});
