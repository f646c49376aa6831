//! A reader that walks a TOML document and collects every problem, each with its place.
//!
//! Why not serde with `deny_unknown_fields`: it stops at its first error, and an operator an hour before the
//! show should not have to mend a file one `check` at a time. Here each section asks a [`Table`] for its keys; what is
//! wrong goes to the [`Report`], reading goes on, and what nobody asked for is an unknown key. The two shapes that
//! serde would have kept apart stay apart: nothing but validated `Settings` leaves the module.

use super::report::{At, Report};
use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A table of the document being read. Each reading method gives None when the key is not there, and also, after
/// reporting it, when its value is of no use; `has` tells the two apart.
pub(super) struct Table<'r> {
    report: &'r Report<'r>,
    /// None: the file has no such table.
    inner: Option<&'r DeTable<'r>>,
    at: At,
    /// What a problem calls this kind of table in a list of its keys.
    known: RefCell<Vec<&'static str>>,
}

impl<'r> Table<'r> {
    pub fn root(report: &'r Report<'r>, document: &'r DeTable<'r>) -> Self {
        let at = At {
            path: String::new(),
            offset: 0,
        };
        Table::new(report, Some(document), at)
    }

    fn new(report: &'r Report<'r>, inner: Option<&'r DeTable<'r>>, at: At) -> Self {
        let known = RefCell::default();
        Table {
            report,
            inner,
            at,
            known,
        }
    }

    /// The table itself, as a place.
    pub fn here(&self) -> &At {
        &self.at
    }

    pub fn report(&self) -> &'r Report<'r> {
        self.report
    }

    /// The place of a key's value; of the table when the key is not there.
    pub fn at(&self, key: &str) -> At {
        let value = self.inner.and_then(|inner| inner.get(key));
        At {
            path: self.path_of(key),
            offset: value.map_or(self.at.offset, |value| value.span().start),
        }
    }

    fn path_of(&self, key: &str) -> String {
        let key = if key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
        {
            key.to_owned()
        } else {
            format!("{key:?}")
        };
        match self.at.path.as_str() {
            "" => key,
            path => format!("{path}.{key}"),
        }
    }

    pub fn has(&self, key: &str) -> bool {
        self.inner.is_some_and(|inner| inner.contains_key(key))
    }

    pub fn problem(&self, key: &str, what: impl Into<String>, instead: impl Into<String>) {
        self.report.problem(&self.at(key), what, instead);
    }

    pub fn warning(&self, key: &str, what: impl Into<String>, instead: impl Into<String>) {
        self.report.warning(&self.at(key), what, instead);
    }

    /// Reports a key that has to be there, unless it is there (and then was reported itself if it is of no use).
    pub fn missing(&self, key: &'static str, instead: impl Into<String>) {
        if !self.has(key) {
            self.report.absence(&self.at(key), "is missing", instead);
        }
    }

    fn value(&self, key: &'static str) -> Option<&'r Spanned<DeValue<'r>>> {
        let mut known = self.known.borrow_mut();
        if !known.contains(&key) {
            known.push(key);
        }
        let value = self.inner?.get(key)?;
        self.report.remember(self.path_of(key), value.span().start);
        Some(value)
    }

    fn wrong_type(&self, at: &At, value: &DeValue<'_>, wanted: &str, example: &str) {
        let what = format!("must be {wanted}, not {}", type_name(value));
        let instead = match example {
            "" => String::new(),
            example => format!("for example {example}"),
        };
        self.report.problem(at, what, instead);
    }

