//! Commands that were given ahead of their time, each until its turn. Pure.

use std::collections::BTreeMap;

#[derive(Debug)]
pub struct Agenda<C> {
    /// By the grid point at whose turn each is handled, and by the order in which they came.
    waiting: BTreeMap<(i64, u64), C>,
    came: u64,
}

impl<C> Default for Agenda<C> {
    fn default() -> Self {
        Agenda {
            waiting: BTreeMap::new(),
            came: 0,
        }
    }
}

impl<C> Agenda<C> {
    pub fn add(&mut self, turn: i64, command: C) {
        self.came += 1;
        self.waiting.insert((turn, self.came), command);
    }

    /// The latest turn of those that are like this.
    pub fn last(&self, like: impl Fn(&C) -> bool) -> Option<i64> {
        let mut waiting = self.waiting.iter().rev();
        let ((turn, _), _) = waiting.find(|(_, command)| like(command))?;
        Some(*turn)
    }

    /// The first of those whose turn has come when `next` is the point that is given out next.
    pub fn due(&mut self, next: i64) -> Option<C> {
        let first = self.waiting.first_entry()?;
        (first.key().0 <= next).then(|| first.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_at_its_turn_and_those_of_one_turn_in_their_order() {
        let mut agenda = Agenda::default();
        for (turn, command) in [(7, "c"), (5, "a"), (5, "b"), (0, "now")] {
            agenda.add(turn, command);
        }
        assert_eq!(agenda.last(|command| *command != "c"), Some(5));
        assert_eq!(agenda.last(|command| *command == "d"), None);
        let due = |agenda: &mut Agenda<_>, next| -> Vec<&str> {
            std::iter::from_fn(|| agenda.due(next)).collect()
        };
        assert_eq!(due(&mut agenda, 4), ["now"]);
        assert_eq!(due(&mut agenda, 5), ["a", "b"]);
        // A grid that skips points skips no command.
        assert_eq!(due(&mut agenda, 90), ["c"]);
        assert_eq!(due(&mut agenda, i64::MAX), Vec::<&str>::new());
    }
}
