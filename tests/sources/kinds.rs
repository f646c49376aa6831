//! What else can be shown: screens, pages, sound servers; and what is told where the means are missing.

use crate::loss::health;
use crate::support::*;
use crate::watch::*;
use regia::bridge::protocol::SourceState;
use regia::config::*;
use regia_testkit::process::{Launch, Process};
use regia_testkit::{skip, wait};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Y, U and V in the middle of the last frame.
fn last_colour(pictures: &Pictures) -> [u8; 3] {
    let frames = pictures.decode("crop=iw/8:ih/8,scale=2:2:flags=area", 2, 2);
    let (_, frame) = frames.last().unwrap();
    [frame[0], frame[4], frame[8]]
}

#[track_caller]
fn assert_near(seen: [u8; 3], wanted: [u8; 3]) {
    let near = seen
        .iter()
        .zip(wanted)
        .all(|(seen, wanted)| seen.abs_diff(wanted) < 8);
    assert!(near, "{seen:?} is not {wanted:?}");
}

pub fn x_server(display: &str, screen: &str) -> Option<Process> {
    let server = Launch::new("Xvfb")
        .args([display, "-screen", "0", screen, "-nolisten", "tcp"])
        .spawn();
    let socket = format!("/tmp/.X11-unix/X{}", &display[1..]);
    let up = wait::until(Duration::from_secs(20), || {
        Path::new(&socket).exists().then_some(())
    });
    up.map(|()| server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_is_shown_and_comes_back() {
    let display = format!(":{}", 100 + std::process::id() % 900);
    let directory = tempfile::tempdir().unwrap();
    let kind = SourceKind::Screen {
        display: display.clone(),
        pointer: false,
    };
    let mut show = OnAir::begin(watched(kind, directory.path())).await;
    let told = show.source_is(SourceState::Lost).await;
    assert_eq!(
        told,
        format!(
            "display {display}: Could not open X display for reading (does X run there, and may the user that Regia runs as see it? `xhost` says who may)"
        )
    );
    let server = x_server(&display, "640x480x24").expect("Xvfb starts");
    show.source_is(SourceState::Live).await;
    let set = Command::new("xsetroot")
        .args(["-display", &display, "-solid", "#ff0000"])
        .status();
    assert!(set.unwrap().success());
    seconds(&mut show, 3.0).await;
    let said = health(&show).unwrap();
    assert_eq!(said.format, "640x480 30 fps");
    assert_eq!(said.silent_s, None, "a screen has no sound");
    drop(server);
    show.source_is(SourceState::Lost).await;
    let lost = now();
    seconds(&mut show, 2.0).await;
    show.finish().await;
    let pictures = Pictures::of(&show);
    assert!(pictures.largest_gap() <= Duration::from_millis(40));
    assert!(Seen::of(&pictures).slate_after(lost).is_some());
    let red: Vec<_> = pictures.decode("crop=iw/8:ih/8,scale=2:2:flags=area", 2, 2);
    assert!(
        red.iter()
            .any(|(_, frame)| frame[0].abs_diff(63) < 8 && frame[8].abs_diff(240) < 8),
        "the screen was red"
    );
    assert_eq!(show.pids.len(), 1, "the engine stayed up");
}

/// A page with a half-transparent red box at its upper left, and nothing else; it moves nothing.
const PAGE: &str = "<html><body style='margin:0;background:transparent;overflow:hidden'>\
    <div style='position:absolute;left:0;top:0;width:160px;height:90px;background:rgba(255,0,0,0.5)'></div></body></html>";

#[test]
fn a_page_is_transparent_where_it_paints_nothing() {
    if !has("wpevideosrc") {
        return skip::unavailable(
            "a_page_is_transparent_where_it_paints_nothing",
            "gstreamer1.0-wpe is not installed",
        );
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("page.html");
    std::fs::write(&path, PAGE).unwrap();
    let mut page = Command::new(engine_program())
        .arg("apart")
        .env("LIBGL_ALWAYS_SOFTWARE", "1")
        .env("XDG_RUNTIME_DIR", directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let order = serde_json::json!({
        "what": { "page": { "url": format!("file://{}", path.display()), "size": [320, 180] } },
        "frame": [640, 480], "fps": [30, 1],
    });
    let mut stdin = page.stdin.take().unwrap();
    writeln!(stdin, "{order}").unwrap();
    let mut out = page.stdout.take().unwrap();
    let (luma, chroma) = (640 * 480, 320 * 240);
    let mut last = Vec::new();
    // Two seconds; most of it says that nothing has changed.
    for _ in 0..60 {
        let mut head = [0; 5];
        out.read_exact(&mut head).unwrap();
        let mut body = vec![0; u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize];
        out.read_exact(&mut body).unwrap();
        assert_ne!(head[0], 2, "{}", String::from_utf8_lossy(&body));
        if head[0] == 1 {
            last = body;
        }
    }
    drop(stdin);
    assert!(
        page.wait().unwrap().success(),
        "it ends when the engine does"
    );
    assert_eq!(last.len(), luma * 2 + chroma * 2, "A420");
    let at = |x: usize, y: usize| {
        let (u, v) = (luma, luma + chroma);
        let small = y / 2 * 320 + x / 2;
        [
            last[y * 640 + x],
            last[u + small],
            last[v + small],
            last[luma + 2 * chroma + y * 640 + x],
        ]
    };
    // The page lies at 0,60 with twice its size. Red in BT.709, not darkened by its alpha.
    for (seen, wanted) in at(100, 100).into_iter().zip([63, 102, 240, 128]) {
        assert!(seen.abs_diff(wanted) <= 3, "{:?}", at(100, 100));
    }
    assert_eq!(at(600, 400)[3], 0, "nothing is painted there");
    assert_eq!(at(100, 20)[3], 0, "and beside the page there is nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_engine_that_dies_is_replaced() {
    if !has("wpevideosrc") {
        return skip::unavailable(
            "a_web_engine_that_dies_is_replaced",
            "gstreamer1.0-wpe is not installed",
        );
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("page.html");
    std::fs::write(
        &path,
        PAGE.replace("rgba(255,0,0,0.5)", "rgb(255,0,0)")
            .replace("160px", "100vw")
            .replace("90px", "100vh"),
    )
    .unwrap();
    let kind = SourceKind::Html {
        url: format!("file://{}", path.display()),
        size: None,
    };
    let mut show = OnAir::begin(watched(kind, directory.path())).await;
    show.source_is(SourceState::Live).await;
    seconds(&mut show, 2.0).await;
    let engine = show.pids[0];
    let page = children(engine)
        .into_iter()
        .find(|pid| is_page(*pid))
        .expect("a page's process");
    assert!(
        !cmdline(page).contains("page.html"),
        "no address among the arguments"
    );
    nix_kill(page);
    let lost = now();
    let told = show.source_is(SourceState::Lost).await;
    assert_eq!(told, "its process ended (signal: 9 (SIGKILL))");
    show.source_is(SourceState::Live).await;
    let back = now();
    seconds(&mut show, 2.0).await;
    show.finish().await;
    let pictures = Pictures::of(&show);
    println!(
        "a page is back {:?} after its process was killed",
        back.since(lost)
    );
    assert!(pictures.largest_gap() <= Duration::from_millis(40));
    assert_near(last_colour(&pictures), [63, 102, 240]);
    assert_eq!(show.pids.len(), 1, "the engine stayed up");
    assert!(children(engine).is_empty(), "nothing is left behind");
}

fn has(element: &str) -> bool {
    let found = Command::new("gst-inspect-1.0")
        .args(["--exists", element])
        .status();
    found.is_ok_and(|status| status.success())
}

fn children(pid: u32) -> Vec<u32> {
    regia_testkit::usage::tree(pid)
        .into_iter()
        .filter(|other| *other != pid)
        .collect()
}

fn cmdline(pid: u32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

fn is_page(pid: u32) -> bool {
    cmdline(pid).trim_end().ends_with("regia apart")
}

fn nix_kill(pid: u32) {
    let killed = Command::new("kill").args(["-9", &pid.to_string()]).status();
    assert!(killed.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_without_its_driver_is_told() {
    if Path::new("/dev/blackmagic").exists() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let kind = SourceKind::Decklink {
        device: 0,
        mode: "auto".into(),
    };
    let mut show = OnAir::begin(watched(kind, directory.path())).await;
    assert_eq!(
        show.source_is(SourceState::Lost).await,
        "DeckLink card 0: its driver is not installed or finds no card (/dev/blackmagic is not there): install Desktop Video from \
         blackmagicdesign.com/support, and restart"
    );
    show.video_units(10).await;
    show.finish().await;
}
