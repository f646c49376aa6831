//! nginx with nginx-rtmp as a real ingest: takes publishers over RTMP, and over RTMPS through its stream module, and
//! records exactly the payloads that came.

use crate::certs::Leaf;
use crate::flv::{self, Watch};
use crate::media::Recording;
use crate::ports;
use crate::process::{Launch, Process};
use rustix::process::Signal;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// What to start.
#[derive(Clone, Debug)]
pub struct Setup {
    dir: PathBuf,
    rtmp: SocketAddr,
    tls: Option<(SocketAddr, Leaf)>,
    netns: Option<String>,
    drop_idle_publisher: Option<Duration>,
    record_at_most: Option<u64>,
}

impl Setup {
    /// RTMP on a free loopback port; everything it writes goes under `dir`, which must outlive it.
    pub fn new(dir: &Path) -> Self {
        Setup {
            dir: dir.to_owned(),
            rtmp: ports::loopback(),
            tls: None,
            netns: None,
            drop_idle_publisher: None,
            record_at_most: None,
        }
    }

    pub fn rtmp(mut self, addr: SocketAddr) -> Self {
        self.rtmp = addr;
        self
    }

    /// Ends TLS on `addr` as well and passes the stream on to the RTMP port.
    pub fn tls(mut self, addr: SocketAddr, leaf: &Leaf) -> Self {
        self.tls = Some((addr, leaf.clone()));
        self
    }

    pub fn netns(mut self, name: &str) -> Self {
        self.netns = Some(name.to_owned());
        self
    }

    /// How long a publisher may be silent before its place is free; without it nginx keeps a dead one for long.
    pub fn drop_idle_publisher(mut self, after: Duration) -> Self {
        self.drop_idle_publisher = Some(after);
        self
    }

    /// Records only so many bytes of each publish: enough to see it arrive, where what follows is not looked at.
    pub fn record_at_most(mut self, bytes: u64) -> Self {
        self.record_at_most = Some(bytes);
        self
    }

    #[track_caller]
    pub fn start(self) -> Nginx {
        std::fs::create_dir_all(&self.dir).expect("the test's directory is writable");
        let mut nginx = Nginx {
            setup: self,
            runs: 0,
            process: None,
        };
        nginx.start();
        nginx
    }

    /// One process (`master_process off`), so that killing it leaves nothing behind that still holds the port.
    fn config(&self, recordings: &Path) -> String {
        let mut text = String::from(
            "load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;\n\
             load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n\
             daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr info;\n\
             events { worker_connections 1024; }\n",
        );
        let idle = self
            .drop_idle_publisher
            .map(|after| format!("drop_idle_publisher {}ms;", after.as_millis()))
            .unwrap_or_default();
        let most = self
            .record_at_most
            .map(|bytes| format!("record_max_size {bytes};"))
            .unwrap_or_default();
        // Names carry the second of their beginning; a second publish within it is appended, not written over.
        let _ = write!(
            text,
            "rtmp {{ access_log off; server {{ listen {}; chunk_size 4096; max_message 16M;\n\
               application live {{ live on; {idle}\n\
                 record all; record_path {}; record_unique on; record_append on; {most} }} }} }}\n",
            self.rtmp,
            recordings.display()
        );
        if let Some((addr, leaf)) = &self.tls {
            let _ = write!(
                text,
                "stream {{ server {{ listen {addr} ssl; ssl_certificate {}; ssl_certificate_key {};\n\
                   proxy_pass {}; }} }}\n",
                leaf.cert.display(),
                leaf.key.display(),
                self.rtmp
            );
        }
        text
    }
}

pub struct Nginx {
    setup: Setup,
    runs: u32,
    process: Option<Process>,
}

