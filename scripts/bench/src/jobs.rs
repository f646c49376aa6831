//! Configurations of Regia, and what more than one part does with it.

use crate::Bench;
use regia_testkit::process::{Launch, Process};
use std::path::{Path, PathBuf};

/// What Regia is to produce.
pub struct Programme {
    pub width: u32,
    pub height: u32,
    pub video_kbps: u32,
    pub audio_kbps: u32,
    /// x264's speed.
    pub preset: &'static str,
    pub tune: &'static str,
    /// A file to repeat; `None`: the `test` source.
    pub file: Option<PathBuf>,
}

impl Programme {
    /// The head of a configuration file, to which destinations are added.
    pub fn config(&self) -> String {
        let source = match &self.file {
            Some(path) => format!("kind = \"file\"\npath = {path:?}\nloop = true"),
            None => "kind = \"test\"".to_owned(),
        };
        format!(
            "[programme]\nwidth = {}\nheight = {}\nfps = 30\n\
             [programme.video]\nencoder = \"x264\"\npreset = \"{}\"\ntune = \"{}\"\nbitrate_kbps = {}\n\
             keyframe_s = 2\n\
             [programme.audio]\nbitrate_kbps = {}\nsample_rate = 48000\n\
             [window]\nhold_s = 30\n\
             [[source]]\nid = \"main\"\n{source}\n\
             [[scene]]\nid = \"all\"\nlayers = [{{ source = \"main\" }}]\n",
            self.width, self.height, self.preset, self.tune, self.video_kbps, self.audio_kbps
        )
    }
}

pub struct Destination<'a> {
    pub id: String,
    pub server: String,
    pub ca: Option<&'a Path>,
    /// Further lines, such as `uplinks = […]`.
    pub more: &'a str,
}

impl Destination<'_> {
    pub fn config(&self) -> String {
        let ca = self
            .ca
            .map_or(String::new(), |ca| format!("tls_ca_file = {ca:?}\n"));
        format!(
            "[[destination]]\nid = {:?}\nplatform = \"custom\"\nserver = {:?}\nkey = {:?}\n{ca}{}\n",
            self.id, self.server, self.id, self.more
        )
    }
}

/// ffmpeg, quiet, without a terminal.
pub fn ffmpeg() -> Launch {
    Launch::new("ffmpeg").args(["-nostdin", "-hide_banner", "-v", "error", "-nostats"])
}

/// The clip repeated in one file without encoding it again, for programs that can't repeat.
pub fn repeated_clip(dir: &Path, seconds: u32) -> PathBuf {
    let path = dir.join("repeated.mp4");
    ffmpeg()
        .args(["-y", "-stream_loop", "-1", "-i"])
        .arg(regia_testkit::clip())
        .args(["-t", &seconds.to_string(), "-c", "copy"])
        .arg(&path)
        .output();
    path
}

/// Says why a measurement of `peer` failed, with its last words.
pub fn complain(peer: &str, why: &str, process: &Process) {
    let text = process.text();
    let tail: Vec<&str> = text.lines().rev().take(8).collect();
    eprintln!("{peer}: {why}");
    for line in tail.into_iter().rev() {
        eprintln!("    {line}");
    }
}

impl Bench {
    pub fn run_regia(&self, config: String) -> regia_testkit::regia::Setup {
        regia_testkit::regia::Setup::new(&self.regia, config)
    }
}
