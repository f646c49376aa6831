//! Who may know whom, kept by a test. Pure files name no runtime, no file, no socket and no clock; no module imports one above
//! it in ARCHITECTURE's order, nor two each other; GStreamer stays in src/engine and `unsafe` in one file. The judging
//! works on text, so that it can be shown planted offences (the tests at the end).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// From the ground up. A module may import its own layer and those before it.
const LAYERS: &[&[&str]] = &[
    &[
        "media",
        "stamp",
        "secret",
        "rtmp",
        "platform",
        "store",
        "telemetry",
        "calendar",
    ],
    &["config", "bridge", "window", "recording"],
    &["engine", "session", "uplink"],
    &["rehearsal", "schedule", "doctor", "preflight", "alert"],
    &["panel"],
    &["app", "cli"],
    &["main"],
];

/// Pure by design (ARCHITECTURE.md, "Pure and shell"): files, or directories with everything in them. A file whose head says
/// "Pure." is held to it as well.
const PURE: &[&str] = &[
    "media.rs",
    "secret.rs",
    "config/secret.rs",
    "stamp.rs",
    "rtmp/",
    "window/",
    "window.rs",
    "platform/",
    "platform.rs",
    "config/settings.rs",
    "config/desk.rs",
    "config/picture.rs",
    "bridge/protocol.rs",
    "bridge/mix.rs",
    "bridge/report.rs",
    "bridge/codec.rs",
    "engine/mix/agenda.rs",
    "engine/mix/geometry.rs",
    "engine/mix/keys.rs",
    "engine/mix/multiview.rs",
    "engine/mix/plan.rs",
    "engine/mix/switcher.rs",
    "engine/mix/video.rs",
    "engine/titles/raster.rs",
    "engine/titles/presence.rs",
    "uplink/flow.rs",
    "uplink/liveness.rs",
    "uplink/reader.rs",
    "uplink/failover.rs",
    "session/control/",
    "session/event.rs",
    "session/event/",
    "session/machine.rs",
    "session/guard.rs",
    "session/moment.rs",
    "session/timeline.rs",
    "calendar/recurrence.rs",
    "calendar/rule.rs",
    "calendar/conflict.rs",
    "config/show.rs",
    "schedule/listing.rs",
    "schedule/plan.rs",
    "schedule/ical/",
    "schedule/run/",
    "alert/message.rs",
    "session/report/",
    "preflight/judge/",
    "preflight/measured.rs",
    "preflight/row.rs",
];

/// Shells that stand among pure files, each with its reason.
const SHELLS_AMONG_PURE: &[&str] = &[
    // Hands the window's state from its one writer to its readers through a watch channel.
    "window/feed.rs",
];

/// What pure code may not name, with what to do instead. `std::net`'s addresses are values and allowed; its sockets are not.
const BANNED_IN_PURE: &[(&str, &str)] = &[
    ("tokio", "a shell beside it does the waiting"),
    ("gstreamer", "only src/engine's shells know GStreamer"),
    ("std::fs", "the shell reads the file and passes its text"),
    ("std::env", "the shell reads it and passes a value"),
    ("std::process", "the shell starts processes"),
    ("std::thread", "the shell owns threads"),
    ("std::io::stdin", "the shell reads it"),
    ("TcpStream", "bytes come in as an argument"),
    ("TcpListener", "bytes come in as an argument"),
    ("UdpSocket", "bytes come in as an argument"),
    ("UnixStream", "bytes come in as an argument"),
    ("ToSocketAddrs", "names are resolved by the shell"),
    ("Instant::now", "take the time as an argument"),
    ("SystemTime", "take the time as an argument"),
];

const UNSAFE_MAY_STAND_IN: &str = "uplink/sockopt.rs";

/// Code as far as the rules are concerned: comments, the contents of string and character literals, and `#[cfg(test)]`
/// modules are blanked, so that neither a doc nor a test is mistaken for use.
fn code_of(source: &str) -> String {
    without_test_modules(&blank_text(source))
}

