use super::*;
use proptest::prelude::*;

fn reader() -> ChunkReader {
    ChunkReader::new(ChunkLimits::default())
}

fn read(reader: &mut ChunkReader, bytes: &[u8]) -> Result<Vec<Message>, ChunkError> {
    reader.push(bytes);
    std::iter::from_fn(|| reader.next_message().transpose()).collect()
}

/// A chunk whose header holds what `format` has: time or delta, length and type, stream.
fn chunk(format: u8, id: u8, time: u32, message: (u32, u8), payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![format << 6 | id];
    if format < 3 {
        bytes.extend_from_slice(&time.min(EXTENDED).to_be_bytes()[1..]);
    }
    if format < 2 {
        bytes.extend_from_slice(&message.0.to_be_bytes()[1..]);
        bytes.push(message.1);
    }
    if format < 1 {
        bytes.extend_from_slice(&1u32.to_le_bytes());
    }
    if time >= EXTENDED {
        bytes.extend_from_slice(&time.to_be_bytes());
    }
    bytes.extend_from_slice(payload);
    bytes
}

fn times(messages: &[Message]) -> Vec<u32> {
    messages.iter().map(|message| message.timestamp).collect()
}

#[test]
fn all_four_headers() {
    let bytes = [
        chunk(0, 4, 1000, (3, 9), b"abc"),
        chunk(1, 4, 20, (2, 8), b"de"),
        chunk(2, 4, 30, (0, 0), b"fg"),
        chunk(3, 4, 0, (0, 0), b"hi"),
    ]
    .concat();
    let messages = read(&mut reader(), &bytes).unwrap();
    assert_eq!(times(&messages), [1000, 1020, 1050, 1080]);
    let kinds: Vec<u8> = messages.iter().map(|m| m.message_type).collect();
    assert_eq!(kinds, [9, 8, 8, 8]);
    assert_eq!(messages[3].payload[..], b"hi"[..]);
    assert!(messages.iter().all(|message| message.stream_id == 1));
}

#[test]
fn chunk_stream_ids_of_two_and_three_bytes() {
    for (basic, id) in [
        (vec![0x00, 0], 64),
        (vec![0x00, 255], 319),
        (vec![0x01, 0, 1], 320),
        (vec![0x01, 255, 255], 65_599),
    ] {
        let mut bytes = basic;
        bytes.extend_from_slice(&[0, 0, 0, 0, 0, 1, 9, 0, 0, 0, 0, b'x']);
        let messages = read(&mut reader(), &bytes).unwrap();
        assert_eq!(messages[0].chunk_stream, id);
    }
}

#[test]
fn a_type_3_after_a_type_0_repeats_its_time_as_a_delta() {
    let bytes = [chunk(0, 4, 40, (1, 9), b"a"), chunk(3, 4, 0, (0, 0), b"b")].concat();
    assert_eq!(times(&read(&mut reader(), &bytes).unwrap()), [40, 80]);
}

#[test]
fn extended_times_repeated_on_type_3_and_not() {
    let time = 0x0123_4567u32;
    let payload = [5u8; 300];
    let first = chunk(0, 4, time, (300, 9), &payload[..128]);
    for repeats in [true, false] {
        let mut bytes = first.clone();
        for part in payload[128..].chunks(128) {
            bytes.push(0xc4);
            if repeats {
                bytes.extend_from_slice(&time.to_be_bytes());
            }
            bytes.extend_from_slice(part);
        }
        for portion in [1, 3, 1000] {
            let mut reader = reader();
            let mut messages = Vec::new();
            for portion in bytes.chunks(portion) {
                messages.extend(read(&mut reader, portion).unwrap());
            }
            assert_eq!(messages.len(), 1, "{repeats} {portion}");
            assert_eq!(messages[0].payload[..], payload[..]);
            assert_eq!(messages[0].timestamp, time);
        }
    }
}

#[test]
fn extended_deltas_wrap_past_2_to_the_32() {
    let bytes = [
        chunk(0, 4, u32::MAX - 9, (1, 9), b"a"),
        chunk(2, 4, 0x0100_0000, (0, 0), b"b"),
    ]
    .concat();
    assert_eq!(
        times(&read(&mut reader(), &bytes).unwrap()),
        [u32::MAX - 9, 0x00ff_fff6]
    );
}

