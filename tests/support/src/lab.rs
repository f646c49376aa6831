//! A network of its own: a box with two uplinks, each through a gateway, to one network of ingests. Made of network
//! namespaces and veth pairs, so the machine's own network is untouched and no packet can leave it. Needs root and iproute2.
//!
//! ```text
//!            upa 198.18.1.2 ── 198.18.1.1 gateway A ── 198.18.11.1 ┐
//!      box                                                          ingest 198.18.3.2 and 198.18.3.3
//!            upb 198.18.2.2 ── 198.18.2.1 gateway B ── 198.18.12.1 ┘
//! ```
//!
//! The addresses are from the range that RFC 2544 sets aside for tests. The box has a default route over each uplink,
//! A preferred by its metric; a socket bound to a device uses that device's route.

use crate::process::Launch;
use crate::skip;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

const PREFIX: &str = "regia-lab";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    A,
    B,
}

impl Side {
    const BOTH: [Side; 2] = [Side::A, Side::B];

    fn letter(self) -> char {
        match self {
            Side::A => 'a',
            Side::B => 'b',
        }
    }

    fn number(self) -> u8 {
        match self {
            Side::A => 1,
            Side::B => 2,
        }
    }
}

/// What an interface has carried since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub sent_packets: u64,
    pub sent_bytes: u64,
    pub received_packets: u64,
    pub received_bytes: u64,
}

/// Everything is removed on drop; what a killed test left behind is removed by the next lab.
#[derive(Debug)]
pub struct Lab {
    name: String,
}

impl Lab {
    /// `None` after saying why, where namespaces are not allowed; in CI that is a failure.
    pub fn or_skip(test: &str) -> Option<Lab> {
        match Lab::new() {
            Ok(lab) => Some(lab),
            Err(why) => {
                skip::unavailable(test, &why);
                None
            }
        }
    }

