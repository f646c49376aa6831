//! How large a picture is, from its first bytes, before anything decodes it. Pure.

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Enough for the metadata that cameras and editors put before a JPEG's frame header, mostly.
pub const HEAD: u64 = 256 << 10;

/// Width and height of a PNG or JPEG; None: it is neither, or does not say so early. Any input is safe.
pub fn of(head: &[u8]) -> Option<(u32, u32)> {
    if let Some(rest) = head.strip_prefix(PNG) {
        // The first chunk is IHDR: length and name, then both.
        let be = |at: usize| Some(u32::from_be_bytes(*rest.get(at..)?.first_chunk()?));
        return Some((be(8)?, be(12)?));
    }
    jpeg(head.strip_prefix(&[0xff, 0xd8])?)
}

/// From segment to segment until a frame header (ITU-T T.81, B.2.2).
fn jpeg(mut rest: &[u8]) -> Option<(u32, u32)> {
    loop {
        let (&[0xff, marker], after) = rest.split_first_chunk::<2>()? else {
            return None;
        };
        // Fill bytes and markers without a segment.
        if matches!(marker, 0xff | 0x01 | 0xd0..=0xd7) {
            rest = &rest[if marker == 0xff { 1 } else { 2 }..];
            continue;
        }
        if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            let &[_, _, _, h1, h0, w1, w0] = after.first_chunk::<7>()?;
            let number = |high, low| u32::from(u16::from_be_bytes([high, low]));
            return Some((number(w1, w0), number(h1, h0)));
        }
        let length = usize::from(u16::from_be_bytes(*after.first_chunk()?));
        rest = after.get(length.max(2)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pngs_and_jpegs_tell() {
        let png = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x4e\x20\x00\x00\x00\x02";
        assert_eq!(of(png), Some((20_000, 2)));
        let jpeg = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xc2\x00\x11\x08\x01\x00\x02\x00";
        assert_eq!(of(jpeg), Some((512, 256)));
        assert_eq!(of(&jpeg[..12]), None);
        assert_eq!(of(b"GIF89a"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(mut bytes: Vec<u8>, jpeg: bool) {
            if jpeg {
                bytes.splice(0..0, [0xff, 0xd8, 0xff]);
            }
            let _ = of(&bytes);
        }
    }
}
