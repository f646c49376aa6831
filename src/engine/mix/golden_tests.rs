//! Layouts, layers and transitions, painted from drawn sources and compared with the pictures in tests/golden/mix.
//! `REGIA_GOLDEN=renew cargo test --lib golden` paints them anew.

use super::geometry::{Outline, Size};
use super::painter::{Image, Images, Painter};
use super::plan::{Base, Key, Layers, Plan, Step, Way, moved};
use crate::config::*;
use crate::engine::capture::picture::{Moment, TestPicture};
use crate::engine::format::{Frame, I420Layout, Pixels};
use crate::engine::titles::Drawing;
use gstreamer as gst;
use std::path::PathBuf;
use std::sync::Arc;

const SIZE: Size = Size {
    width: 320,
    height: 180,
};
/// Other versions of GStreamer's scaler round otherwise.
const TOLERANCE: i32 = 6;

/// "stage" is the test picture, "green" a presenter before green and "hair" one whose edge is half green, "blue" a plane, "glass"
/// transparent at its right.
struct Sources {
    stage: gst::Buffer,
    green: gst::Buffer,
    hair: gst::Buffer,
    blue: gst::Buffer,
    glass: gst::Buffer,
}

fn layout() -> I420Layout {
    I420Layout::new(SIZE.width, SIZE.height)
}

fn plane(colours: impl Fn(usize, usize) -> [u8; 3]) -> Vec<u8> {
    let layout = layout();
    let mut bytes = vec![0; layout.size];
    for y in 0..SIZE.height {
        for x in 0..SIZE.width {
            let [luma, u, v] = colours(x, y);
            bytes[y * layout.stride[0] + x] = luma;
            bytes[layout.offset[1] + y / 2 * layout.stride[1] + x / 2] = u;
            bytes[layout.offset[2] + y / 2 * layout.stride[2] + x / 2] = v;
        }
    }
    bytes
}

impl Sources {
    fn new() -> Self {
        gst::init().unwrap();
        let mut stage = vec![0; layout().size];
        let moment = Moment {
            frame: 7,
            us: 700_000,
            clock: "12:00:00.000",
            flash: false,
        };
        TestPicture::new(layout()).draw(&mut stage, &moment);
        let inside = |x: usize, y: usize| {
            let (dx, dy) = (x as i64 - 160, y as i64 - 100);
            dx * dx + dy * dy < 70 * 70
        };
        let green = plane(|x, y| {
            if inside(x, y) {
                [140, 110, 150]
            } else {
                [173, 42, 26]
            }
        });
        // From skin to green over 24 pixels.
        let hair = plane(|x, y| {
            let (dx, dy) = (x as f64 - 160.0, y as f64 - 100.0);
            let green = ((dx.hypot(dy) - 58.0) / 24.0).clamp(0.0, 1.0);
            let part = |skin: f64, key: f64| (skin + (key - skin) * green) as u8;
            [part(140.0, 173.0), part(110.0, 42.0), part(150.0, 26.0)]
        });
        let blue = plane(|x, _| [60 + (x / 4) as u8, 200, 100]);
        let mut glass = plane(|_, y| [200 - y as u8 / 2, 90, 190]);
        for _ in 0..SIZE.height {
            glass.extend((0..SIZE.width).map(|x| (255 - x * 255 / SIZE.width) as u8));
        }
        let buffer = gst::Buffer::from_mut_slice;
        Sources {
            stage: buffer(stage),
            green: buffer(green),
            hair: buffer(hair),
            blue: buffer(blue),
            glass: buffer(glass),
        }
    }
}

impl Images for Sources {
    fn image(&self, layer: &Layer) -> Option<Image> {
        let frame = match layer.content.source()? {
            "stage" => &self.stage,
            "green" => &self.green,
            "hair" => &self.hair,
            "blue" => &self.blue,
            "glass" => &self.glass,
            _ => return None,
        };
        let pixels = match layer.content.source()? {
            "glass" => Pixels::A420,
            _ => Pixels::I420,
        };
        let frame = Frame {
            buffer: frame.clone(),
            pixels,
        };
        Some(Image { frame, size: SIZE })
    }

    fn drawings(&self, _: &Layer, _: Option<&str>) -> (&[Drawing], Outline) {
        (&[], Outline::default())
    }
}

