//! `[[scene]]` and `[[overlay]]`: how what there is is arranged.

use super::environment::Environment;
use super::inputs::{existing_file, ids, unknown_reference};
use super::picture::*;
use super::reader::Table;
use super::report::At;
use super::settings::{Source, SourceKind};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

/// The id of the scene that a single source makes when the file has none.
const IMPLICIT_SCENE: &str = "main";
/// Layers may lie partly outside the frame; farther than this nobody means.
const FARTHEST: f64 = 10.0;
/// Each one that is seen costs time in every frame.
const MOST_LAYERS: usize = 16;
const LONGEST_APPEAR_MS: u32 = 5_000;
const BORDER: RangeInclusive<f64> = 0.0..=0.2;
const PART: RangeInclusive<f64> = 0.0..=1.0;

/// What scenes may name.
pub(super) struct Known<'a> {
    pub sources: &'a [Source],
    /// Those too that could not be read.
    pub source_ids: &'a [String],
    pub title_ids: &'a [String],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    Full,
    Pip,
    SideBySide,
    TwoUp,
    Quad,
}

const LAYOUTS: [(&str, Layout); 5] = [
    ("full", Layout::Full),
    ("pip", Layout::Pip),
    ("side-by-side", Layout::SideBySide),
    ("two-up", Layout::TwoUp),
    ("quad", Layout::Quad),
];

impl Layout {
    /// Lowest first, as x, y, width and height: fractions of the frame, all in its shape.
    fn places(self) -> &'static [[f64; 4]] {
        match self {
            Layout::Full => &[[0.0, 0.0, 1.0, 1.0]],
            Layout::Pip => &[[0.0, 0.0, 1.0, 1.0], [0.7, 0.68, 0.27, 0.27]],
            Layout::SideBySide => &[[0.0, 0.25, 0.5, 0.5], [0.5, 0.25, 0.5, 0.5]],
            // Room for a lower third below.
            Layout::TwoUp => &[[0.02, 0.16, 0.47, 0.47], [0.51, 0.16, 0.47, 0.47]],
            Layout::Quad => &[
                [0.0, 0.0, 0.5, 0.5],
                [0.5, 0.0, 0.5, 0.5],
                [0.0, 0.5, 0.5, 0.5],
                [0.5, 0.5, 0.5, 0.5],
            ],
        }
    }
}

/// The scenes; with one source and no scene, that source full-frame.
pub(super) fn scenes(
    root: &Table<'_>,
    known: &Known<'_>,
    base: &Path,
    env: &dyn Environment,
) -> Vec<Scene> {
    let tables = root.tables("scene");
    let ids = ids(&tables);
    let mut scenes = Vec::new();
    let mut follows = Vec::new();
    for (table, id) in tables.iter().zip(&ids) {
        let name = table.string("name", "Speaker and slides");
        let layers = layers_of(table, known, base, env);
        let transition = transition(table);
        let still = table.boolean("still").unwrap_or(false);
        let then = table.string("then", "wide");
        table.finish();
        if let (Some(id), Some(then)) = (id, then) {
            follows.push((id.as_str(), then, table.at("then")));
        }
        if let (Some(id), Some(layers)) = (id, layers) {
            scenes.push(Scene {
                id: id.clone(),
                name: name.map(str::to_owned),
                layers,
                transition,
                still,
                then: then.map(str::to_owned),
            });
        }
    }
    let named: Vec<String> = ids.iter().flatten().cloned().collect();
    check_follows(root, known, &scenes, &named, &follows);
    if root.lacks("scene") {
        return implicit_scene(root, known);
    }
    scenes
}

fn implicit_scene(root: &Table<'_>, known: &Known<'_>) -> Vec<Scene> {
    match known.source_ids {
        [] => Vec::new(),
        [_] => {
            let sources = known.sources.iter();
            sources
                .map(|source| Scene::full(IMPLICIT_SCENE, &source.id))
                .collect()
        }
        [first, ..] => {
            let what = "is missing: there are several sources, and nothing says which is shown";
            let instead = format!(
                "for example [[scene]] with id = \"main\" and layers = [{{ source = {first:?} }}]"
            );
            root.report().absence(&root.at("scene"), what, instead);
            Vec::new()
        }
    }
}

