//! The window: an append-only chain of media units with one writer and any number of cursors. Pure.
//!
//! A cursor keeps alive what lies ahead of it and nothing else, so memory is what the slowest cursor still
//! needs, however many cursors there are, and a cursor that stands still costs the others nothing. The window itself
//! keeps the newest GOP, where a newcomer can start. No lock: a node's link to the next is set once, by the writer.

mod feed;

pub use feed::{Feed, FeedWriter};

use crate::media::{MediaTime, MediaUnit, StreamConfig, Track};
use std::sync::{Arc, OnceLock};

/// A unit in its place, with the codec configuration it was encoded under.
#[derive(Debug)]
pub struct Entry {
    /// Counts units from 1 in the order of sending.
    pub seq: u64,
    pub unit: MediaUnit,
    pub config: Arc<StreamConfig>,
}

#[derive(Debug)]
struct Node {
    /// None only in the node before the first.
    entry: Option<Entry>,
    next: OnceLock<Arc<Node>>,
}

impl Drop for Node {
    /// Frees a long chain in a loop: the derived drop would recurse once a node and overflow the stack.
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(mut node) = next.and_then(Arc::into_inner) {
            next = node.next.take();
        }
    }
}

/// A place between two units. Cloning costs a reference count.
#[derive(Clone, Debug)]
pub struct Cursor {
    /// The last unit behind the cursor.
    behind: Arc<Node>,
}

impl Cursor {
    /// The unit ahead, if it has been written yet.
    pub fn peek(&self) -> Option<&Entry> {
        self.behind.next.get()?.entry.as_ref()
    }

    /// Steps over the unit ahead and gives it.
    pub fn advance(&mut self) -> Option<&Entry> {
        self.behind = Arc::clone(self.behind.next.get()?);
        self.behind.entry.as_ref()
    }

    /// The sequence number of the unit behind; 0 before the first.
    pub fn seq(&self) -> u64 {
        self.behind.entry.as_ref().map_or(0, |entry| entry.seq)
    }

    /// The unit behind.
    pub fn last(&self) -> Option<&Entry> {
        self.behind.entry.as_ref()
    }

    /// The place before the last keyframe ahead whose decode time is at or before `at`, if there is one.
    pub fn last_keyframe_until(&self, at: MediaTime) -> Option<Cursor> {
        self.keyframes()
            .take_while(|(_, dts)| *dts <= at)
            .last()
            .map(|(cursor, _)| cursor)
    }

    /// The same among the keyframes whose place is at or before `limit`: nothing up to it is behind the place given unless
    /// it is also behind `limit`.
    pub fn last_keyframe_within(&self, limit: &Cursor, at: MediaTime) -> Option<Cursor> {
        let within =
            |(cursor, dts): &(Cursor, MediaTime)| cursor.seq() <= limit.seq() && *dts <= at;
        self.keyframes()
            .take_while(within)
            .last()
            .map(|(cursor, _)| cursor)
    }

    /// The place before the first keyframe ahead whose decode time is at or after `at`, if it has been written yet.
    pub fn first_keyframe_from(&self, at: MediaTime) -> Option<Cursor> {
        self.keyframes()
            .find(|(_, dts)| *dts >= at)
            .map(|(cursor, _)| cursor)
    }

    /// For a cursor before a keyframe: the programme time that becomes timestamp 0 of a stream that starts here. It lies
    /// whole frames before the keyframe's presentation, so that every frame's time is a whole multiple of a frame's
    /// length, and at or before the first audio, so that none is negative.
    pub fn timeline_base(&self) -> Option<MediaTime> {
        let first = self.peek()?;
        let fps = first.config.video.fps;
        let mut ahead = self.clone();
        let mut earliest = first.unit.dts;
        while let Some(entry) = ahead.advance() {
            if entry.unit.track == Track::Audio {
                earliest = earliest.min(entry.unit.dts);
                break;
            }
        }
        let shown = fps.frame_at(first.unit.pts);
        let frames = (0..).find(|n| fps.frame_time(shown - n) <= earliest)?;
        Some(fps.frame_time(shown - frames))
    }

    /// Every place before a keyframe from here on, with that keyframe's decode time.
    fn keyframes(&self) -> impl Iterator<Item = (Cursor, MediaTime)> + '_ {
        let mut behind = &self.behind;
        std::iter::from_fn(move || {
            loop {
                let here = behind;
                behind = here.next.get()?;
                if let Some(keyframe) = behind.entry.as_ref().filter(|entry| entry.unit.keyframe) {
                    let cursor = Cursor {
                        behind: Arc::clone(here),
                    };
                    return Some((cursor, keyframe.unit.dts));
                }
            }
        })
    }
}

/// The chain as its readers may see it at one moment.
#[derive(Clone, Debug)]
pub struct View {
    /// Behind the newest unit.
    pub newest: Cursor,
    /// Before the newest keyframe; None until there is one.
    pub keyframe: Option<Cursor>,
    /// The newest decode time of any track.
    pub time: MediaTime,
}

impl View {
    /// The unit at which a broadcast can end now: the newest one at or before which no picture is missing that is shown
    /// earlier. (With B-frames the newest units may be ahead of pictures that are still being encoded.)
    pub fn whole_end(&self) -> u64 {
        let newest = self.newest.seq();
        let Some(mut cursor) = self.keyframe.clone() else {
            return newest;
        };
        let Some(first) = cursor.peek().map(|entry| entry.unit.pts) else {
            return newest;
        };
        let (mut frames, mut latest, mut whole) = (0, first, None);
        while let Some(Entry { seq, unit, config }) = cursor.advance() {
            if unit.track == Track::Video {
                let fps = config.video.fps;
                frames += 1;
                latest = latest.max(unit.pts);
                if fps.frame_at(latest) - fps.frame_at(first) + 1 != frames {
                    continue;
                }
                whole = Some(*seq);
            } else if whole == Some(seq - 1) {
                whole = Some(*seq);
            }
        }
        whole.unwrap_or(newest)
    }
}

