//! Changes of one entry of the configuration: what was not touched stays as it was written, comments too. Pure.

use super::mask::{DOTS, is_secret, masked};
use serde_json::{Map, Value as Json};
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value};

/// Lists whose entries have an id.
pub const KINDS: [&str; 5] = ["source", "scene", "title", "overlay", "destination"];

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    #[error(
        "the configuration can't be changed piece by piece while it is no TOML: mend it as text first ({0})"
    )]
    NotToml(String),
    #[error("{0} is no list of tables in the configuration: write [[{0}]]")]
    NotAList(String),
    #[error("there is no {kind} {id:?}")]
    Unknown { kind: String, id: String },
    #[error("there is a {kind} {id:?} already: choose another id")]
    Taken { kind: String, id: String },
    #[error("{0} can't be null in a configuration: leave it out")]
    Null(String),
    #[error("{0} is shown as dots, and nothing was there before: write it again")]
    Dots(String),
    #[error("{0} is too large for a number of the configuration")]
    Number(String),
}

/// The entries of a list, as they are written, without secrets.
pub fn list(text: &str, kind: &str) -> Result<Vec<Json>, EditError> {
    let document = parse(text)?;
    let Some(item) = document.get(kind) else {
        return Ok(Vec::new());
    };
    let tables = item.as_array_of_tables();
    let tables = tables.ok_or_else(|| EditError::NotAList(kind.to_owned()))?;
    Ok(tables.iter().map(|table| table_json(table)).collect())
}

fn parse(text: &str) -> Result<DocumentMut, EditError> {
    // Without what it quotes, which may be a secret.
    text.parse()
        .map_err(|error: toml_edit::TomlError| EditError::NotToml(error.message().to_owned()))
}

fn table_json(table: &dyn TableLike) -> Json {
    let pair = |(key, item): (&str, &Item)| Some((key.to_owned(), item_json(key, item)?));
    Json::Object(table.iter().filter_map(pair).collect())
}

fn item_json(key: &str, item: &Item) -> Option<Json> {
    match item {
        Item::None => None,
        Item::Value(value) => Some(value_json(key, value)),
        Item::Table(table) => Some(table_json(table)),
        Item::ArrayOfTables(tables) => Some(tables.iter().map(|table| table_json(table)).collect()),
    }
}

fn value_json(key: &str, value: &Value) -> Json {
    match value {
        Value::String(text) => masked(key, text.value()).into(),
        // Whatever else stands there by a slip.
        _ if is_secret(key) => DOTS.into(),
        Value::Integer(number) => (*number.value()).into(),
        Value::Float(number) => (*number.value()).into(),
        Value::Boolean(word) => (*word.value()).into(),
        Value::Datetime(at) => at.value().to_string().into(),
        Value::Array(array) => array.iter().map(|value| value_json(key, value)).collect(),
        Value::InlineTable(table) => table_json(table),
    }
}

/// The text with this entry as `object` says: its keys and no others. One that is not there is added at the list's end. Another id in
/// the object renames it.
pub fn put(
    text: &str,
    kind: &str,
    id: &str,
    object: &Map<String, Json>,
) -> Result<String, EditError> {
    let mut document = parse(text)?;
    let new_id = object
        .get("id")
        .and_then(Json::as_str)
        .unwrap_or(id)
        .to_owned();
    let tables = tables(&mut document, kind)?;
    let has = |tables: &ArrayOfTables, id: &str| {
        tables
            .iter()
            .any(|table| table.get("id").and_then(Item::as_str) == Some(id))
    };
    if new_id != id && has(tables, &new_id) {
        return Err(EditError::Taken {
            kind: kind.to_owned(),
            id: new_id,
        });
    }
    let mut object = object.clone();
    object.insert("id".to_owned(), new_id.into());
    if !has(tables, id) {
        let mut table = Table::new();
        // The id first, the rest in the order given.
        table.insert("id", Item::None);
        tables.push(table);
        if let Some(table) = tables.iter_mut().last() {
            table.insert("id", toml_edit::value(id));
            set(table, &object, "")?;
        }
    } else if let Some(table) = tables
        .iter_mut()
        .find(|table| table.get("id").and_then(Item::as_str) == Some(id))
    {
        set(table, &object, "")?;
    }
    Ok(document.to_string())
}