/// What is only sound is heard without a scene.
pub(super) fn warn_of_unused(
    root: &Table<'_>,
    known: &Known<'_>,
    scenes: &[Scene],
    overlays: &[Overlay],
) {
    let used = |id: &String| {
        let mut sources = known.sources.iter();
        scenes.iter().any(|scene| scene.shows(id))
            || overlays
                .iter()
                .any(|overlay| overlay.layer.content.source() == Some(id))
            || sources.any(|source| source.id == *id && source.kind.is_only_sound())
    };
    // Without any scene the one thing to say is that.
    if scenes.is_empty() && root.lacks("scene") {
        return;
    }
    for id in known.source_ids.iter().filter(|id| !used(id)) {
        let at = root.report().at_path(&format!("source {id:?}"));
        root.report().absence_warning(&at, "no scene shows it", "");
    }
}

fn transition(scene: &Table<'_>) -> Transition {
    let kind = scene.word("transition", &TransitionKind::ALL);
    let ms = scene.whole("transition_ms", 0..=Transition::LONGEST_MS, " ms");
    let from = scene.word("transition_from", &Side::ALL);
    for key in ["transition_ms", "transition_from"] {
        if scene.has(key) && !scene.has("transition") {
            let instead = "add transition = \"fade\", or dip, slide, push, wipe";
            scene.problem(key, "says how, but not of which transition", instead);
        }
    }
    let kind = kind.unwrap_or(TransitionKind::Cut);
    Transition {
        kind,
        ms: match kind {
            TransitionKind::Cut => 0,
            _ => ms.unwrap_or(Transition::USUAL_MS),
        },
        from: from.unwrap_or(Transition::CUT.from),
    }
}

/// Each `then` names another scene, leads out in the end, and has a file that ends.
fn check_follows(
    root: &Table<'_>,
    known: &Known<'_>,
    scenes: &[Scene],
    ids: &[String],
    follows: &[(&str, &str, At)],
) {
    let next: BTreeMap<&str, &str> = follows.iter().map(|(id, then, _)| (*id, *then)).collect();
    for (id, then, at) in follows {
        let report = root.report();
        if !ids.iter().any(|known| known == then) {
            unknown_reference(report, at, "scene", then, ids);
            continue;
        }
        let mut way = vec![*id];
        let mut here = *then;
        while !way.contains(&here) {
            way.push(here);
            match next.get(here) {
                Some(then) => here = then,
                None => break,
            }
        }
        // A way that only leads into a loop is told where the loop is.
        if way.first() == Some(&here) {
            way.push(here);
            let what = format!("leads back to itself: {}", way.join(" → "));
            report.problem(at, what, "one of them must go on to a scene without then");
            continue;
        }
        let Some(scene) = scenes.iter().find(|scene| scene.id == *id) else {
            continue;
        };
        let source = |shown: &str| known.sources.iter().find(|source| source.id == shown);
        // A source that could not be read may be the file.
        if !scene.sources().all(|shown| source(shown).is_some()) {
            continue;
        }
        let file = scene.sources().filter_map(source).find_map(|source| {
            let SourceKind::File { repeat, .. } = source.kind else {
                return None;
            };
            Some((&source.id, repeat))
        });
        match file {
            Some((file, true)) => {
                let what = format!("waits for the end of {file:?}, which has none: loop = true");
                report.problem(at, what, "a clip plays once: take its loop away");
            }
            Some((_, false)) => {}
            None => {
                let what = "waits for the end of a clip, but no layer is a source of kind \"file\"";
                report.problem(at, what, "show one, or take then away");
            }
        }
    }
}

