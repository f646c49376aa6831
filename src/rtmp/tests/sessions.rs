//! Publisher and receiver joined, from the first byte to the last.

use super::support::*;
use crate::media::{FrameRate, MediaTime, Track};
use crate::rtmp::flv::{self, VideoBody};
use crate::rtmp::{
    Amf0Value, Publisher, PublisherEvent, PublisherSettings, ReceiverEvent, RejectKind,
};
use crate::secret::{Credentials, Secret};
use bytes::Bytes;

/// A unit's bytes that tell its number, so that order and wholeness can be seen.
fn payload(n: usize, len: usize) -> Vec<u8> {
    n.to_be_bytes().into_iter().cycle().take(len).collect()
}

#[test]
fn a_whole_session_from_handshake_to_goodbye() {
    for seed in 0..40 {
        let mut joined = Joined::new(settings(), seed);
        joined.settle();
        assert_eq!(joined.published, [PublisherEvent::Connected]);
        joined.publisher.publish();
        joined.settle();
        assert_eq!(
            joined.published,
            [PublisherEvent::Connected, PublisherEvent::Publishing]
        );
        let mut out = Vec::new();
        joined
            .publisher
            .start_media(&config(), MediaTime(5_000_000), &mut out);
        joined.carry(&out);
        assert!(joined.send(&video(5_000_000, 5_067_000, true, payload(1, 30_000))));
        assert!(joined.send(&audio(5_010_000, payload(2, 300))));
        assert!(joined.send(&video(5_033_000, 5_033_000, false, payload(3, 4_091))));
        joined.publisher.finish();
        joined.settle();

        let [
            ReceiverEvent::Connect { app, tc_url },
            ReceiverEvent::PublishRequested { key, .. },
            ReceiverEvent::Metadata(metadata),
            media @ ..,
            ReceiverEvent::Unpublished,
            ReceiverEvent::Deleted,
        ] = &joined.received[..]
        else {
            panic!("{:?}", joined.received);
        };
        assert_eq!(app, "live/event");
        assert_eq!(tc_url, "rtmp://ingest.example:1935/live/event");
        assert_eq!(key.expose(), "key-123?token=t0");
        assert_eq!(metadata, &flv::metadata(&config()));
        assert_eq!(media.len(), 5);
        let config = config();
        assert_eq!(
            joined.tags(Track::Video),
            [
                (0, flv::video_sequence_header(&config.video)),
                (
                    0,
                    flv::unit_body(&video(0, 0, true, payload(1, 30_000)), 67)
                ),
                (
                    33,
                    flv::unit_body(&video(0, 0, false, payload(3, 4_091)), 0)
                ),
            ]
        );
        assert_eq!(
            joined.tags(Track::Audio),
            [
                (0, flv::audio_sequence_header(&config.audio)),
                (10, flv::unit_body(&audio(0, payload(2, 300)), 0)),
            ]
        );
    }
}

/// Sends frames and sound from `start_ms` on for `seconds`, and compares every time that arrives.
fn timeline_is_exact(start_ms: u64, seconds: i64, every: i64, chunk_size: u32) {
    let settings = PublisherSettings {
        chunk_size,
        ..settings()
    };
    let base = MediaTime(987_654_321);
    let mut joined = Joined::on_air(settings, start_ms, base, start_ms);
    let fps = FrameRate {
        num: 30_000,
        den: 1_001,
    };
    let at = |since_base: MediaTime| start_ms + since_base.round_millis() as u64;
    let (mut expected_video, mut expected_audio) = (vec![start_ms], vec![start_ms]);
    let mut next_audio = 0i64;
    for n in (0..).step_by(every as usize) {
        let dts = fps.frame_time(n);
        if dts.0 > seconds * 1_000_000 {
            break;
        }
        let pts = fps.frame_time(n + 2);
        let data = Bytes::from_static(&[7; 180]);
        assert!(joined.send(&video(base.0 + dts.0, base.0 + pts.0, n % 60 == 0, data)));
        expected_video.push(at(dts));
        let Some((_, body)) = joined.tags_last(Track::Video) else {
            panic!("nothing arrived");
        };
        let Ok(VideoBody::AccessUnit { cts_ms, .. }) = flv::parse_video(&body) else {
            panic!("not an access unit");
        };
        assert_eq!(i64::from(cts_ms), pts.round_millis() - dts.round_millis());
        while next_audio <= dts.0 {
            assert!(joined.send(&audio(base.0 + next_audio, Bytes::from_static(&[8; 20]))));
            expected_audio.push(at(MediaTime(next_audio)));
            next_audio += 21_333 * every;
        }
    }
    let times = |track| {
        let tags = joined.tags(track).into_iter();
        tags.map(|(time, _)| time).collect::<Vec<_>>()
    };
    assert_eq!(times(Track::Video), expected_video);
    assert_eq!(times(Track::Audio), expected_audio);
}

