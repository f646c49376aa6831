//! The table. One block a platform; each value with its confidence and its source. The values were gathered in the
//! project's PLATFORMS.md; `source` names the page itself where the value was looked up there again for this table, and
//! otherwise PLATFORMS.md, whose own D, S, 2 and ? the confidence repeats.

use super::{Backup, Confidence, KeyNature, OnBreak, Rtmps, Rules, Value, VideoTier};
use std::time::Duration;

const fn doc<T: Copy>(value: T, source: &'static str) -> Value<T> {
    with(value, Confidence::Documented, source)
}

const fn encoder<T: Copy>(value: T, source: &'static str) -> Value<T> {
    with(value, Confidence::OtherEncoder, source)
}

const fn seed<T: Copy>(value: T) -> Value<T> {
    with(value, Confidence::Seed, NOTES)
}

const fn word_of<T: Copy>(value: T) -> Value<T> {
    with(value, Confidence::SecondHand, NOTES)
}

const fn unsure<T: Copy>(value: T) -> Value<T> {
    with(value, Confidence::Unknown, NOTES)
}

const fn with<T: Copy>(value: T, confidence: Confidence, source: &'static str) -> Value<T> {
    Value {
        value,
        confidence,
        source,
    }
}

const fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3_600)
}

const fn tier(max_height: u32, max_fps: u32, min_kbps: u32, max_kbps: u32) -> VideoTier {
    VideoTier {
        max_height,
        max_fps,
        min_kbps: Some(min_kbps),
        max_kbps,
    }
}

const fn up_to(max_height: u32, max_fps: u32, max_kbps: u32) -> VideoTier {
    VideoTier {
        max_height,
        max_fps,
        min_kbps: None,
        max_kbps,
    }
}

/// Never less for a picture, unless the operator says so or the platform names its own least.
pub(super) const GENERAL_FLOOR_KBPS: Value<u32> = seed(2_000);

/// 1 to 10 Mb/s are usual.
const GENERAL_TIERS: &[VideoTier] = &[up_to(u32::MAX, 1_000, 10_000)];

/// An ingest of one's own, or one that Regia does not know.
pub(super) const CUSTOM: Rules = Rules {
    word: "custom",
    name: "a custom ingest",
    ingest: None,
    rtmps: unsure(Rtmps::Either),
    limit: None,
    archive_limit: None,
    key: unsure(KeyNature::Either),
    url_lifetime: None,
    keyframe_s: seed(2.0),
    max_keyframe_s: None,
    video: seed(GENERAL_TIERS),
    video_bounds: (None, None),
    max_audio_kbps: None,
    sample_rate: None,
    wide_only: None,
    backup: unsure(Backup::AsGiven),
    on_break: unsure(OnBreak::Unknown),
    grace: None,
};

