//! What the reader says of scenes, their layers, and overlays.

use super::{GOOD, after, loaded, says};
use regia::config::*;

const SCENE: &str = "layers = [{ source = \"stage\" }]";

/// The settings of `GOOD` with `from` replaced.
fn good(from: &str, to: &str) -> Settings {
    assert!(GOOD.contains(from), "{from}");
    let Loaded { settings, warnings } = loaded(&GOOD.replacen(from, to, 1));
    assert!(warnings.is_empty(), "{warnings:?}");
    settings
}

/// With two more sources.
fn sources(scene: &str) -> String {
    format!(
        "{scene}\n[[source]]\nid = \"slides\"\nkind = \"test\"\n[[source]]\nid = \"bars\"\nkind = \"test\""
    )
}

#[test]
fn a_layer_is_what_it_says() {
    let text = r##"name = "All of it"
still = true
transition = "wipe"
transition_ms = 800
transition_from = "left"
layers = [
    { source = "stage", x = 0.5, y = -0.25, width = 0.5, height = 0.5, opacity = 0.8, crop = [0.1, 0, 0.2, 0], z = 3, id = "speaker",
      border = { width = 0.01, colour = "#ff8000" }, chroma_key = { colour = "#00ff00", similarity = 0.4 }, or = "slides" },
    { source = "stage" }, { source = "stage" }, { source = "bars" },
]"##;
    let settings = good(SCENE, &sources(text));
    let scene = &settings.scenes[0];
    assert_eq!(scene.name.as_deref(), Some("All of it"));
    assert!(scene.still);
    let wipe = Transition {
        kind: TransitionKind::Wipe,
        ms: 800,
        from: Side::Left,
    };
    assert_eq!(scene.transition, wipe);
    let layer = &scene.layers[0];
    assert_eq!(layer.id, "speaker");
    assert_eq!((layer.place.x, layer.place.y), (0.5, -0.25));
    assert_eq!((layer.opacity, layer.z), (0.8, 3));
    assert_eq!((layer.crop.left, layer.crop.right), (0.1, 0.2));
    assert_eq!(layer.border.unwrap().colour, Colour::opaque(255, 128, 0));
    assert_eq!(layer.chroma_key.unwrap().similarity, 0.4);
    assert_eq!(layer.or.as_deref(), Some("slides"));
    // The same source twice is two layers.
    let ids: Vec<&str> = scene.layers.iter().map(|layer| layer.id.as_str()).collect();
    assert_eq!(ids, ["speaker", "stage", "stage-2", "bars"]);
}

#[test]
fn presets_place_their_sources() {
    let text = sources(
        "layout = \"pip\"\nsources = [\"stage\", \"slides\"]\nlayers = [{ source = \"bars\", x = 0.9 }]",
    );
    let layers = good(SCENE, &text).scenes[0].layers.clone();
    let ids: Vec<&str> = layers.iter().map(|layer| layer.id.as_str()).collect();
    assert_eq!(ids, ["stage", "slides", "bars"]);
    assert_eq!(layers[0].place, regia::config::Place::FULL);
    assert!(layers[1].place.x > 0.5 && layers[1].place.width < 0.5);
    says(
        SCENE,
        "layout = \"pip\"\nsources = [\"stage\"]",
        &["22:11: scene \"wide\".sources: this layout shows 2, not 1"],
    );
    says(
        SCENE,
        "layout = \"quad\"\nsources = [\"stage\"]",
        &["22:11: scene \"wide\".sources: this layout shows 2 to 4, not 1"],
    );
    says(
        SCENE,
        "layout = \"ful\"\nsources = [\"stagr\"]\nlayers = [{ source = \"stage\" }]",
        &[
            "21:10: scene \"wide\".layout: \"ful\" is not one of full, pip, side-by-side, two-up, quad; did you mean \"full\"?",
        ],
    );
    says(
        SCENE,
        "layout = \"full\"\nsources = [\"stagr\"]\nlayers = [{ source = \"stage\" }]",
        &[
            "22:12: scene \"wide\".sources[1]: there is no source \"stagr\"; did you mean \"stage\"?",
        ],
    );
    says(
        SCENE,
        "layout = \"full\"\nlayers = [{ source = \"stage\" }]",
        &["19:1: scene \"wide\".sources: is missing; for example sources = [\"stage\"]"],
    );
    says(
        SCENE,
        "sources = [\"stage\"]\nlayers = [{ source = \"stage\" }]",
        &[
            "21:11: scene \"wide\".sources: belongs to a layout, and there is none; add layout = \"full\", or name it in layers",
        ],
    );
}

