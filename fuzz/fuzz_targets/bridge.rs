//! The bridge's codec, both directions, from any bytes in portions; what was read is written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use regia::bridge::codec::{Decoder, Message};
use regia::bridge::protocol::{Down, Up};

fn read<M: Message>(bytes: &[u8], portion: usize) -> Vec<M> {
    let mut decoder = Decoder::new();
    let mut messages = Vec::new();
    for portion in bytes.chunks(portion) {
        decoder.push(portion);
        loop {
            match decoder.next_message() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(_) => return messages,
            }
        }
    }
    messages
}

fn round_trip<M: Message + PartialEq + std::fmt::Debug>(bytes: &[u8], portion: usize) {
    let messages: Vec<M> = read(bytes, portion);
    let mut again = Vec::new();
    for message in &messages {
        again.extend(message.encode().expect("it was read so").to_vec());
    }
    assert_eq!(read::<M>(&again, 4096), messages);
}

fuzz_target!(|input: (u8, &[u8])| {
    let (portion, bytes) = input;
    let portion = usize::from(portion).max(1);
    round_trip::<Up>(bytes, portion);
    round_trip::<Down>(bytes, portion);
});
