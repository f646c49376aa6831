//! Media units ↔ the bodies of FLV tags (Adobe's Video File Format 10.1, annex E), which are also what
//! RTMP's audio, video and data messages carry. Files of tags are in `flv_file`.
//!
//! H.264 and AAC in their legacy form only: that is what every platform takes.

use super::amf0::Amf0Value;
use crate::media::{AudioConfig, MediaUnit, StreamConfig, Track, VideoConfig};
use bytes::Bytes;

const CODEC_AVC: u8 = 7;
const SOUND_AAC: u8 = 10;
const FRAME_KEY: u8 = 1;
const FRAME_INTER: u8 = 2;
/// A frame that only commands the player (E.4.3.1); it holds no picture.
const FRAME_COMMAND: u8 = 5;
/// Enhanced RTMP: the first bit says that a fourcc follows instead of a codec number.
const ENHANCED: u8 = 0x80;
/// AAC always says 44 kHz, 16 bit, stereo here; the truth is in its sequence header (E.4.2.1).
const AAC_FLAGS: u8 = SOUND_AAC << 4 | 0x0f;
const PACKET_HEADER: u8 = 0;
const PACKET_DATA: u8 = 1;
const PACKET_END: u8 = 2;
/// A composition time is 24 bits, signed.
const MAX_CTS_MS: i64 = 0x7f_ffff;

/// The body of a video tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VideoBody {
    /// AVCDecoderConfigurationRecord.
    SequenceHeader(Bytes),
    /// One access unit in avcC form. Presentation time = tag time + `cts_ms`.
    AccessUnit {
        keyframe: bool,
        cts_ms: i32,
        data: Bytes,
    },
    EndOfSequence,
    /// Seek marks and the like: nothing to decode.
    Command,
}

/// The body of an audio tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AudioBody {
    /// AudioSpecificConfig.
    SequenceHeader(Bytes),
    /// One raw AAC frame.
    Frame(Bytes),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlvError {
    #[error("an FLV {0} tag ends within its header")]
    Truncated(&'static str),
    #[error(
        "the video is Enhanced RTMP ({0}), and Regia takes H.264 in its legacy form: \
         choose H.264 (AVC) in the sending encoder"
    )]
    EnhancedVideo(String),
    #[error(
        "the audio is Enhanced RTMP ({0}), and Regia takes AAC in its legacy form: \
         choose AAC, one track, in the sending encoder"
    )]
    EnhancedAudio(String),
    #[error(
        "the video codec is number {0}, and Regia takes H.264 (7): choose H.264 in the sending encoder"
    )]
    VideoCodec(u8),
    #[error(
        "the audio codec is number {0}, and Regia takes AAC (10): choose AAC in the sending encoder"
    )]
    AudioCodec(u8),
    #[error("the video packet type is {0}, which H.264 does not have")]
    VideoPacket(u8),
    #[error("the audio packet type is {0}, which AAC does not have")]
    AudioPacket(u8),
    #[error("the file does not start with an FLV header")]
    NotFlv,
    #[error("an FLV tag of type {0} is neither audio (8), video (9) nor script data (18)")]
    TagType(u8),
    #[error("an FLV tag is encrypted")]
    Encrypted,
    #[error("an FLV tag's body of {0} bytes does not fit into 24 bits of length")]
    TooLong(usize),
}

/// The body that carries `unit`. `cts_ms` is presentation less tag time; it counts for video only.
pub fn unit_body(unit: &MediaUnit, cts_ms: i64) -> Bytes {
    match unit.track {
        Track::Video => {
            let frame = if unit.keyframe {
                FRAME_KEY
            } else {
                FRAME_INTER
            };
            let cts = cts_ms.clamp(-MAX_CTS_MS - 1, MAX_CTS_MS) as i32;
            video_body(frame, PACKET_DATA, cts, &unit.data)
        }
        Track::Audio => audio_body(PACKET_DATA, &unit.data),
    }
}

pub fn video_sequence_header(config: &VideoConfig) -> Bytes {
    video_body(FRAME_KEY, PACKET_HEADER, 0, &config.avcc)
}

pub fn audio_sequence_header(config: &AudioConfig) -> Bytes {
    audio_body(PACKET_HEADER, &config.asc)
}

