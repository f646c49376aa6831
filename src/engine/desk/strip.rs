//! One input of the desk, from its raw sound to its share of the programme. Pure.
//!
//! Channels and gain, high-pass, compressor, delay, pan, and last the fader that mute and scenes move. What is not used
//! costs nothing, and nothing changes with a click.

use super::compressor::Compressor;
use super::delay::Delay;
use super::duck::Ducker;
use super::filter::HighPass;
use super::ramp::{QUICK_MS, Ramp, from_db};
use crate::config::{AudioMode, Channels, SourceAudio};

#[derive(Debug)]
pub struct Strip {
    rate: u32,
    audio: SourceAudio,
    input: Routing,
    high_pass: HighPass,
    compressor: Compressor,
    delay: Delay,
    pan: Routing,
    fader: Ramp,
    ducker: Option<Ducker>,
    /// A scene on air has it.
    visible: bool,
    peak: [f32; 2],
    /// Frames of silence that went in, one after the other.
    silent: usize,
}

impl Strip {
    pub fn new(audio: SourceAudio, visible: bool, rate: u32) -> Self {
        let mut strip = Strip {
            rate,
            input: Routing::new(input_of(&audio)),
            high_pass: HighPass::new(audio.high_pass_hz, rate),
            compressor: Compressor::new(audio.compressor, rate),
            delay: Delay::new(audio.delay_ms, rate),
            pan: Routing::new(pan_of(&audio)),
            fader: Ramp::new(0.0),
            ducker: audio.duck.as_ref().map(|duck| Ducker::new(duck, rate)),
            visible,
            peak: [0.0; 2],
            silent: usize::MAX / 2,
            audio,
        };
        strip.fader = Ramp::new(strip.fader_of());
        strip
    }

    /// Takes new settings, each on its way that is not heard.
    pub fn set(&mut self, audio: SourceAudio) {
        self.audio = audio;
        let quick = self.quick();
        self.input.go(input_of(&self.audio), quick);
        self.pan.go(pan_of(&self.audio), quick);
        self.high_pass.set(self.audio.high_pass_hz);
        self.compressor.set(self.audio.compressor);
        self.delay.set(self.audio.delay_ms);
        if let (Some(ducker), Some(duck)) = (&mut self.ducker, &self.audio.duck) {
            ducker.set(duck);
        }
        self.fader.go(self.fader_of(), quick, 0);
    }

    /// A scene with or without this source comes on air in `wait` frames, and over `length` frames.
    pub fn set_visible(&mut self, visible: bool, length: usize, wait: usize) {
        self.visible = visible;
        self.fader
            .go(self.fader_of(), length.max(self.quick()), wait);
    }

    /// Whether it is meant to be heard.
    pub fn is_open(&self) -> bool {
        self.fader.target() > 0.0
    }

    /// Whether anything of what was processed last can be heard.
    pub fn is_heard(&self) -> bool {
        self.fader.still() != Some(0.0)
    }

    /// Whether something comes out when nothing goes in any more: what a delay or a filter holds, or the rest of a fade.
    pub fn rings(&self) -> bool {
        self.silent < self.holds() || self.fader.still().is_none()
    }

    /// In frames: the delay and its change, and what a filter rings for.
    fn holds(&self) -> usize {
        self.audio.delay_ms as usize * self.rate as usize / 1_000 + self.rate as usize / 4
    }

    /// All but the ducking, in place.
    pub fn process(&mut self, samples: &mut [f32]) {
        if samples.iter().all(|sample| *sample == 0.0) {
            self.silent += samples.len() / 2;
        } else {
            self.silent = 0;
        }
        self.input.process(samples);
        self.high_pass.process(samples);
        self.compressor.process(samples);
        for frame in samples.as_chunks::<2>().0 {
            self.peak[0] = self.peak[0].max(frame[0].abs());
            self.peak[1] = self.peak[1].max(frame[1].abs());
        }
        self.delay.process(samples);
        self.pan.process(samples);
        match self.fader.still() {
            Some(1.0) => {}
            Some(gain) => samples.iter_mut().for_each(|sample| *sample *= gain),
            None => {
                for frame in samples.as_chunks_mut::<2>().0 {
                    let gain = self.fader.step();
                    *frame = frame.map(|sample| sample * gain);
                }
            }
        }
    }

    /// `key` is the greatest sample of what this source gives way to.
    pub fn duck(&mut self, samples: &mut [f32], key: f32) {
        if let Some(ducker) = &mut self.ducker {
            ducker.process(samples, key);
        }
    }

