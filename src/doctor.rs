//! `regia doctor`: is this machine fit for a broadcast? `machine` measures (shell), `judge` decides (pure), and this
//! file joins both with what the engine found and prints it. The engine's part comes in as rows and as JSON, so that
//! nothing here names GStreamer.

mod judge;
mod machine;

pub use judge::{clock_row, judge};
pub use machine::{Clock, Disk, Interface, Machine, Use, clock, measure, unix_s};

use crate::config::Settings;
use serde::Serialize;
use serde_json::json;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = DoctorGrade)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    Ok,
    /// It could not be found out.
    Unknown,
    Warning,
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = DoctorRow)]
pub struct Row {
    /// "clock", "interface eth0", …
    pub name: String,
    pub grade: Grade,
    /// What was found.
    pub found: String,
    /// What to do; empty when there is nothing to do.
    pub advice: String,
}

impl Row {
    pub fn new(
        name: impl Into<String>,
        grade: Grade,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Row {
            name: name.into(),
            grade,
            found: found.into(),
            advice: advice.into(),
        }
    }
}

/// What the engine's probe found: `rows` for people, `detail` for scripts.
pub struct EnginePart<T: Serialize> {
    pub rows: Vec<Row>,
    pub detail: T,
}

/// Measures the machine, prints what it is like and returns the exit code: 0, or 1 when there is a problem. With
/// `settings`, their interfaces and recordings are looked at too.
pub fn doctor_command<T: Serialize>(
    settings: Option<&Settings>,
    state: &Path,
    engine: EnginePart<T>,
    json: bool,
) -> io::Result<u8> {
    let machine = measure(settings, state);
    let mut rows = judge(&machine, settings);
    rows.extend(engine.rows);
    let text = if json {
        let object = json!({
            "ok": !has_problem(&rows),
            "rows": rows,
            "machine": machine,
            "engine": engine.detail,
        });
        format!("{object}\n")
    } else {
        text(&rows)
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(u8::from(has_problem(&rows)))
}

fn has_problem(rows: &[Row]) -> bool {
    rows.iter().any(|row| row.grade == Grade::Problem)
}

/// A line for each row, aligned, its advice below it, and the count.
pub fn text(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.chars().count()).max();
    let width = width.unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let grade = match row.grade {
            Grade::Ok => "ok",
            Grade::Unknown => "unknown",
            Grade::Warning => "warning",
            Grade::Problem => "problem",
        };
        // Writing to a String does not fail.
        let _ = writeln!(text, "{grade:<8} {:<width$}  {}", row.name, row.found);
        if !row.advice.is_empty() {
            let _ = writeln!(text, "{:<8} {:<width$}  → {}", "", "", row.advice);
        }
    }
    let count = |grade| rows.iter().filter(|row| row.grade == grade).count();
    let summary = match (count(Grade::Problem), count(Grade::Warning)) {
        (0, 0) => "nothing to do".to_owned(),
        (problems, warnings) => format!(
            "{problems} problem{}, {warnings} warning{}",
            plural(problems),
            plural(warnings)
        ),
    };
    let _ = writeln!(text, "{summary}");
    text
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_aligned_and_counted() {
        let rows = [
            Row::new("clock", Grade::Ok, "synchronised", ""),
            Row::new("disk /rec", Grade::Problem, "1 GB free", "make room"),
        ];
        assert_eq!(
            text(&rows),
            "ok       clock      synchronised\n\
             problem  disk /rec  1 GB free\n                    → make room\n\
             1 problem, 0 warnings\n"
        );
        assert_eq!(
            text(&rows[..1]),
            "ok       clock  synchronised\nnothing to do\n"
        );
    }
}
