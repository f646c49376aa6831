//! AMF0 from any bytes; what was read is written and read again as the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use regia::rtmp::amf0::{decode, encode};

fuzz_target!(|bytes: &[u8]| {
    let (values, _) = decode(bytes);
    // Compared as bytes, because a number may be no number, which does not equal itself.
    let written = encode(&values);
    let (again, error) = decode(&written);
    assert_eq!(error, None);
    assert_eq!(encode(&again), written);
});