fn video_body(frame: u8, packet: u8, cts_ms: i32, data: &[u8]) -> Bytes {
    let [_, cts @ ..] = cts_ms.to_be_bytes();
    let mut body = Vec::with_capacity(5 + data.len());
    body.extend_from_slice(&[frame << 4 | CODEC_AVC, packet]);
    body.extend_from_slice(&cts);
    body.extend_from_slice(data);
    body.into()
}

fn audio_body(packet: u8, data: &[u8]) -> Bytes {
    let mut body = Vec::with_capacity(2 + data.len());
    body.extend_from_slice(&[AAC_FLAGS, packet]);
    body.extend_from_slice(data);
    body.into()
}

/// onMetaData's value. An ECMA array, because some servers look for nothing else.
pub fn metadata(config: &StreamConfig) -> Amf0Value {
    let number = |value: f64| Amf0Value::Number(value);
    let (video, audio) = (&config.video, &config.audio);
    Amf0Value::ecma_array([
        ("duration", number(0.0)),
        ("fileSize", number(0.0)),
        ("width", number(f64::from(video.width))),
        ("height", number(f64::from(video.height))),
        ("videocodecid", number(f64::from(CODEC_AVC))),
        ("videodatarate", number(f64::from(video.bitrate_kbps))),
        ("framerate", number(video.fps.as_f64())),
        ("audiocodecid", number(f64::from(SOUND_AAC))),
        ("audiodatarate", number(f64::from(audio.bitrate_kbps))),
        ("audiosamplerate", number(f64::from(audio.sample_rate))),
        ("audiosamplesize", number(16.0)),
        ("audiochannels", number(f64::from(audio.channels))),
        ("stereo", Amf0Value::Boolean(audio.channels == 2)),
        (
            "encoder",
            Amf0Value::string(concat!("Regia ", env!("CARGO_PKG_VERSION"))),
        ),
    ])
}

/// Reads a video tag's body. Any input is safe.
pub fn parse_video(body: &Bytes) -> Result<VideoBody, FlvError> {
    let truncated = FlvError::Truncated("video");
    let &first = body.first().ok_or(truncated.clone())?;
    if first & ENHANCED != 0 {
        return Err(FlvError::EnhancedVideo(fourcc(body)));
    }
    let (frame, codec) = (first >> 4, first & 0x0f);
    if codec != CODEC_AVC {
        return Err(FlvError::VideoCodec(codec));
    }
    if frame == FRAME_COMMAND {
        return Ok(VideoBody::Command);
    }
    let &[_, packet, c0, c1, c2] = body.first_chunk::<5>().ok_or(truncated)?;
    let data = body.slice(5..);
    match packet {
        PACKET_HEADER => Ok(VideoBody::SequenceHeader(data)),
        PACKET_DATA => Ok(VideoBody::AccessUnit {
            keyframe: frame == FRAME_KEY,
            // Shifted down from the top so that the sign comes along.
            cts_ms: i32::from_be_bytes([c0, c1, c2, 0]) >> 8,
            data,
        }),
        PACKET_END => Ok(VideoBody::EndOfSequence),
        other => Err(FlvError::VideoPacket(other)),
    }
}

/// Reads an audio tag's body. Any input is safe.
pub fn parse_audio(body: &Bytes) -> Result<AudioBody, FlvError> {
    let &first = body.first().ok_or(FlvError::Truncated("audio"))?;
    match first >> 4 {
        SOUND_AAC => {}
        // Enhanced RTMP took the number 9, which no codec had.
        9 => return Err(FlvError::EnhancedAudio(fourcc(body))),
        other => return Err(FlvError::AudioCodec(other)),
    }
    let &packet = body.get(1).ok_or(FlvError::Truncated("audio"))?;
    let data = body.slice(2..);
    match packet {
        PACKET_HEADER => Ok(AudioBody::SequenceHeader(data)),
        PACKET_DATA => Ok(AudioBody::Frame(data)),
        other => Err(FlvError::AudioPacket(other)),
    }
}

