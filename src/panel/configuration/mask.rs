//! Secrets in the configuration's text: shown as dots, and put back when the dots come back unchanged. Pure.
//!
//! What is a secret: the value of a key that holds one, the password of a URL, what a URL's query says, since platforms hide keys
//! there, and the path of an alert's URL, since webhooks hide tokens there. The same in what is commented out.

use toml_edit::{DocumentMut, Item, Table, TableLike, Value};

pub const DOTS: &str = "••••";
/// Shorter values of a query are flags: `backup=1`.
const FLAG: usize = 4;
const SECRETS: [&str; 7] = [
    "key",
    "rollover_key",
    "password",
    "passphrase",
    "obs_password",
    "secret",
    "token",
];

/// Whether this key's value is never shown.
pub fn is_secret(key: &str) -> bool {
    SECRETS.contains(&key)
}

/// A value as it may be shown.
pub fn masked(key: &str, text: &str) -> String {
    if is_secret(key) {
        return DOTS.to_owned();
    }
    masked_url(text)
}

/// A value at its place in the whole document as it may be shown.
fn masked_at(path: &[Step], key: &str, text: &str) -> String {
    match path.first() {
        Some(Step::Key(section)) if section == "alert" && key == "url" => masked_webhook(text),
        _ => masked(key, text),
    }
}

/// Of a webhook's URL only the host is no secret.
fn masked_webhook(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = &rest[..end];
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}/{DOTS}")
}

/// Text as it is, but for what a URL in it hides.
fn masked_url(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.to_owned();
    };
    let (place, query) = match rest.split_once('?') {
        Some((place, query)) => (place, Some(query)),
        None => (rest, None),
    };
    let authority_end = place.find('/').unwrap_or(place.len());
    let (authority, path) = place.split_at(authority_end);
    let authority = match authority.rsplit_once('@') {
        Some((who, host)) => match who.split_once(':') {
            Some((user, _)) => format!("{user}:{DOTS}@{host}"),
            None => authority.to_owned(),
        },
        None => authority.to_owned(),
    };
    let query = query.map(|query| {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, value)) if value.len() > FLAG => format!("{name}={DOTS}"),
            None if pair.len() > FLAG => DOTS.to_owned(),
            _ => pair.to_owned(),
        });
        format!("?{}", pairs.collect::<Vec<_>>().join("&"))
    });
    format!("{scheme}://{authority}{path}{}", query.unwrap_or_default())
}

/// The whole text as it may be shown.
pub fn mask(text: &str) -> String {
    let Ok(mut document) = text.parse::<DocumentMut>() else {
        // It can't be taken apart, so whatever looks like a secret is one.
        return text.lines().map(|line| line_masked(line) + "\n").collect();
    };
    each_string(document.as_table_mut(), &mut |path, key, value| {
        Some(masked_at(path, key, value))
            .filter(|masked| masked != value)
            .map(Value::from)
    });
    let text = document.to_string();
    let lines = text.split('\n').map(|line| match comment_of(line) {
        Some(at) => format!("{}{}", &line[..at], line_masked(&line[at..])),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// `shown` with dots replaced by what stands in their place in `kept`. Err: dots where nothing was; names of the places.
pub fn unmask(shown: &str, kept: &str) -> Result<String, Vec<String>> {
    if !shown.contains(DOTS) {
        return Ok(shown.to_owned());
    }
    let shown = comments_unmasked(shown, kept);
    let (Ok(mut document), kept) = (shown.parse::<DocumentMut>(), kept.parse::<DocumentMut>())
    else {
        // The reader says what is wrong with it.
        return Ok(shown);
    };
    let kept = kept.unwrap_or_default();
    let mut lost = Vec::new();
    each_string(document.as_table_mut(), &mut |path, key, value| {
        if !value.contains(DOTS) {
            return None;
        }
        let original = find(kept.as_table(), path).and_then(|found| found.value());
        let is_it = |original: &&Value| {
            original
                .as_str()
                .is_some_and(|its| masked_at(path, key, its) == value)
        };
        match original.filter(is_it) {
            Some(original) => Some(original.clone()),
            None => {
                lost.push(
                    path.iter()
                        .map(Step::to_string)
                        .collect::<Vec<_>>()
                        .join("."),
                );
                None
            }
        }
    });
    if lost.is_empty() {
        Ok(document.to_string())
    } else {
        Err(lost)
    }
}

/// One step into the document. An entry of a list is known by its id, so that another order changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Key(String),
    Id(String),
    Index(usize),
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Step::Key(key) => f.write_str(key),
            Step::Id(id) => write!(f, "{id:?}"),
            Step::Index(n) => write!(f, "{}", n + 1),
        }
    }
}

