//! FLV files (Adobe's Video File Format 10.1, annex E): tags out as bytes, bytes in as tags.

use super::flv::FlvError;
use crate::media::Track;
use bytes::{Buf, Bytes, BytesMut};

const SIGNATURE: [u8; 4] = *b"FLV\x01";
const HEADER_LEN: usize = 9;
/// A header may be longer than the 9 bytes that version 1 has; a longer one than this is nonsense.
const MAX_HEADER_LEN: usize = 1024;
const TAG_HEADER_LEN: usize = 11;
const PREVIOUS_TAG_SIZE_LEN: usize = 4;
const MAX_BODY: usize = 0xff_ffff;
const ENCRYPTED: u8 = 0x20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagKind {
    Audio,
    Video,
    /// onMetaData and the like: AMF0 values.
    Script,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlvTag {
    pub kind: TagKind,
    /// Milliseconds, modulo 2^32: see `TimestampUnwrapper`.
    pub timestamp: u32,
    pub body: Bytes,
}

impl From<Track> for TagKind {
    fn from(track: Track) -> Self {
        match track {
            Track::Audio => TagKind::Audio,
            Track::Video => TagKind::Video,
        }
    }
}

impl TagKind {
    fn number(self) -> u8 {
        match self {
            TagKind::Audio => 8,
            TagKind::Video => 9,
            TagKind::Script => 18,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        [TagKind::Audio, TagKind::Video, TagKind::Script]
            .into_iter()
            .find(|kind| kind.number() == number)
    }
}

/// Appends the file header of a file with audio and video, and the size of the tag before the first: 0.
pub fn write_header(out: &mut Vec<u8>) {
    const AUDIO_AND_VIDEO: u8 = 5;
    out.extend_from_slice(&SIGNATURE);
    out.push(AUDIO_AND_VIDEO);
    out.extend_from_slice(&(HEADER_LEN as u32).to_be_bytes());
    out.extend_from_slice(&0u32.to_be_bytes());
}

/// Appends one tag. Of `timestamp_ms` the low 32 bits are written: the time wraps.
pub fn write_tag(
    kind: TagKind,
    timestamp_ms: u64,
    body: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), FlvError> {
    if body.len() > MAX_BODY {
        return Err(FlvError::TooLong(body.len()));
    }
    let [time_top, time @ ..] = (timestamp_ms as u32).to_be_bytes();
    let [_, len @ ..] = (body.len() as u32).to_be_bytes();
    let tag_len = (TAG_HEADER_LEN + body.len()) as u32;
    out.reserve(tag_len as usize + PREVIOUS_TAG_SIZE_LEN);
    out.push(kind.number());
    out.extend_from_slice(&len);
    out.extend_from_slice(&time);
    out.push(time_top);
    out.extend_from_slice(&[0, 0, 0]);
    out.extend_from_slice(body);
    out.extend_from_slice(&tag_len.to_be_bytes());
    Ok(())
}

/// Bytes in any portions → tags. Any input is safe; a tag's memory is taken as its bytes arrive.
#[derive(Debug, Default)]
pub struct FlvReader {
    input: BytesMut,
    in_tags: bool,
}

impl FlvReader {
    pub fn new() -> Self {
        Self::default()
    }

    /// For tags without a file around them: RTMP's aggregate messages.
    pub fn without_header() -> Self {
        FlvReader {
            in_tags: true,
            ..Self::default()
        }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The next whole tag; None: more bytes are needed, or the file ends here.
    pub fn next_tag(&mut self) -> Result<Option<FlvTag>, FlvError> {
        if !self.in_tags {
            if !self.skip_file_header()? {
                return Ok(None);
            }
            self.in_tags = true;
        }
        let Some(header) = self.input.first_chunk::<TAG_HEADER_LEN>() else {
            return Ok(None);
        };
        let &[number, l0, l1, l2, t0, t1, t2, time_top, _, _, _] = header;
        if number & ENCRYPTED != 0 {
            return Err(FlvError::Encrypted);
        }
        let kind = TagKind::from_number(number).ok_or(FlvError::TagType(number))?;
        let len = u32::from_be_bytes([0, l0, l1, l2]) as usize;
        if self.input.len() < TAG_HEADER_LEN + len + PREVIOUS_TAG_SIZE_LEN {
            return Ok(None);
        }
        self.input.advance(TAG_HEADER_LEN);
        let body = self.input.split_to(len).freeze();
        // Writers get the size of the previous tag wrong often enough that nobody checks it.
        self.input.advance(PREVIOUS_TAG_SIZE_LEN);
        Ok(Some(FlvTag {
            kind,
            timestamp: u32::from_be_bytes([time_top, t0, t1, t2]),
            body,
        }))
    }

    /// False: the header is not complete yet.
    fn skip_file_header(&mut self) -> Result<bool, FlvError> {
        let there = self.input.len().min(SIGNATURE.len());
        if self.input[..there] != SIGNATURE[..there] {
            return Err(FlvError::NotFlv);
        }
        let Some(header) = self.input.first_chunk::<HEADER_LEN>() else {
            return Ok(false);
        };
        let &[_, _, _, _, _, o0, o1, o2, o3] = header;
        let offset = u32::from_be_bytes([o0, o1, o2, o3]) as usize;
        if !(HEADER_LEN..=MAX_HEADER_LEN).contains(&offset) {
            return Err(FlvError::NotFlv);
        }
        let whole = offset + PREVIOUS_TAG_SIZE_LEN;
        if self.input.len() < whole {
            return Ok(false);
        }
        self.input.advance(whole);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tag() -> impl Strategy<Value = (TagKind, u64, Vec<u8>)> {
        let kind = prop_oneof![
            Just(TagKind::Audio),
            Just(TagKind::Video),
            Just(TagKind::Script)
        ];
        (
            kind,
            0..(1u64 << 34),
            prop::collection::vec(any::<u8>(), 0..300),
        )
    }

    fn read(bytes: &[u8], portion: usize) -> Result<Vec<FlvTag>, FlvError> {
        let mut reader = FlvReader::new();
        let mut tags = Vec::new();
        for portion in bytes.chunks(portion) {
            reader.push(portion);
            while let Some(tag) = reader.next_tag()? {
                tags.push(tag);
            }
        }
        Ok(tags)
    }

    proptest! {
        #[test]
        fn files_round_trip(tags in prop::collection::vec(tag(), 0..20), portion in 1usize..64) {
            let mut file = Vec::new();
            write_header(&mut file);
            for (kind, time, body) in &tags {
                write_tag(*kind, *time, body, &mut file).unwrap();
            }
            let expected: Vec<_> = tags
                .into_iter()
                .map(|(kind, time, body)| FlvTag { kind, timestamp: time as u32, body: body.into() })
                .collect();
            prop_assert_eq!(read(&file, portion), Ok(expected));
        }

        #[test]
        fn any_bytes_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..400), portion in 1usize..64) {
            let _ = read(&bytes, portion);
            let mut file = Vec::new();
            write_header(&mut file);
            file.extend_from_slice(&bytes);
            let _ = read(&file, portion);
        }
    }

    #[test]
    fn a_file_cut_within_a_tag_gives_the_tags_before() {
        let mut file = Vec::new();
        write_header(&mut file);
        write_tag(TagKind::Audio, 7, b"one", &mut file).unwrap();
        let whole = file.len();
        write_tag(TagKind::Video, 8, b"two", &mut file).unwrap();
        for end in whole..file.len() {
            let tags = read(&file[..end], 1000).unwrap();
            assert_eq!(tags.len(), 1);
            assert_eq!(tags[0].body[..], b"one"[..]);
        }
    }

    #[test]
    fn other_files_are_refused_at_their_first_bytes() {
        let error = read(b"RIFF", 4).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the file does not start with an FLV header"
        );
    }

    #[test]
    fn a_body_past_24_bits_of_length_is_refused() {
        let error = write_tag(TagKind::Video, 0, &vec![0; 1 << 24], &mut Vec::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "an FLV tag's body of 16777216 bytes does not fit into 24 bits of length"
        );
    }
}
