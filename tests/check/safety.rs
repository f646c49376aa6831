//! No text panics the reader, and none brings a secret to light.

use crate::machine::Machine;
use crate::{GOOD, SECRET};
use proptest::prelude::*;
use regia::config::check::Verdict;
use regia::config::parse;

/// All that `regia check` prints of a text, for people and for scripts.
fn all_text(text: &str) -> String {
    let verdict = Verdict {
        file: "regia.toml".to_owned(),
        outcome: parse(text, "regia.toml", &Machine::venue()),
    };
    format!("{}{}", verdict.text(), verdict.json())
}

/// One slip of the hand anywhere between source and recording, and still no secret in a text.
#[test]
fn a_slip_shows_no_secret() {
    let text = GOOD
        .replace(
            "kind = \"v4l2\"\ndevice = \"/dev/video0\"",
            &format!("kind = \"rtsp\"\nurl = \"rtsp://admin:{SECRET}@camera/1\""),
        )
        .replace(
            "rtmps://host:443/live",
            &format!("rtmps://host:443/live/{SECRET}?auth={SECRET}"),
        )
        .replace(
            "uplinks =",
            &format!("user = \"me\"\npassword = \"{SECRET}\"\nuplinks ="),
        )
        .replace(
            "[[recording]]",
            &format!("on_limit = \"rollover\"\nrollover_key = \"{SECRET}2\"\n[[recording]]"),
        );
    let check = |slipped: &str| {
        let said = all_text(slipped);
        for part in SECRET.as_bytes().windows(6) {
            let part = std::str::from_utf8(part).unwrap();
            assert!(!said.contains(part), "{said}");
        }
    };
    check(&text);
    let start = text.find("[[source]]").unwrap();
    let end = text.find("[[recording]]").unwrap();
    for at in start..end {
        check(&[&text[..at], &text[at + 1..]].concat());
        for with in [" ", "\"", "\n", "=", "#", "@", "/"] {
            check(&[&text[..at], with, &text[at..]].concat());
            check(&[&text[..at], with, &text[at + 1..]].concat());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_text_is_safe(text: String) {
        all_text(&text);
    }

    #[test]
    fn any_toml_like_text_is_safe(
        lines in prop::collection::vec(
            "(\\[{0,2}(source|scene|title|uplink|destination|programme|programme\\.video|window|layers|x)\\]{0,2}|(id|kind|fps|key|server|layers|hold_s|width|catch_up|dns|lines|to|image|size|colour) ?= ?(\"[^\"]{0,9}\"|-?[0-9]{1,20}|nan|inf|1e999|\\[.{0,9}\\]|\\{.{0,9}\\}|true|1979-05-27))",
            0..12,
        )
    ) {
        all_text(&lines.join("\n"));
    }
}
