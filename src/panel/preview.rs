//! `GET /preview/programme.flv`: the programme as FLV over a WebSocket, the very units that the destinations get. Shell.
//!
//! A viewer has a cursor in the window while it looks, and nothing is made for it. One that can't keep up is taken to the newest
//! keyframe: it loses pictures, and the programme knows nothing of it.

use super::access::Caller;
use super::api::Api;
use super::problem::Problem;
use super::server::Place;
use crate::media::MediaTime;
use crate::recording::Tags;
use crate::rtmp::flv_file;
use crate::window::{Cursor, Feed};
use axum::Extension;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Sent at once: a keyframe of a busy picture and what came with it.
const PORTION: usize = 256 * 1024;
/// How far a viewer may be behind before it skips.
const BEHIND: Duration = Duration::from_millis(2_500);
/// A viewer whose browser takes nothing for so long has gone: what lies ahead of its cursor is memory.
const GONE: Duration = Duration::from_secs(5);
/// How often it is looked whether the viewer may still look.
const LOOK: Duration = Duration::from_secs(2);

/// The programme as it is encoded, as FLV in binary messages, beginning at the newest keyframe. A WebSocket.
#[utoipa::path(get, path = "/api/v1/preview/programme.flv", tag = "preview", responses(
    (status = 101, description = "a WebSocket of FLV bytes"),
    (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn programme(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    place: Option<Extension<Place>>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, super::problem::Refused> {
    let upgrade = upgrade.map_err(super::events::not_a_socket)?;
    Ok(upgrade
        .max_message_size(4 * 1024)
        .on_upgrade(move |socket| async move {
            // A viewer that has gone is no error.
            let _ = show(socket, api, caller).await;
            drop(place);
        }))
}

async fn show(mut socket: WebSocket, api: Api, caller: Caller) -> Result<(), axum::Error> {
    let mut feeds = api.session.programme();
    let mut feed = feeds.borrow_and_update().clone();
    let mut viewer: Option<Viewer> = None;
    let mut looked = Instant::now();
    loop {
        match &mut viewer {
            None => viewer = Viewer::begin(&feed),
            Some(viewer) => viewer.keep_up(&feed),
        }
        if let Some(viewer) = &mut viewer
            && viewer.take()
        {
            let portion = std::mem::take(&mut viewer.out);
            match timeout(GONE, socket.send(Message::Binary(portion.into()))).await {
                Ok(sent) => sent?,
                Err(_) => return Ok(()),
            }
            // There may be more than a portion.
            continue;
        }
        if looked.elapsed() >= LOOK {
            looked = Instant::now();
            if !api.access.still(&caller) {
                return Ok(());
            }
        }
        tokio::select! {
            () = feed.changed() => {}
            // Another programme, with another timeline: the viewer begins anew.
            _ = feeds.changed() => return socket.send(Message::Close(None)).await,
            heard = socket.recv() => match heard {
                None | Some(Err(_) | Ok(Message::Close(_))) => return Ok(()),
                Some(Ok(_)) => {}
            },
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

struct Viewer {
    cursor: Cursor,
    tags: Tags,
    out: Vec<u8>,
}

impl Viewer {
    /// At the newest keyframe, if there is one.
    fn begin(feed: &Feed) -> Option<Self> {
        let cursor = feed.view().keyframe?;
        let mut out = Vec::new();
        flv_file::write_header(&mut out);
        Some(Viewer {
            tags: Tags::new(cursor.timeline_base()?),
            cursor,
            out,
        })
    }

    /// Too far behind, it goes on at the newest keyframe.
    fn keep_up(&mut self, feed: &Feed) {
        let view = feed.view();
        let at = |cursor: &Cursor| cursor.last().map(|entry| entry.unit.dts);
        let here = at(&self.cursor).unwrap_or(MediaTime::ZERO);
        if view.time.since(here) > BEHIND
            && let Some(keyframe) = view.keyframe
            && keyframe.seq() > self.cursor.seq()
        {
            self.cursor = keyframe;
        }
    }

    /// Takes what is there, up to a portion. False: nothing was.
    fn take(&mut self) -> bool {
        while self.out.len() < PORTION {
            let Some(entry) = self.cursor.advance() else {
                break;
            };
            self.tags.write(entry, &mut self.out);
        }
        !self.out.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtmp::flv_file::FlvReader;
    use crate::window::FeedWriter;
    use crate::window::tests::{config, video};

    fn keyframe_times(bytes: &[u8], reader: &mut FlvReader) -> Vec<u32> {
        reader.push(bytes);
        let mut times = Vec::new();
        while let Some(tag) = reader.next_tag().unwrap() {
            // A keyframe's first byte; its second byte tells a picture from a configuration.
            if tag.body.starts_with(&[0x17, 1]) {
                times.push(tag.timestamp);
            }
        }
        times
    }

    #[test]
    fn a_viewer_begins_at_a_keyframe_and_skips_to_another_when_it_is_slow() {
        let mut writer = FeedWriter::default();
        let feed = writer.feed();
        assert!(Viewer::begin(&feed).is_none());
        let now = std::time::Instant::now();
        let mut fill = |from: i64, to: i64| {
            for ms in (from..to).step_by(100) {
                writer.push(now, video(ms, ms % 1_000 == 0), config());
            }
        };
        fill(0, 2_500);
        let mut reader = FlvReader::new();
        let mut viewer = Viewer::begin(&feed).unwrap();
        assert!(viewer.take());
        let out = std::mem::take(&mut viewer.out);
        assert_eq!(keyframe_times(&out, &mut reader), [0], "its zero");
        assert!(!viewer.take());
        fill(2_500, 4_000);
        viewer.keep_up(&feed);
        viewer.take();
        let out = std::mem::take(&mut viewer.out);
        assert_eq!(
            keyframe_times(&out, &mut reader),
            [1_000],
            "nothing is left out"
        );
        fill(4_000, 9_500);
        viewer.keep_up(&feed);
        viewer.take();
        let out = std::mem::take(&mut viewer.out);
        assert_eq!(keyframe_times(&out, &mut reader), [7_000]);
    }
}
