//! Clips: the first frame at the take, and the scene that follows at the end.

use crate::rig::*;
use crate::support::{OnAir, spec, tool};
use regia::config::*;

/// A clip of a second, as bright as it is old.
fn clip(directory: &std::path::Path) -> SourceKind {
    let path = directory.join("clip.mp4");
    let picture = "color=white:s=640x360:r=30:d=1,geq=lum='60+N*5':cb=128:cr=128";
    let arguments = [
        "-v",
        "error",
        "-y",
        "-f",
        "lavfi",
        "-i",
        picture,
        "-f",
        "lavfi",
        "-i",
        "sine=f=1000:d=1",
        "-c:v",
        "libx264",
        "-qp",
        "10",
        "-c:a",
        "aac",
        path.to_str().unwrap(),
    ];
    tool("ffmpeg", &arguments);
    SourceKind::File {
        path,
        repeat: false,
    }
}

#[tokio::test]
async fn a_clip_begins_with_its_first_frame_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut spec = EngineSpec {
        scenes: vec![
            Scene::full("dark", "dark"),
            Scene {
                then: Some("light".into()),
                ..Scene::full("opener", "clip")
            },
            Scene::full("light", "light"),
        ],
        ..spec(clip(directory.path()))
    };
    spec.sources = vec![
        source("dark", grey(directory.path(), "dark", 20)),
        source("clip", clip(directory.path())),
        source("light", grey(directory.path(), "light", 250)),
    ];
    let mut show = OnAir::begin(spec).await;
    // Ready, and on no scene.
    show.until("the clip's first frame", |show| {
        show.events
            .iter()
            .any(|event| format!("{event:?}").contains("id: \"clip\", state: Live"))
    })
    .await;
    show.video_units(30).await;
    for request in [1, 2] {
        let answer = tell(&mut show, request, take("opener", None))
            .await
            .unwrap();
        assert_eq!(answer.note, "");
        assert_eq!(state(&show).unwrap().clip.as_ref().unwrap().source, "clip");
        show.until("what follows", |show| {
            state(show).is_some_and(|s| s.scene == "light")
        })
        .await;
        show.video_units(45).await;
        tell(&mut show, request + 10, take("dark", None))
            .await
            .unwrap();
        show.video_units(30).await;
    }
    show.finish().await;
    let luma = luma(&show, "iw:ih:0:0");
    let dark = |luma: &f64| *luma < 45.0;
    let begins: Vec<usize> = (1..luma.len())
        .filter(|n| dark(&luma[n - 1]) && !dark(&luma[*n]))
        .collect();
    assert_eq!(begins.len(), 2, "{luma:?}");
    for begin in begins {
        // 60, 65, 70 …: the first one is there, and the next 29 follow it.
        let shown = &luma[begin..begin + 30];
        println!("the clip: {shown:.0?}");
        assert!((shown[0] - 60.0).abs() < 3.0, "its first frame: {shown:?}");
        assert!(shown.is_sorted_by(|a, b| b - a > -1.0), "{shown:?}");
        assert!(
            luma[begin + 33] > 220.0,
            "then what follows: {:?}",
            &luma[begin..begin + 36]
        );
    }
}