/// Those of its preset, and over them its own.
fn layers_of(
    scene: &Table<'_>,
    known: &Known<'_>,
    base: &Path,
    env: &dyn Environment,
) -> Option<Vec<Layer>> {
    let preset = preset(scene, known);
    let tables = scene.tables("layers");
    let example = "for example layers = [{ source = \"stage\" }]";
    if !scene.has("layout") {
        scene.missing("layers", example);
        if scene.has("layers") && scene.lacks("layers") {
            scene.problem("layers", "has no layer: the scene names no source", example);
        }
        if tables.is_empty() {
            return None;
        }
    }
    if tables.len() > MOST_LAYERS {
        let what = format!(
            "{} layers, more than the {MOST_LAYERS} a scene may have",
            tables.len()
        );
        scene.problem("layers", what, "");
    }
    let mut layers = preset;
    for table in &tables {
        let named = table.string("id", "speaker");
        let layer = layer(table, known, base, env);
        table.finish();
        let Some(mut layer) = layer else { continue };
        let taken = |id: &str| layers.iter().any(|other: &Layer| other.id == id);
        match named {
            Some(id) if taken(id) => {
                let what = format!("{id:?} is another layer of this scene already");
                table.problem("id", what, "take another");
            }
            Some(id) => layer.id = id.to_owned(),
            None => layer.id = free_id(&layer.id, taken),
        }
        layers.push(layer);
    }
    Some(layers)
}

/// The same source may be there twice.
fn free_id(id: &str, taken: impl Fn(&str) -> bool) -> String {
    let numbered = (2..).map(|n| format!("{id}-{n}"));
    std::iter::once(id.to_owned())
        .chain(numbered)
        .find(|id| !taken(id))
        .unwrap_or_default()
}

/// `layout` with its `sources`, and a `title` over them.
fn preset(scene: &Table<'_>, known: &Known<'_>) -> Vec<Layer> {
    let layout = scene.word("layout", &LAYOUTS);
    let sources = scene.strings("sources", "stage");
    let title = scene.string("title", "speaker");
    for key in ["sources", "title"] {
        if scene.has(key) && !scene.has("layout") {
            let what = "belongs to a layout, and there is none";
            scene.problem(key, what, "add layout = \"full\", or name it in layers");
        }
    }
    let Some(layout) = layout else {
        return Vec::new();
    };
    scene.missing("sources", "for example sources = [\"stage\"]");
    let places = layout.places();
    let few = if layout == Layout::Quad {
        2
    } else {
        places.len()
    };
    if scene.has("sources") && !(few..=places.len()).contains(&sources.len()) {
        let wanted = if few == places.len() {
            few.to_string()
        } else {
            format!("{few} to {}", places.len())
        };
        let what = format!("this layout shows {wanted}, not {}", sources.len());
        scene.problem("sources", what, "");
    }
    let mut layers: Vec<Layer> = Vec::new();
    for ((id, at), [x, y, width, height]) in sources.iter().zip(places) {
        if !known.source_ids.iter().any(|source| source == id) {
            unknown_reference(scene.report(), at, "source", id, known.source_ids);
            continue;
        }
        let place = Place {
            x: *x,
            y: *y,
            width: *width,
            height: *height,
        };
        let own = free_id(id, |id| layers.iter().any(|layer| layer.id == id));
        layers.push(Layer {
            place,
            id: own,
            ..Layer::full(id)
        });
    }
    if let Some(title) = title {
        if known.title_ids.iter().any(|id| id == title) {
            layers.push(Layer {
                content: Content::Title(title.to_owned()),
                ..Layer::full(title)
            });
        } else {
            let at = scene.at("title");
            unknown_reference(scene.report(), &at, "title", title, known.title_ids);
        }
    }
    layers
}

