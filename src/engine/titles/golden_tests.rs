//! Titles of every kind over a picture, compared with tests/golden/titles; `REGIA_GOLDEN=renew cargo test --lib titles::golden`
//! writes those anew, to be looked at before they are committed. With `REGIA_GOLDEN=look` they are also written at 1080p, into
//! target/golden. Only the fonts that scripts/lib.sh installs are used, so that every machine draws the same.

use super::artwork::Artwork;
use super::look::{Drawer, Look};
use super::motion::drawings;
use super::pen::Pen;
use super::presence::Seen;
use super::{Canvas, Drawing};
use crate::config::{Appear, AppearKind, Colour, Title, TitleKind, TitlePlace};
use crate::media::{FrameRate, MediaTime};
use std::path::{Path, PathBuf};
use tiny_skia::{FillRule, Paint, PathBuilder, Pixmap, Transform};

/// Of the pixels, in thousandths, that may differ by more than `NEAR`: rounding on another processor.
const MOST_OFF: usize = 1;
const NEAR: u8 = 12;

pub fn fonts() -> Pen {
    let root = Path::new("/usr/share/fonts/truetype");
    let directories = ["open-sans", "dejavu", "wqy"].map(|name| root.join(name));
    for directory in &directories {
        let name = directory.display();
        assert!(
            directory.is_dir(),
            "{name} is missing: scripts/lib.sh lists the packages"
        );
    }
    Pen::with_fonts_of(&directories.each_ref().map(PathBuf::as_path))
}

pub fn title(kind: TitleKind, lines: &[&str]) -> Title {
    Title {
        id: "t".into(),
        kind,
        lines: lines.iter().map(|line| (*line).to_owned()).collect(),
        image: None,
        page: 1,
        colour: Colour::WHITE,
        background: match kind {
            TitleKind::Slide => Colour::BLACK,
            _ => Colour::parse("#101c30e0").unwrap(),
        },
        accent: Colour::parse("#e0b030").unwrap(),
        font: "Open Sans".into(),
        size: match kind {
            TitleKind::LowerThird => 0.05,
            TitleKind::Logo => 0.12,
            TitleKind::Clock => 0.042,
            TitleKind::Countdown => 0.14,
            TitleKind::Ticker => 0.036,
            TitleKind::Text => 0.052,
            TitleKind::Slide => 1.0,
        },
        at: TitlePlace::Usual,
        to: None,
        appear: Appear {
            how: AppearKind::Slide,
            ms: 500,
        },
        vanish: Appear {
            how: AppearKind::Fade,
            ms: 300,
        },
        auto_off: None,
    }
}

pub fn canvas(width: usize, height: usize) -> Canvas {
    let fps = FrameRate { num: 30, den: 1 };
    Canvas { width, height, fps }
}

/// Two discs on nothing, as a logo with transparency.
pub fn logo(directory: &Path) -> PathBuf {
    let mut pixmap = Pixmap::new(600, 400).unwrap();
    for (x, [r, g, b]) in [(200.0, [255, 255, 255]), (395.0, [220, 40, 60])] {
        let mut paint = Paint::default();
        paint.set_color_rgba8(r, g, b, 255);
        let disc = PathBuilder::from_circle(x, 200.0, 190.0).unwrap();
        pixmap.fill_path(
            &disc,
            &paint,
            FillRule::Winding,
            Transform::identity(),
            None,
        );
    }
    let path = directory.join("logo.png");
    let straight: Vec<u8> = pixmap
        .pixels()
        .iter()
        .flat_map(|pixel| {
            let c = pixel.demultiply();
            [c.red(), c.green(), c.blue(), c.alpha()]
        })
        .collect();
    image::save_buffer(&path, &straight, 600, 400, image::ColorType::Rgba8).unwrap();
    path
}

/// A document of two A4 pages, of which the second has twice as much on it. Without letters, as poppler's are the machine's.
pub fn document(directory: &Path) -> PathBuf {
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R 5 0 R] /Count 2 >>".to_owned(),
    ];
    for page in 1..=2 {
        let contents = objects.len() + 2;
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 842 595] /Contents {contents} 0 R >>"
        ));
        let drawn = format!(
            "0.1 0.3 0.6 rg 0 0 842 {} re f 120 400 {} 90 re f",
            page * 120,
            page * 200,
        );
        objects.push(format!(
            "<< /Length {} >>\nstream\n{drawn}\nendstream",
            drawn.len()
        ));
    }
    let mut text = "%PDF-1.4\n".to_owned();
    let mut table = "0000000000 65535 f \n".to_owned();
    for (number, object) in objects.iter().enumerate() {
        table += &format!("{:010} 00000 n \n", text.len());
        text += &format!("{} 0 obj\n{object}\nendobj\n", number + 1);
    }
    let (count, start) = (objects.len() + 1, text.len());
    text += &format!(
        "xref\n0 {count}\n{table}trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    );
    let path = directory.join("agenda.pdf");
    std::fs::write(&path, text).unwrap();
    path
}