fn at(id: &str, x: f64, y: f64, width: f64, height: f64) -> Layer {
    Layer {
        place: Place {
            x,
            y,
            width,
            height,
        },
        ..Layer::full(id)
    }
}

fn layers(layers: impl Into<Vec<Layer>>) -> Layers {
    layers.into().into()
}

fn one(of: impl Into<Vec<Layer>>) -> Plan {
    Plan::of(&layers(of))
}

fn two(way: Way) -> Plan {
    Plan {
        base: Base::Two {
            from: layers([Layer::full("stage")]),
            to: layers([Layer::full("blue")]),
            way,
        },
        keys: Vec::new(),
        black: 0,
    }
}

fn step(from: Side) -> Step {
    Step {
        from,
        done: 1,
        of: 3,
    }
}

fn plans() -> Vec<(&'static str, Plan)> {
    let bordered = Layer {
        border: Some(Border {
            width: 0.02,
            colour: Colour::opaque(255, 128, 0),
        }),
        ..at("blue", 0.6, 0.6, 0.35, 0.35)
    };
    let half = Layer {
        opacity: 0.5,
        ..at("blue", 0.2, 0.2, 0.6, 0.6)
    };
    let cropped = Layer {
        crop: Crop {
            left: 0.25,
            right: 0.25,
            ..Crop::default()
        },
        ..at("stage", 0.0, 0.0, 0.5, 1.0)
    };
    let keyed = Layer {
        chroma_key: Some(ChromaKey {
            colour: Colour::opaque(0, 255, 0),
            similarity: 0.3,
            smoothness: 0.1,
        }),
        ..Layer::full("green")
    };
    let spilled = Layer {
        content: Content::Source("hair".into()),
        ..keyed.clone()
    };
    let quad = [
        at("stage", 0.0, 0.0, 0.5, 0.5),
        at("blue", 0.5, 0.0, 0.5, 0.5),
        at("green", 0.0, 0.5, 0.5, 0.5),
        at("stage", 0.5, 0.5, 0.5, 0.5),
    ];
    let stage = || Layer::full("stage");
    let (from, to) = moved(
        &layers([stage()]),
        &layers([Layer::full("blue"), at("stage", 0.6, 0.6, 0.3, 0.3)]),
        0.5,
    );
    let moving = Plan {
        base: Base::Two {
            from,
            to,
            way: Way::Mix(128),
        },
        keys: Vec::new(),
        black: 0,
    };
    let overlay = |weight, away, black| Plan {
        keys: vec![Key {
            overlay: "logo".into(),
            layer: Arc::new(at("blue", 0.7, 0.7, 0.25, 0.25)),
            weight,
            away,
        }],
        black,
        ..one([stage()])
    };
    vec![
        ("full", one([stage()])),
        ("pip", one([stage(), at("blue", 0.7, 0.68, 0.27, 0.27)])),
        ("border", one([stage(), bordered])),
        ("opacity", one([stage(), half])),
        ("crop", one([cropped])),
        (
            "side-by-side",
            one([
                at("stage", 0.0, 0.25, 0.5, 0.5),
                at("blue", 0.5, 0.25, 0.5, 0.5),
            ]),
        ),
        ("quad", one(quad)),
        ("chroma-key", one([stage(), keyed])),
        ("chroma-key-spill", one([stage(), spilled])),
        ("alpha", one([stage(), Layer::full("glass")])),
        (
            "partly-outside",
            one([stage(), at("blue", -0.25, 0.75, 0.5, 0.5)]),
        ),
        ("fade", two(Way::Mix(64))),
        ("slide", two(Way::Slide(step(Side::Right)))),
        ("push", two(Way::Push(step(Side::Top)))),
        ("wipe", two(Way::Wipe(step(Side::Left)))),
        ("moving", moving),
        ("overlay-fading", overlay(128, 0, 0)),
        ("overlay-sliding", overlay(256, 128, 0)),
        ("to-black", overlay(256, 0, 128)),
    ]
}