/// The one writer.
#[derive(Debug)]
pub struct Window {
    view: View,
}

impl Default for Window {
    fn default() -> Self {
        let newest = Cursor {
            behind: Arc::new(Node {
                entry: None,
                next: OnceLock::new(),
            }),
        };
        Window {
            view: View {
                newest,
                keyframe: None,
                time: MediaTime::ZERO,
            },
        }
    }
}

impl Window {
    pub fn view(&self) -> &View {
        &self.view
    }

    pub fn push(&mut self, unit: MediaUnit, config: Arc<StreamConfig>) {
        let seq = self.view.newest.seq() + 1;
        let (dts, keyframe) = (unit.dts, unit.keyframe);
        let node = Arc::new(Node {
            entry: Some(Entry { seq, unit, config }),
            next: OnceLock::new(),
        });
        let before = std::mem::replace(
            &mut self.view.newest,
            Cursor {
                behind: Arc::clone(&node),
            },
        );
        // There is one writer, which sets each link once: this can't be set already.
        let _ = before.behind.next.set(node);
        if keyframe {
            self.view.keyframe = Some(before);
        }
        self.view.time = self.view.time.max(dts);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::media::{AudioConfig, FrameRate, Track, VideoConfig};
    use bytes::Bytes;

    pub(crate) fn config() -> Arc<StreamConfig> {
        Arc::new(StreamConfig {
            video: VideoConfig {
                avcc: Bytes::from_static(&[1]),
                width: 1280,
                height: 720,
                fps: FrameRate { num: 30, den: 1 },
                bitrate_kbps: 3000,
            },
            audio: AudioConfig {
                asc: Bytes::from_static(&[0x11, 0x90]),
                sample_rate: 48_000,
                channels: 2,
                bitrate_kbps: 128,
            },
        })
    }

    pub(crate) fn video(dts_ms: i64, keyframe: bool) -> MediaUnit {
        let at = MediaTime::from_millis(dts_ms);
        MediaUnit {
            track: Track::Video,
            dts: at,
            pts: at,
            keyframe,
            data: Bytes::from_static(b"unit"),
        }
    }

    /// A unit each 100 ms, a keyframe each 2 s; with the place before the first.
    pub(crate) fn filled(seconds: i64) -> (Window, Cursor) {
        let mut window = Window::default();
        let start = window.view().newest.clone();
        for ms in (0..seconds * 1000).step_by(100) {
            window.push(video(ms, ms % 2000 == 0), config());
        }
        (window, start)
    }

    #[test]
    fn a_cursor_sees_every_unit_once_in_order() {
        let mut window = Window::default();
        let mut cursor = window.view().newest.clone();
        assert!(cursor.peek().is_none());
        for ms in 0..5 {
            window.push(video(ms, ms == 0), config());
        }
        let seen: Vec<u64> = std::iter::from_fn(|| cursor.advance().map(|e| e.seq)).collect();
        assert_eq!(seen, [1, 2, 3, 4, 5]);
        window.push(video(5, false), config());
        assert_eq!(cursor.advance().map(|e| e.seq), Some(6));
    }

    #[test]
    fn keyframes_are_found_from_any_place() {
        let (window, start) = filled(10);
        let at =
            |cursor: Option<Cursor>| cursor.and_then(|c| c.peek().map(|e| e.unit.dts.as_millis()));
        assert_eq!(
            at(start.last_keyframe_until(MediaTime::from_millis(4100))),
            Some(4000)
        );
        assert_eq!(
            at(start.last_keyframe_until(MediaTime::from_millis(-1))),
            None
        );
        assert_eq!(
            at(start.first_keyframe_from(MediaTime::from_millis(4100))),
            Some(6000)
        );
        assert_eq!(
            at(start.first_keyframe_from(MediaTime::from_millis(8100))),
            None
        );
        assert_eq!(at(window.view().keyframe.clone()), Some(8000));
    }

    #[test]
    fn a_broadcast_ends_where_no_picture_is_missing() {
        let mut window = Window::default();
        // Shown at frames 0, 4, 2, 1, 3, 8: whole behind the fifth; what is shown at 8 is ahead of 5 to 7.
        for (dts, shown) in [0, 4, 2, 1, 3, 8].into_iter().enumerate() {
            let mut unit = video(dts as i64 * 33, dts == 0);
            unit.pts = FrameRate { num: 30, den: 1 }.frame_time(shown);
            window.push(unit, config());
        }
        assert_eq!(window.view().whole_end(), 5);
    }

    #[test]
    fn what_no_cursor_needs_is_freed() {
        let (mut window, slow) = filled(1);
        let first = Arc::downgrade(&slow.behind);
        for ms in (1000..5000).step_by(100) {
            window.push(video(ms, ms % 2000 == 0), config());
        }
        assert!(
            first.upgrade().is_some(),
            "a slow cursor keeps what lies ahead of it"
        );
        drop(slow);
        assert!(first.upgrade().is_none());
    }

    #[test]
    fn a_long_chain_is_freed_without_recursion() {
        let mut window = Window::default();
        let _start = window.view().newest.clone();
        let config = config();
        for ms in 0..300_000 {
            window.push(video(ms, false), Arc::clone(&config));
        }
    }
}