#[test]
fn messages_interleave() {
    let (a, b) = ([1u8; 200], [2u8; 200]);
    let bytes = [
        chunk(0, 4, 0, (200, 9), &a[..128]),
        chunk(0, 5, 0, (200, 8), &b[..128]),
        chunk(3, 4, 0, (0, 0), &a[128..]),
        chunk(3, 5, 0, (0, 0), &b[128..]),
    ]
    .concat();
    let messages = read(&mut reader(), &bytes).unwrap();
    assert_eq!(messages[0].payload[..], a);
    assert_eq!(messages[1].payload[..], b);
}

#[test]
fn a_header_repeated_within_its_message_goes_on_with_it() {
    let bytes = [
        chunk(0, 4, 70, (200, 9), &[1; 128]),
        chunk(0, 4, 70, (200, 9), &[1; 72]),
    ]
    .concat();
    let messages = read(&mut reader(), &bytes).unwrap();
    assert_eq!(messages[0].payload[..], [1; 200]);
    assert_eq!(messages[0].timestamp, 70);
    let other = [
        chunk(0, 4, 70, (200, 9), &[1; 128]),
        chunk(0, 4, 70, (100, 9), &[1; 72]),
    ]
    .concat();
    assert_eq!(
        read(&mut reader(), &other).unwrap_err().to_string(),
        "a new message starts on chunk stream 4 before the last one is complete"
    );
}

#[test]
fn abort_drops_what_was_begun_and_its_memory() {
    let mut reader = reader();
    let bytes = [
        chunk(0, 4, 0, (200, 9), &[1; 128]),
        chunk(0, 2, 0, (4, message_type::ABORT), &4u32.to_be_bytes()),
        chunk(0, 4, 0, (2, 9), b"ok"),
    ]
    .concat();
    let messages = read(&mut reader, &bytes).unwrap();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].payload[..], b"ok"[..]);
    assert_eq!(reader.buffered, 0);
    // Of a stream that does not exist: nothing to drop.
    let unknown = chunk(0, 2, 0, (4, message_type::ABORT), &99u32.to_be_bytes());
    assert_eq!(read(&mut reader, &unknown), Ok(vec![]));
}

#[test]
fn an_empty_message_is_a_message() {
    let messages = read(&mut reader(), &chunk(0, 4, 0, (0, 9), b"")).unwrap();
    assert_eq!(messages.len(), 1);
    assert!(messages[0].payload.is_empty());
}

