//! Configurations of these tests: what differs is said, the rest is as everybody has it.

use std::path::Path;

pub struct Programme {
    pub width: u32,
    pub height: u32,
    pub kbps: u32,
    pub tune: &'static str,
    pub preset: &'static str,
}

/// Light enough for a debug build beside other tests.
pub const SMALL: Programme = Programme {
    width: 640,
    height: 360,
    kbps: 2000,
    tune: "latency",
    preset: "superfast",
};

impl Programme {
    pub fn text(&self) -> String {
        format!(
            "[programme]\nwidth = {}\nheight = {}\nfps = 30\n\n[programme.video]\nencoder = \"x264\"\n\
             bitrate_kbps = {}\nmin_bitrate_kbps = {}\ntune = {:?}\npreset = {:?}\n\n",
            self.width,
            self.height,
            self.kbps,
            self.kbps.min(2000),
            self.tune,
            self.preset
        )
    }
}

pub enum Source<'a> {
    Test,
    /// Looped.
    File(&'a Path),
}

/// One source to one destination, `id = "out"`.
pub fn config(
    programme: &Programme,
    source: &Source<'_>,
    server: &str,
    key: &str,
    ca: Option<&Path>,
) -> String {
    let source = match source {
        Source::Test => "kind = \"test\"".to_owned(),
        Source::File(path) => format!("kind = \"file\"\npath = {path:?}\nloop = true"),
    };
    let ca = ca.map_or_else(String::new, |ca| format!("tls_ca_file = {ca:?}\n"));
    format!(
        "{}[[source]]\nid = \"main\"\n{source}\n\n[[destination]]\nid = \"out\"\nplatform = \"custom\"\n\
         server = {server:?}\nkey = {key:?}\n{ca}",
        programme.text()
    )
}
