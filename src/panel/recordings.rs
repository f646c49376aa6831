//! `/recordings`: what the configured recordings have left on the disk. Shell.

use super::api::Api;
use super::problem::{Problem, Refused, Segment};
use crate::config::Settings;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use utoipa::ToSchema;

/// Read at once.
const PORTION: usize = 64 * 1024;
const EXTENSION: &str = "flv";
/// Of a list; the newest.
const MOST: usize = 2_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Recording {
    /// The recording's id in the configuration.
    id: String,
    file: String,
    bytes: u64,
    /// The broadcast that it is of; null: not known.
    session: Option<String>,
    /// Milliseconds since 1970-01-01 UTC.
    started_ms: i64,
}

/// `ID-20260731T193000Z.flv`, or with a further number.
fn started(id: &str, file: &str) -> Option<jiff::Timestamp> {
    let rest = file.strip_prefix(id)?.strip_prefix('-')?;
    let stamp = rest.strip_suffix(".flv")?;
    let stamp = stamp.split('-').next()?;
    let at = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", stamp).ok()?;
    Some(at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

fn look(settings: &Settings) -> Vec<Recording> {
    let mut found = Vec::new();
    for recording in &settings.recordings {
        let Ok(entries) = std::fs::read_dir(&recording.path) else {
            continue;
        };
        for entry in entries.flatten() {
            let Ok(file) = entry.file_name().into_string() else {
                continue;
            };
            let Some(at) = started(&recording.id, &file) else {
                continue;
            };
            // What a link leads to is somebody else's.
            let Ok(about) = entry.metadata() else {
                continue;
            };
            if about.is_file() {
                found.push(Recording {
                    id: recording.id.clone(),
                    file,
                    bytes: about.len(),
                    session: None,
                    started_ms: at.as_millisecond(),
                });
            }
        }
    }
    found.sort_by(|a, b| (b.started_ms, &b.file).cmp(&(a.started_ms, &a.file)));
    found.truncate(MOST);
    found
}

async fn found(settings: Arc<Settings>) -> Vec<Recording> {
    tokio::task::spawn_blocking(move || look(&settings))
        .await
        .unwrap_or_default()
}

/// Recordings on the disk, the newest first.
#[utoipa::path(get, path = "/api/v1/recordings", tag = "recordings", responses(
    (status = 200, body = Vec<Recording>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(api): State<Api>) -> Result<Json<Vec<Recording>>, Refused> {
    let mut recordings = found(api.session.settings()).await;
    let sessions = api.session.sessions(1_000).await.unwrap_or_default();
    for recording in &mut recordings {
        // A file is named by the second it begins in; its broadcast may have begun within the one before.
        let at = recording.started_ms + 2_000;
        let of = sessions.iter().find(|session| {
            session.started_ms <= at
                && session
                    .ended_ms
                    .is_none_or(|end| recording.started_ms <= end)
        });
        recording.session = of.map(|session| session.id.clone());
    }
    Ok(Json(recordings))
}

/// A recording, as it is on the disk.
#[utoipa::path(get, path = "/api/v1/recordings/{file}", tag = "recordings", params(("file" = String, Path)), responses(
    (status = 200, body = Vec<u8>, content_type = "video/x-flv"),
    (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn download(
    State(api): State<Api>,
    Segment(file): Segment<String>,
) -> Result<Response, Refused> {
    let unknown = || {
        let text = format!("there is no recording {file:?}: GET /recordings names them");
        Refused::not_found("unknown-recording", text)
    };
    let settings = api.session.settings();
    // Only what the list has is opened: no path is made from what was asked.
    let recordings = found(Arc::clone(&settings)).await;
    let recording = recordings
        .iter()
        .find(|one| one.file == file)
        .ok_or_else(unknown)?;
    let path = path_of(&settings, recording).ok_or_else(unknown)?;
    let opened = open(&path).await.map_err(|error| {
        let text = format!("the recording can't be read: {error}");
        Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", text)
    })?;
    // One that is being written has no length yet: it is sent as far as it goes now.
    let headers = [
        (header::CONTENT_TYPE, "video/x-flv".to_owned()),
        (header::CONTENT_LENGTH, recording.bytes.to_string()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{}\"", recording.file),
        ),
    ];
    let body = Body::from_stream(stream::try_unfold(
        (opened, recording.bytes),
        |(mut file, left)| async move {
            let mut portion = vec![0; PORTION.min(usize::try_from(left).unwrap_or(PORTION))];
            let read = file.read(&mut portion).await?;
            portion.truncate(read);
            let more = (read > 0).then(|| (Bytes::from(portion), (file, left - read as u64)));
            Ok::<_, std::io::Error>(more)
        },
    ));
    Ok((headers, body).into_response())
}

fn path_of(settings: &Settings, recording: &Recording) -> Option<PathBuf> {
    let mut all = settings.recordings.iter();
    let its = all.find(|its| its.id == recording.id)?;
    let path = its.path.join(&recording.file);
    (path.extension()? == EXTENSION).then_some(path)
}

/// Never through a link that was put there since.
async fn open(path: &Path) -> std::io::Result<File> {
    tokio::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_known_by_its_name() {
        let at = |file| started("master", file).map(|at| at.to_string());
        assert_eq!(
            at("master-20260731T193000Z.flv").as_deref(),
            Some("2026-07-31T19:30:00Z")
        );
        assert_eq!(
            at("master-20260731T193000Z-2.flv").as_deref(),
            Some("2026-07-31T19:30:00Z")
        );
        for other in [
            "other-20260731T193000Z.flv",
            "master-20260731T193000Z.txt",
            "master-.flv",
            "../master-20260731T193000Z.flv",
            "master-20260731T193000Z.flv/../../x",
            "passwd",
        ] {
            assert_eq!(at(other), None, "{other}");
        }
    }
}