/// All of a layer but its id; None: it shows nothing that there is.
fn layer(
    table: &Table<'_>,
    known: &Known<'_>,
    base: &Path,
    env: &dyn Environment,
) -> Option<Layer> {
    let place = place(table);
    let opacity = within(table, "opacity", &PART).unwrap_or(1.0);
    let crop = crop(table);
    let border = border(table);
    let chroma_key = chroma_key(table);
    let z = z(table);
    let or = table.string("or", "wide").and_then(|or| {
        if known.source_ids.iter().any(|id| id == or) {
            return Some(or.to_owned());
        }
        let at = table.at("or");
        unknown_reference(table.report(), &at, "source", or, known.source_ids);
        None
    });
    let content = content(table, known, base, env)?;
    for key in ["or", "crop", "border", "chroma_key"] {
        if table.has(key) && content.source().is_none() {
            table.problem(key, "is for sources, and this layer shows none", "");
        }
    }
    let id = match &content {
        Content::Source(id) | Content::Title(id) => id.clone(),
        Content::Image(path) => {
            let stem = path.file_stem().unwrap_or_default();
            stem.to_string_lossy().into_owned()
        }
    };
    Some(Layer {
        id,
        content,
        place,
        opacity,
        crop,
        border,
        chroma_key,
        z,
        or,
    })
}

/// One of `source`, `title` and `image`.
fn content(
    table: &Table<'_>,
    known: &Known<'_>,
    base: &Path,
    env: &dyn Environment,
) -> Option<Content> {
    let source = table.string("source", "stage");
    let title = table.string("title", "speaker");
    let image = existing_file(table, "image", "logo.png", base, env);
    let named: Vec<&str> = ["source", "title", "image"]
        .into_iter()
        .filter(|key| table.has(key))
        .collect();
    match named[..] {
        [] => {
            let instead = "the scene names no source; give the id of one";
            table.missing("source", instead);
            return None;
        }
        [_] => {}
        [_, second, ..] => {
            let what = format!("{} cannot both be shown by one layer", named.join(" and "));
            table.problem(second, what, "make a layer of each");
            return None;
        }
    }
    let reference = |key, id: &str, ids: &[String]| {
        let known = ids.iter().any(|known| known == id);
        if !known {
            unknown_reference(table.report(), &table.at(key), key, id, ids);
        }
        known
    };
    if let Some(id) = source {
        let is_known = reference("source", id, known.source_ids);
        return is_known.then(|| Content::Source(id.to_owned()));
    }
    if let Some(id) = title {
        let is_known = reference("title", id, known.title_ids);
        return is_known.then(|| Content::Title(id.to_owned()));
    }
    image.map(Content::Image)
}

fn place(table: &Table<'_>) -> Place {
    let far = -FARTHEST..=FARTHEST;
    let size = 0.0..=FARTHEST;
    let place = Place {
        x: within(table, "x", &far).unwrap_or(0.0),
        y: within(table, "y", &far).unwrap_or(0.0),
        width: within(table, "width", &size).unwrap_or(1.0),
        height: within(table, "height", &size).unwrap_or(1.0),
    };
    let outside = |at: f64, size: f64| at >= 1.0 || at + size <= 0.0;
    let wrong = [("x", place.x, place.width), ("y", place.y, place.height)];
    if let Some((key, ..)) = wrong
        .into_iter()
        .find(|(_, at, size)| outside(*at, *size) || *size == 0.0)
    {
        let what = format!(
            "nothing of the layer is in the frame: it lies at {}, {} and is {} by {}",
            place.x, place.y, place.width, place.height
        );
        let instead = "0, 0 is the frame's top left, 1, 1 its bottom right";
        table.problem(key, what, instead);
    }
    place
}

fn crop(table: &Table<'_>) -> Crop {
    let example = "crop = [0.25, 0.0, 0.25, 0.0]";
    let Some(crop) = table.numbers("crop", example) else {
        return Crop::default();
    };
    let [left, top, right, bottom] = crop[..] else {
        let what = format!(
            "must be left, top, right and bottom, not {} numbers",
            crop.len()
        );
        table.problem("crop", what, format!("for example {example}"));
        return Crop::default();
    };
    let parts = [left, top, right, bottom];
    if !parts.iter().all(|part| PART.contains(part)) || left + right >= 1.0 || top + bottom >= 1.0 {
        let what = "each is from 0 to 1, and something of the picture must be left";
        table.problem("crop", what, format!("for example {example}"));
        return Crop::default();
    }
    Crop {
        left,
        top,
        right,
        bottom,
    }
}