/// The four letters that name an enhanced codec ("hvc1", "av01", "Opus"), as far as they are letters. With
/// several tracks or modifiers they stand further behind, and the text is "unnamed".
fn fourcc(body: &[u8]) -> String {
    match body.get(1..5) {
        Some(letters) if letters.iter().all(u8::is_ascii_alphanumeric) => {
            String::from_utf8_lossy(letters).into_owned()
        }
        _ => "an unnamed codec".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{FrameRate, MediaTime};
    use proptest::prelude::*;

    fn unit(track: Track, keyframe: bool, data: &'static [u8]) -> MediaUnit {
        MediaUnit {
            track,
            dts: MediaTime::ZERO,
            pts: MediaTime::ZERO,
            keyframe,
            data: Bytes::from_static(data),
        }
    }

    #[test]
    fn bodies_have_the_bytes_of_the_specification() {
        let key = unit_body(&unit(Track::Video, true, b"au"), 67);
        assert_eq!(key[..], [0x17, 1, 0, 0, 67, b'a', b'u']);
        let b_frame = unit_body(&unit(Track::Video, false, b"au"), -2);
        assert_eq!(b_frame[..], [0x27, 1, 0xff, 0xff, 0xfe, b'a', b'u']);
        let audio = unit_body(&unit(Track::Audio, false, b"aac"), 0);
        assert_eq!(audio[..], [0xaf, 1, b'a', b'a', b'c']);
    }

    #[test]
    fn sequence_headers_come_back() {
        let config = config();
        let video = video_sequence_header(&config.video);
        assert_eq!(video[..5], [0x17, 0, 0, 0, 0]);
        assert_eq!(
            parse_video(&video),
            Ok(VideoBody::SequenceHeader(config.video.avcc.clone()))
        );
        let audio = audio_sequence_header(&config.audio);
        assert_eq!(audio[..2], [0xaf, 0]);
        assert_eq!(
            parse_audio(&audio),
            Ok(AudioBody::SequenceHeader(config.audio.asc.clone()))
        );
    }

    #[test]
    fn metadata_is_an_ecma_array() {
        let value = metadata(&config());
        assert!(matches!(value, Amf0Value::EcmaArray(_)));
        assert_eq!(
            value.get("framerate"),
            Some(&Amf0Value::Number(29.97002997002997))
        );
        assert_eq!(
            value.get("audiosamplerate"),
            Some(&Amf0Value::Number(48_000.0))
        );
    }

    #[test]
    fn what_is_not_taken_says_what_to_choose() {
        let cases: [(&[u8], &str); 3] = [
            (
                b"\x90hvc1rest",
                "the video is Enhanced RTMP (hvc1), and Regia takes H.264 in its legacy form: \
                 choose H.264 (AVC) in the sending encoder",
            ),
            (
                b"\x96\x00",
                "the video is Enhanced RTMP (an unnamed codec), and Regia takes H.264 in its legacy form: \
                 choose H.264 (AVC) in the sending encoder",
            ),
            (
                b"\x12\x00",
                "the video codec is number 2, and Regia takes H.264 (7): choose H.264 in the sending encoder",
            ),
        ];
        for (body, text) in cases {
            let error = parse_video(&Bytes::from_static(body)).unwrap_err();
            assert_eq!(error.to_string(), text);
        }
        assert_eq!(
            parse_audio(&Bytes::from_static(b"\x2f\x00"))
                .unwrap_err()
                .to_string(),
            "the audio codec is number 2, and Regia takes AAC (10): choose AAC in the sending encoder"
        );
    }

    proptest! {
        #[test]
        fn composition_times_round_trip(cts in -0x80_0000i64..=0x7f_ffff, keyframe: bool) {
            let body = unit_body(&unit(Track::Video, keyframe, b"x"), cts);
            prop_assert_eq!(parse_video(&body), Ok(VideoBody::AccessUnit {
                keyframe,
                cts_ms: cts as i32,
                data: Bytes::from_static(b"x"),
            }));
        }

        #[test]
        fn any_body_is_safe(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let body = Bytes::from(bytes);
            let _ = parse_video(&body);
            let _ = parse_audio(&body);
        }
    }

    fn config() -> StreamConfig {
        StreamConfig {
            video: VideoConfig {
                avcc: Bytes::from_static(b"avcc"),
                width: 1920,
                height: 1080,
                fps: FrameRate {
                    num: 30_000,
                    den: 1_001,
                },
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
}
