//! The platforms that a rehearsal can behave like. Their numbers are those of `crate::platform`. Pure.

use super::rules::End;
use crate::platform::{self, OnBreak};
use std::str::FromStr;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// Anything goes.
    Custom,
    LinkedIn,
    YouTube,
    Facebook,
    Vimeo,
    Twitch,
    X,
}

impl Platform {
    pub const ALL: [Platform; 7] = [
        Platform::Custom,
        Platform::LinkedIn,
        Platform::YouTube,
        Platform::Facebook,
        Platform::Vimeo,
        Platform::Twitch,
        Platform::X,
    ];

    /// The word in the configuration and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Platform::Custom => "custom",
            Platform::LinkedIn => "linkedin",
            Platform::YouTube => "youtube",
            Platform::Facebook => "facebook",
            Platform::Vimeo => "vimeo",
            Platform::Twitch => "twitch",
            Platform::X => "x",
        }
    }

    /// A test shows that every platform has rules.
    fn rules(self) -> Option<&'static platform::Rules> {
        platform::rules(self.word())
    }

    /// For the begin of a sentence.
    pub(super) fn name(self) -> &'static str {
        match (self, self.rules()) {
            (Platform::Custom, _) | (_, None) => "This ingest",
            (_, Some(rules)) => rules.name,
        }
    }

    /// The longest session.
    pub fn longest(self) -> Option<Duration> {
        self.rules()?.limit.map(|limit| limit.value)
    }

    /// Which way of ending closes the broadcast for good.
    pub(super) fn closes_on(self, end: End) -> bool {
        match self {
            // Its documentation: deleteStream can end the broadcast. A rehearsal supposes that it does.
            Platform::Facebook => end == End::Deleted,
            _ => self
                .rules()
                .is_some_and(|rules| rules.on_break.value == OnBreak::EventCloses),
        }
    }

    /// The longest time between keyframes that the platform takes, or where it names none the one it wants, in
    /// seconds.
    pub fn longest_gop_s(self) -> Option<f64> {
        let rules = self.rules().filter(|_| self != Platform::Custom)?;
        Some(rules.max_keyframe_s.unwrap_or(rules.keyframe_s).value)
    }

    /// Whether an interruption loses the audience.
    pub fn interruption_is_final(self) -> bool {
        self.closes_on(End::Lost)
    }
}

impl FromStr for Platform {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        Platform::ALL
            .into_iter()
            .find(|platform| platform.word() == word)
            .ok_or_else(|| {
                let known = Platform::ALL.map(Platform::word).join(", ");
                format!("no platform is called {word:?}; this ingest can behave like: {known}")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_named_and_have_rules() {
        for platform in Platform::ALL {
            assert_eq!(platform.word().parse(), Ok(platform));
            assert!(platform.rules().is_some(), "{platform:?}");
        }
        assert_eq!(
            "LinkedIn".parse::<Platform>(),
            Err(
                "no platform is called \"LinkedIn\"; this ingest can behave like: custom, \
                 linkedin, youtube, facebook, vimeo, twitch, x"
                    .into()
            )
        );
    }

    #[test]
    fn gops_and_interruptions() {
        assert_eq!(Platform::Custom.longest_gop_s(), None);
        assert_eq!(Platform::LinkedIn.longest_gop_s(), Some(2.0));
        assert_eq!(Platform::YouTube.longest_gop_s(), Some(4.0));
        let is_final: Vec<_> = Platform::ALL
            .into_iter()
            .filter(|platform| platform.interruption_is_final())
            .collect();
        assert_eq!(is_final, [Platform::LinkedIn]);
    }
}
