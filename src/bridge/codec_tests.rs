use super::*;
use crate::bridge::mix::{MixAnswer, MixCommand, View};
use crate::bridge::protocol::{EncoderTrial, EngineEvent, SourceState};
use crate::config::{
    Audio, EncoderChoice, EngineSpec, Programme, Scene, Source, SourceKind, Transition, Tune, Video,
};
use proptest::prelude::*;

fn spec() -> EngineSpec {
    EngineSpec {
        programme: Programme {
            width: 1920,
            height: 1080,
            fps: FrameRate {
                num: 30_000,
                den: 1_001,
            },
            video: Video {
                encoder: EncoderChoice::Auto,
                preset: "veryfast".into(),
                tune: Tune::Quality,
                bitrate_kbps: 6_000,
                min_bitrate_kbps: 2_000,
                keyframe_s: 2.0,
            },
            audio: Audio {
                bitrate_kbps: 128,
                sample_rate: 48_000,
                limiter_db: Some(Audio::LIMITER_DB),
                target_lufs: Audio::TARGET_LUFS,
            },
            stamp: true,
            alarms: Default::default(),
            multiview: None,
        },
        sources: vec![Source {
            id: "cam".into(),
            kind: SourceKind::File {
                path: "/a b/ü.mp4".into(),
                repeat: true,
            },
            slate: None,
            audio: Default::default(),
        }],
        scenes: vec![Scene::full("one", "cam")],
        titles: Vec::new(),
        overlays: Vec::new(),
    }
}

fn hello() -> Up {
    Up::Hello { version: VERSION }
}

fn start() -> Down {
    let mix = MixState {
        scene: "one".into(),
        audio: [("cam".to_owned(), Default::default())].into(),
        ..MixState::default()
    };
    Down::Start {
        version: VERSION,
        spec: Box::new(spec()),
        mix: Some(Box::new(mix)),
    }
}

fn pushed(pushed: Pushed) -> Down {
    Down::Pushed {
        source: 513,
        pushed,
    }
}

fn bytes<M: Message>(messages: &[M]) -> Vec<u8> {
    messages
        .iter()
        .flat_map(|m| m.encode().unwrap().to_vec())
        .collect()
}

fn drain<M: Message>(decoder: &mut Decoder<M>) -> Result<Vec<M>, ProtocolError> {
    std::iter::from_fn(|| decoder.next_message().transpose()).collect()
}

fn refusal<M: Message + std::fmt::Debug>(wire: &[u8]) -> String {
    let mut decoder = Decoder::<M>::new();
    decoder.push(wire);
    drain(&mut decoder).unwrap_err().to_string()
}

fn any_up() -> impl Strategy<Value = Up> {
    let data = prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from);
    let unit = (
        any::<bool>(),
        any::<bool>(),
        any::<i64>(),
        any::<i64>(),
        data.clone(),
    )
        .prop_map(|(audio, keyframe, dts, pts, data)| {
            Up::Unit(MediaUnit {
                track: if audio { Track::Audio } else { Track::Video },
                dts: MediaTime(dts),
                pts: MediaTime(pts),
                keyframe,
                data,
            })
        });
    let config = (data.clone(), data, any::<u32>(), any::<u32>(), any::<u8>()).prop_map(
        |(avcc, asc, a, b, channels)| StreamConfig {
            video: VideoConfig {
                avcc,
                width: a,
                height: b,
                fps: FrameRate { num: b, den: a },
                bitrate_kbps: a,
            },
            audio: AudioConfig {
                asc,
                sample_rate: b,
                channels,
                bitrate_kbps: b,
            },
        },
    );
    let piece = prop::collection::vec(any::<u8>(), 0..50).prop_map(Bytes::from);
    let pictures = prop::collection::vec(piece.clone(), 0..5);
    let slate = (config.clone(), pictures, piece).prop_map(|(config, pictures, sound)| {
        Up::Slate(Clip {
            config,
            pictures,
            sound,
        })
    });
    let config = config.prop_map(Up::Config);
    let jpeg = prop::collection::vec(any::<u8>(), 0..50).prop_map(Bytes::from);
    let thumbnail = (jpeg, ".*").prop_map(|(jpeg, id)| {
        let of = View::Source(id);
        Up::Thumbnail(Thumbnail { of, jpeg })
    });
    let text = ".*";
    let event = prop_oneof![
        any::<u32>().prop_map(|kbps| EngineEvent::Bitrate { kbps }),
        any::<u64>().prop_map(|dropped| EngineEvent::Overload { dropped }),
        (any::<u64>(), text).prop_map(|(request, note)| {
            let result = Ok(MixAnswer {
                ran: Transition::CUT,
                at: MediaTime(request as i64),
                note,
            });
            EngineEvent::MixDone { request, result }
        }),
        (any::<u64>(), text).prop_map(|(request, text)| {
            let result = Err(text);
            EngineEvent::MixDone { request, result }
        }),
        text.prop_map(|text| EngineEvent::Fatal { text }),
        (text, text).prop_map(|(id, detail)| EngineEvent::Source {
            id,
            state: SourceState::Lost,
            detail
        }),
        (text, proptest::option::of(text)).prop_map(|(name, error)| EngineEvent::Encoder {
            name: name.clone(),
            tried: vec![EncoderTrial {
                element: name,
                error
            }]
        }),
    ];
    prop_oneof![3 => unit, 1 => config, 1 => slate, 1 => thumbnail, 1 => event.prop_map(Up::Event)]
}

