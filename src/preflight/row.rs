//! What pre-flight says: rows, and a report of them. Pure.

use serde::{Deserialize, Serialize};
use std::fmt::{self, Write as _};

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[schema(as = PreflightGrade)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    Ok,
    /// The show can start; somebody should know.
    Warning,
    /// The show would start into a failure that is known now.
    Problem,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Grade::Ok => "ok",
            Grade::Warning => "warning",
            Grade::Problem => "problem",
        })
    }
}

/// What was looked at.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    Settings,
    Key,
    Ingest,
    Uplink,
    Picture,
    Sound,
    Disk,
    Clock,
    Processors,
    Power,
    Temperature,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Check::Settings => "settings",
            Check::Key => "key",
            Check::Ingest => "ingest",
            Check::Uplink => "uplink",
            Check::Picture => "picture",
            Check::Sound => "sound",
            Check::Disk => "disk",
            Check::Clock => "clock",
            Check::Processors => "processors",
            Check::Power => "power",
            Check::Temperature => "temperature",
        })
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = PreflightRow)]
pub struct Row {
    pub check: Check,
    /// Of what: a destination, an uplink, a recording. Empty where there is only one.
    pub subject: String,
    pub grade: Grade,
    /// The measured value, as a sentence's end.
    pub found: String,
    /// How long ago that was measured.
    pub age_s: f64,
    /// What to do next; empty when there is nothing to do.
    pub advice: String,
}

impl Row {
    /// Measured just now.
    pub fn new(
        check: Check,
        subject: impl Into<String>,
        grade: Grade,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Row {
            check,
            subject: subject.into(),
            grade,
            found: found.into(),
            age_s: 0.0,
            advice: advice.into(),
        }
    }

    pub fn aged(self, age_s: f64) -> Self {
        Row { age_s, ..self }
    }

    pub fn name(&self) -> String {
        match self.subject.as_str() {
            "" => self.check.to_string(),
            subject => format!("{} {subject}", self.check),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.found)?;
        match self.advice.as_str() {
            "" => Ok(()),
            advice => write!(f, "; {advice}"),
        }
    }
}

/// `regia preflight --json` and `GET /preflight`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = Preflight)]
pub struct Report {
    /// Nothing stands against a start.
    pub ok: bool,
    pub problems: usize,
    pub warnings: usize,
    pub rows: Vec<Row>,
}

impl Report {
    pub fn new(rows: Vec<Row>) -> Self {
        let count = |grade| rows.iter().filter(|row| row.grade == grade).count();
        let (problems, warnings) = (count(Grade::Problem), count(Grade::Warning));
        Report {
            ok: problems == 0,
            problems,
            warnings,
            rows,
        }
    }

    pub fn problems(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.grade == Grade::Problem)
    }
}

/// A line for each row, aligned, with what to do below it.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.name().chars().count());
        let width = width.max().unwrap_or(0);
        for row in &self.rows {
            write!(f, "{:<8} {:<width$}  {}", row.grade, row.name(), row.found)?;
            if row.age_s >= 1.0 {
                write!(f, " ({:.0} s ago)", row.age_s)?;
            }
            f.write_char('\n')?;
            if !row.advice.is_empty() {
                writeln!(f, "{:<8} {:<width$}  → {}", "", "", row.advice)?;
            }
        }
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        match (self.problems, self.warnings) {
            (0, 0) => writeln!(f, "ready"),
            (0, warnings) => writeln!(f, "ready, with {warnings} warning{}", plural(warnings)),
            (problems, warnings) => writeln!(
                f,
                "not ready: {problems} problem{}, {warnings} warning{}",
                plural(problems),
                plural(warnings)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_aligned_aged_and_counted() {
        let rows = vec![
            Row::new(Check::Clock, "", Grade::Ok, "synchronised", ""),
            Row::new(Check::Disk, "/rec", Grade::Problem, "full", "make room").aged(12.4),
        ];
        let report = Report::new(rows);
        assert_eq!(
            report.to_string(),
            "ok       clock      synchronised\n\
             problem  disk /rec  full (12 s ago)\n                    → make room\n\
             not ready: 1 problem, 0 warnings\n"
        );
        let problems: Vec<String> = report.problems().map(ToString::to_string).collect();
        assert_eq!(problems, ["disk /rec: full; make room"]);
        assert_eq!(
            serde_json::to_string(&report.rows[1]).unwrap(),
            r#"{"check":"disk","subject":"/rec","grade":"problem","found":"full","age_s":12.4,"advice":"make room"}"#
        );
    }
}
