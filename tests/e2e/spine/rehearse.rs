//! `regia rehearse` as another program: started, published to, and asked for its verdict.

use crate::{PATIENCE, REGIA};
use regia_testkit::ports;
use regia_testkit::process::{Launch, Process};
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub struct Rehearsal {
    pub process: Process,
    addr: SocketAddr,
    tls: bool,
    dir: PathBuf,
}

impl Rehearsal {
    /// `args`: further arguments. Its files go under `dir`.
    pub fn start(dir: &Path, tls: bool, args: &[&str]) -> Self {
        let addr = ports::loopback();
        let mut launch = Launch::new(REGIA)
            .args(["rehearse", "--listen", &addr.to_string()])
            .arg("--report")
            .arg(dir.join("report.json"))
            .arg("--record")
            .arg(dir.join("arrived"))
            .args(args.iter().copied());
        if tls {
            launch = launch
                .args(["--tls", "--tls-ca-out"])
                .arg(dir.join("ca.pem"));
        }
        std::fs::create_dir(dir.join("arrived")).unwrap();
        let mut process = launch.spawn();
        process.wait_line("Rehearsing as", PATIENCE);
        Rehearsal {
            process,
            addr,
            tls,
            dir: dir.to_owned(),
        }
    }

    /// Without the key.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "rtmps" } else { "rtmp" };
        format!("{scheme}://{}/live", self.addr)
    }

    pub fn ca(&self) -> Option<PathBuf> {
        self.tls.then(|| self.dir.join("ca.pem"))
    }

    /// Ends it, if it did not end by itself, and reads its report.
    #[track_caller]
    pub fn finish(&mut self) -> Value {
        if !self.process.has_ended() {
            self.process.terminate(PATIENCE);
        }
        let text = std::fs::read(self.dir.join("report.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    pub fn recordings(&self) -> Vec<PathBuf> {
        regia_testkit::flv::files(&self.dir.join("arrived"))
    }
}
