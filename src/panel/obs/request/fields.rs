//! What a request's fields say, and the refusals of what they should not.

use super::super::codec::{Failure, RequestStatus};
use super::super::view::{Input, View, known, uuid};
use super::failure;
use serde_json::{Map, Value};

pub fn missing(field: &str) -> Failure {
    failure(
        RequestStatus::MissingRequestField,
        format!("The request has no {field}."),
    )
}

pub fn wrong_type(field: &str, what: &str) -> Failure {
    failure(
        RequestStatus::InvalidRequestFieldType,
        format!("{field} is not {what}."),
    )
}

pub fn flag(data: &Map<String, Value>, field: &str) -> Result<bool, Failure> {
    match data.get(field) {
        None | Some(Value::Null) => Err(missing(field)),
        Some(Value::Bool(on)) => Ok(*on),
        Some(_) => Err(wrong_type(field, "true or false")),
    }
}

/// None: it is not there.
pub fn number(data: &Map<String, Value>, field: &str) -> Result<Option<f64>, Failure> {
    match data.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(number) => number
            .as_f64()
            .map(Some)
            .ok_or_else(|| wrong_type(field, "a number")),
    }
}

pub fn text<'a>(data: &'a Map<String, Value>, field: &str) -> Result<Option<&'a str>, Failure> {
    match data.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Err(failure(
            RequestStatus::RequestFieldEmpty,
            format!("{field} is empty."),
        )),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong_type(field, "a string")),
    }
}

/// The id of one of `all`, by `…Name` or `…Uuid`.
pub fn find<'a>(
    data: &Map<String, Value>,
    what: &str,
    all: impl Iterator<Item = (&'a str, String)> + Clone,
) -> Result<&'a str, Failure> {
    let (name_field, uuid_field) = (format!("{what}Name"), format!("{what}Uuid"));
    let (name, its_uuid) = (text(data, &name_field)?, text(data, &uuid_field)?);
    if name.is_none() && its_uuid.is_none() {
        return Err(missing(&name_field));
    }
    let is_it = |(id, uuid): &(&str, String)| match name {
        Some(name) => *id == name,
        None => its_uuid.is_some_and(|its| uuid.eq_ignore_ascii_case(its)),
    };
    let found = all.clone().find(is_it);
    found.map(|(id, _)| id).ok_or_else(|| {
        let asked: String = name
            .or(its_uuid)
            .unwrap_or_default()
            .chars()
            .take(60)
            .collect();
        let known = known(all.map(|(id, _)| id));
        failure(
            RequestStatus::ResourceNotFound,
            format!("There is no {what} {asked:?}; {known}."),
        )
    })
}

pub fn scene(data: &Map<String, Value>, view: &View) -> Result<String, Failure> {
    let all = view.scenes.iter().map(|scene| scene.id.as_str());
    find(data, "scene", all.map(|id| (id, uuid("scene", id)))).map(str::to_owned)
}

pub fn input<'a>(data: &Map<String, Value>, view: &'a View) -> Result<&'a Input, Failure> {
    let all = view.inputs.iter().map(|input| input.id.as_str());
    let id = find(data, "input", all.map(|id| (id, uuid("input", id))))?;
    view.input(id).ok_or_else(|| missing("inputName"))
}