    pub fn string(&self, key: &'static str, example: &str) -> Option<&'r str> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(text),
            other => {
                let example = format!("{key} = {example:?}");
                self.wrong_type(&self.at(key), other, "a string", &example);
                None
            }
        }
    }

    /// A string, or one of TOML's own dates and times as it is written.
    pub fn string_or_date(&self, key: &'static str, example: &str) -> Option<String> {
        let value = self.inner.and_then(|inner| inner.get(key));
        if let Some(DeValue::Datetime(date)) = value.map(Spanned::get_ref) {
            // Counts as asked for.
            self.value(key);
            return Some(date.to_string());
        }
        self.string(key, example).map(str::to_owned)
    }

    /// Of a table whose keys are nobody's but the writer's: each key and its string, with its place.
    pub fn any_strings(&self, key: &'static str) -> Vec<(String, String, At)> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let DeValue::Table(table) = value.get_ref() else {
            let example = format!("{key} = {{ main = \"…\" }}");
            self.wrong_type(&self.at(key), value.get_ref(), "a table", &example);
            return Vec::new();
        };
        let mut found = Vec::new();
        for (name, value) in table {
            let at = At {
                path: format!("{}.{}", self.path_of(key), name.get_ref()),
                offset: value.span().start,
            };
            match value.get_ref() {
                DeValue::String(text) => {
                    found.push((name.get_ref().to_string(), text.to_string(), at))
                }
                other => self.wrong_type(&at, other, "a string", ""),
            }
        }
        found
    }

    /// For keys that take a string or something else.
    pub fn is_string(&self, key: &str) -> bool {
        let value = self.inner.and_then(|inner| inner.get(key));
        value.is_some_and(|value| value.get_ref().is_str())
    }

    /// For keys that take true or false or something else.
    pub fn is_boolean(&self, key: &str) -> bool {
        let value = self.inner.and_then(|inner| inner.get(key));
        value.is_some_and(|value| value.get_ref().is_bool())
    }

    /// The string, if it is one of these; nothing is reported when it is another.
    pub fn string_if_known<'w>(&self, key: &'static str, words: &[&'w str]) -> Option<&'w str> {
        let text = self.value(key)?.get_ref().as_str()?;
        words.iter().copied().find(|word| *word == text)
    }

    /// Not there, or an empty list.
    pub fn lacks(&self, key: &str) -> bool {
        let value = self.inner.and_then(|inner| inner.get(key));
        let items = |value: &Spanned<DeValue<'_>>| value.get_ref().as_array().map(|a| a.len());
        value.is_none_or(|value| items(value) == Some(0))
    }

    pub fn boolean(&self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Boolean(value) => Some(*value),
            other => {
                self.wrong_type(&self.at(key), other, "true or false", "");
                None
            }
        }
    }

    /// A whole number within `range`; `unit` is said after it (" kb/s"), and may be empty.
    pub fn whole(&self, key: &'static str, range: RangeInclusive<u32>, unit: &str) -> Option<u32> {
        let value = self.value(key)?;
        let wanted = format!(
            "a whole number from {} to {}{unit}",
            range.start(),
            range.end()
        );
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_type(&self.at(key), value.get_ref(), &wanted, "");
            return None;
        };
        let number = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            self.problem(key, format!("must be {wanted}, not {integer}"), "");
        }
        number
    }

    /// A number, with or without a fraction. The caller checks its range.
    pub fn number(&self, key: &'static str) -> Option<f64> {
        let value = self.value(key)?;
        let number = as_number(value.get_ref());
        if number.is_none() {
            self.wrong_type(&self.at(key), value.get_ref(), "a number", "");
        }
        number
    }

    /// A time: a number of seconds (the key ends in `_s`), or a string with its unit (ms, s, m or h).
    pub fn duration(&self, key: &'static str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let value = self.value(key)?;
        let seconds = match value.get_ref() {
            DeValue::String(text) => parse_duration(text),
            other => as_number(other),
        };
        let Some(seconds) = seconds else {
            let example = format!("{key} = 30 or {key} = \"1500ms\"");
            let wanted = "a number of seconds or a string with a unit (ms, s, m, h)";
            match value.get_ref() {
                DeValue::String(text) => {
                    let what = format!("must be {wanted}, not {:?}", text.as_ref());
                    self.problem(key, what, format!("for example {example}"));
                }
                other => self.wrong_type(&self.at(key), other, wanted, &example),
            }
            return None;
        };
        let duration = Duration::try_from_secs_f64(seconds).ok();
        let duration = duration.filter(|duration| range.contains(duration));
        if duration.is_none() {
            let (from, to) = (range.start().as_secs_f64(), range.end().as_secs_f64());
            let what = format!("must be from {from} to {to} s, not {seconds} s");
            self.problem(key, what, "");
        }
        duration
    }

    /// One word of a list.
    pub fn word<T: Copy>(&self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let text = self.string(key, names.first().copied().unwrap_or_default())?;
        let word = words.iter().find(|(name, _)| *name == text);
        if word.is_none() {
            let what = format!("{text:?} is not one of {}", names.join(", "));
            self.problem(key, what, did_you_mean(text, &names));
        }
        word.map(|(_, value)| *value)
    }

    /// A list of strings, each with its place.
    pub fn strings(&self, key: &'static str, example: &str) -> Vec<(&'r str, At)> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(
                &self.at(key),
                value.get_ref(),
                "a list of strings",
                &format!("{key} = [{example:?}]"),
            );
            return Vec::new();
        };
        let mut strings = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let at = At {
                path: format!("{}[{}]", self.path_of(key), index + 1),
                offset: item.span().start,
            };
            match item.get_ref() {
                DeValue::String(text) => strings.push((text.as_ref(), at)),
                other => self.wrong_type(&at, other, "a string", ""),
            }
        }
        strings
    }

    /// A list of numbers. The caller checks how many there are and their range.
    pub fn numbers(&self, key: &'static str, example: &str) -> Option<Vec<f64>> {
        let value = self.value(key)?;
        let items = value.get_ref().as_array().map(|items| {
            let numbers = items.iter().map(|item| as_number(item.get_ref()));
            numbers.collect::<Option<Vec<f64>>>()
        });
        let numbers = items.flatten();
        if numbers.is_none() {
            let wanted = "a list of numbers";
            self.wrong_type(&self.at(key), value.get_ref(), wanted, example);
        }
        numbers
    }

    /// The table of that name; an empty one when it is not there.
    pub fn table(&self, key: &'static str) -> Table<'r> {
        let value = self.value(key);
        let inner = value.and_then(|value| match value.get_ref() {
            DeValue::Table(table) => Some(table),
            DeValue::Array(_) if self.at.path.is_empty() => {
                let what = format!("stands in double brackets, but there is only one {key}");
                self.problem(key, what, format!("write [{key}]"));
                None
            }
            other => {
                self.wrong_type(&self.at(key), other, "a table", &format!("[{key}]"));
                None
            }
        });
        Table::new(self.report, inner, self.at(key))
    }

    /// The list of tables of that name (`[[key]]`), or the list of inline tables.
    pub fn tables(&self, key: &'static str) -> Vec<Table<'r>> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let items = match value.get_ref() {
            DeValue::Array(items) => items,
            DeValue::Table(table) => {
                let what = "stands in single brackets, but there may be several";
                self.problem(key, what, format!("write [[{key}]]"));
                return vec![self.entry(key, 0, table, value.span().start)];
            }
            other => {
                self.wrong_type(
                    &self.at(key),
                    other,
                    "a list of tables",
                    &format!("[[{key}]]"),
                );
                return Vec::new();
            }
        };
        let mut tables = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match item.get_ref() {
                DeValue::Table(table) => {
                    tables.push(self.entry(key, index, table, item.span().start));
                }
                other => {
                    let at = At {
                        path: format!("{}[{}]", self.path_of(key), index + 1),
                        offset: item.span().start,
                    };
                    self.wrong_type(&at, other, "a table", "");
                }
            }
        }
        tables
    }

    fn entry(&self, key: &str, index: usize, table: &'r DeTable<'r>, offset: usize) -> Table<'r> {
        let path = match table.get("id").map(Spanned::get_ref) {
            Some(DeValue::String(id)) => format!("{} {:?}", self.path_of(key), id.as_ref()),
            _ => format!("{}[{}]", self.path_of(key), index + 1),
        };
        self.report.remember(path.clone(), offset);
        Table::new(self.report, Some(table), At { path, offset })
    }

    /// Reports every key that nobody asked for. To be called when all have been.
    pub fn finish(&self) {
        let known = self.known.borrow();
        for (name, _) in self.inner.into_iter().flatten() {
            let key = name.get_ref().as_ref();
            if known.contains(&key) {
                continue;
            }
            let at = At {
                path: self.path_of(key),
                offset: name.span().start,
            };
            let instead = match nearest(key, &known) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("known here: {}", known.join(", ")),
            };
            self.report.problem(&at, "unknown key", instead);
        }
    }
}

