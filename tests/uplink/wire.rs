//! What Regia sent on one connection, read back from the proxy's capture by rml_rtmp's reader: not by Regia's own, so
//! that a mistake can't hide by being made on both sides. (That reader panics at what hostile servers send; these are our bytes.)

use md5::{Digest, Md5};
use regia_testkit::media::{Packet, Recording, Track};
use rml_rtmp::chunk_io::ChunkDeserializer;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

/// C0, C1 and C2.
const HANDSHAKE: usize = 1 + 2 * 1536;
const SET_CHUNK_SIZE: u8 = 1;
const AUDIO: u8 = 8;
const VIDEO: u8 = 9;
const COMMAND: u8 = 20;

#[derive(Clone, Debug)]
pub enum Said {
    /// Its name.
    Command(String),
    Media {
        track: Track,
        timestamp_ms: u32,
        /// As `Packet::hash` has it.
        hash: String,
    },
}

/// Commands and media units in the order of sending; sequence headers, metadata and control messages are left out. A message
/// that the connection's end cut off is left out too.
pub fn read(sent: &[u8]) -> Vec<Said> {
    let mut reader = ChunkDeserializer::new();
    let mut said = Vec::new();
    let mut bytes = sent.get(HANDSHAKE..).unwrap_or_default();
    while let Some(message) = reader
        .get_next_message(std::mem::take(&mut bytes))
        .expect("what was sent is RTMP")
    {
        let body = &message.data;
        match message.type_id {
            SET_CHUNK_SIZE => {
                let size = u32::from_be_bytes(body[..4].try_into().expect("four bytes"));
                reader
                    .set_max_chunk_size(size as usize)
                    .expect("a size that RTMP knows");
            }
            COMMAND => said.push(Said::Command(command_name(body))),
            // One byte of codec and one of kind; video also has three of composition time.
            AUDIO if body[1] == 1 => said.push(media(Track::Audio, &message, 2)),
            VIDEO if body[1] == 1 => said.push(media(Track::Video, &message, 5)),
            _ => {}
        }
    }
    said
}

fn media(track: Track, message: &rml_rtmp::messages::MessagePayload, header: usize) -> Said {
    let mut hash = String::from("MD5:");
    for byte in Md5::digest(&message.data[header..]) {
        let _ = write!(hash, "{byte:02x}");
    }
    Said::Media {
        track,
        timestamp_ms: message.timestamp.value,
        hash,
    }
}

/// An AMF0 string: marker, length, text.
fn command_name(body: &[u8]) -> String {
    let len = usize::from(u16::from_be_bytes([body[1], body[2]]));
    String::from_utf8_lossy(&body[3..3 + len]).into_owned()
}

pub fn commands(said: &[Said]) -> Vec<&str> {
    said.iter()
        .filter_map(|one| match one {
            Said::Command(name) => Some(name.as_str()),
            Said::Media { .. } => None,
        })
        .collect()
}

/// One track as it was sent: hash and timestamp of each unit.
pub fn units(said: &[Said], wanted: Track) -> Vec<(&str, u32)> {
    said.iter()
        .filter_map(|one| match one {
            Said::Media {
                track,
                timestamp_ms,
                hash,
            } if *track == wanted => Some((hash.as_str(), *timestamp_ms)),
            _ => None,
        })
        .collect()
}

/// Where in the copy a sequence of units lies that has no gap: by the hashes of its first ones, since silent sound is alike
/// everywhere. Panics when it lies nowhere whole.
#[track_caller]
pub fn place(hashes: &[&str], copy: &[&Packet]) -> Range<usize> {
    let starts = (0..copy.len()).filter(|&at| copy[at].hash == hashes[0]);
    let mut best: HashMap<usize, usize> = HashMap::new();
    for start in starts {
        let alike = hashes
            .iter()
            .zip(&copy[start..])
            .take_while(|(hash, unit)| **hash == unit.hash)
            .count();
        best.insert(alike, start);
    }
    let start = best.get(&hashes.len()).unwrap_or_else(|| {
        panic!(
            "{} units lie nowhere whole in the copy's {}; the longest run is {:?}",
            hashes.len(),
            copy.len(),
            best.keys().max()
        )
    });
    *start..start + hashes.len()
}

/// By how many µs the decode times of a file's track differ from the copy's, least and greatest. Panics when the file has a gap.
#[track_caller]
pub fn shift_us(file: &Recording, copy: &Recording, track: Track) -> (i64, i64) {
    let (arrived, made) = (list(file, track), list(copy, track));
    let hashes: Vec<&str> = arrived.iter().map(|unit| unit.hash.as_str()).collect();
    let range = place(&hashes, &made);
    let shifts = arrived.iter().zip(&made[range]).map(|(file, copy)| {
        let (dts, pts) = (file.dts_us - copy.dts_us, file.pts_us - copy.pts_us);
        assert_eq!(dts, pts, "the presentation of {file:?} is bent");
        dts
    });
    let (least, most) = (shifts.clone().min(), shifts.max());
    (
        least.expect("the track has units"),
        most.expect("the track has units"),
    )
}

pub fn list(recording: &Recording, track: Track) -> Vec<&Packet> {
    recording.track(track).collect()
}