    /// Fails where namespaces are not allowed. Panics when the network can't be laid for another reason, which is a fault
    /// of the lab's and must not pass for a machine that can't.
    pub fn new() -> Result<Lab, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        sweep();
        let lab = Lab {
            name: format!(
                "{PREFIX}-{}-{}",
                std::process::id(),
                COUNT.fetch_add(1, Ordering::Relaxed)
            ),
        };
        let all = ["box", "gwa", "gwb", "ingest"];
        ip(
            None,
            &all.map(|role| format!("netns add {}", lab.ns(role)))
                .join("\n"),
        )?;
        if Path::new("/proc/sys/net/ipv6").exists() {
            // Neighbour discovery sends packets of its own, at times of its own, over ways on which tests count every packet.
            for role in all {
                lab.sysctl(&lab.ns(role), "net/ipv6/conf/default/disable_ipv6", "1");
            }
        }
        if let Err(why) = lab.cable() {
            panic!("laying the lab's network: {why}");
        }
        Ok(lab)
    }

    fn cable(&self) -> Result<(), String> {
        let (inner, ingest) = (self.ns("box"), self.ns("ingest"));
        for ns in [&inner, &ingest] {
            ip(Some(ns), "link set lo up")?;
        }
        let mut box_script = String::new();
        let mut ingest_script = String::from(
            "addr add 198.18.3.2/32 dev lo\n\
             addr add 198.18.3.3/32 dev lo\n",
        );
        for side in Side::BOTH {
            let (letter, n) = (side.letter(), side.number());
            let gateway = self.gateway(side);
            box_script += &format!(
                "link add up{letter} type veth peer name tobox netns {gateway}\n\
                 addr add 198.18.{n}.2/24 dev up{letter}\n\
                 link set up{letter} up\n\
                 route add default via 198.18.{n}.1 dev up{letter} metric {n}00\n"
            );
            ingest_script += &format!(
                "link add in{letter} type veth peer name toingest netns {gateway}\n\
                 addr add 198.18.1{n}.2/24 dev in{letter}\n\
                 link set in{letter} up\n\
                 route add 198.18.{n}.0/24 via 198.18.1{n}.1\n"
            );
        }
        // A route is refused while its gateway's end of the cable does not exist or is down, so: cables, far ends, routes.
        let is_route = |line: &&str| line.starts_with("route");
        let pick = |script: &str, routes: bool| {
            script
                .lines()
                .filter(|line| is_route(line) == routes)
                .collect::<Vec<_>>()
                .join("\n")
        };
        ip(Some(&inner), &pick(&box_script, false))?;
        ip(Some(&ingest), &pick(&ingest_script, false))?;
        for side in Side::BOTH {
            let n = side.number();
            let gateway = self.gateway(side);
            ip(
                Some(&gateway),
                &format!(
                    "addr add 198.18.{n}.1/24 dev tobox\n\
                     addr add 198.18.1{n}.1/24 dev toingest\n\
                     link set tobox up\n\
                     link set toingest up\n\
                     route add 198.18.3.0/24 via 198.18.1{n}.2\n"
                ),
            )?;
            self.sysctl(&gateway, "net/ipv4/ip_forward", "1");
        }
        ip(Some(&inner), &pick(&box_script, true))?;
        ip(Some(&ingest), &pick(&ingest_script, true))?;
        for role in ["box", "ingest"] {
            // Answers may come over the other path than the kernel would choose.
            self.sysctl(&self.ns(role), "net/ipv4/conf/all/rp_filter", "0");
        }
        Ok(())
    }

    fn sysctl(&self, ns: &str, key: &str, value: &str) {
        Launch::new("sh")
            .args(["-c", &format!("echo {value} > /proc/sys/{key}")])
            .netns(Some(ns))
            .output();
    }

    fn ns(&self, role: &str) -> String {
        format!("{}-{role}", self.name)
    }

    fn gateway(&self, side: Side) -> String {
        self.ns(match side {
            Side::A => "gwa",
            Side::B => "gwb",
        })
    }

    /// The namespace to run Regia in.
    pub fn box_ns(&self) -> String {
        self.ns("box")
    }

    /// The namespace to run ingests in.
    pub fn ingest_ns(&self) -> String {
        self.ns("ingest")
    }

    /// Runs `work` in the ingests' network: sockets that it and the threads it starts open are there. Processes are started by
    /// `Launch::netns` instead, since one started here would end with this call's thread.
    pub fn at_the_ingests<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let namespace = std::fs::File::open(format!("/run/netns/{}", self.ingest_ns()))
            .expect("the lab's namespaces exist as long as it does");
        let moved = || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("whoever may make a namespace may enter it");
            work()
        };
        std::thread::scope(|scope| scope.spawn(moved).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Sets a kernel parameter of the box: the path below /proc/sys.
    pub fn set_in_box(&self, key: &str, value: &str) {
        self.sysctl(&self.box_ns(), key, value);
    }

    /// One of the box's protocol counters, as /proc/net/netstat names it.
    pub fn box_counter(&self, name: &str) -> Option<u64> {
        let out = Launch::new("cat")
            .arg("/proc/net/netstat")
            .netns(Some(&self.box_ns()))
            .output();
        let text = String::from_utf8_lossy(&out).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines.chunks_exact(2).find_map(|pair| {
            let at = pair[0].split(' ').position(|field| field == name)?;
            pair[1].split(' ').nth(at)?.parse().ok()
        })
    }

    /// The primary and the backup ingest; both can be reached over either uplink.
    pub fn ingests(&self) -> [Ipv4Addr; 2] {
        [Ipv4Addr::new(198, 18, 3, 2), Ipv4Addr::new(198, 18, 3, 3)]
    }

    /// The box's interface of that uplink.
    pub fn interface(&self, side: Side) -> String {
        format!("up{}", side.letter())
    }

    /// Pulls the plug at the far end: the box's interface loses its carrier and stays configured.
    pub fn unplug(&self, side: Side) {
        self.change(&self.gateway(side), "link set tobox down");
    }

    pub fn plug_in(&self, side: Side) {
        self.change(&self.gateway(side), "link set tobox up");
    }

    pub fn has_carrier(&self, side: Side) -> bool {
        let out = Launch::new("ip")
            .args(["-n", &self.box_ns(), "-br", "link", "show"])
            .arg(self.interface(side))
            .output();
        String::from_utf8_lossy(&out).contains("LOWER_UP")
    }

    /// The box's kernel no longer takes a route whose interface has no carrier, as a network manager would see to. Programs
    /// that know nothing of uplinks then leave by the other one.
    pub fn route_by_carrier(&self) {
        self.sysctl(
            &self.box_ns(),
            "net/ipv4/conf/all/ignore_routes_with_linkdown",
            "1",
        );
    }

    /// The gateway drops everything that it should pass on, both ways, and says nothing: the box keeps its carrier.
    pub fn blackhole(&self, side: Side) {
        self.change(&self.gateway(side), "rule add pref 1 blackhole");
    }

    pub fn end_blackhole(&self, side: Side) {
        self.change(&self.gateway(side), "rule del pref 1");
    }

    /// Narrows the way from the box to the ingests, behind the gateway, with a queue of `queue_ms` as a modem has.
    pub fn narrow(&self, side: Side, kbps: u32, queue_ms: u32) {
        self.tc(
            side,
            &format!(
                "qdisc replace dev toingest root tbf rate {kbps}kbit burst 8kb latency {queue_ms}ms"
            ),
        );
    }

    pub fn widen(&self, side: Side) {
        self.tc(side, "qdisc del dev toingest root");
    }

    /// Packets that the narrowed way has dropped: proof that it was too narrow.
    pub fn narrow_drops(&self, side: Side) -> u64 {
        let out = Launch::new("tc")
            .args([
                "-n",
                &self.gateway(side),
                "-s",
                "-j",
                "qdisc",
                "show",
                "dev",
                "toingest",
            ])
            .output();
        let all: serde_json::Value = serde_json::from_slice(&out).expect("tc prints JSON");
        all[0]["drops"].as_u64().unwrap_or(0)
    }

    /// What the box's interface of that uplink has carried.
    pub fn counters(&self, side: Side) -> Counters {
        self.read_counters(&self.box_ns(), &self.interface(side))
    }

    /// What the gateway has passed on towards the ingests (sent) and had back from them (received).
    pub fn passed_on(&self, side: Side) -> Counters {
        self.read_counters(&self.gateway(side), "toingest")
    }

    fn read_counters(&self, ns: &str, interface: &str) -> Counters {
        let out = Launch::new("ip")
            .args(["-n", ns, "-s", "-j", "link", "show", interface])
            .output();
        let all: serde_json::Value = serde_json::from_slice(&out).expect("ip prints JSON");
        let stats = &all[0]["stats64"];
        let number = |way: &str, what: &str| stats[way][what].as_u64().unwrap_or(0);
        Counters {
            sent_packets: number("tx", "packets"),
            sent_bytes: number("tx", "bytes"),
            received_packets: number("rx", "packets"),
            received_bytes: number("rx", "bytes"),
        }
    }

    #[track_caller]
    fn change(&self, ns: &str, script: &str) {
        if let Err(why) = ip(Some(ns), script) {
            panic!("the lab's network could not be changed: {why}");
        }
    }

    #[track_caller]
    fn tc(&self, side: Side, command: &str) {
        Launch::new("tc")
            .args(["-n", &self.gateway(side)])
            .args(command.split(' '))
            .output();
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        remove(|name| name.starts_with(&format!("{}-", self.name)));
    }
}

