//! Which shows want the box at the same time. Pure.

use jiff::Timestamp;
use std::collections::BTreeMap;

/// A stretch of time in which a show has the box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupied {
    pub show: String,
    pub from: Timestamp,
    /// Not included.
    pub to: Timestamp,
}

/// Two that can't both be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    pub one: Occupied,
    pub other: Occupied,
}

/// All that is planned, none of it at the same time as another.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    by_start: BTreeMap<Timestamp, Occupied>,
}

impl Timeline {
    /// What stands in the way of `wanted`, other than stretches of the show `but`.
    pub fn in_the_way(&self, wanted: &Occupied, but: Option<&str>) -> Option<&Occupied> {
        // Of those that begin before its end, they lie behind each other: the last that is not left out has the latest end.
        self.by_start
            .range(..wanted.to)
            .rev()
            .map(|(_, occupied)| occupied)
            .find(|occupied| Some(occupied.show.as_str()) != but)
            .filter(|occupied| occupied.to > wanted.from)
    }

    /// Adds all of a show's stretches, or none and the first conflict.
    pub fn add(&mut self, stretches: Vec<Occupied>) -> Result<(), Box<Conflict>> {
        let mut own = Timeline::default();
        for one in stretches {
            let other = self
                .in_the_way(&one, None)
                .or_else(|| own.in_the_way(&one, None));
            if let Some(other) = other {
                let other = other.clone();
                return Err(Box::new(Conflict { one, other }));
            }
            own.by_start.insert(one.from, one);
        }
        self.by_start.extend(own.by_start);
        Ok(())
    }

    pub fn remove(&mut self, show: &str) {
        self.by_start.retain(|_, occupied| occupied.show != show);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(show: &str, from: i64, to: i64) -> Occupied {
        let at = |s| Timestamp::from_second(s).unwrap();
        Occupied {
            show: show.into(),
            from: at(from),
            to: at(to),
        }
    }

    #[test]
    fn one_at_a_time() {
        let mut planned = Timeline::default();
        planned
            .add(vec![stretch("mass", 100, 200), stretch("mass", 300, 400)])
            .unwrap();
        // One behind the other is no conflict.
        planned.add(vec![stretch("talk", 200, 300)]).unwrap();
        let conflict = planned
            .add(vec![stretch("news", 0, 50), stretch("news", 350, 500)])
            .unwrap_err();
        assert_eq!(conflict.one, stretch("news", 350, 500));
        assert_eq!(conflict.other, stretch("mass", 300, 400));
        // Nothing of it was added.
        planned.add(vec![stretch("early", 0, 50)]).unwrap();
        // One that spans others, and one inside another.
        assert!(planned.add(vec![stretch("all", 0, 900)]).is_err());
        assert!(planned.add(vec![stretch("in", 120, 130)]).is_err());
        assert!(
            planned
                .in_the_way(&stretch("mass", 110, 190), Some("mass"))
                .is_none()
        );
        planned.remove("mass");
        planned.add(vec![stretch("in", 120, 130)]).unwrap();
    }

    #[test]
    fn a_show_in_its_own_way() {
        let mut planned = Timeline::default();
        let conflict = planned
            .add(vec![stretch("a", 0, 100), stretch("a", 50, 150)])
            .unwrap_err();
        assert_eq!(
            (conflict.one.show.as_str(), conflict.other.show.as_str()),
            ("a", "a")
        );
    }
}
