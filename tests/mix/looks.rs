//! Pictures for people: made while somebody looks, and not otherwise.

use crate::rig::*;
use crate::support::OnAir;
use regia::bridge::mix::{MixCommand, View};

#[tokio::test]
async fn thumbnails_come_while_somebody_looks() {
    let directory = tempfile::tempdir().unwrap();
    let mut show = OnAir::begin(greys(directory.path())).await;
    show.video_units(30).await;
    assert!(show.thumbnails.is_empty(), "nobody looked");
    let preview = MixCommand::Preview {
        scene: "pip".into(),
    };
    tell(&mut show, 1, preview).await.unwrap();
    let look = |thumbnails_per_s, multiview| MixCommand::Look {
        thumbnails_per_s,
        multiview,
    };
    tell(&mut show, 2, look(4, true)).await.unwrap();
    let views = [
        View::Source("stage".into()),
        View::Source("dark".into()),
        View::Source("light".into()),
        View::Programme,
        View::Preview,
        View::Multiview,
    ];
    show.until("a picture of each view", |show| {
        views
            .iter()
            .all(|view| show.thumbnails.iter().any(|made| made.of == *view))
    })
    .await;
    for view in &views {
        let made = show
            .thumbnails
            .iter()
            .rfind(|made| made.of == *view)
            .unwrap();
        let picture = image::load_from_memory(&made.jpeg).unwrap().to_luma8();
        let wanted = if *view == View::Multiview {
            (1280, 720)
        } else {
            (320, 180)
        };
        assert_eq!(picture.dimensions(), wanted, "{view:?}");
        // At full range, as JPEG has it: 40 stays 40.
        if *view == View::Source("dark".into()) {
            let middle = picture.get_pixel(160, 90).0[0];
            assert!((38..=42).contains(&middle), "{middle}");
        }
    }
    tell(&mut show, 3, look(0, false)).await.unwrap();
    show.video_units(30).await;
    show.thumbnails.clear();
    show.video_units(45).await;
    assert!(show.thumbnails.is_empty(), "nobody looks any more");
    show.finish().await;
}