#[test]
fn layers_that_can_not_be() {
    let layer = |more: &str| format!("layers = [{{ source = \"stage\", {more} }}]");
    let wrong = |more: &str, expected: &str| {
        let expected = format!("21:{expected}");
        says(SCENE, &layer(more), &[&expected]);
    };
    wrong(
        "x = 1.0",
        "35: scene \"wide\".layers[1].x: nothing of the layer is in the frame: it lies at 1, 0 and is 1 by 1; 0, 0 is the frame's top left, 1, 1 its bottom right",
    );
    wrong(
        "y = -0.5, height = 0.5",
        "35: scene \"wide\".layers[1].y: nothing of the layer is in the frame: it lies at 0, -0.5 and is 1 by 0.5; 0, 0 is the frame's top left, 1, 1 its bottom right",
    );
    wrong(
        "width = 0",
        "11: scene \"wide\".layers[1].x: nothing of the layer is in the frame: it lies at 0, 0 and is 0 by 1; 0, 0 is the frame's top left, 1, 1 its bottom right",
    );
    wrong(
        "opacity = 1.5",
        "41: scene \"wide\".layers[1].opacity: must be from 0 to 1, not 1.5",
    );
    wrong(
        "crop = [0.5, 0, 0.5, 0]",
        "38: scene \"wide\".layers[1].crop: each is from 0 to 1, and something of the picture must be left; for example crop = [0.25, 0.0, 0.25, 0.0]",
    );
    wrong(
        "crop = [0.5]",
        "38: scene \"wide\".layers[1].crop: must be left, top, right and bottom, not 1 numbers; for example crop = [0.25, 0.0, 0.25, 0.0]",
    );
    wrong(
        "crop = \"none\"",
        "38: scene \"wide\".layers[1].crop: must be a list of numbers, not a string; for example crop = [0.25, 0.0, 0.25, 0.0]",
    );
    wrong(
        "z = 1.5",
        "35: scene \"wide\".layers[1].z: must be a whole number from -1000 to 1000, not 1.5",
    );
    wrong(
        "border = { colour = \"red\" }",
        "51: scene \"wide\".layers[1].border.colour: \"red\" is no colour; write #rrggbb, or #rrggbbaa with its opacity",
    );
    wrong(
        "chroma_key = { similarty = 0.4 }",
        "46: scene \"wide\".layers[1].chroma_key.similarty: unknown key; did you mean \"similarity\"?",
    );
    wrong(
        "or = \"stagr\"",
        "36: scene \"wide\".layers[1].or: there is no source \"stagr\"; did you mean \"stage\"?",
    );
    // Partly outside is fine.
    good(SCENE, &layer("x = 0.9, y = -0.9"));
    says(
        SCENE,
        "layers = [{ source = \"stage\", id = \"a\" }, { source = \"stage\", id = \"a\" }, { source = \"stage\", image = \"/etc/logo.png\" }]",
        &[
            "21:68: scene \"wide\".layers \"a\".id: \"a\" is another layer of this scene already; take another",
            "21:103: scene \"wide\".layers[3].image: /etc/logo.png does not exist; a relative path starts at the configuration's directory",
            "21:103: scene \"wide\".layers[3].image: source and image cannot both be shown by one layer; make a layer of each",
        ],
    );
    says(
        SCENE,
        "layers = [{ source = \"stage\" }, { title = \"speaker\" }]",
        &[
            "21:43: scene \"wide\".layers[2].title: there is no title \"speaker\"; add [[title]] with id = \"speaker\"",
        ],
    );
}

