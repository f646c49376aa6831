//! Values that change without a click. Pure.

use std::f32::consts::PI;

/// How long a change takes that nobody gave a time for: short enough to be at once, long enough to be unheard.
pub const QUICK_MS: usize = 20;

/// A value on its way along half a cosine, whose slope is zero at both ends: the spectrum of such a change falls off fast,
/// where a straight line's corners are heard.
#[derive(Clone, Copy, Debug)]
pub struct Ramp {
    from: f32,
    to: f32,
    /// Samples until it begins, and since.
    wait: usize,
    done: usize,
    length: usize,
}

impl Ramp {
    pub fn new(value: f32) -> Self {
        Ramp {
            from: value,
            to: value,
            wait: 0,
            done: 0,
            length: 0,
        }
    }

    /// Goes to `to` over `length` samples, after `wait` more. To where it is going already it goes as it was.
    pub fn go(&mut self, to: f32, length: usize, wait: usize) {
        if to != self.to {
            *self = Ramp {
                from: self.value(),
                to,
                wait,
                done: 0,
                length,
            };
        }
    }

    /// Where it is going, or is.
    pub fn target(&self) -> f32 {
        self.to
    }

    /// Some: it is not moving.
    pub fn still(&self) -> Option<f32> {
        (self.done >= self.length && self.wait == 0).then_some(self.to)
    }

    pub fn value(&self) -> f32 {
        if self.wait > 0 {
            return self.from;
        }
        if self.done >= self.length {
            return self.to;
        }
        let way = self.done as f32 / self.length as f32;
        self.from + (self.to - self.from) * 0.5 * (1.0 - (PI * way).cos())
    }

    /// The value for this sample; the next call is for the next.
    pub fn step(&mut self) -> f32 {
        let value = self.value();
        if self.wait > 0 {
            self.wait -= 1;
        } else if self.done < self.length {
            self.done += 1;
        }
        value
    }
}

pub fn from_db(db: f32) -> f32 {
    10f32.powf(db / 20.0)
}

/// −∞ for silence.
pub fn to_db(amplitude: f32) -> f32 {
    20.0 * amplitude.log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_smoothly_and_reaches_its_end() {
        let mut ramp = Ramp::new(1.0);
        assert_eq!(ramp.still(), Some(1.0));
        ramp.go(0.0, 960, 10);
        let values: Vec<f32> = (0..980).map(|_| ramp.step()).collect();
        assert!(values[..=10].iter().all(|v| *v == 1.0));
        assert_eq!(values[970..], [0.0; 10]);
        assert!(
            values
                .windows(2)
                .all(|w| w[1] <= w[0] && w[0] - w[1] < 0.002)
        );
        assert_eq!(ramp.still(), Some(0.0));
    }

    #[test]
    fn turned_back_on_its_way_it_goes_on_from_there() {
        let mut ramp = Ramp::new(0.0);
        ramp.go(1.0, 1_000, 0);
        let up: Vec<f32> = (0..500).map(|_| ramp.step()).collect();
        ramp.go(1.0, 1_000, 0);
        ramp.go(0.0, 1_000, 0);
        let down = ramp.step();
        assert!((down - up[499]).abs() < 0.002, "{down} after {}", up[499]);
    }

    #[test]
    fn decibels() {
        assert!((from_db(-6.0) - 0.501_187).abs() < 1e-5);
        assert!((to_db(0.5) + 6.0206).abs() < 1e-3);
    }
}
