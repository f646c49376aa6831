//! The pushing session against a server that says anything: no panic, bounded output, no secret in a text.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use regia::config::{Credentials, Secret};
use regia::media::{
    AudioConfig, FrameRate, MediaTime, MediaUnit, StreamConfig, Track, VideoConfig,
};
use regia::rtmp::{Publisher, PublisherEvent, PublisherSettings};

const KEY: &str = "k3y-of-the-stream";
const PASSWORD: &str = "pa55-of-the-user";

fn config() -> StreamConfig {
    StreamConfig {
        video: VideoConfig {
            avcc: Bytes::from_static(&[1, 0x64, 0, 0x28]),
            width: 1920,
            height: 1080,
            fps: FrameRate { num: 30, den: 1 },
            bitrate_kbps: 6_000,
        },
        audio: AudioConfig {
            asc: Bytes::from_static(&[0x11, 0x90]),
            sample_rate: 48_000,
            channels: 2,
            bitrate_kbps: 128,
        },
    }
}

fuzz_target!(|input: (u8, &[u8])| {
    let (portion, bytes) = input;
    let mut publisher = Publisher::new(PublisherSettings {
        app: "live".into(),
        tc_url: "rtmp://host/live".into(),
        key: Secret::new(KEY),
        credentials: Some(Credentials {
            user: "user".into(),
            password: Secret::new(PASSWORD),
        }),
        chunk_size: 4096,
    });
    publisher.publish();
    // S0, and an S1 and S2 of the plain handshake.
    let mut hello = vec![0; 1 + 2 * 1536];
    hello[0] = 3;
    publisher.handle_input(&hello).expect("a plain handshake");
    let mut out = Vec::new();
    for portion in bytes.chunks(usize::from(portion).max(1)) {
        if let Err(error) = publisher.handle_input(portion) {
            let text = error.to_string();
            assert!(!text.contains(KEY) && !text.contains(PASSWORD));
            assert!(text.chars().count() < 1_500);
            break;
        }
        while let Some(event) = publisher.poll_event() {
            if let PublisherEvent::Notice { code, description } = &event {
                assert!(!code.contains(KEY) && !description.contains(KEY));
            }
            if event == PublisherEvent::Publishing {
                publisher.start_media(&config(), MediaTime::ZERO, &mut out);
                let unit = MediaUnit {
                    track: Track::Video,
                    dts: MediaTime::ZERO,
                    pts: MediaTime::ZERO,
                    keyframe: true,
                    data: Bytes::from_static(&[5; 5_000]),
                };
                assert!(publisher.write_unit(&unit, &mut out));
            }
        }
    }
    publisher.finish();
    assert!(publisher.take_output().len() < 100_000);
});
