//! Gain, mute, pan, delay, limiter.

use crate::measure::*;
use crate::support::*;
use regia::config::*;

const LEFT: f64 = 440.0;
const RIGHT: f64 = 997.0;

fn audio(change: impl FnOnce(&mut SourceAudio)) -> SourceAudio {
    let mut audio = SourceAudio::default();
    change(&mut audio);
    audio
}

#[tokio::test(flavor = "multi_thread")]
async fn gain_pan_and_channels_are_what_they_say() {
    let directory = tempfile::tempdir().unwrap();
    let path = tone(directory.path(), [LEFT, RIGHT], [-20.0, -26.0], 60);
    // Half to the right: the left at half.
    let half = -6.02;
    let cases: [(&str, SourceAudio, [f64; 2]); 5] = [
        ("as it is", audio(|_| ()), [-20.0, -26.0]),
        (
            "gain −7.5 dB",
            audio(|audio| audio.gain_db = -7.5),
            [-27.5, -33.5],
        ),
        (
            "gain +9 dB",
            audio(|audio| audio.gain_db = 9.0),
            [-11.0, -17.0],
        ),
        (
            "pan 0.5",
            audio(|audio| audio.pan = 0.5),
            [-20.0 + half, -26.0],
        ),
        (
            "pan −0.5",
            audio(|audio| audio.pan = -0.5),
            [-20.0, -26.0 + half],
        ),
    ];
    for (what, audio, [left_db, right_db]) in cases {
        let [left, right] = listen(programme(&path, audio), 3).await;
        assert_level(what, &left, LEFT, left_db);
        assert_level(what, &right, RIGHT, right_db);
    }
    let swapped = audio(|audio| audio.channels = Channels::Swap);
    let [left, right] = listen(programme(&path, swapped), 3).await;
    assert_level("swapped", &left, RIGHT, -26.0);
    assert_level("swapped", &right, LEFT, -20.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_muted_is_not_heard() {
    let directory = tempfile::tempdir().unwrap();
    let path = tone(directory.path(), [LEFT, RIGHT], [-6.0, -6.0], 60);
    for audio in [
        audio(|audio| audio.mute = true),
        audio(|audio| audio.mode = AudioMode::Off),
    ] {
        let sides = listen(programme(&path, audio), 3).await;
        for side in sides {
            assert!(peak_db(&side) < -90.0, "{}", peak_db(&side));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_is_as_long_as_it_says() {
    let mut apart = Vec::new();
    for delay_ms in [0, 250] {
        let mut spec = spec(SourceKind::Test);
        spec.sources[0].audio.delay_ms = delay_ms;
        let mut show = OnAir::begin(spec).await;
        show.video_units(200).await;
        show.finish().await;
        let (flashes, beeps) = show.flashes_and_beeps();
        let after = |flash: i64| {
            let beep = beeps
                .iter()
                .copied()
                .filter(|beep| *beep > flash - 100_000)
                .min()?;
            Some(beep - flash)
        };
        // The first may lie before the sound begins.
        let pairs: Vec<i64> = flashes[1..]
            .iter()
            .filter_map(|flash| after(*flash))
            .collect();
        let mean = pairs.iter().sum::<i64>() / pairs.len() as i64;
        println!("{delay_ms} ms: the beep comes {mean} µs after its flash, over {pairs:?}");
        apart.push(mean);
    }
    let delay = apart[1] - apart[0];
    assert!((delay - 250_000).abs() <= 5_000, "{delay} µs");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limiter_holds_the_programme_under_its_ceiling() {
    let directory = tempfile::tempdir().unwrap();
    let path = tone(directory.path(), [LEFT, RIGHT], [-6.0, -6.0], 60);
    let mut spec = programme(&path, audio(|audio| audio.gain_db = 15.0));
    spec.programme.audio.limiter_db = Some(-3.0);
    let [left, right] = listen(spec, 3).await;
    // What is 9 dB over full scale comes out at the ceiling, as loud as it may be and no louder.
    assert_level("limited", &left, LEFT, -3.0);
    assert_level("limited", &right, RIGHT, -3.0);
    for side in [&left, &right] {
        assert!(peak_db(side) < -2.7, "{}", peak_db(side));
    }
    // Under the ceiling it changes nothing: the first test's levels, which are measured with it.
}
