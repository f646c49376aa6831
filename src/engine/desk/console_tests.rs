use super::super::testing::*;
use super::*;
use crate::config::{AudioMode, Duck};
use proptest::prelude::*;

const AUDIO: Audio = Audio {
    bitrate_kbps: 128,
    sample_rate: RATE,
    limiter_db: Some(-1.0),
    target_lufs: -16.0,
};

fn at(sample: i64) -> MediaTime {
    MediaTime(5_000_000 + sample * 1_000_000 / i64::from(RATE))
}

fn channel(id: &str, audio: SourceAudio) -> Channel {
    Channel {
        id: id.into(),
        audio,
        visible: true,
    }
}

fn console(channels: Vec<Channel>) -> Console {
    Console::new(at(0), &AUDIO, channels)
}

/// Feeds tones of so many seconds, a block at a time, and gives all that leaves.
fn run(
    console: &mut Console,
    inputs: &[&[f32]],
    mut each: impl FnMut(&mut Console, i64),
) -> Vec<f32> {
    let length = inputs.iter().map(|input| input.len()).max().unwrap();
    let mut out = Vec::new();
    for n in 0..length.div_ceil(960) {
        let now = n as i64 * 480;
        for (source, input) in inputs.iter().enumerate() {
            if let Some(piece) = input.get(n * 960..((n + 1) * 960).min(input.len())) {
                console.handle_samples(source, at(now), piece);
            }
        }
        each(console, now);
        while let Some(block) = console.poll(at(now + 480)) {
            assert_eq!(block.number as usize * BLOCK * 2, out.len());
            out.extend(block.samples);
        }
    }
    out
}

#[test]
fn one_plain_input_keeps_every_bit_and_its_place() {
    let sound: Vec<f32> = (0..96_000)
        .map(|n| (n as f32 * 0.011).sin() * 0.8)
        .collect();
    let mut console = console(vec![channel("stage", SourceAudio::default())]);
    let out = run(&mut console, &[&sound], |_, _| {});
    assert!(out.len() > 90_000);
    assert!(out[..] == sound[..out.len()]);
}

#[test]
fn without_a_limiter_too() {
    let sound: Vec<f32> = (0..96_000)
        .map(|n| (n as f32 * 0.011).sin() * 1.8)
        .collect();
    let unlimited = Audio {
        limiter_db: None,
        ..AUDIO
    };
    let mut console = Console::new(
        at(0),
        &unlimited,
        vec![channel("a", SourceAudio::default())],
    );
    let out = run(&mut console, &[&sound], |_, _| {});
    assert!(out[..] == sound[..out.len()]);
}

#[test]
fn inputs_are_summed_and_the_sum_is_limited() {
    let (a, b) = (tone(440.0, 0.8, 1.0), tone(1_000.0, 0.8, 1.0));
    let channels = vec![
        channel("a", SourceAudio::default()),
        channel("b", SourceAudio::default()),
    ];
    let mut console = console(channels);
    let mut limited = 0.0f32;
    let out = run(&mut console, &[&a, &b], |console, _| {
        if let Some(levels) = console.poll_levels() {
            limited = limited.max(levels.programme.limited_db);
        }
    });
    let peak = out.iter().fold(0.0f32, |peak, s| s.abs().max(peak));
    assert!(peak <= 0.892, "{peak}");
    assert!((4.0..7.0).contains(&limited), "{limited}");
}

#[test]
fn a_delay_is_exact_and_what_it_holds_still_comes() {
    let mut sound = vec![0.0; 9_600];
    sound.extend(tone(1_000.0, 0.4, 0.05));
    let delayed = SourceAudio {
        delay_ms: 300,
        ..SourceAudio::default()
    };
    let mut console = console(vec![channel("a", delayed)]);
    let mut padded = sound.clone();
    padded.resize(96_000, 0.0);
    let out = run(&mut console, &[&padded], |_, _| {});
    let first = out.iter().position(|s| *s != 0.0).unwrap();
    let before = sound.iter().position(|s| *s != 0.0).unwrap();
    assert_eq!(first - before, 300 * 96);
}

#[test]
fn what_a_delay_holds_comes_out_of_a_source_that_is_gone() {
    let delayed = SourceAudio {
        delay_ms: 500,
        ..SourceAudio::default()
    };
    let mut console = console(vec![channel("a", delayed)]);
    console.handle_samples(0, at(0), &tone(1_000.0, 0.4, 0.2));
    let blocks = std::iter::from_fn(|| console.poll(at(48_000)));
    let out: Vec<f32> = blocks.flat_map(|block| block.samples).collect();
    let heard = out[48_000..67_000]
        .iter()
        .fold(0.0f32, |peak, s| s.abs().max(peak));
    assert!(heard > 0.39, "{heard}");
}