#[test]
fn down_messages_come_through() {
    let sent = [
        start(),
        Down::SetBitrate { kbps: 3_500 },
        Down::EncodeSlate,
        Down::Mix {
            request: 7,
            at: MediaTime(-5),
            command: MixCommand::Take {
                scene: Some("one".into()),
                transition: Some(Transition::CUT),
            },
        },
        pushed(Pushed::Config {
            track: Track::Audio,
            data: Bytes::from_static(&[0x11, 0x90]),
        }),
        pushed(Pushed::Unit(MediaUnit {
            track: Track::Video,
            dts: MediaTime(-40_000),
            pts: MediaTime(i64::MAX),
            keyframe: true,
            data: Bytes::from_static(&[0, 0, 0, 1, 9]),
        })),
        pushed(Pushed::End {
            text: "zu Ende, für heute".into(),
        }),
        Down::Stop,
    ];
    let mut decoder = Decoder::<Down>::new();
    decoder.push(&bytes(&sent));
    assert_eq!(drain(&mut decoder).unwrap(), sent);
}

#[test]
fn a_unit_is_written_from_its_own_bytes_and_read_into_its_own() {
    let data = Bytes::from(vec![7; 5_000]);
    let unit = Up::Unit(MediaUnit {
        track: Track::Video,
        dts: MediaTime(1),
        pts: MediaTime(2),
        keyframe: true,
        data: data.clone(),
    });
    let frame = unit.encode().unwrap();
    assert_eq!(frame.payload().as_ptr(), data.as_ptr());
    let mut decoder = Decoder::<Up>::new();
    decoder.push(&hello().encode().unwrap().to_vec());
    decoder.next_message().unwrap();
    let space = decoder.space();
    space.extend_from_slice(&frame.to_vec());
    let held = space.as_ptr_range();
    let Some(Up::Unit(read)) = decoder.next_message().unwrap() else {
        panic!("no unit");
    };
    assert!(
        !held.contains(&read.data.as_ptr()),
        "a unit that is held must not keep the buffer alive"
    );
    assert_eq!(read.data, data);
}

#[test]
fn another_version_is_refused_before_anything_else_is_read() {
    assert_eq!(
        refusal::<Up>(&[0, 0, 0, 3, HELLO, 0, 9]),
        "the other end speaks version 9 of the engine protocol and this one version 3: both must come from one build of regia"
    );
    assert_eq!(
        refusal::<Down>(&[0, 0, 0, 5, START, 0, 9, b'?', b'!']),
        "the other end speaks version 9 of the engine protocol and this one version 3: both must come from one build of regia"
    );
}

