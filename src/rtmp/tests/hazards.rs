//! Each hazard of HAZARDS.md that concerns the wire, by the behaviour that must hold.

use super::support::*;
use crate::rtmp::amf0::{self, Amf0Value};
use crate::rtmp::chunk::message_type;
use crate::rtmp::{
    ChunkLimits, ChunkReader, Message, Publisher, PublisherError, PublisherEvent, Receiver,
    ReceiverError, ReceiverEvent, ReceiverSettings, RejectKind,
};

fn messages(bytes: &[u8]) -> Vec<Message> {
    let mut reader = ChunkReader::new(ChunkLimits::default());
    reader.push(bytes);
    std::iter::from_fn(|| reader.next_message().unwrap()).collect()
}

// What rml_rtmp's readers do with a server's bytes.

#[test]
fn a_command_with_fewer_than_three_values() {
    let mut publisher = awaiting_publish();
    let bare = command(&[Amf0Value::string("onFCPublish")]);
    let two = command(&[Amf0Value::string("onBWDone"), Amf0Value::Number(0.0)]);
    let none = command(&[]);
    let nameless = command(&[Amf0Value::Null]);
    for bytes in [bare, two, none, nameless] {
        assert!(feed(&mut publisher, &bytes).unwrap().is_empty());
    }
    assert_eq!(
        feed(&mut publisher, &publish_start()).unwrap(),
        [PublisherEvent::Publishing]
    );
}

#[test]
fn two_chunk_streams_interleaved_mid_message() {
    let status = amf0::encode(&[
        Amf0Value::string("onStatus"),
        Amf0Value::Number(0.0),
        Amf0Value::Null,
        status("status", "NetStream.Publish.Start", &"go ".repeat(30)),
    ]);
    let other = amf0::encode(&[Amf0Value::String("x".repeat(150))]);
    let mut bytes = full_header(3, message_type::COMMAND_AMF0, 0, status.len());
    bytes.extend_from_slice(&status[..128]);
    bytes.extend(full_header(5, message_type::COMMAND_AMF0, 0, other.len()));
    bytes.extend_from_slice(&other[..128]);
    bytes.push(0xc3);
    bytes.extend_from_slice(&status[128..]);
    bytes.push(0xc5);
    bytes.extend_from_slice(&other[128..]);
    assert_eq!(
        feed(&mut awaiting_publish(), &bytes).unwrap(),
        [PublisherEvent::Publishing]
    );
}

#[test]
fn amf0_nested_12_000_deep() {
    let mut payload = amf0::encode(&[Amf0Value::string("onStatus"), Amf0Value::Number(0.0)]);
    payload.extend([3u8, 0, 1, b'a'].repeat(12_000));
    let deep = command_bytes(message_type::COMMAND_AMF0, &payload);
    let mut publisher = awaiting_publish();
    assert!(feed(&mut publisher, &deep).unwrap().is_empty());
    assert_eq!(
        feed(&mut publisher, &publish_start()).unwrap(),
        [PublisherEvent::Publishing]
    );
    let mut receiver = Receiver::handshaken(ReceiverSettings::default());
    receiver.handle_input(&deep).unwrap();
}

#[test]
fn odd_messages_lose_no_reply_that_came_before_them() {
    let odd = [
        user_control(5, &[0; 4]),
        user_control(26, &[0; 4]),
        user_control(33, &[0; 4]),
        user_control(0xffff, &[]),
        chunk(2, message_type::USER_CONTROL, 0, &[6]),
        command(&[
            Amf0Value::string("onBWDone"),
            Amf0Value::Number(0.0),
            Amf0Value::Date {
                unix_ms: 0.0,
                zone_min: 0,
            },
        ]),
        command(&[Amf0Value::String("x".repeat(70_000))]),
        command(&[Amf0Value::string("onStatus"), Amf0Value::Number(0.0)]),
        command(&[
            Amf0Value::string("onStatus"),
            Amf0Value::Number(0.0),
            Amf0Value::Null,
        ]),
        command_bytes(message_type::COMMAND_AMF0, &[0x02, 0, 99, b'c', b'u', b't']),
        command_bytes(message_type::COMMAND_AMF3, &[]),
        command_bytes(99, b"what is this"),
    ];
    for bytes in odd {
        let mut publisher = awaiting_publish();
        let mut input = user_control(6, &[1, 2, 3, 4]);
        input.extend(bytes);
        assert!(feed(&mut publisher, &input).unwrap().is_empty());
        let replies = messages(&publisher.take_output());
        assert_eq!(replies.len(), 1);
        assert_eq!(replies[0].payload[..], [0, 7, 1, 2, 3, 4]);
        assert_eq!(
            feed(&mut publisher, &publish_start()).unwrap(),
            [PublisherEvent::Publishing]
        );
    }
}