/// The text without this entry.
pub fn delete(text: &str, kind: &str, id: &str) -> Result<String, EditError> {
    let mut document = parse(text)?;
    let tables = tables(&mut document, kind)?;
    let before = tables.len();
    tables.retain(|table| table.get("id").and_then(Item::as_str) != Some(id));
    if tables.len() == before {
        return Err(EditError::Unknown {
            kind: kind.to_owned(),
            id: id.to_owned(),
        });
    }
    if tables.is_empty() {
        document.remove(kind);
    }
    Ok(document.to_string())
}

fn tables<'a>(
    document: &'a mut DocumentMut,
    kind: &str,
) -> Result<&'a mut ArrayOfTables, EditError> {
    document
        .entry(kind)
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()))
        .as_array_of_tables_mut()
        .ok_or_else(|| EditError::NotAList(kind.to_owned()))
}

fn set(
    table: &mut dyn TableLike,
    object: &Map<String, Json>,
    above: &str,
) -> Result<(), EditError> {
    let gone: Vec<String> = table
        .iter()
        .map(|(key, _)| key.to_owned())
        .filter(|key| !object.contains_key(key))
        .collect();
    for key in gone {
        table.remove(&key);
    }
    for (key, wanted) in object {
        let path = if above.is_empty() {
            key.clone()
        } else {
            format!("{above}.{key}")
        };
        let is = table.get(key).and_then(|item| item_json(key, item));
        if is.as_ref().is_some_and(|is| same(is, wanted)) {
            continue;
        }
        match (table.get_mut(key), wanted) {
            (Some(Item::Table(inner)), Json::Object(object)) => set(inner, object, &path)?,
            (Some(Item::Value(Value::InlineTable(inner))), Json::Object(object)) => {
                set(inner, object, &path)?;
            }
            (Some(Item::Value(Value::Array(array))), Json::Array(list)) => {
                set_list(array, list, &path)?;
            }
            (Some(Item::ArrayOfTables(tables)), Json::Array(list))
                if list.iter().all(Json::is_object) =>
            {
                set_tables(tables, list, &path)?;
            }
            (Some(Item::Value(old)), wanted) => {
                let decor = old.decor().clone();
                let mut new = value(&path, wanted, Some(old))?;
                *new.decor_mut() = decor;
                *old = new;
            }
            _ => {
                let new = value(&path, wanted, None)?;
                table.insert(key, Item::Value(new));
            }
        }
    }
    Ok(())
}

/// Element by element: the comments between those that stay, stay.
fn set_list(array: &mut Array, list: &[Json], path: &str) -> Result<(), EditError> {
    while array.len() > list.len() {
        array.remove(array.len() - 1);
    }
    for (n, wanted) in list.iter().enumerate() {
        let Some(old) = array.get_mut(n) else {
            let mut new = value(path, wanted, None)?;
            // On a line of its own where the others are.
            let last = array.iter().last().and_then(|last| last.decor().prefix());
            let last = last.and_then(|prefix| prefix.as_str()).unwrap_or_default();
            match (last.rfind('\n'), n) {
                (Some(line), _) => new.decor_mut().set_prefix(&last[line..]),
                (None, 0) => {}
                (None, _) => new.decor_mut().set_prefix(" "),
            }
            array.push_formatted(new);
            continue;
        };
        let is = item_json("", &Item::Value(old.clone()));
        if is.as_ref().is_some_and(|is| same(is, wanted)) {
            continue;
        }
        match (old, wanted) {
            (Value::InlineTable(inner), Json::Object(object)) => set(inner, object, path)?,
            (old, wanted) => {
                let decor = old.decor().clone();
                let mut new = value(path, wanted, Some(old))?;
                *new.decor_mut() = decor;
                *old = new;
            }
        }
    }
    Ok(())
}

