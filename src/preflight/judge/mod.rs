//! From what was measured to rows. Pure: the time comes in with the measurements.

mod destination;
mod machine;
mod programme;
mod way;

pub use destination::{broadcast, key, settings};
pub use machine::{Planned, clock, disks, load, power, temperature};
pub use programme::{Programme, Source, pictures, sound};
pub use way::{ingests, uplinks};

#[cfg(test)]
use super::row::Row;

/// Errors and findings end with what to do: the row tells it apart.
fn split_advice(text: &str) -> (&str, &str) {
    text.rsplit_once("; ").unwrap_or((text, ""))
}

#[cfg(test)]
fn said(rows: &[Row]) -> Vec<String> {
    let line = |row: &Row| {
        let arrow = if row.advice.is_empty() { "" } else { " → " };
        format!(
            "{} {}: {}{arrow}{}",
            row.grade,
            row.name(),
            row.found,
            row.advice
        )
    };
    rows.iter().map(line).collect()
}

/// kb/s for people.
fn rate(kbps: u32) -> String {
    format!("{:.1} Mb/s", f64::from(kbps) / 1000.0)
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}