impl Joined {
    fn tags_last(&self, track: Track) -> Option<(u64, Bytes)> {
        self.received.iter().rev().find_map(|event| match event {
            ReceiverEvent::Tag {
                kind,
                timestamp_ms,
                body,
            } if *kind == track => Some((*timestamp_ms, body.clone())),
            _ => None,
        })
    }
}

#[test]
fn exact_across_16_777_215_ms() {
    // With chunks of 128 bytes each picture has continuation chunks that repeat the extended time.
    timeline_is_exact(0xff_ffff - 5_000, 12, 1, 4096);
    timeline_is_exact(0xff_ffff - 5_000, 12, 1, 128);
    timeline_is_exact(0xff_ffff, 2, 1, 128);
}

#[test]
fn exact_across_2_to_the_32_ms() {
    timeline_is_exact((1 << 32) - 5_000, 12, 1, 4096);
    timeline_is_exact((1 << 32) - 5_000, 12, 1, 128);
}

#[test]
fn exact_over_8_hours() {
    timeline_is_exact(0, 8 * 3600, 8, 4096);
}

#[test]
fn presentation_times_with_b_frames_are_whole_frames() {
    let mut joined = Joined::on_air(settings(), 1, MediaTime::ZERO, 0);
    let fps = FrameRate { num: 30, den: 1 };
    // Decode order of I P B B, presented I B B P; x264 shifts so that no picture is shown before it is decoded.
    let presented = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8];
    for (n, shown) in presented.iter().enumerate() {
        let dts = fps.frame_time(n as i64);
        let pts = fps.frame_time(shown + 1);
        joined.send(&video(dts.0, pts.0, n == 0, vec![n as u8]));
    }
    for (n, (time, body)) in joined.tags(Track::Video).into_iter().skip(1).enumerate() {
        let Ok(VideoBody::AccessUnit { cts_ms, .. }) = flv::parse_video(&body) else {
            panic!("not an access unit");
        };
        let shown_ms = time as i64 + i64::from(cts_ms);
        assert_eq!(shown_ms, fps.frame_time(presented[n] + 1).round_millis());
    }
}

#[test]
fn a_negative_composition_time_arrives() {
    let mut joined = Joined::on_air(settings(), 1, MediaTime::ZERO, 0);
    joined.send(&video(80_000, 40_000, true, &b"x"[..]));
    let (_, body) = joined.tags_last(Track::Video).unwrap();
    assert_eq!(
        flv::parse_video(&body),
        Ok(VideoBody::AccessUnit {
            keyframe: true,
            cts_ms: -40,
            data: Bytes::from_static(b"x")
        })
    );
}

#[test]
fn a_time_that_goes_back_is_held_and_its_presentation_stays() {
    let mut joined = Joined::on_air(settings(), 1, MediaTime::ZERO, 0);
    joined.send(&video(100_000, 100_000, true, &b"a"[..]));
    joined.send(&video(60_000, 140_000, false, &b"b"[..]));
    joined.send(&audio(-30_000, &b"c"[..]));
    let (time, body) = joined.tags_last(Track::Video).unwrap();
    assert_eq!(time, 100);
    assert!(matches!(
        flv::parse_video(&body),
        Ok(VideoBody::AccessUnit { cts_ms: 40, .. })
    ));
    assert_eq!(joined.tags_last(Track::Audio).unwrap().0, 0);
}

#[test]
fn a_new_configuration_is_sent_in_its_place() {
    let mut joined = Joined::on_air(settings(), 3, MediaTime::ZERO, 0);
    joined.send(&video(0, 0, true, &b"a"[..]));
    let mut changed = config();
    changed.video.width = 640;
    changed.video.avcc = Bytes::from_static(&[1, 0x4d, 0, 0x1e]);
    let mut out = Vec::new();
    joined
        .publisher
        .write_config(&changed, MediaTime(2_000_000), &mut out);
    joined.carry(&out);
    joined.send(&video(2_000_000, 2_000_000, true, &b"b"[..]));
    let tags = joined.tags(Track::Video);
    assert_eq!(tags[2], (2_000, flv::video_sequence_header(&changed.video)));
    assert_eq!(tags[3].0, 2_000);
    let widths: Vec<_> = joined
        .received
        .iter()
        .filter_map(|event| match event {
            ReceiverEvent::Metadata(value) => value.get("width").and_then(Amf0Value::as_number),
            _ => None,
        })
        .collect();
    assert_eq!(widths, [1280.0, 640.0]);
}