type Change<'a> = dyn FnMut(&[Step], &str, &str) -> Option<Value> + 'a;

/// Gives every string with its path and its key, and puts what comes back in its place; white space and comments stay.
pub fn each_string(table: &mut Table, change: &mut Change<'_>) {
    in_table(table, &mut Vec::new(), change);
}

fn step_of(table: &dyn TableLike, index: usize) -> Step {
    match table.get("id").and_then(Item::as_str) {
        Some(id) => Step::Id(id.to_owned()),
        None => Step::Index(index),
    }
}

fn in_table(table: &mut dyn TableLike, path: &mut Vec<Step>, change: &mut Change<'_>) {
    for (key, item) in table.iter_mut() {
        let key = key.get().to_owned();
        path.push(Step::Key(key.clone()));
        match item {
            Item::Value(value) => in_value(&key, value, path, change),
            Item::Table(table) => in_table(table, path, change),
            Item::ArrayOfTables(tables) => {
                for (index, table) in tables.iter_mut().enumerate() {
                    path.push(step_of(table, index));
                    in_table(table, path, change);
                    path.pop();
                }
            }
            Item::None => {}
        }
        path.pop();
    }
}

fn in_value(key: &str, value: &mut Value, path: &mut Vec<Step>, change: &mut Change<'_>) {
    match value {
        Value::String(text) => {
            let changed = change(path, key, text.value());
            if let Some(changed) = changed {
                let decor = text.decor().clone();
                *value = changed;
                *value.decor_mut() = decor;
            }
        }
        Value::Array(array) => {
            for (index, value) in array.iter_mut().enumerate() {
                let step = match value.as_inline_table() {
                    Some(table) => step_of(table, index),
                    None => Step::Index(index),
                };
                path.push(step);
                in_value(key, value, path, change);
                path.pop();
            }
        }
        Value::InlineTable(table) => in_table(table, path, change),
        _ => {}
    }
}

enum Found<'a> {
    Item(&'a Item),
    Table(&'a dyn TableLike),
    Value(&'a Value),
}

impl<'a> Found<'a> {
    fn value(&self) -> Option<&'a Value> {
        match self {
            Found::Item(item) => item.as_value(),
            Found::Value(value) => Some(value),
            Found::Table(_) => None,
        }
    }
}

fn find<'a>(root: &'a Table, path: &[Step]) -> Option<Found<'a>> {
    let mut here = Found::Table(root);
    for step in path {
        here = match (here, step) {
            (Found::Table(table), Step::Key(key)) => Found::Item(table.get(key)?),
            (Found::Item(Item::Table(table)), Step::Key(key)) => Found::Item(table.get(key)?),
            (Found::Item(Item::Value(Value::InlineTable(table))), Step::Key(key))
            | (Found::Value(Value::InlineTable(table)), Step::Key(key)) => {
                Found::Value(table.get(key)?)
            }
            (Found::Item(Item::ArrayOfTables(tables)), step) => {
                let found = tables
                    .iter()
                    .enumerate()
                    .find(|(n, t)| step_of(*t, *n) == *step);
                Found::Table(found?.1)
            }
            (Found::Item(Item::Value(Value::Array(array))), step)
            | (Found::Value(Value::Array(array)), step) => {
                let is_it = |(n, value): &(usize, &Value)| match value.as_inline_table() {
                    Some(table) => step_of(table, *n) == *step,
                    None => Step::Index(*n) == *step,
                };
                Found::Value(array.iter().enumerate().find(is_it)?.1)
            }
            _ => return None,
        };
    }
    Some(here)
}

/// Where a comment begins in a line. A # within a string is not told from one: then what follows is masked as well, and nothing
/// but a secret's shape is.
fn comment_of(line: &str) -> Option<usize> {
    line.find('#')
}

