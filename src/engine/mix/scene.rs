//! Which sources a scene takes its picture and its sound from. Pure.

use crate::config::EngineSpec;

/// Indices into `EngineSpec::sources`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    pub picture: usize,
    pub sound: usize,
}

/// The programme's scene is the first; its picture is the first layer that has one, and its sound the first
/// layer that is only sound, else that of the picture's source. So a camera and a sound card make one programme.
pub fn roles(spec: &EngineSpec) -> Option<Roles> {
    let layers: Vec<usize> = spec
        .scenes
        .first()?
        .sources()
        .filter_map(|source| spec.sources.iter().position(|s| s.id == source))
        .collect();
    let only_sound = |index: &usize| spec.sources[*index].kind.is_only_sound();
    let first = *layers.first()?;
    let picture = layers
        .iter()
        .copied()
        .find(|i| !only_sound(i))
        .unwrap_or(first);
    let sound = layers.iter().copied().find(only_sound).unwrap_or(picture);
    Some(Roles { picture, sound })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::*;
    use crate::media::FrameRate;

    fn spec(layers: &[&str]) -> EngineSpec {
        let source = |id: &str, kind| Source {
            id: id.into(),
            kind,
            slate: None,
            audio: SourceAudio::default(),
        };
        EngineSpec {
            programme: Programme {
                width: 1280,
                height: 720,
                fps: FrameRate { num: 30, den: 1 },
                video: Video {
                    encoder: EncoderChoice::Auto,
                    preset: "veryfast".into(),
                    tune: Tune::Quality,
                    bitrate_kbps: 3_000,
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
            },
            sources: vec![
                source("test", SourceKind::Test),
                source(
                    "mic",
                    SourceKind::Alsa {
                        device: "hw:0".into(),
                    },
                ),
                source(
                    "cam",
                    SourceKind::V4l2 {
                        device: "/dev/video0".into(),
                    },
                ),
            ],
            scenes: vec![Scene {
                layers: layers.iter().map(|id| Layer::full(id)).collect(),
                ..Scene::full("one", "")
            }],
            titles: Vec::new(),
            overlays: Vec::new(),
        }
    }

    #[test]
    fn picture_and_sound_find_their_sources() {
        let of = |layers: &[&str]| roles(&spec(layers)).map(|r| (r.picture, r.sound));
        assert_eq!(of(&["test"]), Some((0, 0)));
        assert_eq!(of(&["cam", "mic"]), Some((2, 1)));
        assert_eq!(of(&["mic", "cam"]), Some((2, 1)));
        assert_eq!(of(&["mic"]), Some((1, 1)));
        assert_eq!(of(&["cam", "test"]), Some((2, 2)));
        assert_eq!(of(&[]), None);
    }
}
