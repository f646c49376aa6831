//! The broadcast, which OBS calls the stream, and recordings.

use super::super::codec::RequestStatus;
use super::super::view::{Phase, View, timecode};
use super::{Command, Decided, act, failure};
use serde_json::{Value, json};

pub fn is_stopped(view: &View) -> bool {
    view.stream.phase == Phase::Stopped
}

pub fn stream_status(view: &View) -> Value {
    let stream = &view.stream;
    json!({
        "outputActive": stream.phase.is_active(),
        "outputReconnecting": stream.phase == Phase::Reconnecting,
        "outputTimecode": timecode(stream.elapsed_s),
        "outputDuration": (stream.elapsed_s.max(0.0) * 1_000.0) as u64,
        "outputCongestion": stream.congestion,
        "outputBytes": stream.bytes,
        "outputSkippedFrames": stream.skipped_frames,
        "outputTotalFrames": view.picture.frames,
    })
}

pub fn start(view: &View, answer: Value) -> Decided {
    if is_stopped(view) {
        return act(Command::Start(answer));
    }
    let comment = "A broadcast is under way already.";
    Err(failure(RequestStatus::OutputRunning, comment))
}

pub fn stop(view: &View, answer: Value) -> Decided {
    if is_stopped(view) {
        let comment = "Nothing is on air.";
        return Err(failure(RequestStatus::OutputNotRunning, comment));
    }
    act(Command::Stop(view.stream.session.clone(), answer))
}

pub fn record_status(view: &View) -> Value {
    let for_s = view
        .recording
        .iter()
        .map(|one| one.for_s)
        .fold(0.0, f64::max);
    json!({
        "outputActive": !view.recording.is_empty(),
        "outputPaused": false,
        "outputTimecode": timecode(for_s),
        "outputDuration": (for_s * 1_000.0) as u64,
        "outputBytes": 0,
    })
}

pub fn record(view: &View, answer: Value) -> Decided {
    if view.recordings.is_empty() {
        let comment = "The configuration has no [[recording]]: add one in the panel.";
        return Err(failure(RequestStatus::OutputDisabled, comment));
    }
    let under_way = |id: &String| {
        view.recording
            .iter()
            .any(|one| one.id == *id && !one.ending)
    };
    let ids: Vec<String> = view
        .recordings
        .iter()
        .filter(|id| !under_way(id))
        .cloned()
        .collect();
    if ids.is_empty() {
        let comment = "Everything that can be recorded is being recorded.";
        return Err(failure(RequestStatus::OutputRunning, comment));
    }
    act(Command::Record {
        ids,
        on: true,
        answer,
    })
}

pub fn stop_record(view: &View, answer: impl Fn(&str) -> Value) -> Decided {
    let going_on = || view.recording.iter().filter(|one| !one.ending);
    let by_hand: Vec<_> = going_on().filter(|one| one.by_hand).collect();
    let Some(first) = by_hand.first() else {
        return Err(match going_on().next() {
            None => failure(
                RequestStatus::OutputNotRunning,
                "Nothing is being recorded.",
            ),
            Some(own) => failure(
                RequestStatus::CannotAct,
                format!(
                    "The recording {:?} is the broadcast's own: it ends with it.",
                    own.id
                ),
            ),
        });
    };
    act(Command::Record {
        answer: answer(&first.file),
        ids: by_hand.iter().map(|one| one.id.clone()).collect(),
        on: false,
    })
}