fn blank_text(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    // Keeps lines in place, for the numbers in messages.
    let blank = |from: usize, to: usize, out: &mut String| {
        out.extend(
            chars[from..to]
                .iter()
                .map(|&c| if c == '\n' { '\n' } else { ' ' }),
        );
    };
    while at < chars.len() {
        let rest = &chars[at..];
        let end = match rest {
            ['/', '/', ..] => at + rest.iter().position(|&c| c == '\n').unwrap_or(rest.len()),
            ['/', '*', ..] => end_of_block_comment(&chars, at),
            ['"', ..] => end_of_string(&chars, at),
            ['r', '"' | '#', ..] if !is_word(at.checked_sub(1).map(|i| chars[i])) => {
                end_of_raw_string(&chars, at).unwrap_or(at)
            }
            // A character; a lifetime has no closing quote two or three places on.
            ['\'', '\\', _, ..] => at + 4 + rest[3..].iter().position(|&c| c == '\'').unwrap_or(0),
            ['\'', _, '\'', ..] => at + 3,
            _ => at,
        };
        if end > at {
            blank(at, end.min(chars.len()), &mut out);
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

fn is_word(c: Option<char>) -> bool {
    c.is_some_and(|c| c.is_alphanumeric() || c == '_')
}

fn end_of_block_comment(chars: &[char], start: usize) -> usize {
    let (mut depth, mut at) = (0, start);
    while at < chars.len() {
        match &chars[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn end_of_string(chars: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// `None` when this is no raw string after all (`r#type`).
fn end_of_raw_string(chars: &[char], start: usize) -> Option<usize> {
    let hashes = chars[start + 1..].iter().take_while(|&&c| c == '#').count();
    let open = start + 1 + hashes;
    (chars.get(open) == Some(&'"')).then(|| {
        let mut at = open + 1;
        let closes = |at: usize| {
            chars[at] == '"'
                && chars[at + 1..]
                    .iter()
                    .take(hashes)
                    .filter(|&&c| c == '#')
                    .count()
                    == hashes
        };
        while at < chars.len() && !closes(at) {
            at += 1;
        }
        at + 1 + hashes
    })
}

/// Takes text without literals, so that brackets count.
fn without_test_modules(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(found) = rest.find(MARK) {
        let (before, after) = rest.split_at(found);
        out.push_str(before);
        // What is marked ends with its block, or without one (`mod tests;`) at the semicolon.
        let mut depth = 0;
        let end = after[MARK.len()..].char_indices().find_map(|(at, c)| {
            match c {
                '{' | '(' | '[' => depth += 1,
                '}' | ')' | ']' => depth -= 1,
                _ => {}
            }
            (depth == 0 && matches!(c, '}' | ';')).then_some(MARK.len() + at + 1)
        });
        let (marked, tail) = after.split_at(end.unwrap_or(after.len()));
        out.extend(marked.chars().filter(|&c| c == '\n'));
        rest = tail;
    }
    out + rest
}

/// The lines (from 1) on which `name` stands as a whole path segment or segments.
fn lines_naming(code: &str, name: &str) -> Vec<usize> {
    let stands = |line: &str| {
        line.match_indices(name).any(|(at, _)| {
            !is_word(line[..at].chars().next_back())
                && !is_word(line[at + name.len()..].chars().next())
        })
    };
    (1..)
        .zip(code.lines())
        .filter(|(_, line)| stands(line))
        .map(|(number, _)| number)
        .collect()
}

/// `use a::{b, c::{self, d}};` as `a::b`, `a::c::self`, `a::c::d`; every other path as it stands. Whitespace is dropped.
fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let bytes = code.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let begins = (bytes[at].is_ascii_alphabetic() || bytes[at] == b'_')
            && !(at > 0 && is_word(Some(bytes[at - 1] as char)));
        if begins {
            at = read_path(code, at, "", &mut found);
        } else {
            at += 1;
        }
    }
    found
}

/// Reads one path from `at`, expands its group if it ends in one, and returns where it ends.
fn read_path(code: &str, mut at: usize, prefix: &str, found: &mut Vec<String>) -> usize {
    let bytes = code.as_bytes();
    let skip_space = |at: usize| at + code[at..].len() - code[at..].trim_start().len();
    let mut path = prefix.to_owned();
    loop {
        let word = code[at..]
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
            .count();
        path.push_str(&code[at..at + word]);
        at += word;
        let next = skip_space(at);
        if word == 0 || !code[next..].starts_with("::") {
            break;
        }
        path.push_str("::");
        at = skip_space(next + 2);
        if bytes.get(at) == Some(&b'{') {
            at += 1;
            while at < bytes.len() && bytes[at] != b'}' {
                if is_word(Some(bytes[at] as char)) {
                    at = read_path(code, at, &path, found);
                } else {
                    at += 1;
                }
            }
            return at + 1;
        }
    }
    found.push(path);
    at.max(1)
}

/// The crate's module that a file belongs to, and the path of modules that the file itself is.
fn module_path(file: &str) -> Vec<String> {
    let mut parts: Vec<String> = file
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// The top module of this crate that `path`, written in the module `from`, leads to; `None` for other crates.
fn leads_to(path: &str, from: &[String]) -> Option<String> {
    let mut segments = path.split("::");
    let mut inside = from.to_vec();
    loop {
        return match segments.next()? {
            "crate" | "regia" => segments.next().map(str::to_owned),
            "super" => {
                inside.pop();
                if inside.is_empty() {
                    // At the crate's root: what follows is a top module, or `super` used wrongly.
                    segments.next().map(str::to_owned)
                } else {
                    continue;
                }
            }
            _ => None,
        };
    }
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Unit tests in files of their own: `tests.rs`, `…_tests.rs`, `tests/…`.
fn is_test(file: &str) -> bool {
    file.contains("/tests/") || file.ends_with("/tests.rs") || file.ends_with("_tests.rs")
}

/// All offences in a set of files (path under src/, text), as messages.
fn judge(files: &[(String, String)]) -> Vec<String> {
    let files: Vec<_> = files.iter().filter(|(file, _)| !is_test(file)).collect();
    let mut offences = Vec::new();
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, source) in files {
        let code = code_of(source);
        offences.extend(judge_file(file, source, &code));
        if file == "lib.rs" {
            continue;
        }
        let own = module_path(file);
        let top = &own[0];
        let Some(own_layer) = layer(top) else {
            offences.push(format!(
                "src/{file}: the module `{top}` has no place in LAYERS (tests/boundaries.rs)"
            ));
            continue;
        };
        for path in paths(&code) {
            let Some(module) = leads_to(&path, &own).filter(|module| module != top) else {
                continue;
            };
            let Some(its_layer) = layer(&module) else {
                continue;
            };
            if its_layer > own_layer {
                offences.push(format!(
                    "src/{file} imports `{module}`, which stands above it ({path})"
                ));
            }
            imports.entry(top.clone()).or_default().insert(module);
        }
    }
    for (module, its) in &imports {
        for other in its.iter().filter(|other| *other > module) {
            if imports.get(other).is_some_and(|back| back.contains(module)) {
                offences.push(format!("`{module}` and `{other}` import each other"));
            }
        }
    }
    offences
}

fn judge_file(file: &str, source: &str, code: &str) -> Vec<String> {
    let mut offences = Vec::new();
    let head: String = source
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .collect();
    let by_design = |pure: &&str| file == *pure || pure.ends_with('/') && file.starts_with(*pure);
    let is_pure = (head.contains("Pure.") || PURE.iter().any(by_design))
        && !SHELLS_AMONG_PURE.contains(&file);
    if is_pure {
        for (name, instead) in BANNED_IN_PURE {
            for line in lines_naming(code, name) {
                offences.push(format!(
                    "src/{file}:{line}: pure code names `{name}`: {instead}"
                ));
            }
        }
        // The same through a group, as in `use std::{fs, env}`.
        for path in paths(code) {
            if let Some((name, instead)) = BANNED_IN_PURE.iter().find(|(name, _)| {
                path == *name
                    || path
                        .strip_prefix(name)
                        .is_some_and(|rest| rest.starts_with("::"))
            }) && lines_naming(code, name).is_empty()
            {
                offences.push(format!("src/{file}: pure code names `{name}`: {instead}"));
            }
        }
    }
    if file != UNSAFE_MAY_STAND_IN {
        for line in lines_naming(code, "unsafe") {
            offences.push(format!(
                "src/{file}:{line}: `unsafe` may stand in src/{UNSAFE_MAY_STAND_IN} only"
            ));
        }
    }
    if !file.starts_with("engine/") && file != "engine.rs" {
        for path in paths(code) {
            let root = path.split("::").next().unwrap_or_default();
            if path.contains("::") && (root.starts_with("gst") || root.starts_with("gstreamer")) {
                offences.push(format!("src/{file}: GStreamer outside src/engine ({path})"));
            }
        }
    }
    offences
}

fn sources() -> Vec<(String, String)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut dirs = vec![root.clone()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path
                    .strip_prefix(&root)
                    .unwrap_or(Path::new(""))
                    .display()
                    .to_string();
                found.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn nobody_knows_whom_he_should_not() {
    let sources = sources();
    assert!(sources.len() > 5, "the sources were not found");
    let offences = judge(&sources);
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}

mod planted {
    use super::judge;

    fn offences(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files
            .iter()
            .map(|(f, s)| (f.to_string(), s.to_string()))
            .collect();
        judge(&files)
    }

    #[test]
    fn pure_files_are_held_to_it() {
        assert_eq!(
            offences(&[(
                "rtmp/chunk.rs",
                "fn f() {\n    let t = std::time::Instant::now();\n}"
            )]),
            ["src/rtmp/chunk.rs:2: pure code names `Instant::now`: take the time as an argument"]
        );
        assert_eq!(
            offences(&[("window/mod.rs", "use tokio::sync::watch;")]).len(),
            1
        );
        assert_eq!(
            offences(&[("window/mod.rs", "use std::{fs, fmt};")]).len(),
            1
        );
        assert_eq!(
            offences(&[("uplink/flow.rs", "use std::net::TcpStream;")]).len(),
            1
        );
        assert_eq!(
            offences(&[("bridge/x.rs", "//! Something. Pure.\nuse std::env;")]).len(),
            1
        );
        assert_eq!(
            offences(&[("bridge/x.rs", "//! A shell.\nuse std::env;")]),
            [""; 0]
        );
    }

    #[test]
    fn talk_and_tests_are_not_use() {
        let text = "//! No tokio::spawn here. Pure.\n\
            /* Instant::now */ const A: &str = \"std::fs\"; const B: &str = r#\"unsafe \" tokio\"#;\n\
            const C: [char; 2] = ['\"', '\\'']; fn f<'a>(x: &'a str) -> std::net::IpAddr { todo(x) }\n\
            #[cfg(test)]\nmod tests { use tokio::time; fn g() { std::time::Instant::now(); } }\n";
        assert_eq!(offences(&[("media.rs", text)]), [""; 0]);
        assert_eq!(
            offences(&[("rtmp/tests/wire.rs", "use tokio::time;")]),
            [""; 0]
        );
        // What stands behind a test module counts again.
        assert_eq!(
            offences(&[("media.rs", &format!("{text}use tokio::time;\n"))]).len(),
            1
        );
    }

    #[test]
    fn nobody_imports_upwards() {
        assert_eq!(
            offences(&[(
                "rtmp/chunk.rs",
                "use crate::{media::MediaUnit, uplink::Flow};"
            )]),
            ["src/rtmp/chunk.rs imports `uplink`, which stands above it (crate::uplink::Flow)"]
        );
        assert_eq!(
            offences(&[("window/ring.rs", "use super::super::session::X;")]).len(),
            1
        );
        assert_eq!(
            offences(&[("media.rs", "fn f() { super::config::load() }")]).len(),
            1
        );
        assert_eq!(
            offences(&[("uplink/flow.rs", "use super::link::X; use crate::media::Y;")]),
            [""; 0]
        );
        assert_eq!(offences(&[("main.rs", "use regia::app;")]), [""; 0]);
    }

    #[test]
    fn no_two_import_each_other() {
        let files = [
            ("config/mod.rs", "use crate::bridge::X;"),
            ("bridge/mod.rs", "use crate::config::Y;"),
        ];
        assert_eq!(
            offences(&files),
            ["`bridge` and `config` import each other"]
        );
        assert_eq!(offences(&files[..1]), [""; 0]);
    }

    #[test]
    fn a_new_module_needs_a_place() {
        assert_eq!(
            offences(&[("helpers.rs", "")]),
            ["src/helpers.rs: the module `helpers` has no place in LAYERS (tests/boundaries.rs)"]
        );
    }

    #[test]
    fn unsafe_and_gstreamer_keep_to_their_places() {
        assert_eq!(
            offences(&[("uplink/link.rs", "fn f() { unsafe { g() } }")]),
            ["src/uplink/link.rs:1: `unsafe` may stand in src/uplink/sockopt.rs only"]
        );
        assert_eq!(
            offences(&[("uplink/sockopt.rs", "fn f() { unsafe { g() } }")]),
            [""; 0]
        );
        assert_eq!(
            offences(&[("session/actor.rs", "use gstreamer_app::AppSink;")]),
            ["src/session/actor.rs: GStreamer outside src/engine (gstreamer_app::AppSink)"]
        );
        assert_eq!(
            offences(&[("engine/encode/x264.rs", "use gstreamer::prelude::*;")]),
            [""; 0]
        );
    }
}