#[test]
fn scenes_open_and_close_those_that_follow() {
    let (a, b) = (tone(440.0, 0.4, 2.0), tone(1_000.0, 0.4, 2.0));
    let mut channels = vec![
        channel("a", SourceAudio::default()),
        channel("b", SourceAudio::default()),
    ];
    channels[1].visible = false;
    let mut console = console(channels);
    let mut open = Vec::new();
    let out = run(&mut console, &[&a, &b], |console, now| {
        if now == 48_000 {
            console.handle_scene(at(49_000), &[1], Duration::ZERO);
        }
        if let Some(levels) = console.poll_levels() {
            open.push((levels.inputs[0].open, levels.inputs[1].open));
        }
    });
    // 440 Hz alone, then 1 kHz alone, the change where it was asked for and over 20 ms.
    assert!(out[..98_000] == a[..98_000]);
    let end = 2 * (49_000 + 960) + 2;
    assert!(out[end..] == b[end..out.len()]);
    assert_eq!(
        (open[0], *open.last().unwrap()),
        ((true, false), (false, true))
    );
    assert!(click_db(&out) < -60.0, "{}", click_db(&out));
}

#[test]
fn music_gives_way_to_a_microphone_that_is_heard() {
    let music = SourceAudio {
        mode: AudioMode::On,
        duck: Some(Duck {
            under: vec!["mic".into()],
            by_db: -12.0,
            threshold_db: -40.0,
        }),
        ..SourceAudio::default()
    };
    let (sound, speech) = (tone(5_000.0, 0.2, 3.0), tone(200.0, 0.1, 3.0));
    for (mute, wanted) in [(false, -12.0), (true, 0.0)] {
        let mic = SourceAudio {
            mute,
            ..SourceAudio::default()
        };
        let mut console = console(vec![channel("music", music.clone()), channel("mic", mic)]);
        let mut ducked = 0.0;
        run(&mut console, &[&sound, &speech], |console, _| {
            if let Some(levels) = console.poll_levels() {
                ducked = levels.inputs[0].ducked_db;
            }
        });
        assert!(
            (ducked - wanted).abs() < 0.11,
            "{ducked} with the microphone muted: {mute}"
        );
    }
}

#[test]
fn a_source_that_gives_nothing_is_not_waited_for() {
    let channels = vec![
        channel("a", SourceAudio::default()),
        channel("quiet", SourceAudio::default()),
    ];
    let mut console = console(channels);
    console.handle_samples(0, at(0), &tone(440.0, 0.4, 0.1));
    assert!(console.poll(at(0)).is_some());
    // One that has just given some is.
    console.handle_samples(1, at(1_024), &tone(440.0, 0.4, 0.01));
    assert!(console.poll(at(1_300)).is_none());
    assert!(console.poll(console.poll_timeout()).is_some());
}

#[test]
fn levels_come_ten_times_a_second() {
    let mut console = console(vec![channel("a", SourceAudio::default())]);
    let mut levels = Vec::new();
    run(&mut console, &[&tone(1_000.0, 0.1, 3.0)], |console, _| {
        levels.extend(console.poll_levels());
    });
    assert!((28..=30).contains(&levels.len()), "{}", levels.len());
    let last = levels.last().unwrap();
    assert_eq!(last.inputs[0].peak_db, [Some(-20.0); 2]);
    assert_eq!(last.programme.peak_db, [Some(-20.0); 2]);
    let near = |lufs: Option<f32>| (lufs.unwrap() + 20.0).abs() < 0.2;
    assert!(
        near(last.programme.momentary_lufs) && near(last.programme.integrated_lufs),
        "{last:?}"
    );
}

#[test]
fn after_a_sleep_whole_blocks_are_skipped() {
    let mut console = console(vec![channel("a", SourceAudio::default())]);
    assert_eq!(console.poll(at(480_000)), None);
    let block = console.poll(console.poll_timeout()).unwrap();
    assert_eq!(block.number, 468);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_row_is_unbroken(
        pieces in prop::collection::vec((0usize..3, 0i64..96_000, 0i64..20_000, 1i64..4_000), 0..60),
    ) {
        let channels = ["a", "b", "c"].map(|id| channel(id, SourceAudio::default()));
        let mut console = console(channels.into());
        let mut pieces: Vec<_> = pieces.into_iter().map(|(s, p, d, n)| (p + d, s, p, n)).collect();
        pieces.sort_unstable();
        let mut pieces = pieces.into_iter().peekable();
        let mut numbers = Vec::new();
        for now in (0..120_000).step_by(240) {
            while let Some((_, source, p, n)) = pieces.next_if(|(arrival, ..)| *arrival <= now) {
                console.handle_samples(source, at(p), &vec![0.1; 2 * n as usize]);
            }
            while let Some(block) = console.poll(at(now)) {
                prop_assert_eq!(block.samples.len(), BLOCK * CHANNELS);
                numbers.push(block.number);
            }
        }
        prop_assert!(numbers.iter().copied().eq(0..numbers.len() as i64));
        prop_assert!(numbers.len() as i64 >= 115_000 / 1_024);
    }
}