fn as_number(value: &DeValue<'_>) -> Option<f64> {
    let number = match value {
        DeValue::Float(float) => float.as_str().parse().ok()?,
        DeValue::Integer(integer) => {
            i64::from_str_radix(integer.as_str(), integer.radix()).ok()? as f64
        }
        _ => return None,
    };
    f64::is_finite(number).then_some(number)
}

/// Seconds of "1500ms", "30s", "2m" or "1.5h".
fn parse_duration(text: &str) -> Option<f64> {
    let text = text.trim();
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let scale = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return None,
    };
    let number: f64 = number.trim_end().parse().ok()?;
    f64::is_finite(number).then_some(number * scale)
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The word of `known` that `word` was most likely meant to be, if any is near enough.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    // A long key takes more slips than a short one; a third of its letters wrong is another word.
    let budget = (word.chars().count() / 3).min(3);
    let word = word.to_lowercase();
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, candidate), *candidate))
        .filter(|(distance, _)| *distance <= budget)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

pub(super) fn did_you_mean(word: &str, known: &[&str]) -> String {
    nearest(word, known).map_or_else(String::new, |near| format!("did you mean {near:?}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("1500ms", Some(1.5)),
            ("30s", Some(30.0)),
            ("2m", Some(120.0)),
            ("1.5 h", Some(5_400.0)),
            ("30", None),
            ("s", None),
            ("3 weeks", None),
            ("infs", None),
            ("1e400s", None),
        ] {
            assert_eq!(parse_duration(text), seconds, "{text}");
        }
    }

    #[test]
    fn nearest_is_near() {
        let known = ["server", "backup_server", "key", "key_file"];
        assert_eq!(nearest("sever", &known), Some("server"));
        assert_eq!(nearest("Key_File", &known), Some("key_file"));
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(nearest("", &known), None);
    }
}
