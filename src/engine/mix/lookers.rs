//! Who looks, and what they want at a frame. Pure.

use crate::media::MediaTime;
use std::time::Duration;

/// Enough to see what is going on; each costs the scaling of every source.
const SCREEN_EVERY: Duration = Duration::from_millis(100);

/// What is to be made of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub thumbnails: bool,
    /// For people at a distance.
    pub multiview: bool,
    /// It is for the box's own screen.
    pub screen: bool,
}

pub struct Lookers {
    /// At the panel.
    people: Option<Pace>,
    multiview: bool,
    screen: Option<Pace>,
}

impl Lookers {
    pub fn new(screen: bool) -> Self {
        Lookers {
            people: None,
            multiview: false,
            screen: screen.then(|| Pace::new(SCREEN_EVERY)),
        }
    }

    pub fn handle_people(&mut self, thumbnails_per_s: u32, multiview: bool) {
        let every = Duration::from_secs(1).checked_div(thumbnails_per_s.min(10));
        self.people = every.map(Pace::new);
        self.multiview = multiview;
    }

    /// None: nothing now.
    pub fn due(&mut self, at: MediaTime) -> Option<Wanted> {
        let is_due = |pace: &mut Option<Pace>| pace.as_mut().is_some_and(|pace| pace.is_due(at));
        let thumbnails = is_due(&mut self.people);
        let wanted = Wanted {
            thumbnails,
            multiview: thumbnails && self.multiview,
            screen: is_due(&mut self.screen),
        };
        (wanted != Wanted::default()).then_some(wanted)
    }
}

struct Pace {
    every: Duration,
    next: MediaTime,
}

impl Pace {
    fn new(every: Duration) -> Self {
        Pace {
            every,
            next: MediaTime::ZERO,
        }
    }

    fn is_due(&mut self, at: MediaTime) -> bool {
        let due = at >= self.next;
        if due {
            self.next = at + self.every;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each is wanted in a second of 30 frames.
    fn counts(lookers: &mut Lookers) -> [usize; 3] {
        let frames = (0..30).map(|frame| MediaTime(frame * 1_000_000 / 30));
        let wanted: Vec<Wanted> = frames.filter_map(|at| lookers.due(at)).collect();
        let count = |is: fn(&Wanted) -> bool| wanted.iter().filter(|wanted| is(wanted)).count();
        [
            count(|w| w.thumbnails),
            count(|w| w.multiview),
            count(|w| w.screen),
        ]
    }

    #[test]
    fn nothing_is_made_for_nobody() {
        let mut lookers = Lookers::new(false);
        assert_eq!(counts(&mut lookers), [0, 0, 0]);
        lookers.handle_people(5, false);
        assert_eq!(counts(&mut lookers), [5, 0, 0]);
        lookers.handle_people(0, true);
        assert_eq!(counts(&mut lookers), [0, 0, 0]);
    }

    #[test]
    fn the_screen_and_people_each_have_their_pace() {
        let mut lookers = Lookers::new(true);
        assert_eq!(counts(&mut lookers), [0, 0, 10]);
        let mut lookers = Lookers::new(true);
        lookers.handle_people(2, true);
        assert_eq!(counts(&mut lookers), [2, 2, 10]);
    }
}