fn set_tables(tables: &mut ArrayOfTables, list: &[Json], path: &str) -> Result<(), EditError> {
    while tables.len() > list.len() {
        tables.remove(tables.len() - 1);
    }
    for (n, object) in list.iter().filter_map(Json::as_object).enumerate() {
        match tables.get_mut(n) {
            Some(table) => set(table, object, path)?,
            None => {
                let mut table = Table::new();
                set(&mut table, object, path)?;
                tables.push(table);
            }
        }
    }
    Ok(())
}

/// 1 and 1.0 are one number to whoever writes JSON.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => a.as_f64() == b.as_f64(),
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

/// `old` is what stood there: dots in a list or table are what they were.
fn value(path: &str, wanted: &Json, old: Option<&Value>) -> Result<Value, EditError> {
    Ok(match wanted {
        Json::Null => return Err(EditError::Null(path.to_owned())),
        Json::Bool(word) => (*word).into(),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) if number.is_finite() && !number_is_huge(number) => number.into(),
            _ => return Err(EditError::Number(path.to_owned())),
        },
        Json::String(text) if text.contains(DOTS) => {
            let key = path.rsplit('.').next().unwrap_or(path);
            let was = old.and_then(Value::as_str);
            match was.filter(|was| masked(key, was) == *text) {
                Some(was) => was.into(),
                None => return Err(EditError::Dots(path.to_owned())),
            }
        }
        Json::String(text) => text.as_str().into(),
        Json::Array(list) => {
            let old = old.and_then(Value::as_array);
            let each = list
                .iter()
                .enumerate()
                .map(|(n, wanted)| value(path, wanted, old.and_then(|old| old.get(n))));
            Value::Array(each.collect::<Result<Array, _>>()?)
        }
        Json::Object(object) => {
            let old = old.and_then(Value::as_inline_table);
            let mut table = InlineTable::new();
            for (key, wanted) in object {
                let old = old.and_then(|old| old.get(key));
                table.insert(key, value(&format!("{path}.{key}"), wanted, old)?);
            }
            Value::InlineTable(table)
        }
    })
}

