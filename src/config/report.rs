//! The problems found while a document is read, with their places in the text.

use super::problem::{Place, Problem, Severity};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// How sure a problem is while a part of the file could not be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Certainty {
    /// The text is not TOML here.
    Syntax,
    /// It stands in the text.
    Seen,
    /// It follows from something that is not there, and may only be hidden behind a syntax error.
    Inferred,
}

/// Where a value stands: its dotted path, and its byte in the text.
#[derive(Clone, Debug)]
pub(super) struct At {
    pub path: String,
    pub offset: usize,
}

struct Entry {
    certainty: Certainty,
    place: Place,
    problem: Problem,
}

/// The problems found so far.
pub(super) struct Report<'t> {
    file: &'t str,
    text: &'t str,
    line_starts: Vec<usize>,
    entries: RefCell<Vec<Entry>>,
    /// Where each key stands that was asked for and is there.
    places: RefCell<BTreeMap<String, usize>>,
}

impl<'t> Report<'t> {
    pub fn new(file: &'t str, text: &'t str) -> Self {
        let newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        Report {
            file,
            text,
            line_starts: std::iter::once(0).chain(newlines).collect(),
            entries: RefCell::default(),
            places: RefCell::default(),
        }
    }

    pub fn problem(&self, at: &At, what: impl Into<String>, instead: impl Into<String>) {
        self.add(Severity::Problem, Certainty::Seen, at, what, instead);
    }

    pub fn warning(&self, at: &At, what: impl Into<String>, instead: impl Into<String>) {
        self.add(Severity::Warning, Certainty::Seen, at, what, instead);
    }

    /// A problem because of something that is not there: a missing key, a name that nothing bears.
    pub fn absence(&self, at: &At, what: impl Into<String>, instead: impl Into<String>) {
        self.add(Severity::Problem, Certainty::Inferred, at, what, instead);
    }

    /// A warning because of something that is not there.
    pub fn absence_warning(&self, at: &At, what: impl Into<String>, instead: impl Into<String>) {
        self.add(Severity::Warning, Certainty::Inferred, at, what, instead);
    }

    fn add(
        &self,
        severity: Severity,
        certainty: Certainty,
        at: &At,
        what: impl Into<String>,
        instead: impl Into<String>,
    ) {
        let place = self.place(at.offset);
        self.entries.borrow_mut().push(Entry {
            certainty,
            place,
            problem: Problem {
                severity,
                file: self.file.to_owned(),
                place: Some(place),
                path: at.path.clone(),
                what: what.into(),
                instead: instead.into(),
            },
        });
    }

    /// The place of a dotted path: its own, or that of the nearest part of it that is in the file.
    pub fn at_path(&self, path: &str) -> At {
        let places = self.places.borrow();
        let mut part = path;
        let offset = loop {
            if let Some(&offset) = places.get(part) {
                break offset;
            }
            match part.rfind('.') {
                Some(dot) => part = &part[..dot],
                None => break 0,
            }
        };
        At {
            path: path.to_owned(),
            offset,
        }
    }

    /// Remembers where a dotted path stands; the first place counts.
    pub fn remember(&self, path: String, offset: usize) {
        self.places.borrow_mut().entry(path).or_insert(offset);
    }

    pub fn line_of(&self, at: &At) -> usize {
        self.place(at.offset).line
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.line_starts.partition_point(|&start| start <= offset);
        let start = self.line_starts[line - 1]; // partition_point ≥ 1, for the first start is 0
        let end = self.text.floor_char_boundary(offset.max(start));
        let column = self.text.get(start..end).map_or(0, |t| t.chars().count()) + 1;
        Place { line, column }
    }

    /// All problems in the order of the file. With syntax errors (the text's own messages), what may only follow
    /// from the parts that could not be read is left out, and so is everything on their lines.
    pub fn finish(self, syntax: &[toml::de::Error]) -> Vec<Problem> {
        let broken: Vec<usize> = syntax
            .iter()
            .filter_map(|e| Some(self.place(e.span()?.start).line))
            .collect();
        for error in syntax {
            let at = At {
                path: String::new(),
                offset: error.span().map_or(0, |span| span.start),
            };
            let message = error.message().trim().replace('\n', ", ");
            let what = format!("not TOML: {message}");
            self.add(Severity::Problem, Certainty::Syntax, &at, what, "");
        }
        let mut entries = self.entries.into_inner();
        if !syntax.is_empty() {
            entries.retain(|entry| match entry.certainty {
                Certainty::Syntax => true,
                Certainty::Seen => !broken.contains(&entry.place.line),
                Certainty::Inferred => false,
            });
        }
        entries.sort_by_key(|entry| entry.place);
        let mut problems: Vec<Problem> = entries.into_iter().map(|e| e.problem).collect();
        problems.dedup();
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_from_one_in_characters() {
        let report = Report::new("f", "ä = 1\nöö = 2");
        let at = |offset| report.place(offset);
        assert_eq!(at(0), Place { line: 1, column: 1 });
        assert_eq!(at(3), Place { line: 1, column: 3 });
        assert_eq!(at(7), Place { line: 2, column: 1 });
        // Inside a character, and past the end: still a place.
        assert_eq!(at(8), Place { line: 2, column: 1 });
        assert_eq!(at(99), Place { line: 2, column: 7 });
    }
}