pub(super) const PLATFORMS: &[Rules] = &[
    CUSTOM,
    Rules {
        word: "rehearsal",
        name: "the rehearsal",
        on_break: seed(OnBreak::Resumes),
        ..CUSTOM
    },
    Rules {
        word: "linkedin",
        name: "LinkedIn",
        // Given for each event; in 2023 it looked like rtmps://….channel.media.azure.net:2935/live/….
        ingest: None,
        rtmps: doc(Rtmps::Either, NOTES),
        limit: Some(doc(hours(4), NOTES)),
        archive_limit: None,
        key: doc(KeyNature::SingleEvent, NOTES),
        url_lifetime: None,
        keyframe_s: doc(2.0, NOTES),
        max_keyframe_s: None,
        video: doc(&[up_to(1_080, 30, 6_000)], NOTES),
        video_bounds: (None, None),
        max_audio_kbps: Some(doc(128, NOTES)),
        sample_rate: Some(doc(48_000, NOTES)),
        wide_only: Some(doc((), NOTES)),
        backup: doc(Backup::TimeSynced, NOTES),
        on_break: seed(OnBreak::EventCloses),
        // Its documents say 90 s in one place and 120 s in another.
        grace: Some(doc(Duration::from_secs(90), NOTES)),
    },
    Rules {
        word: "youtube",
        name: "YouTube",
        ingest: Some(encoder("rtmps://a.rtmps.youtube.com:443/live2", OBS)),
        rtmps: doc(Rtmps::Wanted, NOTES),
        limit: None,
        archive_limit: Some(doc(hours(12), NOTES)),
        key: unsure(KeyNature::Either),
        url_lifetime: None,
        keyframe_s: doc(2.0, NOTES),
        max_keyframe_s: Some(doc(4.0, NOTES)),
        // The page was seen to say 12 Mb/s for 1080p60; the 10 for 1080p30 are from PLATFORMS.md.
        video: doc(
            &[up_to(1_080, 30, 10_000), up_to(1_080, 60, 12_000)],
            YOUTUBE_SETTINGS,
        ),
        video_bounds: (None, None),
        max_audio_kbps: Some(encoder(160, OBS)),
        sample_rate: None,
        wide_only: None,
        backup: doc(Backup::AtOnce, NOTES),
        on_break: doc(OnBreak::MayEnd, NOTES),
        // With auto-stop the show ends about a minute after the data.
        grace: Some(doc(Duration::from_secs(60), NOTES)),
    },
    Rules {
        word: "facebook",
        name: "Facebook",
        ingest: Some(encoder("rtmps://live-api-s.facebook.com:443/rtmp/", NOTES)),
        rtmps: doc(Rtmps::Required, FACEBOOK_REFERENCE),
        limit: Some(doc(hours(8), FACEBOOK_REFERENCE)),
        archive_limit: None,
        key: doc(KeyNature::Either, NOTES),
        url_lifetime: Some(doc(hours(24), FACEBOOK_OVERVIEW)),
        keyframe_s: doc(2.0, FACEBOOK_REFERENCE),
        max_keyframe_s: Some(doc(4.0, FACEBOOK_REFERENCE)),
        video: doc(
            &[
                tier(720, 30, 1_500, 4_000),
                tier(720, 60, 2_250, 6_000),
                tier(1_080, 30, 3_000, 6_000),
                tier(1_080, 60, 4_500, 9_000),
            ],
            FACEBOOK_REFERENCE,
        ),
        video_bounds: (None, None),
        max_audio_kbps: Some(doc(256, FACEBOOK_REFERENCE)),
        sample_rate: None,
        wide_only: None,
        // It has to be enabled before the first data.
        backup: doc(Backup::SwitchesAndStays, NOTES),
        on_break: doc(OnBreak::MayEnd, NOTES),
        grace: None,
    },
    Rules {
        word: "vimeo",
        name: "Vimeo",
        ingest: None,
        rtmps: unsure(Rtmps::Either),
        limit: Some(doc(hours(12), NOTES)),
        archive_limit: None,
        key: unsure(KeyNature::SingleEvent),
        url_lifetime: None,
        keyframe_s: unsure(2.0),
        max_keyframe_s: None,
        video: doc(&[up_to(1_080, 30, 5_000)], NOTES),
        video_bounds: (None, None),
        max_audio_kbps: None,
        sample_rate: None,
        wide_only: None,
        backup: doc(Backup::SomePlans, NOTES),
        on_break: unsure(OnBreak::Unknown),
        grace: None,
    },
    Rules {
        word: "twitch",
        name: "Twitch",
        ingest: None,
        rtmps: unsure(Rtmps::Either),
        limit: Some(doc(hours(48), NOTES)),
        archive_limit: None,
        key: unsure(KeyNature::Persistent),
        url_lifetime: None,
        keyframe_s: doc(2.0, NOTES),
        max_keyframe_s: None,
        video: encoder(&[up_to(1_080, 60, 6_000)], OBS),
        video_bounds: (None, None),
        max_audio_kbps: Some(doc(320, NOTES)),
        sample_rate: None,
        wide_only: None,
        backup: unsure(Backup::None),
        on_break: word_of(OnBreak::Resumes),
        grace: Some(word_of(Duration::from_secs(90))),
    },
    Rules {
        word: "x",
        name: "X",
        // One per region, rtmp://….pscp.tv:80/x.
        ingest: None,
        rtmps: unsure(Rtmps::Either),
        limit: None,
        archive_limit: None,
        key: unsure(KeyNature::Persistent),
        url_lifetime: None,
        keyframe_s: encoder(3.0, NOTES),
        max_keyframe_s: None,
        video: encoder(&[up_to(u32::MAX, 1_000, 12_000)], NOTES),
        video_bounds: (None, None),
        max_audio_kbps: Some(encoder(128, NOTES)),
        sample_rate: None,
        wide_only: None,
        backup: unsure(Backup::None),
        on_break: unsure(OnBreak::Unknown),
        grace: None,
    },
];

const NOTES: &str = "PLATFORMS.md";
const OBS: &str = "OBS Studio, plugins/rtmp-services/data/services.json";
const YOUTUBE_SETTINGS: &str = "https://support.google.com/youtube/answer/2853702";
const FACEBOOK_OVERVIEW: &str = "https://developers.facebook.com/docs/live-video-api/overview";
const FACEBOOK_REFERENCE: &str = "https://developers.facebook.com/docs/live-video-api/reference";