/// An integer that does not fit into 64 bits must not become another number.
fn number_is_huge(number: f64) -> bool {
    number.fract() == 0.0 && number.abs() > 9.0e18
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TEXT: &str = r#"# The venue's box.
[programme]
width = 1280          # enough for talks

# Cameras
[[source]]
id = "stage"          # by the door
kind = "v4l2"
device = "/dev/video0"   # the HDMI card

[[source]]
id = "bars"
kind = "test"

[[scene]]
id = "wide"
layers = [{ source = "stage" }]   # all of it

[[destination]]
id = "linkedin"
server = "rtmps://h/x"
key = "AAAA-secret"    # from Anna

[destination.rules]
keyframe_s = 2.0   # what it wants
"#;

    fn object(json: Json) -> Map<String, Json> {
        json.as_object().unwrap().clone()
    }

    #[test]
    fn a_changed_value_keeps_every_comment_and_line() {
        let new = put(
            TEXT,
            "source",
            "stage",
            &object(json!({"kind": "v4l2", "device": "/dev/video1"})),
        );
        assert_eq!(new.unwrap(), TEXT.replace("video0", "video1"));
        let rules = json!({"id": "linkedin", "server": "rtmps://h/y", "key": "••••", "rules": {"keyframe_s": 2}});
        let new = put(TEXT, "destination", "linkedin", &object(rules)).unwrap();
        assert_eq!(
            new,
            TEXT.replace("h/x", "h/y"),
            "dots keep the key, and 2 is 2.0"
        );
    }

    #[test]
    fn lists_keep_the_comments_of_what_stays() {
        let inline = "[[scene]]\nid = \"pip\"\nlayers = [\n    { source = \"stage\" },   # all of it\n    # the speaker\n    \
                      { source = \"desk\", x = 0.6 },\n]\n";
        let layers = |list: Json| object(json!({"id": "pip", "layers": list}));
        let moved = layers(json!([{"source": "stage"}, {"source": "desk", "x": 0.5}]));
        let moved = put(inline, "scene", "pip", &moved).unwrap();
        assert_eq!(moved, inline.replace("0.6", "0.5"));
        let more =
            layers(json!([{"source": "stage"}, {"source": "desk", "x": 0.6}, {"title": "a"}]));
        let more = put(inline, "scene", "pip", &more).unwrap();
        assert!(more.contains("0.6 },\n    { title = \"a\" }"), "{more}");
        assert!(
            more.contains("# all of it") && more.contains("# the speaker"),
            "{more}"
        );
        let fewer = put(
            inline,
            "scene",
            "pip",
            &layers(json!([{"source": "stage"}])),
        )
        .unwrap();
        assert!(!fewer.contains("desk"), "{fewer}");
        assert_eq!(
            parse(&fewer).unwrap()["scene"][0]["layers"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        let tables = "[[scene]]\nid = \"pip\"\n\n[[scene.layers]]\nsource = \"stage\"   # all of it\n\n[[scene.layers]]\nsource = \"desk\"\nx = 0.6   # right\n";
        let moved = layers(json!([{"source": "stage"}, {"source": "desk", "x": 0.5}]));
        assert_eq!(
            put(tables, "scene", "pip", &moved).unwrap(),
            tables.replace("0.6", "0.5")
        );
    }

    #[test]
    fn an_entry_is_added_renamed_and_deleted() {
        let added = put(
            TEXT,
            "source",
            "desk",
            &object(json!({"kind": "alsa", "device": "hw:1", "audio": {"gain_db": -3.5}})),
        );
        let added = added.unwrap();
        assert!(added.contains("[[source]]\nid = \"desk\"\n"), "{added}");
        assert!(added.contains("audio = { gain_db = -3.5 }"), "{added}");
        assert!(
            added.starts_with(TEXT.split("[[scene]]").next().unwrap()),
            "{added}"
        );
        let renamed = put(
            TEXT,
            "source",
            "bars",
            &object(json!({"id": "test", "kind": "test"})),
        );
        assert_eq!(renamed.unwrap(), TEXT.replace("\"bars\"", "\"test\""));
        let taken = put(
            TEXT,
            "source",
            "bars",
            &object(json!({"id": "stage", "kind": "test"})),
        );
        assert_eq!(
            taken.unwrap_err().to_string(),
            "there is a source \"stage\" already: choose another id"
        );
        let without = delete(TEXT, "source", "bars").unwrap();
        assert_eq!(
            without,
            TEXT.replace("[[source]]\nid = \"bars\"\nkind = \"test\"\n\n", "")
        );
        assert!(delete(TEXT, "title", "x").is_err());
        let first = put(
            TEXT,
            "title",
            "speaker",
            &object(json!({"kind": "lower-third", "lines": ["Anna", "Mayor"]})),
        );
        assert!(first.unwrap().contains("[[title]]\nid = \"speaker\"\n"));
    }

    #[test]
    fn what_is_listed_has_no_secret_and_what_was_listed_changes_nothing() {
        let listed = list(TEXT, "destination").unwrap();
        assert_eq!(
            listed,
            [
                json!({"id": "linkedin", "server": "rtmps://h/x", "key": "••••", "rules": {"keyframe_s": 2.0}})
            ]
        );
        assert_eq!(
            put(TEXT, "destination", "linkedin", &object(listed[0].clone())).unwrap(),
            TEXT
        );
        let scene = list(TEXT, "scene").unwrap();
        assert_eq!(
            put(TEXT, "scene", "wide", &object(scene[0].clone())).unwrap(),
            TEXT
        );
    }

    #[test]
    fn what_can_not_be_written_is_told() {
        let tell = |json| {
            put(TEXT, "source", "bars", &object(json))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            tell(json!({"kind": null})),
            "kind can't be null in a configuration: leave it out"
        );
        assert_eq!(
            tell(json!({"password": "••••"})),
            "password is shown as dots, and nothing was there before: write it again"
        );
        assert!(put("[[x", "source", "a", &Map::new()).is_err());
        assert!(put("source = 1", "source", "a", &Map::new()).is_err());
    }
}
