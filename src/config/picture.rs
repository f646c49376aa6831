//! What a picture of the programme is made of: scenes of layers, titles, overlays, and the ways from one scene to the next. Pure.
//!
//! Places are fractions of the frame, so that they hold whatever the programme's size.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A named arrangement of layers, lowest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    pub id: String,
    /// What people read; None: the id.
    pub name: Option<String>,
    pub layers: Vec<Layer>,
    /// How it is taken when nobody says.
    pub transition: Transition,
    /// It is meant not to move, so that nobody is alarmed.
    pub still: bool,
    /// Its clip plays once from the take on; this scene is taken at the clip's end.
    pub then: Option<String>,
}

impl Scene {
    /// A source full-frame, cut to.
    pub fn full(id: &str, source: &str) -> Self {
        Scene {
            id: id.to_owned(),
            name: None,
            layers: vec![Layer::full(source)],
            transition: Transition::CUT,
            still: false,
            then: None,
        }
    }

    pub fn shows(&self, source: &str) -> bool {
        self.sources().any(|shown| shown == source)
    }

    /// The sources of its layers, and those that stand in for them.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.layers.iter().flat_map(|layer| {
            let substitute = layer.or.as_deref();
            layer.content.source().into_iter().chain(substitute)
        })
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Layer {
    /// Layers of two scenes with one id move from place to place when one scene follows the other.
    pub id: String,
    /// `{"source": ID}`, `{"title": ID}` or `{"image": PATH}`.
    #[schema(value_type = Object)]
    pub content: Content,
    pub place: Place,
    /// 0 to 1.
    pub opacity: f64,
    pub crop: Crop,
    pub border: Option<Border>,
    pub chroma_key: Option<ChromaKey>,
    /// Higher lies over lower; those alike in the file's order.
    pub z: i32,
    /// The source that is shown while this one is lost, instead of its slate.
    pub or: Option<String>,
}

impl Layer {
    /// A source that fills the frame.
    pub fn full(source: &str) -> Self {
        Layer {
            id: source.to_owned(),
            content: Content::Source(source.to_owned()),
            place: Place::FULL,
            opacity: 1.0,
            crop: Crop::default(),
            border: None,
            chroma_key: None,
            z: 0,
            or: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// By its id.
    Source(String),
    /// By its id.
    Title(String),
    Image(PathBuf),
}

impl Content {
    pub fn source(&self) -> Option<&str> {
        match self {
            Content::Source(id) => Some(id),
            Content::Title(_) | Content::Image(_) => None,
        }
    }
}

/// Fractions of the frame. A part of it may lie outside.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Place {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

impl Place {
    pub const FULL: Place = Place {
        x: 0.0,
        y: 0.0,
        width: 1.0,
        height: 1.0,
    };
}

/// What is cut off the layer's own picture, as fractions of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Crop {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Border {
    /// As a fraction of the frame's height.
    pub width: f64,
    pub colour: Colour,
}

/// What is near `colour` becomes transparent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ChromaKey {
    pub colour: Colour,
    /// Distance in the chroma plane, 0 to 1, up to which it is gone.
    pub similarity: f64,
    /// Width of the way from there to what is fully kept.
    pub smoothness: f64,
}

/// sRGB with opacity, as `#rrggbb` or `#rrggbbaa`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Colour {
    pub red: u8,
    pub green: u8,
    pub blue: u8,
    pub alpha: u8,
}

impl Colour {
    pub const WHITE: Colour = Colour::opaque(255, 255, 255);
    pub const BLACK: Colour = Colour::opaque(0, 0, 0);

    pub const fn opaque(red: u8, green: u8, blue: u8) -> Self {
        Colour {
            red,
            green,
            blue,
            alpha: 255,
        }
    }

    /// None: it is neither `#rrggbb` nor `#rrggbbaa`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        if !matches!(digits.len(), 6 | 8) || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        Some(Colour {
            red: byte(0)?,
            green: byte(2)?,
            blue: byte(4)?,
            alpha: byte(6).unwrap_or(255),
        })
    }
}