fn border(table: &Table<'_>) -> Option<Border> {
    let there = table.has("border");
    let border = table.table("border");
    let width = within(&border, "width", &BORDER).unwrap_or(0.005);
    let colour = colour(&border, "colour", "#ffffff").unwrap_or(Colour::WHITE);
    border.finish();
    there.then_some(Border { width, colour })
}

fn chroma_key(table: &Table<'_>) -> Option<ChromaKey> {
    let there = table.has("chroma_key");
    let key = table.table("chroma_key");
    let green = Colour::opaque(0, 255, 0);
    let colour = colour(&key, "colour", "#00ff00").unwrap_or(green);
    let similarity = within(&key, "similarity", &PART).unwrap_or(0.3);
    let smoothness = within(&key, "smoothness", &PART).unwrap_or(0.1);
    key.finish();
    there.then_some(ChromaKey {
        colour,
        similarity,
        smoothness,
    })
}

fn z(table: &Table<'_>) -> i32 {
    let Some(z) = table.number("z") else { return 0 };
    if z.fract() != 0.0 || z.abs() > 1_000.0 {
        let what = format!("must be a whole number from -1000 to 1000, not {z}");
        table.problem("z", what, "");
        return 0;
    }
    z as i32
}

fn colour(table: &Table<'_>, key: &'static str, example: &str) -> Option<Colour> {
    let text = table.string(key, example)?;
    let colour = Colour::parse(text);
    if colour.is_none() {
        let what = format!("{text:?} is no colour");
        table.problem(key, what, "write #rrggbb, or #rrggbbaa with its opacity");
    }
    colour
}

fn within(table: &Table<'_>, key: &'static str, range: &RangeInclusive<f64>) -> Option<f64> {
    let number = table.number(key)?;
    if range.contains(&number) {
        return Some(number);
    }
    let what = format!(
        "must be from {} to {}, not {number}",
        range.start(),
        range.end()
    );
    table.problem(key, what, "");
    None
}

/// The keys over the programme.
pub(super) fn overlays(
    root: &Table<'_>,
    known: &Known<'_>,
    base: &Path,
    env: &dyn Environment,
) -> Vec<Overlay> {
    let tables = root.tables("overlay");
    let ids = ids(&tables);
    if let Some(table) = tables.get(Overlay::MOST) {
        let what = format!("the overlays are {}", tables.len());
        let instead = format!("there may be {}", Overlay::MOST);
        table.report().problem(table.here(), what, instead);
    }
    let mut overlays = Vec::new();
    for (table, id) in tables.iter().zip(&ids) {
        let layer = layer(table, known, base, env);
        let on = table.boolean("on").unwrap_or(false);
        let comes = appear(table, "in", "in_ms");
        let goes = appear(table, "out", "out_ms");
        table.finish();
        if let (Some(id), Some(layer)) = (id, layer) {
            overlays.push(Overlay {
                id: id.clone(),
                layer,
                on,
                appear: comes,
                vanish: goes,
            });
        }
    }
    overlays
}

const APPEARS: [(&str, AppearKind); 3] = [
    ("cut", AppearKind::Cut),
    ("fade", AppearKind::Fade),
    ("slide", AppearKind::Slide),
];

/// None: nothing is said.
fn appear(table: &Table<'_>, key: &'static str, ms_key: &'static str) -> Option<Appear> {
    let how = table.word(key, &APPEARS);
    let ms = table.whole(ms_key, 0..=LONGEST_APPEAR_MS, " ms");
    if table.has(ms_key) && !table.has(key) {
        let instead = format!("add {key} = \"fade\" or {key} = \"slide\"");
        table.problem(ms_key, "says how long, but not how", instead);
    }
    let how = how?;
    Some(Appear {
        how,
        ms: match how {
            AppearKind::Cut => 0,
            AppearKind::Fade | AppearKind::Slide => ms.unwrap_or(400),
        },
    })
}
