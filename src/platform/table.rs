//! The table. One block a platform; each value with its source. `doc` values were read in the platform's own pages,
//! named as those pages are titled.

use super::{Backup, Confidence, KeyNature, OnBreak, Rtmps, Rules, Value, VideoTier};
use std::time::Duration;

const fn doc<T>(value: T, source: &'static str) -> Value<T>
where
    T: Copy,
{
    with(value, Confidence::Documented, source)
}

const fn encoder<T: Copy>(value: T) -> Value<T> {
    with(
        value,
        Confidence::OtherEncoder,
        "OBS Studio: rtmp-services/data/services.json",
    )
}

const fn seed<T: Copy>(value: T) -> Value<T> {
    with(value, Confidence::Seed, "Regia's founding rules")
}

const fn word_of<T: Copy>(value: T, source: &'static str) -> Value<T> {
    with(value, Confidence::SecondHand, source)
}

const fn unsure<T: Copy>(value: T) -> Value<T> {
    with(value, Confidence::Unknown, "no source found")
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
        min_kbps,
        max_kbps,
    }
}

/// Never under 2 Mb/s unless the operator says so; 1 to 10 Mb/s are usual.
const GENERAL_TIERS: &[VideoTier] = &[tier(u32::MAX, 1_000, 2_000, 10_000)];

/// An ingest of one's own, or one that Regia does not know.
const CUSTOM: Rules = Rules {
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
        rtmps: doc(Rtmps::Either, LINKEDIN_API),
        limit: Some(doc(hours(4), LINKEDIN_SPECS)),
        archive_limit: None,
        key: doc(KeyNature::SingleEvent, LINKEDIN_API),
        url_lifetime: None,
        keyframe_s: doc(2.0, LINKEDIN_SPECS),
        max_keyframe_s: None,
        video: doc(&[tier(1_080, 30, 2_000, 6_000)], LINKEDIN_SPECS),
        max_audio_kbps: Some(doc(128, LINKEDIN_SPECS)),
        sample_rate: Some(doc(48_000, LINKEDIN_SPECS)),
        wide_only: Some(doc((), LINKEDIN_SPECS)),
        backup: doc(Backup::TimeSynced, LINKEDIN_API),
        on_break: seed(OnBreak::EventCloses),
        // Its documents say 90 s in one place and 120 s in another.
        grace: Some(doc(Duration::from_secs(90), LINKEDIN_API)),
    },
    Rules {
        word: "youtube",
        name: "YouTube",
        ingest: Some(encoder("rtmps://a.rtmps.youtube.com:443/live2")),
        rtmps: doc(
            Rtmps::Wanted,
            "YouTube Live Streaming API: Delivering live content via RTMPS",
        ),
        limit: None,
        archive_limit: Some(doc(hours(12), "YouTube Help: Archive live streams")),
        key: unsure(KeyNature::Either),
        url_lifetime: None,
        keyframe_s: doc(2.0, YOUTUBE_SETTINGS),
        max_keyframe_s: Some(doc(4.0, YOUTUBE_SETTINGS)),
        video: doc(
            &[
                tier(1_080, 30, 2_000, 10_000),
                tier(1_080, 60, 2_000, 12_000),
            ],
            YOUTUBE_SETTINGS,
        ),
        max_audio_kbps: Some(encoder(160)),
        sample_rate: None,
        wide_only: None,
        backup: doc(
            Backup::AtOnce,
            "YouTube Live Streaming API: backup ingestion",
        ),
        on_break: doc(OnBreak::MayEnd, "YouTube Help: auto-stop"),
        // With auto-stop the show ends about a minute after the data.
        grace: Some(doc(Duration::from_secs(60), "YouTube Help: auto-stop")),
    },
    Rules {
        word: "facebook",
        name: "Facebook",
        ingest: Some(encoder("rtmps://live-api-s.facebook.com:443/rtmp/")),
        rtmps: doc(Rtmps::Required, FACEBOOK_API),
        limit: Some(doc(hours(8), FACEBOOK_FORMAT)),
        archive_limit: None,
        key: doc(KeyNature::Either, FACEBOOK_API),
        url_lifetime: Some(doc(hours(24), FACEBOOK_API)),
        keyframe_s: doc(2.0, FACEBOOK_FORMAT),
        max_keyframe_s: Some(doc(4.0, FACEBOOK_FORMAT)),
        video: doc(
            &[
                tier(720, 30, 1_500, 4_000),
                tier(1_080, 30, 3_000, 6_000),
                tier(1_080, 60, 4_500, 9_000),
            ],
            FACEBOOK_FORMAT,
        ),
        max_audio_kbps: None,
        sample_rate: None,
        wide_only: None,
        // It has to be enabled before the first data.
        backup: doc(Backup::SwitchesAndStays, FACEBOOK_API),
        on_break: doc(OnBreak::MayEnd, FACEBOOK_API),
        grace: None,
    },
    Rules {
        word: "vimeo",
        name: "Vimeo",
        ingest: None,
        rtmps: unsure(Rtmps::Either),
        limit: Some(doc(hours(12), VIMEO_ENCODER)),
        archive_limit: None,
        key: unsure(KeyNature::SingleEvent),
        url_lifetime: None,
        keyframe_s: unsure(2.0),
        max_keyframe_s: None,
        video: doc(&[tier(1_080, 30, 2_000, 5_000)], VIMEO_ENCODER),
        max_audio_kbps: None,
        sample_rate: None,
        wide_only: None,
        backup: doc(Backup::SomePlans, VIMEO_ENCODER),
        on_break: unsure(OnBreak::Unknown),
        grace: None,
    },
    Rules {
        word: "twitch",
        name: "Twitch",
        ingest: None,
        rtmps: unsure(Rtmps::Either),
        limit: Some(doc(hours(48), TWITCH)),
        archive_limit: None,
        key: unsure(KeyNature::Persistent),
        url_lifetime: None,
        keyframe_s: doc(2.0, TWITCH),
        max_keyframe_s: None,
        video: encoder(&[tier(1_080, 60, 2_000, 6_000)]),
        max_audio_kbps: Some(doc(320, TWITCH)),
        sample_rate: None,
        wide_only: None,
        backup: unsure(Backup::None),
        on_break: word_of(OnBreak::Resumes, "Twitch users: disconnect protection"),
        grace: Some(word_of(
            Duration::from_secs(90),
            "Twitch users: disconnect protection",
        )),
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
        keyframe_s: encoder(3.0),
        max_keyframe_s: None,
        video: encoder(&[tier(u32::MAX, 1_000, 2_000, 12_000)]),
        max_audio_kbps: Some(encoder(128)),
        sample_rate: None,
        wide_only: None,
        backup: unsure(Backup::None),
        on_break: unsure(OnBreak::Unknown),
        grace: None,
    },
];

const LINKEDIN_API: &str = "LinkedIn Marketing API: Live Video";
const LINKEDIN_SPECS: &str = "LinkedIn Help: technical specifications of LinkedIn Live";
const YOUTUBE_SETTINGS: &str =
    "YouTube Help: Choose live encoder settings, bitrates, and resolutions";
const FACEBOOK_API: &str = "Meta for Developers: Live Video API";
const FACEBOOK_FORMAT: &str = "Meta Business Help: live video format guidelines";
const VIMEO_ENCODER: &str = "Vimeo Help: encoder settings for live events";
const TWITCH: &str = "Twitch Help: broadcasting guidelines";
