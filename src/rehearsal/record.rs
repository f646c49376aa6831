//! FLV files of exactly what arrived, one for each publish.

use crate::rehearsal::rules::StreamKey;
use crate::rtmp::TagKind;
use crate::rtmp::flv_file::{write_header, write_tag};
use std::io;
use std::path::{Path, PathBuf};
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;

/// Written in portions of at least this, and at each `flush`.
const PORTION: usize = 256 * 1024;

#[derive(Debug, thiserror::Error)]
#[error("the recording {} can't be written: {source}", .path.display())]
pub struct RecordError {
    path: PathBuf,
    source: io::Error,
}

pub struct Recorder {
    path: PathBuf,
    file: File,
    unwritten: Vec<u8>,
}

impl Recorder {
    /// `TAIL-NUMBER.flv` in `directory`; `number` counts all publishes of this run. A file of an earlier run is never
    /// overwritten: the name then gets another number behind it.
    pub async fn create(
        directory: &Path,
        key: &StreamKey,
        number: u64,
    ) -> Result<Self, RecordError> {
        let tail = key.tail();
        let stem = if tail.is_empty() {
            format!("stream-{number:03}")
        } else {
            format!("{tail}-{number:03}")
        };
        let mut path = directory.join(format!("{stem}.flv"));
        let mut again = 1;
        loop {
            let made = OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&path)
                .await;
            match made {
                Ok(file) => {
                    let mut unwritten = Vec::with_capacity(2 * PORTION);
                    write_header(&mut unwritten);
                    return Ok(Recorder {
                        path,
                        file,
                        unwritten,
                    });
                }
                Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {
                    again += 1;
                    path = directory.join(format!("{stem}-{again}.flv"));
                }
                Err(source) => return Err(RecordError { path, source }),
            }
        }
    }

    pub async fn tag(&mut self, kind: TagKind, at_ms: u64, body: &[u8]) -> Result<(), RecordError> {
        // RTMP's message length is 24 bits too: no body that arrived is too long for a tag.
        if let Err(error) = write_tag(kind, at_ms, body, &mut self.unwritten) {
            return Err(self.failed(io::Error::other(error)));
        }
        if self.unwritten.len() >= PORTION {
            self.write().await?;
        }
        Ok(())
    }

    /// Gives the system all that came so far, so that a crash of ours loses none of it.
    pub async fn flush(&mut self) -> Result<(), RecordError> {
        self.write().await?;
        let flushed = self.file.flush().await;
        flushed.map_err(|source| self.failed(source))
    }

    async fn write(&mut self) -> Result<(), RecordError> {
        let written = self.file.write_all(&self.unwritten).await;
        self.unwritten.clear();
        written.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> RecordError {
        RecordError {
            path: self.path.clone(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtmp::FlvReader;

    #[tokio::test]
    async fn what_arrived_is_in_the_file_and_no_file_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let key = StreamKey::new("live", "abcd-efgh-x7Qd");
        for _ in 0..2 {
            let mut recorder = Recorder::create(dir.path(), &key, 1).await.unwrap();
            recorder
                .tag(TagKind::Video, 0x1_0000_0021, b"frame")
                .await
                .unwrap();
            recorder.flush().await.unwrap();
        }
        for name in ["x7Qd-001.flv", "x7Qd-001-2.flv"] {
            let mut reader = FlvReader::new();
            reader.push(&std::fs::read(dir.path().join(name)).unwrap());
            let tag = reader.next_tag().unwrap().unwrap();
            assert_eq!((tag.kind, tag.timestamp), (TagKind::Video, 0x21));
            assert_eq!(tag.body[..], b"frame"[..]);
        }
    }

    #[tokio::test]
    async fn a_directory_that_is_not_there_is_named() {
        let key = StreamKey::new("live", "k");
        let error = Recorder::create(Path::new("/nowhere/at/all"), &key, 1).await;
        assert_eq!(
            error.err().unwrap().to_string(),
            "the recording /nowhere/at/all/stream-001.flv can't be written: No such file or \
             directory (os error 2)"
        );
    }
}