/// From the scene on air to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Transition {
    pub kind: TransitionKind,
    /// How long it takes; a cut takes none.
    pub ms: u32,
    /// Where the next scene comes from, of those kinds that move.
    pub from: Side,
}

impl Transition {
    pub const LONGEST_MS: u32 = 5_000;
    /// When a kind is named and no time.
    pub const USUAL_MS: u32 = 500;
    pub const CUT: Transition = Transition {
        kind: TransitionKind::Cut,
        ms: 0,
        from: Side::Right,
    };

    pub fn length(&self) -> Duration {
        match self.kind {
            TransitionKind::Cut => Duration::ZERO,
            _ => Duration::from_millis(u64::from(self.ms)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransitionKind {
    Cut,
    /// One is mixed into the other. Layers that both scenes have move.
    Fade,
    /// Through black.
    Dip,
    /// The next comes in over the one before.
    Slide,
    /// The next pushes the one before out.
    Push,
    /// An edge uncovers the next.
    Wipe,
}

impl TransitionKind {
    pub const ALL: [(&str, TransitionKind); 6] = [
        ("cut", TransitionKind::Cut),
        ("fade", TransitionKind::Fade),
        ("dip", TransitionKind::Dip),
        ("slide", TransitionKind::Slide),
        ("push", TransitionKind::Push),
        ("wipe", TransitionKind::Wipe),
    ];
}

impl fmt::Display for TransitionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = TransitionKind::ALL.iter().find(|(_, kind)| kind == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

impl Side {
    pub const ALL: [(&str, Side); 4] = [
        ("left", Side::Left),
        ("right", Side::Right),
        ("top", Side::Top),
        ("bottom", Side::Bottom),
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Left,
    Right,
    Top,
    Bottom,
}

/// Text or an image over the programme, in a layer or an overlay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Title {
    pub id: String,
    pub kind: TitleKind,
    pub lines: Vec<String>,
    pub image: Option<PathBuf>,
    /// Of a PDF, from 1.
    pub page: u32,
    pub colour: Colour,
    pub background: Colour,
    pub accent: Colour,
    /// A family; what it lacks is taken from others.
    pub font: String,
    /// Of the text, as a fraction of the frame's height.
    pub size: f64,
    pub at: TitlePlace,
    /// What a countdown counts down to, as written: "10:00" of the venue's day, or RFC 3339.
    pub to: Option<String>,
    pub appear: Appear,
    pub vanish: Appear,
    /// It goes by itself after so long.
    pub auto_off: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TitleKind {
    LowerThird,
    Logo,
    Clock,
    Countdown,
    Ticker,
    /// Full-frame, from an image or a PDF's page.
    Slide,
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TitlePlace {
    /// Where its kind usually is.
    Usual,
    TopLeft,
    TopRight,
    BottomLeft,
    BottomRight,
    /// Its middle, as fractions of the frame.
    At {
        x: f64,
        y: f64,
    },
}

/// How a title comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appear {
    pub how: AppearKind,
    pub ms: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AppearKind {
    Cut,
    Fade,
    Slide,
}

/// A key over the programme, which stays through takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overlay {
    pub id: String,
    pub layer: Layer,
    /// It is there from the start.
    pub on: bool,
    /// None: as its title does; without one, cut.
    pub appear: Option<Appear>,
    pub vanish: Option<Appear>,
}

impl Overlay {
    pub const MOST: usize = 4;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_read() {
        assert_eq!(Colour::parse("#ff8000"), Some(Colour::opaque(255, 128, 0)));
        assert_eq!(Colour::parse("#10203c80").map(|c| c.alpha), Some(128));
        for bad in ["", "ff8000", "#ff80", "#ff80zz", "#ff8000f", "#é8000f"] {
            assert_eq!(Colour::parse(bad), None, "{bad}");
        }
    }
}
