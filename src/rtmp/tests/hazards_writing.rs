//! The hazards of HAZARDS.md about what we write.

use super::support::*;
use crate::media::MediaTime;
use crate::rtmp::amf0::{self, Amf0Value};
use crate::rtmp::chunk::message_type;
use crate::rtmp::{ChunkLimits, ChunkReader, Message, Publisher, PublisherSettings, flv};

fn commands(bytes: &[u8]) -> Vec<Vec<Amf0Value>> {
    media(bytes, 128)
        .iter()
        .filter(|message| message.message_type == message_type::COMMAND_AMF0)
        .map(|message| amf0::decode(&message.payload).0)
        .collect()
}

fn text(values: &[Amf0Value], at: usize) -> &str {
    values[at].as_str().unwrap()
}

/// The messages in `bytes`, written in chunks of `chunk_size`.
fn media(bytes: &[u8], chunk_size: u32) -> Vec<Message> {
    let mut reader = ChunkReader::new(ChunkLimits::default());
    reader.push(&set_chunk_size(chunk_size));
    reader.push(bytes);
    std::iter::from_fn(|| reader.next_message().unwrap()).collect()
}

#[test]
fn a_start_other_than_0_is_never_followed_by_a_bare_type_3() {
    // The audio header is 4 bytes at T, the next frame 4 bytes at 2 T: the serializer alone would send
    // type 3, which nginx takes for T.
    let start_ms = 23;
    let mut publisher = publishing();
    let mut out = Vec::new();
    let zero = MediaTime::ZERO;
    publisher.start_media_at(&config(), zero, start_ms, zero, &mut out);
    let before = out.len();
    publisher.write_unit(&audio(23_000, &b"ab"[..]), &mut out);
    assert_eq!(out[before] >> 6, 0, "a full header");
    publisher.write_unit(&audio(69_000, &b"cd"[..]), &mut out);
    let times: Vec<u32> = media(&out, 4096)
        .iter()
        .filter(|message| message.message_type == message_type::AUDIO)
        .map(|message| message.timestamp)
        .collect();
    assert_eq!(times, [23, 46, 92]);
}

#[test]
fn a_timeline_that_continues_starts_its_headers_where_its_media_start() {
    let hours = MediaTime::from_millis(4 * 3_600_000);
    let mut publisher = publishing();
    let mut out = Vec::new();
    publisher.start_media_at(&config(), MediaTime::ZERO, 1_000, hours, &mut out);
    publisher.write_unit(&video(hours.0, hours.0, true, &b"v"[..]), &mut out);
    let times: Vec<u32> = media(&out, 4096)
        .iter()
        .map(|message| message.timestamp)
        .collect();
    assert_eq!(times, [14_401_000; 4], "metadata, two headers, a keyframe");
}

#[test]
fn no_time_goes_back_per_chunk_stream() {
    let mut publisher = publishing();
    let mut out = Vec::new();
    publisher.start_media(&config(), MediaTime(1_000_000), &mut out);
    for dts in [1_000_000, 1_500_000, 1_400_000, 900_000, 1_600_000] {
        publisher.write_unit(&video(dts, dts, false, &b"v"[..]), &mut out);
        publisher.write_unit(&audio(dts, &b"a"[..]), &mut out);
    }
    // A change of configuration that claims to be earlier.
    publisher.write_config(&config(), MediaTime(1_200_000), &mut out);
    for kind in [
        message_type::VIDEO,
        message_type::AUDIO,
        message_type::DATA_AMF0,
    ] {
        let times: Vec<u32> = media(&out, 4096)
            .iter()
            .filter(|message| message.message_type == kind)
            .map(|message| message.timestamp)
            .collect();
        assert!(times.is_sorted(), "{times:?}");
        assert!(times.iter().all(|time| *time <= 600), "{times:?}");
    }
}

#[test]
fn continuation_chunks_are_type_3_even_when_a_message_does_not_fit() {
    let mut publisher = Publisher::handshaken(PublisherSettings {
        // connect itself is longer than the 128 bytes that hold before the size is announced.
        app: "a".repeat(300),
        ..settings()
    });
    let mut formats = Vec::new();
    let bytes = publisher.take_output();
    let len = u32::from_be_bytes([0, bytes[4], bytes[5], bytes[6]]) as usize;
    let mut at = 12;
    let mut left = len;
    formats.push(bytes[0] >> 6);
    while left > 128 {
        at += 128;
        left -= 128;
        formats.push(bytes[at] >> 6);
        at += 1;
    }
    assert!(formats.len() > 3);
    assert_eq!(formats[0], 0);
    assert!(
        formats[1..].iter().all(|format| *format == 3),
        "{formats:?}"
    );
    assert_eq!(media(&bytes, 128).len(), 1);
}

#[test]
fn empty_and_impossible_payloads_are_skipped() {
    let mut publisher = publishing();
    let mut out = Vec::new();
    publisher.start_media(&config(), MediaTime::ZERO, &mut out);
    out.clear();
    assert!(!publisher.write_unit(&video(0, 0, true, &b""[..]), &mut out));
    assert!(!publisher.write_unit(&audio(0, &b""[..]), &mut out));
    assert!(!publisher.write_unit(&video(0, 0, true, vec![0; 1 << 24]), &mut out));
    assert!(out.is_empty());
}