#[test]
fn a_new_configuration_does_not_push_the_sound_that_begins_before_its_picture() {
    let mut joined = Joined::on_air(settings(), 4, MediaTime::ZERO, 0);
    joined.send(&video(0, 0, true, &b"a"[..]));
    joined.send(&audio(1_000_000, &b"b"[..]));
    let mut out = Vec::new();
    joined
        .publisher
        .write_config(&config(), MediaTime(2_000_000), &mut out);
    joined.carry(&out);
    joined.send(&video(2_000_000, 2_000_000, true, &b"c"[..]));
    joined.send(&audio(1_985_000, &b"d"[..]));
    let times: Vec<u64> = joined
        .tags(Track::Audio)
        .iter()
        .map(|(time_ms, _)| *time_ms)
        .collect();
    assert_eq!(times, [0, 1_000, 1_000, 1_985]);
}

#[test]
fn acknowledgements_carry_the_running_total_past_2_to_the_32() {
    let mut publisher = publishing();
    let mut last = 0;
    // Wraps four times; each step is below 2^31.
    for n in 1..=40u64 {
        let total = n * 500_000_000;
        let ack = chunk(2, 3, 0, &(total as u32).to_be_bytes());
        let events = feed(&mut publisher, &ack).unwrap();
        assert_eq!(events, [PublisherEvent::Acknowledged { bytes: total }]);
        last = total;
    }
    let back = chunk(2, 3, 0, &((last - 10) as u32).to_be_bytes());
    assert!(feed(&mut publisher, &back).unwrap().is_empty());
}

#[test]
fn the_receiver_acknowledges_what_the_publisher_sent() {
    let mut joined = Joined::on_air(settings(), 9, MediaTime::ZERO, 0);
    for n in 0..20 {
        joined.send(&video(n * 33_000, n * 33_000, n == 0, vec![1; 50_000]));
        joined.settle();
    }
    let acknowledged: Vec<u64> = joined
        .published
        .iter()
        .filter_map(|event| match event {
            PublisherEvent::Acknowledged { bytes } => Some(*bytes),
            _ => None,
        })
        .collect();
    // A megabyte at one acknowledgement per 100,000 bytes.
    assert!((8..=10).contains(&acknowledged.len()), "{acknowledged:?}");
    assert!(acknowledged.is_sorted());
    assert!(*acknowledged.last().unwrap() <= joined.to_server.len() as u64);
}

#[test]
fn a_refusal_reaches_the_publisher_whole_and_without_the_key() {
    let mut joined = Joined::new(settings(), 4);
    joined.publisher.publish();
    let error = loop {
        let up = joined.publisher.take_output();
        joined.receiver.handle_input(&up).unwrap();
        while let Some(event) = joined.receiver.poll_event() {
            if matches!(event, ReceiverEvent::PublishRequested { .. }) {
                let text = "Stream key-123 is already publishing";
                joined
                    .receiver
                    .reject_publish("NetStream.Publish.BadName", text);
            }
        }
        let down = joined.receiver.take_output();
        if let Err(error) = joined.publisher.handle_input(&down) {
            break error;
        }
    };
    assert!(!error.is_final());
    assert_eq!(
        error.to_string(),
        "the server refused the stream: Stream •••• is already publishing \
         (NetStream.Publish.BadName); the stream key is in use: the server may still hold an earlier \
         session, and lets go of it after a while; or another encoder uses the same key"
    );
    assert_eq!(joined.publisher.handle_input(&[]), Err(error));
}

#[test]
fn a_reconnect_request_is_told_and_the_stream_goes_on() {
    let mut joined = Joined::on_air(settings(), 5, MediaTime::ZERO, 0);
    let url = "rtmps://elsewhere.example:443/live";
    joined
        .receiver
        .request_reconnect(Some(url), "server update");
    joined.settle();
    assert_eq!(
        joined.published.last(),
        Some(&PublisherEvent::ReconnectRequested {
            tc_url: Some(url.to_owned()),
            description: "server update".to_owned()
        })
    );
    assert!(joined.send(&video(0, 0, true, &b"x"[..])));
    joined.receiver.request_reconnect(None, "");
    joined.settle();
    assert_eq!(
        joined.published.last(),
        Some(&PublisherEvent::ReconnectRequested {
            tc_url: None,
            description: String::new()
        })
    );
}