/// Dark at the left, light at the right: a title must be read on both.
struct Picture {
    width: usize,
    height: usize,
    rgb: Vec<[f32; 3]>,
}

impl Picture {
    fn new(canvas: &Canvas) -> Self {
        let (width, height) = (canvas.width, canvas.height);
        let colour = |at: usize| {
            let (x, y) = (at % width * 16 / width, at / width * 9 / height);
            let light = (x * 14 + y * 4) as f32;
            [light, light + 8.0, light + 20.0]
        };
        Picture {
            width,
            height,
            rgb: (0..width * height).map(colour).collect(),
        }
    }

    /// As a mixer does it, plainly, and by sums of its own.
    fn lay(&mut self, drawing: &Drawing) {
        let raster = &drawing.raster;
        for y in 0..raster.height {
            for x in 0..raster.width {
                let (left, top) = (drawing.x + x as i32, drawing.y + y as i32);
                let inside = |x: i32, y: i32, w: i32, h: i32| {
                    (x..x + w).contains(&left) && (y..y + h).contains(&top)
                };
                let clip = drawing.clip;
                if !inside(0, 0, self.width as i32, self.height as i32)
                    || clip.is_some_and(|c| !inside(c.x, c.y, c.width, c.height))
                {
                    continue;
                }
                let (luma, chroma) = (y * raster.width + x, y / 2 * (raster.width / 2) + x / 2);
                let alpha = f32::from(raster.a[luma]) / 255.0 * drawing.opacity;
                let grey = (f32::from(raster.y[luma]) - 16.0) * 255.0 / 219.0;
                let difference = |plane: &[u8]| (f32::from(plane[chroma]) - 128.0) * 255.0 / 224.0;
                let (blue, red) = (difference(&raster.u), difference(&raster.v));
                let over = [
                    grey + 1.5748 * red,
                    grey - 0.1873 * blue - 0.4681 * red,
                    grey + 1.8556 * blue,
                ];
                let under = &mut self.rgb[top as usize * self.width + left as usize];
                for (under, over) in under.iter_mut().zip(over) {
                    *under += (over.clamp(0.0, 255.0) - *under) * alpha;
                }
            }
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let byte = |c: &f32| c.round().clamp(0.0, 255.0) as u8;
        self.rgb.iter().flatten().map(byte).collect()
    }

    fn save(&self, path: &Path) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let (width, height) = (self.width as u32, self.height as u32);
        image::save_buffer(path, &self.bytes(), width, height, image::ColorType::Rgb8).unwrap();
    }
}

struct Bench {
    pen: Pen,
    artwork: Artwork,
}

impl Bench {
    fn look(&mut self, canvas: Canvas, title: &Title, face: &str) -> Look {
        let mut drawer = Drawer {
            pen: &mut self.pen,
            artwork: &mut self.artwork,
            canvas,
            notices: Vec::new(),
        };
        let face = (!face.is_empty()).then_some(face);
        let look = drawer.draw(title, face);
        look.unwrap_or_else(|| panic!("nothing to see: {:?}", drawer.notices))
    }
}

