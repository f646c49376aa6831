//! Inputs and their sound.

use super::super::codec::{Failure, RequestStatus};
use super::super::view::{Input, View, db_of, named};
use super::fields::{missing, number, text};
use super::{Command, Decided, act, answer, failure};
use crate::bridge::mix::MixCommand;
use crate::config::{AudioChange, GAIN_DB};
use serde_json::{Map, Value, json};

pub fn inputs(data: &Map<String, Value>, view: &View) -> Decided {
    let kind = text(data, "inputKind")?;
    let wanted = view
        .inputs
        .iter()
        .filter(|input| kind.is_none_or(|kind| input.kind == kind));
    let all = wanted.map(|input| {
        let mut one = named("input", &input.id);
        one["inputKind"] = input.kind.into();
        one["unversionedInputKind"] = input.kind.into();
        one
    });
    answer(json!({"inputs": all.collect::<Vec<_>>()}))
}

pub fn input_kinds(view: &View) -> Value {
    let mut kinds: Vec<&str> = view.inputs.iter().map(|input| input.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    json!({"inputKinds": kinds})
}

pub fn mute(on: bool) -> AudioChange {
    AudioChange {
        mute: Some(on),
        ..AudioChange::default()
    }
}

pub fn sound(input: &Input, change: AudioChange, answer: Value) -> Decided {
    let source = input.id.clone();
    act(Command::Mix(MixCommand::Audio { source, change }, answer))
}

/// In dB. What is below Regia's lowest is its lowest: nobody hears either.
pub fn gain(data: &Map<String, Value>) -> Result<f32, Failure> {
    let (mul, db) = (
        number(data, "inputVolumeMul")?,
        number(data, "inputVolumeDb")?,
    );
    let db = match (mul, db) {
        (None, None) => return Err(missing("inputVolumeDb")),
        (_, Some(db)) => db,
        (Some(mul), None) if mul < 0.0 => {
            let comment = "inputVolumeMul is 0 or more.";
            return Err(failure(RequestStatus::RequestFieldOutOfRange, comment));
        }
        (Some(mul), None) => db_of(mul),
    };
    let (lowest, highest) = (*GAIN_DB.start(), *GAIN_DB.end());
    if db > f64::from(highest) {
        let comment = format!("Regia turns an input up by {highest} dB at most.");
        return Err(failure(RequestStatus::RequestFieldOutOfRange, comment));
    }
    Ok((db as f32).max(lowest))
}