#[test]
fn refusals_say_what_is_wrong() {
    assert_eq!(
        refusal::<Up>(&[0, 0, 0, 1, EVENT]),
        "the engine protocol must start with its version, but message 4 came first"
    );
    assert_eq!(
        refusal::<Up>(&bytes(&[hello(), hello()])),
        "the engine protocol's version came a second time"
    );
    assert_eq!(
        refusal::<Up>(&[0, 0, 0, 1, STOP]),
        "message 67 is unknown to the engine protocol"
    );
    assert_eq!(
        refusal::<Up>(&[0xff, 0xff, 0xff, 0xff, UNIT]),
        "message 3 has 4294967295 bytes, more than the 16777216 allowed"
    );
    let greeted = |rest: &[u8]| [bytes(&[hello()]), rest.to_vec()].concat();
    assert_eq!(
        refusal::<Up>(&greeted(&[0, 0, 0, 2, UNIT, 0])),
        "message 3 is too short for what it must carry"
    );
    assert_eq!(
        refusal::<Up>(&greeted(
            &[&[0, 0, 0, 18, UNIT, 0x80][..], &[0; 16]].concat()
        )),
        "a media unit has unknown flags 0x80"
    );
    assert_eq!(
        refusal::<Up>(&greeted(&[0, 0, 0, 3, EVENT, b'{', b'}'])),
        "message 4 can't be read: missing field `event` at line 1 column 2"
    );
    assert_eq!(
        refusal::<Down>(&[bytes(&[start()]), vec![0, 0, 0, 2, STOP, 1]].concat()),
        "message 67 carries 1 bytes too many"
    );
    let pushed = |rest: &[u8]| refusal::<Down>(&[&bytes(&[start()]), rest].concat());
    assert_eq!(
        pushed(&[&[0, 0, 0, 16, MIX][..], &[0; 15]].concat()),
        "message 81 is too short for what it must carry"
    );
    assert_eq!(
        pushed(&[0, 0, 0, 2, PUSHED_UNIT, 1]),
        "message 83 is too short for what it must carry"
    );
    assert_eq!(
        pushed(&[0, 0, 0, 4, PUSHED_CONFIG, 0, 1, FLAG_KEYFRAME]),
        "a media unit has unknown flags 0x02"
    );
    assert_eq!(
        pushed(&[0, 0, 0, 4, PUSHED_END, 0, 1, 0xff]),
        "message 84 holds no text: invalid utf-8 sequence of 1 bytes from index 0"
    );
}

#[test]
fn what_is_too_long_is_not_written() {
    let unit = Up::Unit(MediaUnit {
        track: Track::Video,
        dts: MediaTime::ZERO,
        pts: MediaTime::ZERO,
        keyframe: false,
        data: Bytes::from(vec![0; MAX_UNIT]),
    });
    assert_eq!(
        unit.encode().unwrap_err().to_string(),
        "message 3 has 16777234 bytes, more than the 16777216 allowed"
    );
}

proptest! {
    #[test]
    fn messages_come_through_wherever_the_stream_is_cut(
        ups in prop::collection::vec(any_up(), 0..8),
        cuts in prop::collection::vec(1usize..64, 1..40),
    ) {
        let sent: Vec<Up> = std::iter::once(hello()).chain(ups).collect();
        let wire = bytes(&sent);
        let mut decoder = Decoder::<Up>::new();
        let mut read = Vec::new();
        let (mut rest, mut cuts) = (wire.as_slice(), cuts.iter().cycle());
        while !rest.is_empty() {
            let at = (*cuts.next().unwrap()).min(rest.len());
            decoder.push(&rest[..at]);
            rest = &rest[at..];
            read.extend(drain(&mut decoder).unwrap());
        }
        prop_assert_eq!(read, sent);
    }

    #[test]
    fn any_bytes_are_safe(garbage: Vec<u8>, greet: bool) {
        let mut up = Decoder::<Up>::new();
        let mut down = Decoder::<Down>::new();
        if greet {
            up.push(&bytes(&[hello()]));
            down.push(&bytes(&[start()]));
        }
        for part in garbage.chunks(7) {
            up.push(part);
            down.push(part);
            let _ = (drain(&mut up), drain(&mut down));
            let _ = (up.space().len(), down.space().len());
        }
    }

    #[test]
    fn a_damaged_stream_is_safe(ups in prop::collection::vec(any_up(), 1..5), at: prop::sample::Index, with: u8) {
        let mut wire = bytes(&[hello()]);
        wire.extend(bytes(&ups));
        let at = at.index(wire.len());
        wire[at] ^= with;
        let mut decoder = Decoder::<Up>::new();
        decoder.push(&wire);
        let first = drain(&mut decoder);
        if let Err(error) = first {
            prop_assert_eq!(decoder.next_message(), Err(error));
        }
    }
}
