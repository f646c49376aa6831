//! Transitions, layers and keys, measured in decoded pictures.

use crate::rig::*;
use crate::support::OnAir;
use regia::bridge::mix::MixCommand;
use regia::config::*;

/// What 40 and 220 become at video range.
const DARK: f64 = 16.0 + 40.0 * 219.0 / 255.0;
const LIGHT: f64 = 16.0 + 220.0 * 219.0 / 255.0;
/// Of an encoder at a bitrate for this size.
const NEAR: f64 = 2.0;

fn is(luma: f64, wanted: f64) -> bool {
    (luma - wanted).abs() <= NEAR
}

/// A show that takes "light" by a transition from "dark"; the luma of each frame.
async fn shown(kind: TransitionKind, ms: u32, crop: &str) -> Vec<f64> {
    let directory = tempfile::tempdir().unwrap();
    let mut show = OnAir::begin(greys(directory.path())).await;
    show.video_units(20).await;
    let way = transition(kind, ms);
    let answer = tell(&mut show, 1, take("light", Some(way))).await.unwrap();
    assert_eq!((answer.ran, answer.note.as_str()), (way, ""));
    show.until("the end of the transition", |show| {
        state(show).is_some_and(|state| state.scene == "light" && state.transition.is_none())
    })
    .await;
    show.video_units(30).await;
    show.finish().await;
    luma(&show, crop)
}

#[tokio::test]
async fn a_fade_is_monotone_and_reaches_both_ends() {
    let luma = shown(TransitionKind::Fade, 500, "iw:ih:0:0").await;
    let first = luma.iter().position(|luma| !is(*luma, DARK)).unwrap();
    let last = luma.iter().rposition(|luma| !is(*luma, LIGHT)).unwrap();
    assert!(luma[..first].iter().all(|luma| is(*luma, DARK)), "{luma:?}");
    assert!(
        luma[last + 1..].iter().all(|luma| is(*luma, LIGHT)),
        "{luma:?}"
    );
    let way = &luma[first..=last];
    // 15 frames, of which the last is the new scene; a machine that is late repeats some.
    assert_eq!(way.len(), 14, "{way:?}");
    assert!(way.is_sorted_by(|a, b| b - a > -1.0), "{way:?}");
    let step = (LIGHT - DARK) / 15.0;
    println!("a fade of 500 ms: {way:.1?}, steps of {step:.1}");
}

#[tokio::test]
async fn a_dip_goes_through_black_and_ends_exactly() {
    let luma = shown(TransitionKind::Dip, 500, "iw:ih:0:0").await;
    assert!(luma.iter().any(|luma| *luma < 16.0 + NEAR), "{luma:?}");
    assert!(is(luma[0], DARK) && is(luma[luma.len() - 1], LIGHT));
}

#[tokio::test]
async fn what_moves_comes_from_its_side() {
    for kind in [
        TransitionKind::Wipe,
        TransitionKind::Slide,
        TransitionKind::Push,
    ] {
        // The left edge changes at once, and the whole is light in the end.
        let luma = shown(kind, 500, "iw/16:ih:0:0").await;
        let first = luma.iter().position(|luma| !is(*luma, DARK)).unwrap();
        assert!(
            luma[first + 2..].iter().all(|luma| is(*luma, LIGHT)),
            "{kind}: {luma:?}"
        );
        let luma = shown(kind, 500, "iw/16:ih:iw*15/16:0").await;
        let changed = luma
            .iter()
            .filter(|luma| !is(**luma, DARK) && !is(**luma, LIGHT));
        assert!(
            changed.count() <= 2,
            "{kind}: the right edge changes last, and at once"
        );
        assert!(is(luma[luma.len() - 1], LIGHT), "{kind}");
    }
}

/// Everything to black and back by a take; a key that stays through a take.
#[tokio::test]
async fn black_and_keys() {
    let directory = tempfile::tempdir().unwrap();
    let mut spec = greys(directory.path());
    let place = Place {
        x: 0.0,
        y: 0.0,
        width: 0.25,
        height: 0.25,
    };
    spec.overlays = vec![Overlay {
        id: "logo".into(),
        layer: Layer {
            place,
            ..Layer::full("light")
        },
        on: true,
        appear: None,
        vanish: None,
    }];
    let mut show = OnAir::begin(spec).await;
    show.video_units(20).await;
    tell(&mut show, 1, take("test", None)).await.unwrap();
    show.video_units(20).await;
    let black = MixCommand::Black { on: true, ms: 300 };
    tell(&mut show, 2, black).await.unwrap();
    assert!(state(&show).unwrap().black);
    show.video_units(40).await;
    tell(
        &mut show,
        3,
        take("dark", Some(transition(TransitionKind::Fade, 300))),
    )
    .await
    .unwrap();
    show.video_units(40).await;
    assert!(!state(&show).unwrap().black);
    show.finish().await;
    let key = luma(&show, "iw/8:ih/8:0:0");
    assert!(is(key[0], LIGHT));
    let black = key.iter().filter(|luma| **luma < 16.0 + NEAR).count();
    assert!(
        black >= 20,
        "{black} frames are black, the key too: {key:?}"
    );
    assert!(
        is(key[key.len() - 1], LIGHT),
        "the key is back with the scene"
    );
    let scene = luma(&show, "iw/4:ih/4:iw/2:ih/2");
    assert!(is(scene[scene.len() - 1], DARK));
}