#[test]
fn transitions() {
    says(
        SCENE,
        "layers = [{ source = \"stage\" }]\ntransition = \"fad\"",
        &[
            "22:14: scene \"wide\".transition: \"fad\" is not one of cut, fade, dip, slide, push, wipe; did you mean \"fade\"?",
        ],
    );
    says(
        SCENE,
        "layers = [{ source = \"stage\" }]\ntransition_ms = 500",
        &[
            "22:17: scene \"wide\".transition_ms: says how, but not of which transition; add transition = \"fade\", or dip, slide, push, wipe",
        ],
    );
    says(
        SCENE,
        "layers = [{ source = \"stage\" }]\ntransition = \"fade\"\ntransition_ms = 6000",
        &[
            "23:17: scene \"wide\".transition_ms: must be a whole number from 0 to 5000 ms, not 6000",
        ],
    );
    let fade = good(
        SCENE,
        "layers = [{ source = \"stage\" }]\ntransition = \"fade\"",
    );
    assert_eq!(fade.scenes[0].transition.ms, Transition::USUAL_MS);
}

/// A clip of this file in the scene "opener", and what else is in the file.
fn with_clip(more: &str, then: &str) -> String {
    format!(
        "{SCENE}\n[[source]]\nid = \"clip\"\nkind = \"file\"\npath = \"clips/opener.mp4\"{more}\n[[scene]]\nid = \"opener\"\nlayers = [{{ source = \"clip\" }}]\nthen = \"{then}\""
    )
}

#[test]
fn what_follows_a_clip() {
    let settings = good(SCENE, &with_clip("", "wide"));
    assert_eq!(settings.scenes[1].then.as_deref(), Some("wide"));
    says(
        SCENE,
        &with_clip("", "wied"),
        &["29:8: scene \"opener\".then: there is no scene \"wied\"; did you mean \"wide\"?"],
    );
    says(
        SCENE,
        &with_clip("", "opener"),
        &[
            "29:8: scene \"opener\".then: leads back to itself: opener → opener; one of them must go on to a scene without then",
        ],
    );
    says(
        SCENE,
        &with_clip("\nloop = true", "wide"),
        &[
            "30:8: scene \"opener\".then: waits for the end of \"clip\", which has none: loop = true; a clip plays once: take its loop away",
        ],
    );
    says(
        SCENE,
        "layers = [{ source = \"stage\" }]\nthen = \"b\"\n[[scene]]\nid = \"b\"\nlayers = [{ source = \"stage\" }]",
        &[
            "22:8: scene \"wide\".then: waits for the end of a clip, but no layer is a source of kind \"file\"; show one, or take then away",
        ],
    );
    let loops = after(
        SCENE,
        &format!(
            "{}\n[[scene]]\nid = \"closer\"\nlayers = [{{ source = \"clip\" }}]\nthen = \"opener\"",
            with_clip("", "closer")
        ),
    );
    assert_eq!(
        loops,
        [
            "29:8: scene \"opener\".then: leads back to itself: opener → closer → opener; one of them must go on to a scene without then",
            "33:8: scene \"closer\".then: leads back to itself: closer → opener → closer; one of them must go on to a scene without then",
        ]
    );
}

#[test]
fn overlays() {
    let overlay =
        |id: &str| format!("[[overlay]]\nid = \"{id}\"\nsource = \"stage\"\nwidth = 0.2\n");
    let text =
        overlay("logo") + "on = true\nin = \"fade\"\nin_ms = 300\nout = \"slide\"\n[[uplink]]";
    let settings = good("[[uplink]]", &text);
    let logo = &settings.overlays[0];
    assert!(logo.on);
    assert_eq!(logo.layer.place.width, 0.2);
    assert_eq!(logo.appear.unwrap().ms, 300);
    assert_eq!(logo.vanish.unwrap().how, AppearKind::Slide);
    let five: String = ["a", "b", "c", "d", "e"].map(overlay).concat() + "[[uplink]]";
    says(
        "[[uplink]]",
        &five,
        &["39:1: overlay \"e\": the overlays are 5; there may be 4"],
    );
    says(
        "[[uplink]]",
        "[[overlay]]\nid = \"a\"\nin_ms = 300\n[[uplink]]",
        &[
            "23:1: overlay \"a\".source: is missing; the scene names no source; give the id of one",
            "25:9: overlay \"a\".in_ms: says how long, but not how; add in = \"fade\" or in = \"slide\"",
        ],
    );
}
