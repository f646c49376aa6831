//! What is wrong with a configuration, and where. A problem never quotes a secret, and never more of a URL than
//! its scheme, host and port, because platforms hide keys in paths and queries. Pure.

use serde::Serialize;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = ConfigSeverity)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Regia does not start with it.
    Problem,
    /// Regia starts, but the operator should know.
    Warning,
}

/// A place in the file, counted from 1; the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[schema(as = ConfigPlace)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = ConfigProblem)]
pub struct Problem {
    pub severity: Severity,
    pub file: String,
    /// None: the file as a whole.
    #[serde(flatten)]
    pub place: Option<Place>,
    /// `destination "linkedin".server`; an entry without an id is `destination[2]`, counted from 1. May be empty.
    pub path: String,
    pub what: String,
    /// What would be right, or what to do. May be empty.
    pub instead: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        f.write_str(": ")?;
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.what)?;
        if !self.instead.is_empty() {
            write!(f, "; {}", self.instead)?;
        }
        Ok(())
    }
}

/// All that was found in a configuration that can't be used, warnings too, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.problems))]
pub struct ConfigErrors {
    pub problems: Vec<Problem>,
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}
