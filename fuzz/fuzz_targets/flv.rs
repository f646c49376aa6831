//! FLV files from any bytes, in portions; the tags that were read are written and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use regia::rtmp::{FlvReader, FlvTag, TagKind, flv, flv_file};

fn read(bytes: &[u8], portion: usize) -> Vec<FlvTag> {
    let mut reader = FlvReader::new();
    let mut tags = Vec::new();
    for portion in bytes.chunks(portion) {
        reader.push(portion);
        loop {
            match reader.next_tag() {
                Ok(Some(tag)) => tags.push(tag),
                Ok(None) => break,
                Err(_) => return tags,
            }
        }
    }
    tags
}

fuzz_target!(|input: (u8, &[u8])| {
    let (portion, bytes) = input;
    let tags = read(bytes, usize::from(portion).max(1));
    let mut file = Vec::new();
    flv_file::write_header(&mut file);
    for tag in &tags {
        match tag.kind {
            TagKind::Video => drop(flv::parse_video(&tag.body)),
            TagKind::Audio => drop(flv::parse_audio(&tag.body)),
            TagKind::Script => drop(regia::rtmp::amf0::decode(&tag.body)),
        }
        let time = u64::from(tag.timestamp);
        flv_file::write_tag(tag.kind, time, &tag.body, &mut file).expect("it was read so");
    }
    assert_eq!(read(&file, 4096), tags);
});