#[test]
fn nothing_is_written_before_the_server_took_the_stream() {
    let mut publisher = awaiting_publish();
    let mut out = Vec::new();
    publisher.start_media(&config(), MediaTime::ZERO, &mut out);
    publisher.write_config(&config(), MediaTime::ZERO, &mut out);
    assert!(!publisher.write_unit(&video(0, 0, true, &b"x"[..]), &mut out));
    assert!(out.is_empty());
}

#[test]
fn connect_says_what_platforms_are_used_to() {
    let mut publisher = Publisher::handshaken(settings());
    let sent = commands(&publisher.take_output());
    assert_eq!(sent.len(), 1);
    assert_eq!(text(&sent[0], 0), "connect");
    assert_eq!(sent[0][1], Amf0Value::Number(1.0));
    let url = "rtmp://ingest.example:1935/live/event";
    assert_eq!(
        sent[0][2],
        Amf0Value::object([
            ("app", Amf0Value::string("live/event")),
            ("type", Amf0Value::string("nonprivate")),
            (
                "flashVer",
                Amf0Value::string("FMLE/3.0 (compatible; FMSc/1.0)")
            ),
            ("swfUrl", Amf0Value::string(url)),
            ("tcUrl", Amf0Value::string(url)),
            ("capsEx", Amf0Value::Number(1.0)),
        ])
    );
}

#[test]
fn the_commands_before_publishing_come_in_their_order() {
    let mut publisher = Publisher::handshaken(settings());
    publisher.take_output();
    feed(&mut publisher, &connect_result()).unwrap();
    let standby = media(&publisher.take_output(), 128);
    let kinds: Vec<u8> = standby.iter().map(|m| m.message_type).collect();
    assert_eq!(
        kinds,
        [message_type::WINDOW_ACK_SIZE],
        "no command on standby"
    );

    publisher.publish();
    let mut sent = commands(&publisher.take_output());
    feed(&mut publisher, &create_stream_result()).unwrap();
    sent.extend(commands(&publisher.take_output()));
    let names: Vec<_> = sent.iter().map(|values| text(values, 0)).collect();
    assert_eq!(
        names,
        ["releaseStream", "FCPublish", "createStream", "publish"]
    );
    // The key is verbatim, with its query.
    assert_eq!(text(&sent[0], 3), "key-123?token=t0");
    assert_eq!(text(&sent[1], 3), "key-123?token=t0");
    assert_eq!(text(&sent[3], 3), "key-123?token=t0");
    assert_eq!(text(&sent[3], 4), "live");
}

#[test]
fn the_chunk_size_is_announced_and_kept() {
    let mut publisher = publishing_with_output();
    let bytes = publisher.1;
    let announced = [0x02, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0x10, 0];
    assert!(bytes.windows(16).any(|window| window == announced));
    let mut out = Vec::new();
    publisher
        .0
        .start_media(&config(), MediaTime::ZERO, &mut out);
    out.clear();
    publisher
        .0
        .write_unit(&video(0, 0, true, vec![0xee; 10_000]), &mut out);
    // 12 bytes are too many here: the header went before. 10,005 bytes are three chunks of at most 4,096.
    assert_eq!(out.len(), 8 + 10_005 + 2);
    assert_eq!(out[8 + 4096], 0xc4);
    assert_eq!(out[8 + 4096 + 1 + 4096], 0xc4);
}

#[test]
fn metadata_is_set_as_an_ecma_array() {
    let mut publisher = publishing();
    let mut out = Vec::new();
    publisher.start_media(&config(), MediaTime::ZERO, &mut out);
    let sent = media(&out, 4096);
    assert_eq!(sent[0].message_type, message_type::DATA_AMF0);
    assert_eq!(
        amf0::decode(&sent[0].payload),
        (
            vec![
                Amf0Value::string("@setDataFrame"),
                Amf0Value::string("onMetaData"),
                flv::metadata(&config())
            ],
            None
        )
    );
    assert_eq!(sent[1].payload, flv::video_sequence_header(&config().video));
    assert_eq!(sent[2].payload, flv::audio_sequence_header(&config().audio));
    assert!(sent.iter().all(|message| message.stream_id == 1));
}

#[test]
fn an_aborted_connection_says_no_goodbye() {
    let mut publisher = publishing();
    let info = status("error", "NetStream.Publish.BadName", "replaced");
    feed(&mut publisher, &on_status(info)).unwrap_err();
    publisher.finish();
    assert!(publisher.take_output().is_empty());
}

fn publishing_with_output() -> (Publisher, Vec<u8>) {
    let mut publisher = Publisher::handshaken(settings());
    publisher.publish();
    feed(&mut publisher, &connect_result()).unwrap();
    feed(&mut publisher, &create_stream_result()).unwrap();
    feed(&mut publisher, &publish_start()).unwrap();
    let output = publisher.take_output();
    (publisher, output)
}
