//! The stamp that each frame may carry: an SEI message of user data (H.264 D.1.7, type 5) under a UUID
//! of our own, with the frame's number and when it was captured, so that any receiver can prove loss,
//! doubling and latency. Pure.

/// Marks our user data among others' (x264 writes its settings under another).
const UUID: [u8; 16] = [
    0x72, 0x65, 0x67, 0x69, 0x61, 0x2d, 0x73, 0x74, 0xa1, 0x6d, 0x70, 0x2d, 0x76, 0x31, 0x0f, 0x5e,
];
const NAL_SEI: u8 = 6;
const SEI_USER_DATA_UNREGISTERED: u8 = 5;
const BODY: usize = 16 + 8 + 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Counts the programme's frame periods, so that a number missing is a frame missing.
    pub frame: u64,
    /// When the frame was captured, in µs since the Unix epoch as the sending box had it when the engine started.
    pub captured_us: u64,
}

/// The access unit (avcC form, 4-byte lengths) with `stamp` before its first slice.
pub fn insert(access_unit: &[u8], stamp: Stamp) -> Vec<u8> {
    let nal = sei_nal(stamp);
    let at = Nals::new(access_unit)
        .find(|nal| is_slice(nal.bytes))
        .map_or(access_unit.len(), |nal| nal.offset);
    let mut out = Vec::with_capacity(access_unit.len() + 4 + nal.len());
    out.extend_from_slice(&access_unit[..at]);
    out.extend_from_slice(&(nal.len() as u32).to_be_bytes());
    out.extend_from_slice(&nal);
    out.extend_from_slice(&access_unit[at..]);
    out
}

/// The stamp of an access unit in avcC form with 4-byte lengths, if it carries one. Any input is safe.
pub fn find(access_unit: &[u8]) -> Option<Stamp> {
    Nals::new(access_unit)
        .take_while(|nal| !is_slice(nal.bytes))
        .filter(|nal| nal.bytes.first().is_some_and(|b| b & 0x1f == NAL_SEI))
        .find_map(|nal| parse_sei(&nal.bytes[1..]))
}

struct Nal<'a> {
    offset: usize,
    bytes: &'a [u8],
}

/// Walks length-prefixed NAL units; stops at the first length that does not fit.
struct Nals<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Nals<'a> {
    fn new(data: &'a [u8]) -> Self {
        Nals { data, at: 0 }
    }
}

impl<'a> Iterator for Nals<'a> {
    type Item = Nal<'a>;
    fn next(&mut self) -> Option<Nal<'a>> {
        let rest = self.data.get(self.at..)?;
        let (len, body) = rest.split_first_chunk::<4>()?;
        let bytes = body.get(..usize::try_from(u32::from_be_bytes(*len)).ok()?)?;
        let offset = self.at;
        self.at += 4 + bytes.len();
        Some(Nal { offset, bytes })
    }
}

fn is_slice(nal: &[u8]) -> bool {
    nal.first().is_some_and(|b| (1..=5).contains(&(b & 0x1f)))
}

fn sei_nal(stamp: Stamp) -> Vec<u8> {
    let mut body = [0u8; BODY];
    body[..16].copy_from_slice(&UUID);
    body[16..24].copy_from_slice(&stamp.frame.to_be_bytes());
    body[24..].copy_from_slice(&stamp.captured_us.to_be_bytes());
    let mut nal = vec![NAL_SEI, SEI_USER_DATA_UNREGISTERED, BODY as u8];
    // Two zero bytes may not be followed by a byte of 0 to 3 (H.264 7.4.1): an emulation prevention byte goes between.
    let mut zeros = 0;
    for &byte in &body {
        if zeros == 2 && byte <= 3 {
            nal.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        nal.push(byte);
    }
    nal.push(0x80);
    nal
}

fn parse_sei(escaped: &[u8]) -> Option<Stamp> {
    let rbsp = unescape(escaped);
    let mut rest = rbsp.as_slice();
    while rest.len() > 2 {
        let kind = take_ff_coded(&mut rest)?;
        let size = take_ff_coded(&mut rest)?;
        let body = rest.get(..size)?;
        if kind == usize::from(SEI_USER_DATA_UNREGISTERED) && size == BODY && body[..16] == UUID {
            return Some(Stamp {
                frame: u64::from_be_bytes(body[16..24].try_into().ok()?),
                captured_us: u64::from_be_bytes(body[24..32].try_into().ok()?),
            });
        }
        rest = &rest[size..];
    }
    None
}

fn take_ff_coded(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0usize;
    loop {
        let (&byte, tail) = rest.split_first()?;
        *rest = tail;
        value = value.checked_add(usize::from(byte))?;
        if byte != 0xff {
            return Some(value);
        }
    }
}

fn unescape(escaped: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(escaped.len());
    let mut zeros = 0;
    for &byte in escaped {
        if zeros == 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn access_unit() -> Vec<u8> {
        let mut au = vec![0, 0, 0, 2, 9, 0x10]; // access unit delimiter
        au.extend_from_slice(&[0, 0, 0, 3, 0x65, 1, 2]);
        au
    }

    #[test]
    fn goes_before_the_first_slice() {
        let out = insert(
            &access_unit(),
            Stamp {
                frame: 1,
                captured_us: 2,
            },
        );
        let types: Vec<u8> = Nals::new(&out).map(|n| n.bytes[0] & 0x1f).collect();
        assert_eq!(types, [9, 6, 5]);
    }

    proptest! {
        #[test]
        fn round_trips(frame: u64, captured_us: u64) {
            let stamp = Stamp { frame, captured_us };
            let out = insert(&access_unit(), stamp);
            prop_assert_eq!(find(&out), Some(stamp));
            let sei = Nals::new(&out).nth(1).unwrap().bytes;
            prop_assert!(!sei.windows(3).any(|w| w[0] == 0 && w[1] == 0 && w[2] < 3));
        }

        #[test]
        fn any_input_is_safe(bytes: Vec<u8>) {
            let _ = find(&bytes);
        }
    }
}
