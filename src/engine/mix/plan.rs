//! What one frame of the programme is made of. Pure.

use crate::config::{Layer, Side};
use regia_paint::WHOLE;
use std::sync::Arc;

/// A scene's layers, lowest first.
pub type Layers = Arc<[Layer]>;

#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub base: Base,
    /// Over all of it, lowest first.
    pub keys: Vec<Key>,
    /// How far everything is faded to black, 0 to `WHOLE`.
    pub black: u16,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Base {
    One {
        layers: Layers,
        /// How far it is faded to black, without the keys.
        dark: u16,
    },
    Two {
        from: Layers,
        to: Layers,
        way: Way,
    },
}

/// How two scenes share the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The weight of the second.
    Mix(u16),
    /// The second comes in over the first.
    Slide(Step),
    /// The second pushes the first out.
    Push(Step),
    /// An edge uncovers the second.
    Wipe(Step),
}

/// How far something has come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub from: Side,
    /// Of `of`.
    pub done: i64,
    pub of: i64,
}

impl Step {
    /// How many of so many pixels it has come, on an even pixel.
    pub fn pixels(&self, whole: usize) -> usize {
        let whole = whole as i64;
        let come = whole * self.done.clamp(0, self.of) / self.of.max(1);
        usize::try_from(if come == whole { come } else { come / 2 * 2 }).unwrap_or(0)
    }
}

/// An overlay, as far as it is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The overlay's id.
    pub overlay: String,
    pub layer: Arc<Layer>,
    pub weight: u16,
    /// How much of its way from the nearest edge of the frame it still has before it, 0 to `WHOLE`.
    pub away: u16,
}

impl Plan {
    /// Of a scene alone.
    pub fn of(layers: &Layers) -> Self {
        Plan {
            base: Base::One {
                layers: layers.clone(),
                dark: 0,
            },
            keys: Vec::new(),
            black: 0,
        }
    }

    pub fn is_black(&self) -> bool {
        self.black >= WHOLE
    }

    /// The layers of its scenes.
    pub fn scene_layers(&self) -> impl Iterator<Item = &Layer> {
        let (one, two): (&[Layer], &[Layer]) = match &self.base {
            Base::One { layers, .. } => (layers, &[]),
            Base::Two { from, to, .. } => (from, to),
        };
        one.iter().chain(two)
    }

    /// Every layer of it.
    pub fn layers(&self) -> impl Iterator<Item = &Layer> {
        self.scene_layers()
            .chain(self.keys.iter().map(|key| &*key.layer))
    }
}

/// The layers of two scenes on the way from one to the other: those that both have move and change in both, so that they stand
/// still against each other while the rest of the two is mixed.
pub fn moved(from: &Layers, to: &Layers, done: f64) -> (Layers, Layers) {
    let pairs = |layer: &Layer, others: &Layers| {
        let same = |other: &&Layer| other.id == layer.id && other.content == layer.content;
        others.iter().find(same).cloned()
    };
    if !from.iter().any(|layer| pairs(layer, to).is_some()) {
        return (from.clone(), to.clone());
    }
    let first = from.iter().map(|layer| match pairs(layer, to) {
        Some(goal) => between(layer, &goal, done),
        None => layer.clone(),
    });
    let second = to.iter().map(|layer| match pairs(layer, from) {
        Some(start) => Layer {
            z: layer.z,
            ..between(&start, layer, done)
        },
        None => layer.clone(),
    });
    (first.collect(), second.collect())
}

fn between(from: &Layer, to: &Layer, done: f64) -> Layer {
    let mix = |a: f64, b: f64| if done >= 1.0 { b } else { a + (b - a) * done };
    let mut layer = if done < 0.5 { from.clone() } else { to.clone() };
    layer.z = from.z;
    layer.place.x = mix(from.place.x, to.place.x);
    layer.place.y = mix(from.place.y, to.place.y);
    layer.place.width = mix(from.place.width, to.place.width);
    layer.place.height = mix(from.place.height, to.place.height);
    layer.opacity = mix(from.opacity, to.opacity);
    layer.crop.left = mix(from.crop.left, to.crop.left);
    layer.crop.top = mix(from.crop.top, to.crop.top);
    layer.crop.right = mix(from.crop.right, to.crop.right);
    layer.crop.bottom = mix(from.crop.bottom, to.crop.bottom);
    let width = |layer: &Layer| layer.border.map_or(0.0, |border| border.width);
    if let Some(border) = &mut layer.border {
        border.width = mix(width(from), width(to));
    }
    layer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Place;

    fn layer(id: &str, x: f64) -> Layer {
        Layer {
            place: Place {
                x,
                width: 0.5,
                ..Place::FULL
            },
            ..Layer::full(id)
        }
    }

    #[test]
    fn what_comes_in_ends_at_the_edge() {
        let step = |done| Step {
            from: Side::Left,
            done,
            of: 15,
        };
        let way: Vec<usize> = (0..=15).map(|done| step(done).pixels(1_280)).collect();
        assert_eq!((way[0], way[15]), (0, 1_280));
        assert!(way.is_sorted() && way.iter().all(|pixels| pixels % 2 == 0));
        assert_eq!(step(99).pixels(1_280), 1_280);
    }

    #[test]
    fn shared_layers_move_in_both_scenes_alike() {
        let from: Layers = [layer("stage", 0.0), layer("left", 0.2)].into();
        let to: Layers = [layer("stage", 0.5), layer("right", 0.3)].into();
        let xs = |layers: &Layers| -> Vec<f64> { layers.iter().map(|l| l.place.x).collect() };
        let (first, second) = moved(&from, &to, 0.5);
        assert_eq!(xs(&first), [0.25, 0.2]);
        assert_eq!(xs(&second), [0.25, 0.3]);
        assert_eq!(moved(&from, &to, 0.0).0, from);
        assert_eq!(moved(&from, &to, 1.0).1, to);
        // Nothing shared: nothing moves.
        let other: Layers = [layer("right", 0.3)].into();
        assert_eq!(moved(&from, &other, 0.7), (from.clone(), other));
    }
}
