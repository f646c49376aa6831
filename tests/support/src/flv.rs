//! Reading FLV files while a server still writes them, to know at once when something has arrived. Of the format
//! (Adobe, Video File Format Specification 10.1, annex E) only what that takes; ffprobe does the judging.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    VideoConfig,
    Video { keyframe: bool },
    AudioConfig,
    Audio,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    pub kind: Kind,
    /// Decode time in milliseconds.
    pub time_ms: u32,
    /// The tag's body in bytes, with its codec header.
    pub size: usize,
}

const FILE_HEADER: usize = 9 + 4;
const TAG_HEADER: usize = 11;
const TAG_TRAILER: usize = 4;

/// One file that grows: gives each whole tag once.
#[derive(Debug)]
struct Tail {
    path: PathBuf,
    next: u64,
}

impl Tail {
    fn read(&mut self) -> Vec<Tag> {
        let mut bytes = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.next))?;
            file.read_to_end(&mut bytes)
        });
        // A file that can't be read yet has nothing yet.
        if read.is_err() {
            return Vec::new();
        }
        let mut rest = bytes.as_slice();
        if self.next == 0 {
            match rest.get(FILE_HEADER..) {
                Some(after) => rest = after,
                None => return Vec::new(),
            }
        }
        let mut tags = Vec::new();
        while let Some((tag, after)) = parse(rest) {
            tags.push(tag);
            rest = after;
        }
        self.next += (bytes.len() - rest.len()) as u64;
        tags
    }
}

fn parse(bytes: &[u8]) -> Option<(Tag, &[u8])> {
    let header = bytes.get(..TAG_HEADER)?;
    let size = u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
    let body = bytes.get(TAG_HEADER..TAG_HEADER + size)?;
    let after = bytes.get(TAG_HEADER + size + TAG_TRAILER..)?;
    let kind = match (header[0] & 0x1f, body) {
        (9, [_, 0, ..]) => Kind::VideoConfig,
        (9, [flags, 1, ..]) => Kind::Video {
            keyframe: flags >> 4 == 1,
        },
        (8, [_, 0, ..]) => Kind::AudioConfig,
        (8, [_, 1, ..]) => Kind::Audio,
        _ => Kind::Other,
    };
    let tag = Tag {
        kind,
        time_ms: u32::from_be_bytes([header[7], header[4], header[5], header[6]]),
        size,
    };
    Some((tag, after))
}

/// Sees what arrives in a directory of FLV files after the watch began.
#[derive(Debug)]
pub struct Watch {
    dir: PathBuf,
    files: HashMap<PathBuf, Tail>,
}

#[derive(Clone, Debug)]
pub struct Seen {
    /// When it was seen: late by at most `wait::TICK` and the reading.
    pub at: Instant,
    pub path: PathBuf,
    pub tag: Tag,
}

impl Watch {
    /// What the files under `dir` hold already does not count.
    pub fn new(dir: &Path) -> Self {
        let mut watch = Watch {
            dir: dir.to_owned(),
            files: HashMap::new(),
        };
        watch.poll();
        watch
    }

    /// What is new since the last call.
    pub fn poll(&mut self) -> Vec<Seen> {
        for path in files(&self.dir) {
            self.files
                .entry(path.clone())
                .or_insert(Tail { path, next: 0 });
        }
        let mut seen = Vec::new();
        for tail in self.files.values_mut() {
            let tags = tail.read();
            let at = Instant::now();
            seen.extend(tags.into_iter().map(|tag| Seen {
                at,
                path: tail.path.clone(),
                tag,
            }));
        }
        seen
    }

    pub fn wait(&mut self, timeout: Duration, wanted: impl Fn(&Tag) -> bool) -> Option<Seen> {
        crate::wait::until(timeout, || {
            self.poll().into_iter().find(|seen| wanted(&seen.tag))
        })
    }

    /// The next keyframe to arrive, in any file.
    pub fn wait_keyframe(&mut self, timeout: Duration) -> Option<Seen> {
        self.wait(timeout, |tag| tag.kind == Kind::Video { keyframe: true })
    }
}

/// All FLV files under `dir` and its subdirectories, oldest first.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|e| e == "flv") {
                let born = entry.metadata().and_then(|m| m.created()).ok();
                found.push((born, path));
            }
        }
    }
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

/// Cuts off a tag that its writer did not live to finish, which ffprobe would take for a damaged frame. Says whether
/// any whole tag is left.
pub fn trim(path: &Path) -> std::io::Result<bool> {
    let mut tail = Tail {
        path: path.to_owned(),
        next: 0,
    };
    let tags = tail.read();
    File::options().write(true).open(path)?.set_len(tail.next)?;
    Ok(!tags.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn tag(kind: u8, time_ms: u32, body: &[u8]) -> Vec<u8> {
        let [high, a, b, c] = time_ms.to_be_bytes();
        let mut out = vec![kind, 0, 0, body.len() as u8, a, b, c, high, 0, 0, 0];
        out.extend_from_slice(body);
        out.extend_from_slice(&(out.len() as u32).to_be_bytes());
        out
    }

    #[test]
    fn a_growing_file_gives_each_tag_once_and_only_whole() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::new(dir.path());
        let mut file = File::create(dir.path().join("a.flv")).unwrap();
        file.write_all(b"FLV\x01\x05\0\0\0\x09\0\0\0\0").unwrap();
        let late = tag(9, 0x0102_0304, &[0x17, 1, 0, 0, 0, 9]);
        file.write_all(&tag(8, 5, &[0xaf, 1, 7])).unwrap();
        file.write_all(&late[..late.len() - 1]).unwrap();
        let kinds = |seen: Vec<Seen>| seen.iter().map(|s| s.tag.kind).collect::<Vec<_>>();
        assert_eq!(kinds(watch.poll()), [Kind::Audio]);
        assert_eq!(kinds(watch.poll()), []);
        let cut = dir.path().join("cut");
        std::fs::copy(dir.path().join("a.flv"), &cut).unwrap();
        trim(&cut).unwrap();
        let whole = FILE_HEADER + TAG_HEADER + 3 + TAG_TRAILER;
        assert_eq!(std::fs::metadata(&cut).unwrap().len(), whole as u64);
        file.write_all(&late[late.len() - 1..]).unwrap();
        let seen = watch.wait_keyframe(Duration::from_secs(1)).unwrap();
        assert_eq!(seen.tag.time_ms, 0x0102_0304);
        assert_eq!(kinds(Watch::new(dir.path()).poll()), []);
    }
}