#[test]
fn every_code_keeps_its_description() {
    for code in [
        "NetStream.Publish.BadName",
        "NetStream.Publish.Denied",
        "NetConnection.Connect.Rejected",
    ] {
        let info = status("error", code, "the reason, whole");
        let error = feed(&mut awaiting_publish(), &on_status(info)).unwrap_err();
        let PublisherError::Rejected {
            code: seen,
            description,
            ..
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!(
            (seen.as_str(), description.as_str()),
            (code, "the reason, whole")
        );
        assert!(error.to_string().contains("the reason, whole"));
    }
    let error = feed(
        &mut Publisher::handshaken(settings()),
        &connect_error("the event is over"),
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "the server refused the stream: the event is over (NetConnection.Connect.Rejected); \
         the server gives no other reason"
    );
}

#[test]
fn a_status_is_understood_as_amf3_command_and_as_array() {
    let Amf0Value::Object(properties) = status("status", "NetStream.Publish.Start", "go") else {
        unreachable!("built as an object");
    };
    let values = [
        Amf0Value::string("onStatus"),
        Amf0Value::Number(0.0),
        Amf0Value::EcmaArray(properties),
    ];
    let mut payload = vec![0];
    payload.extend(amf0::encode(&values));
    let bytes = command_bytes(message_type::COMMAND_AMF3, &payload);
    assert_eq!(
        feed(&mut awaiting_publish(), &bytes).unwrap(),
        [PublisherEvent::Publishing]
    );
}

#[test]
fn errors_for_calls_that_do_not_matter_do_not_matter() {
    let mut publisher = Publisher::handshaken(settings());
    publisher.publish();
    feed(&mut publisher, &connect_result()).unwrap();
    for transaction in [2.0, 3.0, 77.0] {
        let error = command(&[
            Amf0Value::string("_error"),
            Amf0Value::Number(transaction),
            Amf0Value::Null,
            status("error", "NetConnection.Call.Failed", "unknown method"),
        ]);
        assert!(feed(&mut publisher, &error).unwrap().is_empty());
    }
    feed(&mut publisher, &create_stream_result()).unwrap();
    assert_eq!(
        feed(&mut publisher, &publish_start()).unwrap(),
        [PublisherEvent::Publishing]
    );
}

#[test]
fn on_air_only_a_definite_word_ends_the_stream() {
    let mut publisher = publishing();
    let record = status("error", "NetStream.Record.Failed", "disk full");
    assert_eq!(
        feed(&mut publisher, &on_status(record)).unwrap(),
        [PublisherEvent::Notice {
            code: "NetStream.Record.Failed".into(),
            description: "disk full".into()
        }]
    );
    assert!(publisher.is_publishing());
    let ended = status("status", "NetStream.Unpublish.Success", "event ended");
    let error = feed(&mut publisher, &on_status(ended)).unwrap_err();
    assert!(
        matches!(
            &error,
            PublisherError::Rejected {
                kind: RejectKind::Ended,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn create_stream_answered_without_a_number() {
    for id in [
        Amf0Value::Null,
        Amf0Value::Number(f64::NAN),
        Amf0Value::Number(-1.0),
    ] {
        let mut publisher = Publisher::handshaken(settings());
        publisher.publish();
        feed(&mut publisher, &connect_result()).unwrap();
        let result = command(&[
            Amf0Value::string("_result"),
            Amf0Value::Number(4.0),
            Amf0Value::Null,
            id,
        ]);
        assert_eq!(
            feed(&mut publisher, &result).unwrap_err().to_string(),
            "the server answered createStream without a stream number"
        );
    }
}

// What a hostile peer can announce.

#[test]
fn chunk_size_0_and_2_to_the_31() {
    for size in [0, 1 << 31, u32::MAX] {
        let error = feed(&mut publishing(), &set_chunk_size(size)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "the server broke the RTMP protocol: the peer set its chunk size to {size}, \
                 which is not between 1 and 2147483647"
            )
        );
        assert!(!error.is_final());
        let mut receiver = Receiver::handshaken(ReceiverSettings::default());
        assert!(receiver.handle_input(&set_chunk_size(size)).is_err());
    }
}

#[test]
fn one_byte_chunks() {
    let payload = amf0::encode(&[
        Amf0Value::string("onStatus"),
        Amf0Value::Number(0.0),
        Amf0Value::Null,
        status("status", "NetStream.Publish.Start", "go"),
    ]);
    let mut bytes = set_chunk_size(1);
    bytes.extend(full_header(3, message_type::COMMAND_AMF0, 0, payload.len()));
    for (n, byte) in payload.iter().enumerate() {
        if n > 0 {
            bytes.push(0xc3);
        }
        bytes.push(*byte);
    }
    assert_eq!(
        feed(&mut awaiting_publish(), &bytes).unwrap(),
        [PublisherEvent::Publishing]
    );
}

#[test]
fn a_16_mb_message() {
    let header = full_header(3, message_type::COMMAND_AMF0, 0, 16_000_000);
    assert_eq!(
        feed(&mut publishing(), &header).unwrap_err().to_string(),
        "the server broke the RTMP protocol: the peer announced a message of 16000000 bytes; \
         the limit is 1048576"
    );
    // The receiving side takes one of video, for that is what its limit is for.
    let mut receiver = on_air_receiver();
    let mut bytes = set_chunk_size(0xff_ffff);
    bytes.extend(chunk(4, message_type::VIDEO, 1, &vec![0x17; 16_000_000]));
    receiver.handle_input(&bytes).unwrap();
    let Some(ReceiverEvent::Tag { body, .. }) = receiver.poll_event() else {
        panic!("no tag");
    };
    assert_eq!(body.len(), 16_000_000);
}

#[test]
fn a_ping_flood_is_answered_within_bounds() {
    let flood = user_control(6, &[9; 4]).repeat(100_000);
    let mut publisher = publishing();
    publisher.handle_input(&flood).unwrap();
    assert!(publisher.take_output().len() < 70_000);
    let mut receiver = Receiver::handshaken(ReceiverSettings::default());
    receiver.handle_input(&flood).unwrap();
    assert!(receiver.take_output().len() < 70_000);
    // Taken in time, every one is answered.
    for _ in 0..1_000 {
        feed(&mut publisher, &user_control(6, &[9; 4])).unwrap();
        assert!(!publisher.take_output().is_empty());
    }
}

#[test]
fn floods_of_other_messages_leave_nothing_behind() {
    let mut publisher = publishing();
    let acknowledgements: Vec<u8> = (1..50_000u32)
        .flat_map(|n| chunk(2, message_type::ACKNOWLEDGEMENT, 0, &n.to_be_bytes()))
        .collect();
    let reconnect = on_status(status(
        "status",
        "NetConnection.Connect.ReconnectRequest",
        "",
    ));
    let window = chunk(2, message_type::WINDOW_ACK_SIZE, 0, &1u32.to_be_bytes());
    let flood = [
        acknowledgements,
        reconnect.repeat(1_000),
        window.repeat(1_000),
    ]
    .concat();
    publisher.handle_input(&flood).unwrap();
    let events: Vec<_> = std::iter::from_fn(|| publisher.poll_event()).collect();
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(publisher.take_output().len() < 100);
}

#[test]
fn a_publisher_that_asks_on_without_reading_is_dropped() {
    let mut receiver = on_air_receiver();
    let create = command(&[
        Amf0Value::string("createStream"),
        Amf0Value::Number(4.0),
        Amf0Value::Null,
    ]);
    let error = receiver.handle_input(&create.repeat(100_000)).unwrap_err();
    assert_eq!(error, ReceiverError::NotReading);
    assert!(receiver.take_output().len() < 300_000);
}

#[test]
fn a_server_that_is_not_rtmp() {
    let mut publisher = Publisher::new(settings());
    let error = publisher
        .handle_input(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the RTMP handshake failed: First byte of the handshake did not start with a 3; \
         is this an RTMP server?"
    );
    let mut receiver = Receiver::new(ReceiverSettings::default());
    assert!(receiver.handle_input(b"GET / HTTP/1.1\r\n\r\n").is_err());
}

#[test]
fn a_close_without_a_word_is_explained_by_what_was_asked_last() {
    let mut standby = Publisher::handshaken(settings());
    feed(&mut standby, &connect_result()).unwrap();
    let cases = [
        (
            Publisher::new(settings()),
            "the server closed the connection during the RTMP handshake; is this an RTMP server?",
        ),
        (
            Publisher::handshaken(settings()),
            "the server closed the connection without answering `connect`; check the path of the server URL",
        ),
        (
            standby,
            "the server closed the connection while it stood by",
        ),
        (
            awaiting_publish(),
            "the server closed the connection without answering `publish`; check the stream key, and that \
             the platform's event is open for streaming",
        ),
        (
            publishing(),
            "the server closed the connection while on air",
        ),
    ];
    for (mut publisher, text) in cases {
        let error = publisher.handle_close();
        assert_eq!(error.to_string(), text);
        assert!(!error.is_final());
        publisher.finish();
        assert_eq!(publisher.handle_close(), error);
    }
}

// Receiving from publishers of other makes.

fn on_air_receiver() -> Receiver {
    let mut receiver = Receiver::handshaken(ReceiverSettings::default());
    let connect = command(&[
        Amf0Value::string("connect"),
        Amf0Value::Number(1.0),
        Amf0Value::object([("app", Amf0Value::string("live"))]),
    ]);
    let publish = command(&[
        Amf0Value::string("publish"),
        Amf0Value::Number(5.0),
        Amf0Value::Null,
        Amf0Value::string("key"),
        Amf0Value::string("live"),
    ]);
    receiver.handle_input(&connect).unwrap();
    receiver.handle_input(&publish).unwrap();
    receiver.accept_publish();
    receiver.take_output();
    while receiver.poll_event().is_some() {}
    receiver
}

#[test]
fn an_aggregate_message_is_taken_apart() {
    use crate::rtmp::flv_file::{TagKind, write_tag};
    let mut receiver = on_air_receiver();
    let mut payload = Vec::new();
    write_tag(TagKind::Video, 5_000, b"vv", &mut payload).unwrap();
    write_tag(TagKind::Audio, 5_020, b"aa", &mut payload).unwrap();
    let bytes = chunk(4, message_type::AGGREGATE, 1, &payload);
    receiver.handle_input(&bytes).unwrap();
    let times: Vec<_> = std::iter::from_fn(|| receiver.poll_event())
        .map(|event| match event {
            ReceiverEvent::Tag {
                timestamp_ms, body, ..
            } => (timestamp_ms, body),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(times, [(0, "vv".into()), (20, "aa".into())]);
}

#[test]
fn a_rejected_publisher_may_ask_again() {
    let mut receiver = on_air_receiver();
    receiver.reject_publish("NetStream.Publish.Rejected", "interrupted");
    receiver
        .handle_input(&chunk(4, message_type::VIDEO, 1, b"late"))
        .unwrap();
    assert_eq!(receiver.poll_event(), None);
    let publish = command(&[
        Amf0Value::string("publish"),
        Amf0Value::Number(6.0),
        Amf0Value::Null,
        Amf0Value::string("other"),
    ]);
    receiver.handle_input(&publish).unwrap();
    assert!(matches!(
        receiver.poll_event(),
        Some(ReceiverEvent::PublishRequested { .. })
    ));
}
