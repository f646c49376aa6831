//! What an encoder pushes, as the engine takes it. Pure: tags in, parts out.

use crate::bridge::protocol::Pushed;
use crate::media::{MediaTime, MediaUnit, Track};
use crate::rtmp::flv::{AudioBody, FlvError, VideoBody, parse_audio, parse_video};
use bytes::Bytes;

/// Frames of sound after which its configuration is said again where no keyframes come: an engine that starts in the middle
/// needs it.
const CONFIG_EVERY: u32 = 40;

#[derive(Debug, Default)]
pub struct Feed {
    video: Option<Bytes>,
    audio: Option<Bytes>,
    /// Frames of sound since its configuration was said.
    frames: u32,
    /// Pictures were left out: what follows relies on them, up to the next keyframe.
    broken: bool,
}

impl Feed {
    /// The parts that a tag makes. The error is for the encoder's operator.
    pub fn handle_tag(
        &mut self,
        track: Track,
        timestamp_ms: u64,
        body: &Bytes,
    ) -> Result<Vec<Pushed>, FlvError> {
        let at = MediaTime::from_millis(i64::try_from(timestamp_ms).unwrap_or(i64::MAX / 1_000));
        match track {
            Track::Video => Ok(self.handle_video(at, parse_video(body)?)),
            Track::Audio => Ok(self.handle_audio(at, parse_audio(body)?)),
        }
    }

    /// A part was not taken.
    pub fn handle_loss(&mut self) {
        self.broken = true;
    }

    fn handle_video(&mut self, at: MediaTime, body: VideoBody) -> Vec<Pushed> {
        match body {
            VideoBody::SequenceHeader(config) => {
                self.video = Some(config);
                Vec::new()
            }
            VideoBody::AccessUnit { data, .. } if data.is_empty() => Vec::new(),
            VideoBody::AccessUnit {
                keyframe,
                cts_ms,
                data,
            } => {
                if self.broken && !keyframe {
                    return Vec::new();
                }
                let mut parts = Vec::new();
                if keyframe {
                    self.broken = false;
                    parts.extend(config(Track::Video, &self.video));
                    parts.extend(self.audio_config());
                }
                parts.push(Pushed::Unit(MediaUnit {
                    track: Track::Video,
                    dts: at,
                    pts: MediaTime(at.0.saturating_add(i64::from(cts_ms) * 1_000)),
                    keyframe,
                    data,
                }));
                parts
            }
            VideoBody::EndOfSequence | VideoBody::Command => Vec::new(),
        }
    }

    fn handle_audio(&mut self, at: MediaTime, body: AudioBody) -> Vec<Pushed> {
        match body {
            AudioBody::SequenceHeader(config) => {
                self.audio = Some(config);
                self.audio_config()
            }
            AudioBody::Frame(data) if data.is_empty() => Vec::new(),
            AudioBody::Frame(data) => {
                self.frames += 1;
                let mut parts = if self.frames > CONFIG_EVERY {
                    self.audio_config()
                } else {
                    Vec::new()
                };
                parts.push(Pushed::Unit(MediaUnit {
                    track: Track::Audio,
                    dts: at,
                    pts: at,
                    keyframe: false,
                    data,
                }));
                parts
            }
        }
    }

    fn audio_config(&mut self) -> Vec<Pushed> {
        self.frames = 0;
        config(Track::Audio, &self.audio).into_iter().collect()
    }
}

fn config(track: Track, data: &Option<Bytes>) -> Option<Pushed> {
    let data = data.clone()?;
    Some(Pushed::Config { track, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(bytes: &'static [u8]) -> Bytes {
        Bytes::from_static(bytes)
    }

    const VIDEO_HEADER: &[u8] = &[0x17, 0, 0, 0, 0, 1, 100];
    const KEYFRAME: &[u8] = &[0x17, 1, 0, 0, 80, 9];
    const INTER: &[u8] = &[0x27, 1, 0xff, 0xff, 0xd8, 8];
    const AUDIO_HEADER: &[u8] = &[0xaf, 0, 0x11, 0x90];
    const FRAME: &[u8] = &[0xaf, 1, 7];

    fn tags(feed: &mut Feed, tags: &[(Track, u64, &'static [u8])]) -> Vec<Pushed> {
        let take = |(track, at, body): &(Track, u64, &'static [u8])| {
            feed.handle_tag(*track, *at, &video(body)).unwrap()
        };
        tags.iter().flat_map(take).collect()
    }

    fn unit(track: Track, dts: i64, pts: i64, keyframe: bool, data: &'static [u8]) -> Pushed {
        Pushed::Unit(MediaUnit {
            track,
            dts: MediaTime::from_millis(dts),
            pts: MediaTime::from_millis(pts),
            keyframe,
            data: Bytes::from_static(data),
        })
    }

    fn config(track: Track, data: &'static [u8]) -> Pushed {
        let data = Bytes::from_static(data);
        Pushed::Config { track, data }
    }

    #[test]
    fn configurations_come_before_every_keyframe() {
        use Track::{Audio, Video};
        let mut feed = Feed::default();
        let got = tags(
            &mut feed,
            &[
                (Video, 0, VIDEO_HEADER),
                (Audio, 0, AUDIO_HEADER),
                (Video, 40, KEYFRAME),
                (Audio, 41, FRAME),
                (Video, 80, INTER),
                (Video, 120, KEYFRAME),
            ],
        );
        let wanted = [
            config(Audio, &[0x11, 0x90]),
            config(Video, &[1, 100]),
            config(Audio, &[0x11, 0x90]),
            unit(Video, 40, 120, true, &[9]),
            unit(Audio, 41, 41, false, &[7]),
            unit(Video, 80, 40, false, &[8]),
            config(Video, &[1, 100]),
            config(Audio, &[0x11, 0x90]),
            unit(Video, 120, 200, true, &[9]),
        ];
        assert_eq!(got, wanted);
    }

    #[test]
    fn sound_alone_says_its_configuration_again_and_again() {
        let mut feed = Feed::default();
        tags(&mut feed, &[(Track::Audio, 0, AUDIO_HEADER)]);
        let frames: Vec<_> = (0..100).map(|n| (Track::Audio, n * 21, FRAME)).collect();
        let configs = tags(&mut feed, &frames)
            .into_iter()
            .filter(|part| matches!(part, Pushed::Config { .. }));
        assert_eq!(configs.count(), 2);
    }

    #[test]
    fn after_a_loss_it_goes_on_at_a_keyframe() {
        use Track::Video;
        let mut feed = Feed::default();
        tags(&mut feed, &[(Video, 0, VIDEO_HEADER), (Video, 0, KEYFRAME)]);
        feed.handle_loss();
        let got = tags(
            &mut feed,
            &[
                (Video, 40, INTER),
                (Video, 80, KEYFRAME),
                (Video, 120, INTER),
            ],
        );
        assert_eq!(got.len(), 3);
    }

    #[test]
    fn what_is_not_taken_is_told() {
        let error = Feed::default().handle_tag(Track::Video, 0, &video(&[0x12, 0]));
        assert_eq!(
            error.unwrap_err().to_string(),
            "the video codec is number 2, and Regia takes H.264 (7): choose H.264 in the sending encoder"
        );
    }
}