    /// The greatest samples since this was asked last, before delay, pan and fader.
    pub fn take_peak(&mut self) -> [f32; 2] {
        std::mem::take(&mut self.peak)
    }

    pub fn take_reduction_db(&mut self) -> f32 {
        self.compressor.take_reduction_db()
    }

    /// 0 when it is not turned down.
    pub fn ducked_db(&self) -> f32 {
        self.ducker.as_ref().map_or(0.0, Ducker::gain_db)
    }

    fn fader_of(&self) -> f32 {
        let open = match self.audio.mode {
            AudioMode::On => true,
            AudioMode::Off => false,
            AudioMode::Follow => self.visible,
        };
        if open && !self.audio.mute { 1.0 } else { 0.0 }
    }

    fn quick(&self) -> usize {
        QUICK_MS * self.rate as usize / 1_000
    }
}

/// Shares of left and right in left, and in right.
type Shares = [[f32; 2]; 2];

const STRAIGHT: Shares = [[1.0, 0.0], [0.0, 1.0]];

fn input_of(audio: &SourceAudio) -> Shares {
    let shares: Shares = match audio.channels {
        Channels::Stereo => STRAIGHT,
        Channels::Left => [[1.0, 0.0], [1.0, 0.0]],
        Channels::Right => [[0.0, 1.0], [0.0, 1.0]],
        Channels::Mono => [[0.5, 0.5], [0.5, 0.5]],
        Channels::Swap => [[0.0, 1.0], [1.0, 0.0]],
    };
    if audio.gain_db == 0.0 {
        return shares;
    }
    let gain = from_db(audio.gain_db);
    shares.map(|side| side.map(|share| share * gain))
}

/// A balance: at the middle both sides are as they were, and the side that is turned away from goes down.
fn pan_of(audio: &SourceAudio) -> Shares {
    [
        [(1.0 - audio.pan).min(1.0), 0.0],
        [0.0, (1.0 + audio.pan).min(1.0)],
    ]
}

/// Both sides made of both sides.
#[derive(Debug)]
struct Routing {
    from: Shares,
    to: Shares,
    way: Ramp,
}

impl Routing {
    fn new(shares: Shares) -> Self {
        Routing {
            from: shares,
            to: shares,
            way: Ramp::new(1.0),
        }
    }

    fn go(&mut self, to: Shares, length: usize) {
        if to != self.to {
            self.from = self.at(self.way.value());
            self.to = to;
            self.way = Ramp::new(0.0);
            self.way.go(1.0, length, 0);
        }
    }

    fn at(&self, way: f32) -> Shares {
        std::array::from_fn(|side| {
            std::array::from_fn(|n| {
                let (from, to) = (self.from[side][n], self.to[side][n]);
                from + (to - from) * way
            })
        })
    }

