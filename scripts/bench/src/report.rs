//! docs/benchmarks.md: an introduction, and a section for each part with its machine, versions, command and tables.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

const INTRODUCTION: &str = "# Benchmarks\n\n\
    Made by `scripts/bench.sh`, which replaces a section each time it measures it. Competitors take turns, round by round,\n\
    on one machine that does nothing else; medians are given. A figure is only worth something beside its neighbours in the\n\
    same table.\n";

/// Puts a section into the document in place of its older self.
pub fn write(path: &Path, title: &str, body: &str) -> std::io::Result<()> {
    let old = std::fs::read_to_string(path).unwrap_or_else(|_| INTRODUCTION.to_owned());
    let section = format!("## {title}\n\n{}\n\n{}\n", setting(), body.trim());
    std::fs::write(path, replaced(&old, title, &section))
}

fn replaced(document: &str, title: &str, section: &str) -> String {
    let mut sections: Vec<String> = Vec::new();
    for line in document.lines() {
        if line.starts_with("## ") || sections.is_empty() {
            sections.push(String::new());
        }
        if let Some(open) = sections.last_mut() {
            let _ = writeln!(open, "{line}");
        }
    }
    let head = format!("## {title}\n");
    match sections.iter_mut().find(|s| s.starts_with(&head)) {
        Some(place) => *place = section.to_owned(),
        None => sections.push(section.to_owned()),
    }
    let trimmed: Vec<&str> = sections.iter().map(|s| s.trim_end()).collect();
    trimmed.join("\n\n") + "\n"
}

/// When, on what and how, in one line each.
fn setting() -> String {
    let first_line = |program: &str, arg: &str| {
        let out = Command::new(program).arg(arg).output();
        out.map(|o| {
            String::from_utf8_lossy(&o.stdout)
                .lines()
                .next()
                .unwrap_or("?")
                .to_owned()
        })
        .unwrap_or_else(|_| format!("{program} not found"))
    };
    let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = file("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let cores = cpu
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let memory_kb: u64 = file("/proc/meminfo")
        .split_whitespace()
        .nth(1)
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    let ffmpeg = first_line("ffmpeg", "-version");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    format!(
        "- {} on {cores} × {model}, {:.0} GiB, Linux {}\n- {}; {}; commit {}\n- `scripts/bench.sh {}`",
        first_line("date", "+%Y-%m-%d"),
        memory_kb as f64 / 1048576.0,
        file("/proc/sys/kernel/osrelease").trim(),
        ffmpeg.split(" Copyright").next().unwrap_or(&ffmpeg),
        first_line("gst-launch-1.0", "--version").replace("gst-launch-1.0 version", "GStreamer"),
        Command::new("git")
            .args(["describe", "--always", "--dirty"])
            .output()
            .map_or("?".into(), |o| String::from_utf8_lossy(&o.stdout)
                .trim()
                .to_owned()),
        arguments.join(" ")
    )
}

/// A table in markdown; numbers to the right.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!("| {} |\n|", head.join(" | "));
    text.push_str(" --- |");
    text.push_str(&" ---: |".repeat(head.len() - 1));
    text.push('\n');
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

/// The middle one; of an even number the mean of the middle two. `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some((upper + lower) / 2.0)
}

/// The median with so many decimals, or a dash.
pub fn cell(values: &[f64], decimals: usize) -> String {
    median(values).map_or("–".into(), |value| format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_takes_the_place_of_its_older_self() {
        let first = replaced("# Head\n\ntext\n", "Cost", "## Cost\n\nold\n");
        let second = replaced(&first, "Latency", "## Latency\n\nl\n");
        let third = replaced(&second, "Cost", "## Cost\n\nnew\n");
        assert_eq!(
            third,
            "# Head\n\ntext\n\n## Cost\n\nnew\n\n## Latency\n\nl\n"
        );
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(cell(&[], 2), "–");
    }
}