/// Runs lines of `ip` commands, in a namespace or outside, until one fails.
fn ip(ns: Option<&str>, script: &str) -> Result<(), String> {
    let mut command = Command::new("ip");
    if let Some(ns) = ns {
        command.args(["-n", ns]);
    }
    let failed = |e: std::io::Error| format!("ip (Debian package iproute2): {e}");
    let mut child = command
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(script.as_bytes()).map_err(failed)?;
    }
    let done = child.wait_with_output().map_err(failed)?;
    if done.status.success() {
        Ok(())
    } else {
        let said = String::from_utf8_lossy(&done.stderr);
        Err(said.trim().to_owned())
    }
}

fn remove(wanted: impl Fn(&str) -> bool) {
    let Ok(list) = Command::new("ip").args(["netns", "list"]).output() else {
        return;
    };
    for name in String::from_utf8_lossy(&list.stdout)
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| wanted(name))
    {
        // Whoever else has removed it already has done what was wanted.
        let _ = ip(None, &format!("netns del {name}"));
    }
}

/// Removes the labs of test processes that no longer run.
fn sweep() {
    remove(|name| {
        name.strip_prefix(PREFIX)
            .and_then(|rest| {
                rest.strip_prefix('-')?
                    .split('-')
                    .next()?
                    .parse::<u32>()
                    .ok()
            })
            .is_some_and(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media;
    use crate::nginx;
    use std::net::SocketAddr;
    use std::time::{Duration, Instant};

    /// Sends `bytes` zeros from the box over one uplink, by a socket bound to its device, to a sink at the ingest, and gives
    /// the time until the sink has them all.
    fn send(lab: &Lab, side: Side, bytes: u32, timeout: Duration) -> Option<Duration> {
        let port = crate::ports::free();
        let to = SocketAddr::from((lab.ingests()[0], port));
        let sink = Launch::new("/usr/bin/python3")
            .args(["-c", SINK, &to.ip().to_string(), &port.to_string()])
            .netns(Some(&lab.ingest_ns()))
            .spawn();
        crate::wait::must("the sink listens", Duration::from_secs(10), || {
            crate::ports::is_listening(sink.pid(), to).then_some(())
        });
        let start = Instant::now();
        let mut source = Launch::new("/usr/bin/python3")
            .args(["-c", SOURCE, &to.ip().to_string(), &port.to_string()])
            .args([lab.interface(side), bytes.to_string()])
            .netns(Some(&lab.box_ns()))
            .spawn();
        crate::wait::until(timeout, || source.try_status())
            .filter(|status| status.success())
            .map(|_| start.elapsed())
    }

    /// Whether the way is open. For some seconds after a cable was plugged in a busy kernel may still say that nobody answers.
    fn opens(lab: &Lab, side: Side) -> bool {
        (0..5).any(|_| send(lab, side, 1000, Duration::from_secs(10)).is_some())
    }

    const SINK: &str = "import socket,sys\n\
        s=socket.create_server((sys.argv[1],int(sys.argv[2])))\n\
        c,_=s.accept()\n\
        while c.recv(65536): pass\n\
        c.sendall(b'!')\n";
    const SOURCE: &str = "import socket,sys\n\
        s=socket.socket()\n\
        s.setsockopt(socket.SOL_SOCKET,socket.SO_BINDTODEVICE,sys.argv[3].encode())\n\
        s.connect((sys.argv[1],int(sys.argv[2])))\n\
        s.sendall(bytes(int(sys.argv[4])))\n\
        s.shutdown(socket.SHUT_WR)\n\
        assert s.recv(1)==b'!'\n";

    #[test]
    fn each_uplink_is_a_way_of_its_own_and_each_fault_happens() {
        let Some(lab) = Lab::or_skip("the network lab") else {
            return;
        };
        let soon = Duration::from_secs(10);
        let short = Duration::from_millis(1500);
        let before = Side::BOTH.map(|side| lab.counters(side));
        assert!(send(&lab, Side::A, 100_000, soon).is_some());
        let after = Side::BOTH.map(|side| lab.counters(side));
        assert!(after[0].sent_bytes > before[0].sent_bytes + 100_000);
        assert_eq!(
            after[1].sent_packets, before[1].sent_packets,
            "nothing may leave by B"
        );
        assert!(send(&lab, Side::B, 100_000, soon).is_some());
        assert!(lab.counters(Side::B).sent_bytes > 100_000);

        lab.unplug(Side::A);
        assert!(!lab.has_carrier(Side::A) && lab.has_carrier(Side::B));
        assert!(send(&lab, Side::A, 1000, short).is_none());
        assert!(opens(&lab, Side::B));
        lab.plug_in(Side::A);
        assert!(lab.has_carrier(Side::A));
        assert!(opens(&lab, Side::A));

        lab.blackhole(Side::A);
        let (sent, passed) = (lab.counters(Side::A), lab.passed_on(Side::A));
        assert!(lab.has_carrier(Side::A));
        assert!(send(&lab, Side::A, 1000, short).is_none());
        assert!(lab.counters(Side::A).sent_packets > sent.sent_packets);
        assert_eq!(lab.passed_on(Side::A).sent_packets, passed.sent_packets);
        assert!(opens(&lab, Side::B));
        lab.end_blackhole(Side::A);
        assert!(opens(&lab, Side::A));

        // 200 kB at 400 kb/s take four seconds, and at most a little less for what the first burst carries. So many that a busy
        // machine does not take as long for the wide ways.
        lab.narrow(Side::A, 400, 100);
        let slow = send(&lab, Side::A, 200_000, soon * 3).expect("slow is not broken");
        assert!(slow > Duration::from_millis(3400), "{slow:?}");
        assert!(lab.narrow_drops(Side::A) > 0);
        assert!(send(&lab, Side::B, 200_000, soon).is_some_and(|t| t < slow));
        lab.widen(Side::A);
        assert!(send(&lab, Side::A, 200_000, soon).is_some_and(|t| t < slow));
    }

    #[test]
    fn nginx_in_the_lab_records_what_the_box_publishes() {
        let Some(lab) = Lab::or_skip("nginx in the lab") else {
            return;
        };
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source.flv");
        media::encode_clip(&source, 3, 1000);
        let mut nginx = nginx::Setup::new(&dir.path().join("nginx"))
            .rtmp(SocketAddr::from((lab.ingests()[1], 1935)))
            .netns(&lab.ingest_ns())
            .start();
        Launch::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-re", "-i"])
            .arg(&source)
            .args(["-c", "copy", "-f", "flv"])
            .arg(format!("{}/key", nginx.rtmp_url()))
            .netns(Some(&lab.box_ns()))
            .output();
        assert_eq!(nginx.finish().len(), 1);
    }

    #[test]
    fn nothing_is_left_behind() {
        let Some(lab) = Lab::or_skip("clearing the lab away") else {
            return;
        };
        let name = lab.box_ns();
        let list = || {
            let out = Command::new("ip").args(["netns", "list"]).output().unwrap();
            String::from_utf8_lossy(&out.stdout).into_owned()
        };
        assert!(list().contains(&name));
        drop(lab);
        assert!(!list().contains(&name));
    }
}