    fn process(&mut self, samples: &mut [f32]) {
        let still = self.way.still().is_some();
        if still && self.to == STRAIGHT {
            return;
        }
        for frame in samples.as_chunks_mut::<2>().0 {
            let way = self.way.step();
            let shares = if still { self.to } else { self.at(way) };
            *frame = shares.map(|[l, r]| l * frame[0] + r * frame[1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::config::AudioChange;

    fn strip(audio: SourceAudio) -> Strip {
        Strip::new(audio, true, RATE)
    }

    fn through(audio: SourceAudio, frame: [f32; 2]) -> [f32; 2] {
        let mut samples: Vec<f32> = frame.repeat(64);
        strip(audio).process(&mut samples);
        [samples[126], samples[127]]
    }

    #[test]
    fn left_alone_it_changes_no_bit() {
        let mut samples: Vec<f32> = (0..2_048).map(|n| (n as f32 * 0.37).sin()).collect();
        let before = samples.clone();
        strip(SourceAudio::default()).process(&mut samples);
        assert!(samples == before);
    }

    #[test]
    fn channels_gain_and_pan_are_what_they_say() {
        let with = |channels, gain_db, pan| SourceAudio {
            channels,
            gain_db,
            pan,
            ..SourceAudio::default()
        };
        use Channels::*;
        assert_eq!(through(with(Left, 0.0, 0.0), [0.4, 0.2]), [0.4, 0.4]);
        assert_eq!(through(with(Right, 0.0, 0.0), [0.4, 0.2]), [0.2, 0.2]);
        assert_eq!(through(with(Swap, 0.0, 0.0), [0.4, 0.2]), [0.2, 0.4]);
        let mono = through(with(Mono, 0.0, 0.0), [0.4, 0.2]);
        assert!((mono[0] - 0.3).abs() < 1e-6 && mono[0] == mono[1]);
        assert_eq!(through(with(Stereo, 0.0, 1.0), [0.4, 0.2]), [0.0, 0.2]);
        assert_eq!(through(with(Stereo, 0.0, -0.5), [0.4, 0.2]), [0.4, 0.1]);
        let louder = through(with(Stereo, 6.0, 0.0), [0.1, 0.1]);
        assert!((louder[0] - 0.199_526).abs() < 1e-5);
    }

    #[test]
    fn every_change_on_air_is_smooth() {
        let changes = [
            r#"{"gain_db":-12}"#,
            r#"{"mute":true}"#,
            r#"{"mute":false}"#,
            r#"{"pan":0.7}"#,
            r#"{"channels":"mono"}"#,
            r#"{"delay_ms":40}"#,
            r#"{"high_pass_hz":200}"#,
            r#"{"mode":"off"}"#,
            r#"{"mode":"on","gain_db":6}"#,
        ];
        let mut strip = strip(SourceAudio::default());
        let mut sound = tone(440.0, 0.4, 5.0);
        let mut changes = changes.iter();
        for (n, block) in sound.chunks_mut(2_048).enumerate() {
            if n % 20 == 10
                && let Some(json) = changes.next()
            {
                let change: AudioChange = serde_json::from_str(json).unwrap();
                let audio = strip.audio.changed(&change).unwrap();
                strip.set(audio);
            }
            strip.process(block);
        }
        assert_eq!(changes.len(), 0);
        assert!(click_db(&sound) < -60.0, "{}", click_db(&sound));
    }

    #[test]
    fn a_mute_is_half_a_cosine_and_nothing_else() {
        const BEGINS: usize = 9_613;
        let ramp = QUICK_MS * RATE as usize / 1_000;
        let mut strip = strip(SourceAudio::default());
        let before = tone(997.0, 0.1, 0.5);
        let mut sound = before.clone();
        let (first, second) = sound.split_at_mut(BEGINS * 2);
        strip.process(first);
        strip.set(SourceAudio {
            mute: true,
            ..SourceAudio::default()
        });
        strip.process(second);
        let differs = (0..before.len()).map(|n| {
            let way = (n / 2).saturating_sub(BEGINS).min(ramp) as f32 / ramp as f32;
            let ideal = 0.5 * (1.0 + (std::f32::consts::PI * way).cos());
            (sound[n] - before[n] * ideal).abs()
        });
        let worst = differs.fold(0.0, f32::max);
        assert!(worst < 1e-6, "{worst}");
        assert!(click_db(&sound) < -90.0, "{}", click_db(&sound));
        assert!(sound[(BEGINS + ramp) * 2..].iter().all(|s| *s == 0.0));
    }

    #[test]
    fn it_follows_its_scene_unless_it_stays() {
        let mut follows = strip(SourceAudio::default());
        follows.set_visible(false, 24_000, 0);
        assert!(!follows.is_open() && follows.is_heard());
        let mut sound = tone(440.0, 0.4, 0.6);
        follows.process(&mut sound);
        assert!(!follows.is_heard());
        assert!(sound[48_000..].iter().all(|s| *s == 0.0));
        // Half way through the fade it is at half.
        let middle = level_db(&sound[23_900..24_100]) - level_db(&tone(440.0, 0.4, 1.0));
        assert!((middle + 6.0).abs() < 0.6, "{middle}");
        let mut stays = strip(SourceAudio {
            mode: AudioMode::On,
            ..SourceAudio::default()
        });
        stays.set_visible(false, 0, 0);
        assert!(stays.is_open());
    }

    #[test]
    fn a_fade_goes_on_while_nothing_comes() {
        let mut strip = strip(SourceAudio::default());
        strip.process(&mut tone(440.0, 0.4, 1.0));
        strip.process(&mut vec![0.0; RATE as usize * 2]);
        strip.set_visible(false, 24_000, 0);
        let mut blocks = 0;
        while strip.rings() {
            strip.process(&mut [0.0; 2_000]);
            blocks += 1;
        }
        assert_eq!(blocks, 24);
        assert!(!strip.is_heard());
    }

    #[test]
    fn a_muted_input_still_shows_its_level() {
        let mut muted = strip(SourceAudio {
            mute: true,
            ..SourceAudio::default()
        });
        let mut sound = tone(440.0, 0.4, 0.1);
        muted.process(&mut sound);
        assert!(sound.iter().all(|s| *s == 0.0));
        assert!((muted.take_peak()[0] - 0.4).abs() < 0.001);
        assert_eq!(muted.take_peak(), [0.0, 0.0]);
    }
}