/// What is in a picture: each title, what a clock says, how much of it is seen, and for how long it has been.
type Shown = (Title, &'static str, Seen, i64);

const ALL: Seen = Seen {
    share: 1.0,
    how: AppearKind::Cut,
};

fn all(title: Title) -> Shown {
    (title, "", ALL, 0)
}

fn sheet(directory: &Path) -> Vec<(&'static str, Vec<Shown>)> {
    use TitleKind::*;
    let logo = logo(directory);
    let with_logo = |title: Title| Title {
        image: Some(logo.clone()),
        ..title
    };
    let agenda = Title {
        image: Some(document(directory)),
        page: 2,
        ..title(Slide, &[])
    };
    let rossi = title(LowerThird, &["Anna Rossi", "Mayor of Trento"]);
    let partly = |share, how| (rossi.clone(), "", Seen { share, how }, 0);
    let ticker = title(
        Ticker,
        &[
            "Welcome to the assembly",
            "Příliš žluťoučký kůň",
            "Questions: regia.example/ask",
        ],
    );
    let labelled = Title {
        at: TitlePlace::TopLeft,
        ..title(Clock, &["Trento", "HH:MM:SS"])
    };
    vec![
        ("lower-third", vec![all(rossi.clone())]),
        (
            "lower-third-one-line",
            vec![all(title(LowerThird, &["Li"]))],
        ),
        (
            "lower-third-logo",
            vec![all(with_logo(title(
                LowerThird,
                &[
                    "Đặng Thùy Trâm · Żółć Ğüneş",
                    "Übersetzerin, Łódź · Ångström",
                ],
            )))],
        ),
        (
            "lower-third-chinese",
            vec![all(title(
                LowerThird,
                &["王小明 · Wang Xiaoming", "北京大学计算机科学系教授"],
            ))],
        ),
        (
            "lower-third-long",
            vec![all(title(
                LowerThird,
                &[
                    "Prof. Dr. Dr. h. c. Maximiliane Freifrau von Hohenzollern-Sigmaringen und zu Wittgenstein",
                    "Sprecherin der Arbeitsgemeinschaft für sehr lange Bezeichnungen im öffentlichen Dienst und darüber hinaus in allen Ländern der Welt",
                ],
            ))],
        ),
        (
            "lower-third-right-to-left",
            vec![all(title(
                LowerThird,
                &["محمد عبد الله", "رئيس البلدية في المدينة"],
            ))],
        ),
        (
            "lower-third-coming-1",
            vec![partly(0.15, AppearKind::Slide)],
        ),
        (
            "lower-third-coming-2",
            vec![partly(0.45, AppearKind::Slide)],
        ),
        ("lower-third-fading", vec![partly(0.5, AppearKind::Fade)]),
        ("logo", vec![all(with_logo(title(Logo, &[])))]),
        (
            "clock-ticker",
            vec![
                (title(Clock, &[]), "10:42", ALL, 0),
                (labelled, "10:42:07", ALL, 0),
                (ticker, "", ALL, 12),
            ],
        ),
        (
            "countdown",
            vec![(title(Countdown, &["We start in"]), "1:02:33", ALL, 0)],
        ),
        (
            "text",
            vec![all(title(
                Text,
                &[
                    "How will the new tram line be paid for, and who decides which streets get it first?",
                    "— Giulia, row 12",
                ],
            ))],
        ),
        (
            "text-poll",
            vec![all(title(
                Text,
                &["Yes  62 %", "No  31 %", "Don’t know  7 %"],
            ))],
        ),
        (
            "text-too-long",
            vec![all(Title {
                lines: vec!["The quick brown fox jumps over the lazy dog. ".repeat(220); 5],
                ..title(Text, &[])
            })],
        ),
        ("slide-image", vec![all(with_logo(title(Slide, &[])))]),
        ("slide-pdf", vec![all(agenda)]),
    ]
}

#[test]
fn every_kind_looks_as_it_did() {
    let files = tempfile::tempdir().unwrap();
    let wish = std::env::var("REGIA_GOLDEN").unwrap_or_default();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let seen_there = root.join("target/golden");
    let mut bench = Bench {
        pen: fonts(),
        artwork: Artwork::default(),
    };
    let mut off = Vec::new();
    for (name, titles) in sheet(files.path()) {
        let mut picture = |canvas: Canvas| {
            let mut picture = Picture::new(&canvas);
            for (title, face, seen, s) in &titles {
                let look = bench.look(canvas, title, face);
                let at = MediaTime::from_millis(s * 1_000);
                for drawing in drawings(&look, &canvas, *seen, MediaTime::ZERO, at) {
                    picture.lay(&drawing);
                }
            }
            picture
        };
        let drawn = picture(canvas(1280, 720));
        let golden = root.join(format!("tests/golden/titles/{name}.png"));
        match wish.as_str() {
            "renew" => drawn.save(&golden),
            "look" => {
                drawn.save(&seen_there.join(format!("{name}-720.png")));
                picture(canvas(1920, 1080)).save(&seen_there.join(format!("{name}-1080.png")));
                continue;
            }
            _ => {}
        }
        let kept =
            image::open(&golden).unwrap_or_else(|error| panic!("{}: {error}", golden.display()));
        let (kept, bytes) = (kept.into_rgb8().into_raw(), drawn.bytes());
        assert_eq!(kept.len(), bytes.len(), "{name}");
        let far = kept
            .iter()
            .zip(&bytes)
            .filter(|(a, b)| a.abs_diff(**b) > NEAR)
            .count();
        if far * 1_000 > bytes.len() * MOST_OFF {
            let there = seen_there.join(format!("{name}.png"));
            drawn.save(&there);
            off.push(format!(
                "{name}: {far} of {} differ; see {}",
                bytes.len(),
                there.display()
            ));
        }
    }
    assert!(off.is_empty(), "{off:#?}");
}