#[test]
fn every_limit_says_what_it_was() {
    let limits = ChunkLimits {
        message: 1000,
        buffered: 1500,
        chunk_streams: 3,
    };
    let set_chunk_size = |size: u32| chunk(0, 2, 0, (4, 1), &size.to_be_bytes());
    let cases: [(Vec<u8>, &str); 8] = [
        (
            set_chunk_size(0),
            "the peer set its chunk size to 0, which is not between 1 and 2147483647",
        ),
        (
            set_chunk_size(1 << 31),
            "the peer set its chunk size to 2147483648, which is not between 1 and 2147483647",
        ),
        (
            chunk(0, 4, 0, (1001, 9), b""),
            "the peer announced a message of 1001 bytes; the limit is 1000",
        ),
        (
            [
                set_chunk_size(900),
                chunk(0, 4, 0, (1000, 9), &[0; 900]),
                chunk(0, 5, 0, (1000, 9), &[0; 900]),
            ]
            .concat(),
            "the peer left more than 1500 bytes of messages unfinished",
        ),
        (
            (4..8)
                .flat_map(|id| chunk(0, id, 0, (1, 9), b"x"))
                .collect(),
            "the peer opened more than 3 chunk streams",
        ),
        (
            chunk(3, 4, 0, (0, 0), b""),
            "chunk stream 4 starts without a full header",
        ),
        (
            chunk(2, 4, 0, (0, 0), b""),
            "chunk stream 4 starts without a full header",
        ),
        (
            chunk(0, 2, 0, (3, 1), b"abc"),
            "a control message of type 1 has 3 bytes instead of 4",
        ),
    ];
    for (bytes, text) in cases {
        let error = read(&mut ChunkReader::new(limits), &bytes).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn memory_is_taken_as_bytes_arrive_and_not_as_announced() {
    let mut reader = reader();
    let announced = [
        chunk(0, 2, 0, (4, 1), &0x7fff_ffffu32.to_be_bytes()),
        chunk(0, 4, 0, (16_000_000, 9), b"little"),
    ]
    .concat();
    assert_eq!(read(&mut reader, &announced), Ok(vec![]));
    assert!(reader.streams[&4].payload.capacity() <= GROWTH);
    assert!(reader.input.is_empty());
    assert_eq!(reader.received(), announced.len() as u64);
}

#[test]
fn times_unwrap_in_both_directions() {
    let mut timeline = TimestampUnwrapper::default();
    let seen: Vec<u64> = [u32::MAX - 10, u32::MAX, 5, u32::MAX - 2, 100]
        .into_iter()
        .map(|time| timeline.unwrap(time))
        .collect();
    let wrap = 1u64 << 32;
    assert_eq!(seen, [wrap - 11, wrap - 1, wrap + 5, wrap - 3, wrap + 100]);
    // Before the first wrap there is nothing below zero.
    let mut timeline = TimestampUnwrapper::default();
    assert_eq!(timeline.unwrap(5), 5);
    assert_eq!(timeline.unwrap(u32::MAX), 0);
}

proptest! {
    #[test]
    fn unwrapping_follows_any_timeline(
        start in 0u64..(1 << 40),
        steps in prop::collection::vec(-1_000_000i64..0x7000_0000, 0..50),
    ) {
        let mut timeline = TimestampUnwrapper::default();
        let wrapped = timeline.unwrap(start as u32);
        prop_assert_eq!(wrapped, start & 0xffff_ffff);
        let (mut time, above) = (start, start - wrapped);
        for step in steps {
            let next = time.saturating_add_signed(step).max(above);
            prop_assert_eq!(timeline.unwrap(next as u32) + above, next);
            time = next;
        }
    }

    #[test]
    fn any_bytes_are_safe_and_bounded(
        portions in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20),
    ) {
        let limits = ChunkLimits { message: 5_000, buffered: 8_000, chunk_streams: 8 };
        let mut reader = ChunkReader::new(limits);
        for portion in portions {
            if read(&mut reader, &portion).is_err() {
                break;
            }
            let held: usize = reader.streams.values().map(|s| s.payload.len()).sum();
            prop_assert_eq!(held, reader.buffered);
            prop_assert!(held <= 8_000);
            prop_assert!(reader.streams.len() <= 8);
            prop_assert!(reader.input.len() < 22);
        }
    }

    /// What rml_rtmp's serializer writes comes back, through chunks of any size and portions of any size.
    #[test]
    fn reads_what_the_serializer_writes(
        messages in prop::collection::vec(
            (prop_oneof![Just(8u8), Just(9), Just(18), Just(20)], 0u32..0x7000_0000, 1usize..700),
            1..20,
        ),
        chunk_size in 1u32..400,
        portion in 1usize..300,
    ) {
        use rml_rtmp::{chunk_io::ChunkSerializer, messages::MessagePayload, time::RtmpTimestamp};
        let mut serializer = ChunkSerializer::new();
        let time = RtmpTimestamp::new(0);
        let mut bytes = serializer.set_max_chunk_size(chunk_size, time).unwrap().bytes;
        let mut expected = Vec::new();
        let mut now = 0u32;
        for (kind, step, len) in messages {
            now = now.wrapping_add(step);
            let data = Bytes::from(vec![kind; len]);
            let message = MessagePayload {
                timestamp: RtmpTimestamp::new(now),
                type_id: kind,
                message_stream_id: 1,
                data: data.clone(),
            };
            bytes.extend(serializer.serialize(&message, false, false).unwrap().bytes);
            expected.push((now, kind, data));
        }
        let mut reader = reader();
        let mut seen = Vec::new();
        for portion in bytes.chunks(portion) {
            seen.extend(read(&mut reader, portion).unwrap());
        }
        let seen: Vec<_> = seen
            .into_iter()
            .map(|message| (message.timestamp, message.message_type, message.payload))
            .collect();
        prop_assert_eq!(seen, expected);
    }
}
