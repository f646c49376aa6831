//! The copy recording: the exact encoded programme, bit for bit, as FLV. It reads the window with a cursor of its own, so
//! no uplink trouble reaches it. Shell.

use crate::media::{MediaTime, StreamConfig, Track};
use crate::rtmp::TagKind;
use crate::rtmp::amf0::{self, Amf0Value};
use crate::rtmp::flv;
use crate::rtmp::flv_file;
use crate::window::{Cursor, Entry, Feed};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Written at once; a second or so of programme at the bitrates of shows.
const WRITE_AT: usize = 512 * 1024;
/// And of a programme that takes little, whatever has waited for so long: a crash loses no more than this.
const WRITE_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
#[error("recording {}: {error}", path.display())]
pub struct RecordingError {
    pub path: PathBuf,
    pub error: io::Error,
}

/// The file of a recording that starts now.
pub fn file_name(id: &str, now: jiff::Timestamp) -> String {
    format!("{id}-{}.flv", now.strftime("%Y%m%dT%H%M%SZ"))
}

/// Writes everything from `from` up to and with the unit that `stop` names. `base` becomes timestamp 0.
pub async fn record(
    path: &Path,
    mut feed: Feed,
    from: Cursor,
    base: MediaTime,
    mut stop: watch::Receiver<Option<u64>>,
) -> Result<(), RecordingError> {
    let failed = |error| RecordingError {
        path: path.to_owned(),
        error,
    };
    let mut file = File::create_new(path).await.map_err(failed)?;
    let mut writer = Writer {
        cursor: from,
        tags: Tags::new(base),
        out: Vec::new(),
    };
    flv_file::write_header(&mut writer.out);
    let mut due = Instant::now() + WRITE_AFTER;
    loop {
        stop.mark_unchanged();
        let ended = writer.take(&stop);
        if ended || writer.out.len() >= WRITE_AT || Instant::now() >= due {
            file.write_all(&writer.out).await.map_err(failed)?;
            writer.out.clear();
            due = Instant::now() + WRITE_AFTER;
        }
        if ended {
            return file.sync_all().await.map_err(failed);
        }
        tokio::select! {
            () = feed.changed() => {}
            () = sleep_until(due), if !writer.out.is_empty() => {}
            changed = stop.changed() => if changed.is_err() {
                // The session is gone without a stop: what there is belongs on the disk.
                file.write_all(&writer.out).await.map_err(failed)?;
                return file.sync_all().await.map_err(failed);
            },
        }
    }
}

struct Writer {
    cursor: Cursor,
    tags: Tags,
    out: Vec<u8>,
}

/// Units as FLV tags, with a configuration wherever it changes.
pub struct Tags {
    base: MediaTime,
    config: Option<Arc<StreamConfig>>,
    /// Of the newest sound, milliseconds.
    sound_ms: Option<i64>,
}

impl Writer {
    /// Takes every unit that is there, up to `until`. True when that one has been taken.
    fn take(&mut self, stop: &watch::Receiver<Option<u64>>) -> bool {
        loop {
            let before = self.cursor.seq();
            let entry = self.cursor.peek();
            // Looked at after the unit: the session names the last unit before it lets a later one in.
            if stop.borrow().is_some_and(|until| before >= until) {
                return true;
            }
            if entry.is_none() {
                return false;
            }
            let Some(entry) = self.cursor.advance() else {
                return false;
            };
            self.tags.write(entry, &mut self.out);
        }
    }
}

impl Tags {
    /// `base` becomes timestamp 0.
    pub fn new(base: MediaTime) -> Self {
        Tags {
            base,
            config: None,
            sound_ms: None,
        }
    }

    pub fn write(&mut self, entry: &Entry, out: &mut Vec<u8>) {
        let time = |at: MediaTime| MediaTime(at.0 - self.base.0).round_millis().max(0);
        let (dts, pts) = (time(entry.unit.dts), time(entry.unit.pts));
        if !self
            .config
            .as_ref()
            .is_some_and(|config| Arc::ptr_eq(config, &entry.config))
        {
            let config = Arc::clone(&entry.config);
            let metadata = amf0::encode(&[Amf0Value::string("onMetaData"), flv::metadata(&config)]);
            tag(TagKind::Script, dts, &metadata, out);
            tag(
                TagKind::Video,
                dts,
                &flv::video_sequence_header(&config.video),
                out,
            );
            tag(
                TagKind::Audio,
                // Sound that belongs to the picture which brings a configuration may begin before it.
                self.sound_ms.map_or(dts, |sound| sound.min(dts)),
                &flv::audio_sequence_header(&config.audio),
                out,
            );
            self.config = Some(config);
        }
        let kind = match entry.unit.track {
            Track::Video => TagKind::Video,
            Track::Audio => {
                self.sound_ms = Some(dts);
                TagKind::Audio
            }
        };
        tag(kind, dts, &flv::unit_body(&entry.unit, pts - dts), out);
    }
}

fn tag(kind: TagKind, time_ms: i64, body: &[u8], out: &mut Vec<u8>) {
    if let Err(error) = flv_file::write_tag(kind, time_ms.unsigned_abs(), body, out) {
        // An access unit of 16 MiB: no encoder of ours makes one.
        tracing::error!(%error, "a unit does not fit into the recording");
    }
}
