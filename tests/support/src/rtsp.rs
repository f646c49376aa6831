//! An RTSP camera: gst-rtsp-server, driven by a few lines of Python, serving the clip over and over.

use crate::ports;
use crate::process::{Launch, Process};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/rtsp_server.py");

const AS_IT_IS: &[&str] = &["-c:v", "copy"];
const KEYFRAMES: &[&str] = &["-c:v", "libx264", "-preset", "ultrafast", "-g", "25"];

pub struct Camera {
    host: Ipv4Addr,
    netns: Option<String>,
    port: u16,
    file: PathBuf,
    process: Option<Process>,
}

impl Camera {
    /// Serves `seconds` of the clip, repeated; the file for that goes into `dir`.
    #[track_caller]
    pub fn start(dir: &Path, seconds: u32) -> Self {
        Self::serve(None, Ipv4Addr::LOCALHOST, dir, seconds)
    }

    /// The same in a network of a lab's, at an address that it has, with a keyframe each second: who joins in between sees
    /// nothing until the next.
    #[track_caller]
    pub fn start_in(netns: &str, host: Ipv4Addr, dir: &Path, seconds: u32) -> Self {
        Self::serve(Some(netns.to_owned()), host, dir, seconds)
    }

    /// Serves a file of H.264 and AAC, once for each that looks at it from its beginning.
    #[track_caller]
    pub fn of(file: PathBuf) -> Self {
        Self::plugged_in(None, Ipv4Addr::LOCALHOST, file)
    }

    #[track_caller]
    fn serve(netns: Option<String>, host: Ipv4Addr, dir: &Path, seconds: u32) -> Self {
        let file = dir.join("camera.mp4");
        Launch::new("ffmpeg")
            .args(["-nostdin", "-y", "-v", "error", "-stream_loop", "-1", "-i"])
            .arg(crate::clip())
            .args(["-t", &seconds.to_string(), "-c:a", "copy"])
            .args(if netns.is_some() { KEYFRAMES } else { AS_IT_IS })
            .arg(&file)
            .output();
        Self::plugged_in(netns, host, file)
    }

    #[track_caller]
    fn plugged_in(netns: Option<String>, host: Ipv4Addr, file: PathBuf) -> Self {
        let mut camera = Camera {
            host,
            netns,
            port: ports::free(),
            file,
            process: None,
        };
        camera.plug_in();
        camera
    }

    pub fn url(&self) -> String {
        format!("rtsp://{}:{}/camera", self.host, self.port)
    }

    /// The camera dies; its connections are reset.
    pub fn unplug(&mut self) {
        self.process = None;
    }

    /// And comes back at the same address, from the clip's beginning.
    #[track_caller]
    pub fn plug_in(&mut self) {
        // Debian's own Python, which has the bindings; another may stand before it in PATH.
        let mut process = Launch::new("/usr/bin/python3")
            .arg(SCRIPT)
            .arg(self.host.to_string())
            .arg(self.port.to_string())
            .arg(&self.file)
            .netns(self.netns.as_deref())
            .spawn();
        process.wait_line("ready", Duration::from_secs(20));
        self.process = Some(process);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn look(camera: &Camera) -> Option<Value> {
        let out = std::process::Command::new("ffprobe")
            .args(["-v", "error", "-rtsp_transport", "tcp", "-show_streams"])
            .args(["-of", "json", &camera.url()])
            .output()
            .unwrap();
        serde_json::from_slice(&out.stdout)
            .ok()
            .filter(|_| out.status.success())
    }

    #[test]
    fn it_shows_picture_and_sound_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut camera = Camera::start(dir.path(), 20);
        for _ in 0..2 {
            let seen = look(&camera).expect("the camera is on");
            assert_eq!(seen["streams"][0]["codec_name"], "h264");
            assert_eq!(seen["streams"][0]["height"], 720);
            assert_eq!(seen["streams"][1]["codec_name"], "aac");
            camera.unplug();
            assert_eq!(look(&camera), None);
            camera.plug_in();
        }
    }
}