impl Nginx {
    /// Starts it (again), at once on the same ports, and returns the time at which its last port was open. Each run
    /// records into a directory of its own.
    #[track_caller]
    pub fn start(&mut self) -> Instant {
        assert!(self.process.is_none(), "nginx runs already");
        self.runs += 1;
        let recordings = self.recordings_dir().join(self.runs.to_string());
        std::fs::create_dir_all(&recordings).expect("the test's directory is writable");
        let config = self.setup.dir.join("nginx.conf");
        std::fs::write(&config, self.setup.config(&recordings)).expect("writable too");
        let mut process = Launch::new("nginx")
            .arg("-p")
            .arg(&self.setup.dir)
            .arg("-c")
            .arg(&config)
            // Without it nginx complains on stderr about the compiled-in log before it has read its own configuration.
            .args(["-e", "stderr"])
            .netns(self.setup.netns.as_deref())
            .spawn();
        let mut ports = vec![self.setup.rtmp];
        ports.extend(self.setup.tls.iter().map(|(addr, _)| *addr));
        let open = crate::wait::until(PATIENCE, || {
            if process.has_ended() {
                return Some(false);
            }
            ports
                .iter()
                .all(|&addr| ports::is_listening(process.pid(), addr))
                .then_some(true)
        });
        let at = Instant::now();
        assert_eq!(open, Some(true), "nginx did not start: {}", process.text());
        self.process = Some(process);
        at
    }

    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Fast shutdown: connections are closed at once, recordings are whole.
    #[track_caller]
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.terminate(PATIENCE);
        }
    }

    /// What a crash looks like from outside.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Freezes it: the kernel still accepts and acknowledges until its buffers are full, and nothing is read.
    pub fn freeze(&self) {
        if let Some(process) = &self.process {
            process.signal(Signal::STOP);
        }
    }

    pub fn thaw(&self) {
        if let Some(process) = &self.process {
            process.signal(Signal::CONT);
        }
    }

    /// Where it takes plain RTMP.
    pub fn addr(&self) -> SocketAddr {
        self.setup.rtmp
    }

    /// The server URL without the key, as an operator would enter it.
    pub fn rtmp_url(&self) -> String {
        format!("rtmp://{}/live", self.setup.rtmp)
    }

    /// The same over TLS. Panics when the set-up has none.
    #[track_caller]
    pub fn rtmps_url(&self) -> String {
        let (addr, _) = self.setup.tls.as_ref().expect("this nginx has no TLS");
        format!("rtmps://{addr}/live")
    }

    /// Everything that it has printed, at level info, in this run.
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::text).unwrap_or_default()
    }

    pub fn recordings_dir(&self) -> PathBuf {
        self.setup.dir.join("recordings")
    }

    /// Sees what arrives from now on, in this run and later ones.
    pub fn watch(&self) -> Watch {
        Watch::new(&self.recordings_dir())
    }

    /// Stops it and reads everything that all its runs recorded, oldest first. A publish that it refused leaves a file without a
    /// tag, which is nothing recorded.
    #[track_caller]
    pub fn finish(&mut self) -> Vec<Recording> {
        self.stop();
        let files = flv::files(&self.recordings_dir());
        files
            .iter()
            .filter(|path| flv::trim(path).expect("nginx has let go of it"))
            .map(|path| Recording::read(path))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::Authority;
    use crate::{media, truth};

    const SOON: Duration = Duration::from_secs(20);

    fn publish(source: &Path, url: &str) -> Launch {
        Launch::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-re", "-i"])
            .arg(source)
            .args([
                "-c",
                "copy",
                "-f",
                "flv",
                "-flvflags",
                "no_duration_filesize",
            ])
            .arg(format!("{url}/key"))
    }

    #[test]
    fn what_ffmpeg_publishes_over_rtmps_is_recorded_bit_for_bit() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source.flv");
        media::encode_clip(&source, 5, 1000);
        let leaf = Authority::new(dir.path()).leaf(&["127.0.0.1"]);
        let mut nginx = Setup::new(&dir.path().join("nginx"))
            .tls(ports::loopback(), &leaf)
            .start();
        publish(&source, &nginx.rtmps_url()).output();
        let recorded = nginx.finish();
        let truth = truth::compare(&Recording::read(&source), &recorded);
        truth.assert_nothing_lost();
        assert_eq!(truth.video.found, [1; 150]);
        assert_eq!(
            (truth.audio.before(), truth.audio.after()),
            (0, 0),
            "{truth}"
        );
    }

    #[test]
    fn killed_and_back_at_once_it_keeps_both_runs() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source.flv");
        media::encode_clip(&source, 8, 1000);
        let mut nginx = Setup::new(&dir.path().join("nginx")).start();
        let mut watch = nginx.watch();
        let mut first = publish(&source, &nginx.rtmp_url()).spawn();
        let seen = watch
            .wait_keyframe(SOON)
            .expect("the first publish arrives");
        std::thread::sleep(Duration::from_secs(3));
        nginx.kill();
        let open = nginx.start();
        assert!(!first.wait_end(SOON).success(), "ffmpeg must have noticed");
        let mut watch = nginx.watch();
        let mut second = publish(&source, &nginx.rtmp_url()).spawn();
        let again = watch
            .wait_keyframe(SOON)
            .expect("the second publish arrives");
        assert!(seen.at < open && open < again.at && seen.path != again.path);
        assert!(second.wait_end(SOON).success(), "{}", second.text());
        let recorded = nginx.finish();
        assert_eq!(recorded.len(), 2);
        let truth = truth::compare(&Recording::read(&source), &recorded);
        truth.assert_nothing_lost();
        assert!(truth.video.repeated() >= 60, "{truth}");
        // And the comparison can fail: without the second run most of it is missing.
        let only_first = truth::compare(&Recording::read(&source), &recorded[..1]);
        assert!(only_first.video.after() > 60, "{only_first}");
    }
}