#[test]
fn who_asks_to_play_is_refused_politely() {
    let mut receiver = crate::rtmp::Receiver::handshaken(crate::rtmp::ReceiverSettings::default());
    let connect = command(&[
        Amf0Value::string("connect"),
        Amf0Value::Number(1.0),
        Amf0Value::object([("app", Amf0Value::string("live"))]),
    ]);
    receiver.handle_input(&connect).unwrap();
    receiver.take_output();
    let play = command(&[
        Amf0Value::string("play"),
        Amf0Value::Number(3.0),
        Amf0Value::Null,
        Amf0Value::string("stream"),
    ]);
    receiver.handle_input(&play).unwrap();
    let answer = String::from_utf8_lossy(&receiver.take_output()).into_owned();
    assert!(answer.contains("NetStream.Play.Failed"), "{answer}");
    assert!(answer.contains("This server takes streams and gives none."));
}

#[test]
fn adobe_authentication_takes_three_connections() {
    const ASKS: &str = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";
    const CHALLENGES: &str = "[ AccessManager.Reject ] : [ authmod=adobe ] : \
        ?reason=needauth&user=john&salt=SALT&challenge=CHAL&opaque=OPAQ";
    let original = PublisherSettings {
        credentials: Some(Credentials {
            user: "john".into(),
            password: Secret::new("s3cr3t"),
        }),
        ..settings()
    };
    let mut current = original.clone();
    for description in [ASKS, CHALLENGES] {
        let mut publisher = Publisher::handshaken(current.clone());
        publisher.take_output();
        let events = feed(&mut publisher, &connect_error(description)).unwrap();
        let [PublisherEvent::Retry { query }] = &events[..] else {
            panic!("{events:?}");
        };
        assert!(!format!("{events:?}").contains("john"));
        // The next connect replaces what an earlier one appended, from whichever settings it starts.
        current = current.with_query(query);
        assert_eq!(current.app, original.with_query(query).app);
    }
    assert!(
        current
            .app
            .starts_with("live/event?authmod=adobe&user=john&challenge=")
    );
    assert!(
        current
            .tc_url
            .contains("/live/event?authmod=adobe&user=john&challenge=")
    );
    assert!(current.app.contains("&response="));
    assert!(current.app.ends_with("&opaque=OPAQ"));
    assert!(!current.app.contains("s3cr3t"));
    assert!(!format!("{current:?}").contains("response"));

    // Whether the server repeats the challenge or says so: the password is wrong, and that is final.
    for description in [
        CHALLENGES,
        "[ authmod=adobe ] : ?reason=authfailed&opaque=x",
    ] {
        let mut publisher = Publisher::handshaken(current.clone());
        let error = feed(&mut publisher, &connect_error(description)).unwrap_err();
        assert!(error.is_final());
        assert!(
            error
                .to_string()
                .ends_with("check this destination's user and password"),
            "{error}"
        );
    }
    let mut without = Publisher::handshaken(settings());
    let error = feed(&mut without, &connect_error(ASKS)).unwrap_err();
    assert!(error.is_final());
    assert_eq!(
        error.to_string(),
        "the server asks for a user and a password: give this destination `user` and `password`"
    );
}

#[test]
fn rejections_are_told_apart() {
    let cases = [
        (
            "NetStream.Publish.BadName",
            "busy name",
            RejectKind::BadName,
        ),
        ("NetStream.Publish.Denied", "no", RejectKind::Denied),
        ("NetStream.Publish.Rejected", "wrong", RejectKind::Denied),
        ("NetStream.Failed", "stream key expired", RejectKind::Denied),
    ];
    for (code, description, expected) in cases {
        let mut publisher = awaiting_publish();
        let info = status("error", code, description);
        let error = feed(&mut publisher, &on_status(info)).unwrap_err();
        let crate::rtmp::PublisherError::Rejected { kind, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(kind, expected, "{code}");
    }
}

#[test]
fn a_goodbye_is_said_only_by_finish() {
    let mut publisher = publishing();
    assert!(publisher.take_output().is_empty());
    publisher.finish();
    let goodbye = String::from_utf8_lossy(&publisher.take_output()).into_owned();
    assert!(goodbye.contains("FCUnpublish") && goodbye.contains("deleteStream"));
    let mut out = Vec::new();
    assert!(!publisher.write_unit(&video(0, 0, true, &b"x"[..]), &mut out));
    assert!(out.is_empty());
    publisher.finish();
    assert!(publisher.take_output().is_empty());
}