/// What looks like a secret in a line that is no TOML.
fn line_masked(line: &str) -> String {
    let mut out = line.to_owned();
    for key in SECRETS {
        let mut from = 0;
        while let Some(at) = out[from..].find(key).map(|at| at + from) {
            let before = out[..at].chars().next_back();
            let rest = &out[at + key.len()..];
            let value = rest.trim_start().strip_prefix('=');
            let stands = !before.is_some_and(|c| c.is_alphanumeric() || c == '_');
            match value {
                Some(value) if stands && !value.trim().is_empty() => {
                    let value_at = out.len() - value.len();
                    out = format!("{} \"{DOTS}\"", &out[..value_at]);
                    break;
                }
                _ => from = at + key.len(),
            }
        }
    }
    // A URL in it. Whether an alert's or a page's can't be told.
    let is_url = out.trim_start_matches(['#', ' ']).starts_with("url");
    let words = out.split(' ').map(|word| {
        let inner = word.trim_matches(|c| c == '"' || c == '\'');
        if is_url && inner.starts_with("http") && inner.contains("://") {
            word.replace(inner, &masked_webhook(inner))
        } else if inner.contains("://") {
            word.replace(inner, &masked_url(inner))
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Comments that are as they were shown, as they are.
fn comments_unmasked(shown: &str, kept: &str) -> String {
    let originals: Vec<(String, &str)> = kept
        .split('\n')
        .filter_map(|line| {
            let comment = &line[comment_of(line)?..];
            let masked = line_masked(comment);
            (masked != comment).then_some((masked, comment))
        })
        .collect();
    let mut used = vec![false; originals.len()];
    let lines = shown.split('\n').map(|line| {
        let at = comment_of(line).filter(|at| line[*at..].contains(DOTS));
        let Some(at) = at else {
            return line.to_owned();
        };
        let comment = &line[at..];
        let found = (0..originals.len()).find(|n| !used[*n] && originals[*n].0 == comment);
        match found {
            Some(n) => {
                used[n] = true;
                format!("{}{}", &line[..at], originals[n].1)
            }
            None => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# the venue
[[source]]
id = "balcony"   # north side
kind = "rtsp"
url = "rtsp://admin:hunter2secret@10.0.0.5/stream?token=abcdefgh&x=1"

[[destination]]
id = "a"
server = "rtmps://a.example:443/live2?backup=1"
key = "AAAA-secret"      # from Anna
# key = "OLD-secret"

[[destination]]
id = "b"
server = "rtmps://b.example/live"
key = "BBBB-secret"
password = 'CCCC-secret'
inline = { key = "DDDD-secret", list = ["rtmp://u:EEEE-secret@h/x"] }
key_file = "b.key"

[[alert]]
kind = "webhook"
url = "https://api.example/botGGGG-secret/send"
secret = "FFFF-secret"
# url = "https://hooks.example/services/HHHH-secret"
"#;

    #[test]
    fn no_secret_is_shown_and_all_else_is() {
        let shown = mask(TEXT);
        assert!(
            !shown.contains("-secret") && !shown.contains("hunter2"),
            "{shown}"
        );
        assert!(!shown.contains("abcdefgh"), "{shown}");
        for kept in [
            "# the venue",
            "id = \"balcony\"   # north side",
            "rtsp://admin:••••@10.0.0.5/stream?token=••••&x=1",
            "live2?backup=1",
            "key = \"••••\"      # from Anna",
            "# key = \"••••\"",
            "key_file = \"b.key\"",
            "url = \"https://api.example/••••\"",
            "# url = \"https://hooks.example/••••\"",
        ] {
            assert!(shown.contains(kept), "{kept} in {shown}");
        }
    }

    #[test]
    fn dots_that_come_back_are_what_was_there() {
        let shown = mask(TEXT);
        assert_eq!(unmask(&shown, TEXT).unwrap(), TEXT);
        // In another order, and with another value beside them.
        let (head, rest) = shown.split_at(shown.find("[[destination]]\nid = \"a\"").unwrap());
        let (a, b) = rest.split_at(rest.rfind("[[destination]]").unwrap());
        let turned = format!("{head}{b}{a}").replace("b.example", "c.example");
        let back = unmask(&turned, TEXT).unwrap();
        assert!(
            back.contains("id = \"b\"\nserver = \"rtmps://c.example/live\"\nkey = \"BBBB-secret\""),
            "{back}"
        );
        assert!(
            back.contains("key = \"AAAA-secret\"      # from Anna"),
            "{back}"
        );
    }

    #[test]
    fn dots_where_nothing_was_are_told() {
        let shown = mask(TEXT).replace("id = \"b\"", "id = \"new\"");
        let lost = unmask(&shown, TEXT).unwrap_err();
        assert!(
            lost.contains(&"destination.\"new\".key".to_owned()),
            "{lost:?}"
        );
        // A URL whose host was changed keeps no password of the other.
        let shown = mask(TEXT).replace("10.0.0.5", "evil.example");
        assert_eq!(
            unmask(&shown, TEXT).unwrap_err(),
            ["source.\"balcony\".url"]
        );
    }

    #[test]
    fn what_is_no_toml_shows_no_secret_either() {
        let shown = mask(
            "[[destination\nkey = \"AAAA-secret\"\nserver = \"rtmp://h/x\"\npassword='secret'\nurl = \"rtsp://u:secret@h\"",
        );
        assert!(!shown.contains("secret"), "{shown}");
        assert!(shown.contains("rtmp://h/x"));
    }
}
