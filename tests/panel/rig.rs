//! A daemon with its panel on a free port, its first admin, and an ingest beside it.

use crate::client::{Answer, Client};
use crate::{PATIENCE, REGIA};
use regia_testkit::ports;
use regia_testkit::process::{Launch, Process};
use regia_testkit::regia::{Regia, Setup};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Light enough for a debug build beside other tests.
pub const PROGRAMME: &str = "# The programme of a test.\n[programme]\nwidth = 480\nheight = 270\nfps = 30   # as cameras have it\n\
    [programme.video]\nencoder = \"x264\"\nbitrate_kbps = 800\nmin_bitrate_kbps = 400\ntune = \"latency\"\npreset = \"ultrafast\"\n\
    \n# The only picture.\n[[source]]\nid = \"main\"   # moves and sounds\nkind = \"test\"\n";
pub const PASSWORD: &str = "correct horse battery staple";

static ONE: Mutex<()> = Mutex::new(());

/// A test that measures, or that is on air, has the machine's two cores for itself.
pub fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub struct Panel {
    pub regia: Regia,
    pub addr: SocketAddr,
    /// In a browser.
    pub admin: Client,
}

impl Panel {
    /// `config`: what stands behind the programme and its source.
    #[track_caller]
    pub fn start(config: &str) -> Self {
        let mut regia = start(&format!("{PROGRAMME}{config}"), "http://");
        let addr = address(&mut regia.0);
        let admin = Client::session(addr, &set_up(&mut regia.0, addr));
        Panel {
            regia: regia.0,
            addr,
            admin,
        }
    }

    pub fn stranger(&self) -> Client {
        Client::stranger(self.addr)
    }

    /// A further user, logged in.
    #[track_caller]
    pub fn user(&self, name: &str, role: &str) -> Client {
        let user = json!({"name": name, "role": role, "password": PASSWORD});
        let made = self.admin.post("/api/v1/users", user);
        assert_eq!(made.status, 200, "{}", made.text());
        self.log_in(name)
    }

    #[track_caller]
    pub fn log_in(&self, name: &str) -> Client {
        let login = json!({"user": name, "password": PASSWORD});
        let answer = self.stranger().post("/api/v1/login", login);
        Client::session(self.addr, &answer)
    }

    /// A script's.
    #[track_caller]
    pub fn script(&self, role: &str) -> Client {
        let token = json!({"name": format!("{role} script"), "role": role});
        let made = self.admin.post("/api/v1/tokens", token);
        assert_eq!(made.status, 200, "{}", made.text());
        Client::token(self.addr, made.json()["token"].as_str().unwrap())
    }

    pub fn config_file(&self) -> PathBuf {
        self.regia.config_dir().join("regia.toml")
    }

    #[track_caller]
    pub fn wait_state(&mut self, state: &str) -> Value {
        self.regia
            .wait_status(state, PATIENCE, |status| status["state"] == state)
    }
}

/// The daemon, once it says where its panel is.
#[track_caller]
pub fn start(config: &str, scheme: &str) -> (Regia, String) {
    let panel = if config.contains("[panel]") {
        config.to_owned()
    } else {
        format!("{config}\n[panel]\nlisten = \"127.0.0.1:0\"\n")
    };
    let mut regia = Setup::new(REGIA, panel).not_live().start();
    let line = regia.process.wait_line("the panel is there", PATIENCE).text;
    assert!(line.contains(&format!("url={scheme}")), "{line}");
    (regia, line)
}

#[track_caller]
pub fn address(regia: &mut Regia) -> SocketAddr {
    let line = regia.process.wait_line("the panel is there", PATIENCE).text;
    let (_, rest) = line.split_once("://").unwrap();
    let addr = rest.split([' ', '"', '\u{1b}']).next().unwrap();
    addr.parse()
        .unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// What stands behind # in the link that the first start prints.
#[track_caller]
pub fn setup_token(regia: &mut Regia) -> String {
    let line = regia.process.wait_line("/setup#", PATIENCE).text;
    line.split_once("/setup#").unwrap().1.trim().to_owned()
}

#[track_caller]
fn set_up(regia: &mut Regia, addr: SocketAddr) -> Answer {
    let body = json!({"token": setup_token(regia), "password": PASSWORD});
    Client::stranger(addr).post("/api/v1/setup", body)
}

/// `regia rehearse`.
pub struct Ingest {
    pub process: Process,
    pub addr: SocketAddr,
    dir: tempfile::TempDir,
}

impl Ingest {
    pub fn start() -> Self {
        let addr = ports::loopback();
        let dir = tempfile::tempdir().unwrap();
        let mut process = Launch::new(REGIA)
            .args(["rehearse", "--listen", &addr.to_string(), "--report"])
            .arg(dir.path().join("report.json"))
            .spawn();
        process.wait_line("Rehearsing as", PATIENCE);
        Ingest { process, addr, dir }
    }

    /// As a destination of the configuration.
    pub fn destination(&self, id: &str) -> String {
        format!(
            "\n[[destination]]\nid = {id:?}\nserver = \"rtmp://{}/live\"\nkey = \"a-key-of-{id}\"\n",
            self.addr
        )
    }

    pub fn report(&mut self) -> Value {
        if !self.process.has_ended() {
            self.process.terminate(PATIENCE);
        }
        read_json(&self.dir.path().join("report.json"))
    }
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Goes live without waiting for pre-flight.
#[track_caller]
pub fn go_live(panel: &mut Panel) {
    let body = json!({"anyway": "a test"});
    let started = panel.admin.post("/api/v1/live/start", body);
    assert_eq!(started.status, 200, "{}", started.text());
    panel.wait_state("ON AIR");
}

#[track_caller]
pub fn end(panel: &mut Panel) {
    let session = panel.regia.status().unwrap()["session"].clone();
    let stopped = panel
        .admin
        .post("/api/v1/live/stop", json!({"session": session}));
    assert_eq!(stopped.status, 200, "{}", stopped.text());
    panel.wait_state("ENDED");
}