/// As sRGB, for people to look at.
fn rgb(frame: &gst::Buffer) -> image::RgbImage {
    let layout = layout();
    let map = frame.map_readable().unwrap();
    let pixel = |x: u32, y: u32| {
        let (x, y) = (x as usize, y as usize);
        let luma = f64::from(map[y * layout.stride[0] + x]) - 16.0;
        let chroma = |plane: usize| {
            let at = layout.offset[plane] + y / 2 * layout.stride[plane] + x / 2;
            f64::from(map[at]) - 128.0
        };
        let (luma, u, v) = (luma / 219.0, chroma(1) / 224.0, chroma(2) / 224.0);
        let colours = [
            luma + 1.5748 * v,
            luma - 0.187_32 * u - 0.468_12 * v,
            luma + 1.8556 * u,
        ];
        image::Rgb(colours.map(|c| (c * 255.0).round().clamp(0.0, 255.0) as u8))
    };
    image::RgbImage::from_fn(SIZE.width as u32, SIZE.height as u32, pixel)
}

#[test]
fn golden() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/mix");
    let renew = std::env::var_os("REGIA_GOLDEN").is_some_and(|value| value == "renew");
    let sources = Sources::new();
    let mut painter = Painter::new(&layout()).unwrap();
    let mut wrong = Vec::new();
    for (name, plan) in plans() {
        let painted = rgb(&painter.paint(&plan, &sources).unwrap());
        let path = directory.join(format!("{name}.png"));
        if renew {
            std::fs::create_dir_all(&directory).unwrap();
            painted.save(&path).unwrap();
            continue;
        }
        let golden = image::open(&path)
            .unwrap_or_else(|e| panic!("{}: {e}; REGIA_GOLDEN=renew paints it", path.display()))
            .to_rgb8();
        let differences = painted.as_raw().iter().zip(golden.as_raw());
        let farthest = differences
            .map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs())
            .max();
        if painted.dimensions() != golden.dimensions() || farthest > Some(TOLERANCE) {
            let seen = std::env::temp_dir().join(format!("regia-golden-{name}.png"));
            painted.save(&seen).unwrap();
            wrong.push(format!(
                "{name}: off by {farthest:?}, see {}",
                seen.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_full_frame_source_is_passed_uncopied() {
    let sources = Sources::new();
    let mut painter = Painter::new(&layout()).unwrap();
    let mut paint = |plan: &Plan| painter.paint(plan, &sources).unwrap();
    let is = |a: &gst::Buffer, b: &gst::Buffer| a.as_ptr() == b.as_ptr();
    assert!(is(&paint(&one([Layer::full("stage")])), &sources.stage));
    // What is under it costs nothing.
    let covered = one([at("blue", 0.1, 0.1, 0.2, 0.2), Layer::full("stage")]);
    assert!(is(&paint(&covered), &sources.stage));
    let lost = one([Layer::full("nothing"), Layer::full("stage")]);
    assert!(is(&paint(&lost), &sources.stage));
    // And a source that is painted over stays as it is.
    let before = sources.stage.map_readable().unwrap().to_vec();
    let over = paint(&one([Layer::full("stage"), at("blue", 0.5, 0.5, 0.5, 0.5)]));
    assert!(!is(&over, &sources.stage));
    assert_eq!(sources.stage.map_readable().unwrap().as_slice(), before);
}

/// The weights of a mix reach both of its pictures exactly, as do ways that move.
#[test]
fn transitions_end_in_the_pictures_themselves() {
    let sources = Sources::new();
    let mut painter = Painter::new(&layout()).unwrap();
    let mut bytes = |plan: &Plan| {
        let frame = painter.paint(plan, &sources).unwrap();
        frame.map_readable().unwrap().to_vec()
    };
    let first = bytes(&one([Layer::full("stage")]));
    let second = bytes(&one([Layer::full("blue")]));
    let steps = |done| Step {
        from: Side::Left,
        done,
        of: 10,
    };
    for (way, end) in [
        (Way::Mix(0), Way::Mix(256)),
        (Way::Slide(steps(0)), Way::Slide(steps(10))),
        (Way::Push(steps(0)), Way::Push(steps(10))),
        (Way::Wipe(steps(0)), Way::Wipe(steps(10))),
    ] {
        assert!(bytes(&two(way)) == first, "{way:?}");
        assert!(bytes(&two(end)) == second, "{end:?}");
    }
}
