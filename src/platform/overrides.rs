//! What a configuration says of a platform in place of the table: platforms change faster than Regia. Pure.

use super::{Confidence, KeyNature, OnBreak, Rules, Value};
use std::time::Duration;

/// `[destination.rules]`; what is None stays as the table has it. The longest session is the destination's own `limit_s`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Overrides {
    pub archive_limit: Option<Duration>,
    /// How long the platform waits without data.
    pub grace: Option<Duration>,
    pub min_video_kbps: Option<u32>,
    pub max_video_kbps: Option<u32>,
    pub max_audio_kbps: Option<u32>,
    pub sample_rate: Option<u32>,
    pub keyframe_s: Option<f64>,
    pub max_keyframe_s: Option<f64>,
    /// A key serves for one broadcast only.
    pub single_use_key: Option<bool>,
    /// A broadcast that ended, or broke for too long, can't be reopened.
    pub event_closes: Option<bool>,
}

impl Rules {
    /// These rules with the operator's own in their place.
    pub fn with(mut self, own: &Overrides) -> Rules {
        fn put<T>(rule: &mut Option<Value<T>>, own: Option<T>) {
            if let Some(value) = own {
                *rule = Some(operators(value));
            }
        }
        put(&mut self.archive_limit, own.archive_limit);
        put(&mut self.grace, own.grace);
        put(&mut self.max_audio_kbps, own.max_audio_kbps);
        put(&mut self.sample_rate, own.sample_rate);
        put(&mut self.max_keyframe_s, own.max_keyframe_s);
        if let Some(value) = own.keyframe_s {
            self.keyframe_s = operators(value);
        }
        if own.min_video_kbps.is_some() || own.max_video_kbps.is_some() {
            self.video_bounds = (own.min_video_kbps, own.max_video_kbps);
            self.video = operators(self.video.value);
        }
        if let Some(once) = own.single_use_key {
            self.key = operators(if once {
                KeyNature::SingleEvent
            } else {
                KeyNature::Persistent
            });
        }
        if let Some(closes) = own.event_closes {
            self.on_break = operators(if closes {
                OnBreak::EventCloses
            } else {
                OnBreak::Resumes
            });
        }
        self
    }
}

fn operators<T>(value: T) -> Value<T> {
    Value {
        value,
        confidence: Confidence::Operator,
        source: "[destination.rules]",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::rules;

    #[test]
    fn the_operators_word_goes_before_the_table() {
        let linkedin = rules("linkedin").unwrap();
        assert_eq!(linkedin.with(&Overrides::default()).grace, linkedin.grace);
        let own = linkedin.with(&Overrides {
            grace: Some(Duration::from_secs(30)),
            max_video_kbps: Some(8_000),
            single_use_key: Some(false),
            event_closes: Some(false),
            ..Overrides::default()
        });
        let tier = own.tier(1_080, 30.0).unwrap();
        assert_eq!((tier.min_kbps, tier.max_kbps), (None, 8_000));
        assert_eq!(own.video.confidence.words(), "this configuration");
        assert_eq!(own.grace.unwrap().value, Duration::from_secs(30));
        assert_eq!(own.key.value, KeyNature::Persistent);
        assert_eq!(own.on_break.value, OnBreak::Resumes);
        assert_eq!(own.limit, linkedin.limit);
    }
}
