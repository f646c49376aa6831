//! The rules of each platform as data, and checks of a broadcast against them. Pure.
//!
//! Platforms change: every value carries where it comes from and how sure that is, a breach is a warning unless the
//! broadcast can't work at all, and `custom` has no rules but the general ones.

mod check;
mod overrides;
mod table;

pub use check::{Broadcast, Finding, Grade, Setting, check};
pub use overrides::Overrides;

use std::time::Duration;

/// How sure a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// The platform's own documentation.
    Documented,
    /// Another encoder's source or service list.
    OtherEncoder,
    /// The rules this project was started with.
    Seed,
    /// Second-hand: somebody's word.
    SecondHand,
    /// Nobody could be named.
    Unknown,
    /// The operator's own configuration says so.
    Operator,
}

impl Confidence {
    /// For an operator, after a value.
    pub fn words(self) -> &'static str {
        match self {
            Confidence::Documented => "the platform's documentation",
            Confidence::OtherEncoder => "what other encoders use",
            Confidence::Seed => "this project's rules",
            Confidence::SecondHand => "second-hand",
            Confidence::Unknown => "unconfirmed",
            Confidence::Operator => "this configuration",
        }
    }
}

/// A value with its origin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value<T> {
    pub value: T,
    pub confidence: Confidence,
    /// The document or source it was read in.
    pub source: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rtmps {
    Required,
    Wanted,
    Either,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyNature {
    /// One event, one key: it can't be used for the next, nor the URL.
    SingleEvent,
    /// The same for every broadcast.
    Persistent,
    /// The operator chooses on the platform.
    Either,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backup {
    /// The platform has none.
    None,
    /// Identical streams may run to both at once.
    AtOnce,
    /// The platform switches to the backup and stays there.
    SwitchesAndStays,
    /// A secondary URL for a second stream with the same times.
    TimeSynced,
    /// Only with some of the platform's plans.
    SomePlans,
    AsGiven,
}

/// What becomes of the show when the stream breaks for longer than the platform waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBreak {
    /// It is over for good; the audience is lost.
    EventCloses,
    /// It may end, depending on how it was set up.
    MayEnd,
    /// It goes on when the stream returns.
    Resumes,
    Unknown,
}

/// The bitrates for pictures up to a size and a frame rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoTier {
    /// Picture height in lines, at most.
    pub max_height: u32,
    /// Frames per second, at most.
    pub max_fps: u32,
    /// None: the platform names none.
    pub min_kbps: Option<u32>,
    pub max_kbps: u32,
}

/// The rules of one platform. Where a rule is `None` there is none, or none is known.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The configuration's word.
    pub word: &'static str,
    /// The name in texts.
    pub name: &'static str,
    /// Where it usually takes streams, if that is one place.
    pub ingest: Option<Value<&'static str>>,
    pub rtmps: Value<Rtmps>,
    /// The longest session.
    pub limit: Option<Value<Duration>>,
    /// A session longer than this is not archived.
    pub archive_limit: Option<Value<Duration>>,
    pub key: Value<KeyNature>,
    /// How long after it was given an ingest URL may be used.
    pub url_lifetime: Option<Value<Duration>>,
    /// The interval to set, in seconds.
    pub keyframe_s: Value<f64>,
    /// The longest that is taken, in seconds.
    pub max_keyframe_s: Option<Value<f64>>,
    /// From small to large; a picture that none covers breaks the rules. Empty: nothing is known.
    pub video: Value<&'static [VideoTier]>,
    /// The operator's own least and most, in place of the tiers'.
    pub video_bounds: (Option<u32>, Option<u32>),
    pub max_audio_kbps: Option<Value<u32>>,
    pub sample_rate: Option<Value<u32>>,
    pub wide_only: Option<Value<()>>,
    pub backup: Value<Backup>,
    pub on_break: Value<OnBreak>,
    /// How long the platform waits without data; the shortest where its documents conflict.
    pub grace: Option<Value<Duration>>,
}

/// The guard acts this long before a platform's limit, unless the destination says otherwise.
pub const DEFAULT_MARGIN: Duration = Duration::from_secs(120);

/// The rules for the configuration's `platform` word.
pub fn rules(platform: &str) -> Option<&'static Rules> {
    table::PLATFORMS.iter().find(|rules| rules.word == platform)
}

/// The same; what nobody knows has the rules of an ingest of one's own.
pub fn or_custom(platform: &str) -> Rules {
    *rules(platform).unwrap_or(&table::CUSTOM)
}

/// Every word that `rules` knows.
pub fn words() -> impl Iterator<Item = &'static str> {
    table::PLATFORMS.iter().map(|rules| rules.word)
}

impl Rules {
    /// The tier that a picture falls into.
    pub fn tier(&self, height: u32, fps: f64) -> Option<VideoTier> {
        let mut tiers = self.video.value.iter();
        // 30000/1001 and 60000/1001 are meant where a platform says 30 and 60.
        let tier = tiers
            .find(|tier| height <= tier.max_height && fps <= f64::from(tier.max_fps) + 0.001)?;
        Some(self.bounded(*tier))
    }

    /// With the operator's own bounds.
    fn bounded(&self, tier: VideoTier) -> VideoTier {
        let (least, most) = self.video_bounds;
        VideoTier {
            min_kbps: least.or(tier.min_kbps),
            max_kbps: most.unwrap_or(tier.max_kbps),
            ..tier
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_known() {
        let words: Vec<&str> = words().collect();
        assert_eq!(
            words,
            [
                "custom",
                "rehearsal",
                "linkedin",
                "youtube",
                "facebook",
                "vimeo",
                "twitch",
                "x"
            ]
        );
        assert!(words.iter().all(|word| rules(word).is_some()));
        assert!(rules("LinkedIn").is_none());
    }

    /// The values an operator's evening hangs on, beside PLATFORMS' own numbers.
    #[test]
    fn limits() {
        let limit = |word: &str| {
            rules(word)
                .unwrap()
                .limit
                .map(|v| v.value.as_secs() / 3_600)
        };
        assert_eq!(limit("linkedin"), Some(4));
        assert_eq!(limit("facebook"), Some(8));
        assert_eq!(limit("vimeo"), Some(12));
        assert_eq!(limit("twitch"), Some(48));
        assert_eq!(limit("youtube"), None);
        let archive = rules("youtube").unwrap().archive_limit.unwrap();
        assert_eq!(archive.value.as_secs(), 12 * 3_600);
    }

    #[test]
    fn tiers_go_from_small_to_large() {
        let youtube = rules("youtube").unwrap();
        assert_eq!(youtube.tier(1_080, 30.0).unwrap().max_kbps, 10_000);
        assert_eq!(youtube.tier(1_080, 29.97).unwrap().max_kbps, 10_000);
        assert_eq!(youtube.tier(1_080, 60.0).unwrap().max_kbps, 12_000);
        let linkedin = rules("linkedin").unwrap();
        assert_eq!(linkedin.tier(1_080, 50.0), None);
        assert_eq!(linkedin.tier(2_160, 30.0), None);
        for platform in table::PLATFORMS {
            assert!(!platform.video.source.is_empty());
            for tier in platform.video.value {
                let least = tier.min_kbps.unwrap_or_default();
                assert!(least <= tier.max_kbps, "{}", platform.word);
            }
        }
    }
}
