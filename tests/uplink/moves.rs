//! Enhanced RTMP's ReconnectRequest: the new connection publishes from a keyframe before the old one is left, and nothing is lost.

use crate::rig::{PATIENCE, Plan, beside_others};
use crate::server::{self, Listen, Peer, Server};
use regia::rtmp::ReceiverEvent;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug)]
struct Life {
    published: Instant,
    keyframe: Option<Instant>,
    ended: Instant,
    said_goodbye: bool,
}

type Lives = Arc<Mutex<Vec<Life>>>;

/// Takes a publish and lets it be for a while; then asks to be left for `to`, if it still has requests to make.
fn serve(name: &'static str, dir: PathBuf, lives: Lives, to: Vec<Option<String>>) -> Server {
    Server::start(&Listen::default(), move |peer: &mut Peer| {
        peer.record_to(&dir.join(format!("{name}{}.flv", peer.number)));
        if !peer.until_publish() {
            return;
        }
        assert!(
            peer.heard.windows(6).any(|part| part == b"capsEx"),
            "connect announces that requests to reconnect are understood"
        );
        let published = Instant::now();
        peer.receiver.accept_publish();
        if let Some(to) = to.get(peer.number) {
            if !peer.take_for(Duration::from_millis(3300)) {
                return;
            }
            peer.receiver
                .request_reconnect(to.as_deref(), "maintenance");
        }
        let mut said_goodbye = false;
        while let Some(event) = peer.next() {
            said_goodbye |= matches!(event, ReceiverEvent::Unpublished | ReceiverEvent::Deleted);
        }
        lives.lock().unwrap().push(Life {
            published,
            keyframe: peer.keyframes.first().copied(),
            ended: Instant::now(),
            said_goodbye,
        });
    })
}

#[test]
fn a_reconnect_request_is_obeyed_before_the_old_connection_is_left() {
    let _turn = beside_others();
    let plan = Plan::new();
    let dir = plan.dir.path().join("arrived");
    std::fs::create_dir(&dir).unwrap();
    let lives = Lives::default();
    // The second server asks for a new connection to itself, and names no URL.
    let second = serve("b", dir.clone(), Arc::clone(&lives), vec![None]);
    let elsewhere = Some(second.url());
    let first = serve("a", dir.clone(), Arc::clone(&lives), vec![elsewhere]);
    let mut on_air = plan.destination("main", &first.url(), "").start();
    on_air.regia.wait_status("both moves", PATIENCE, |status| {
        crate::rig::destination(status, "main")
            .is_some_and(|to| to["reconnects"] == 2 && to["state"] == "on_air")
    });
    std::thread::sleep(Duration::from_secs(3));
    let status = on_air.status("main");
    assert_eq!(status["ingest"], second.addr.to_string(), "{status}");
    let truth = on_air.truth_of(|| server::recorded(&dir));
    truth.assert_nothing_lost();
    let lives = lives.lock().unwrap().clone();
    assert_eq!(lives.len(), 3, "{lives:?}");
    for pair in lives.windows(2) {
        let keyframe = pair[1].keyframe.expect("a keyframe arrived");
        println!(
            "reconnect request: the old connection ended {:?} after the new one was accepted, {:?} after its first keyframe",
            pair[0].ended.duration_since(pair[1].published),
            pair[0].ended.saturating_duration_since(keyframe)
        );
        assert!(pair[1].published < pair[0].ended, "made before broken");
    }
    let goodbyes: Vec<bool> = lives.iter().map(|life| life.said_goodbye).collect();
    assert_eq!(goodbyes, [false, false, true], "only the stop says goodbye");
}
