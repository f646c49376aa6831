//! Ports for servers, and knowing from outside whether a process listens, in whatever network namespace it lives.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the kernel's ephemeral range (32768 on), so that no outgoing connection takes a port between our finding it
/// free and the server's binding it. The start depends on the process, so that parallel test programs rarely meet.
const FIRST: u16 = 20_000;
const SPAN: u16 = 12_000;

/// A TCP port on loopback that nobody listens on; another one at each call.
pub fn free() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id().wrapping_mul(97) % u32::from(SPAN)) as u16;
    for _ in 0..SPAN {
        let port = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed) % SPAN) % SPAN;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + SPAN);
}

pub fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, free()))
}

/// Whether someone listens on `addr` (IPv4, or the port on any address) in the network namespace of `pid`. Makes no
/// connection, so that it disturbs no count of them.
pub fn is_listening(pid: u32, addr: SocketAddr) -> bool {
    let Ok(table) = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")) else {
        return false;
    };
    listens(&table, addr)
}

/// Bytes that have arrived on `addr` (IPv4), in the network namespace of `pid`, and that the server has not read.
pub fn unread(pid: u32, addr: SocketAddr) -> u64 {
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")).unwrap_or_default();
    unread_in(&table, addr)
}

/// What one end of an established connection has sent without an acknowledgement yet, and received without reading it, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    pub unacknowledged: u64,
    pub unread: u64,
}

/// The queues of the connection from `local` to `peer` (IPv4), where the calling thread's network namespace has that end.
pub fn queues(local: SocketAddr, peer: SocketAddr) -> Option<Queues> {
    let table = std::fs::read_to_string("/proc/thread-self/net/tcp").ok()?;
    established(&table)
        .find_map(|(ends, queues)| (ends == [hex(local)?, hex(peer)?]).then_some(queues))
}

fn unread_in(table: &str, addr: SocketAddr) -> u64 {
    let local = hex(addr);
    established(table)
        .filter(|(ends, _)| local.as_deref() == Some(ends[0]))
        .map(|(_, queues)| queues.unread)
        .sum()
}

/// Local and remote address and the queues of each connection. State 01 is ESTABLISHED; the queues are `sent:received` in hex.
fn established(table: &str) -> impl Iterator<Item = ([&str; 2], Queues)> {
    table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, remote, "01", queues, ..] = fields[..] else {
            return None;
        };
        let (sent, received) = queues.split_once(':')?;
        let queues = Queues {
            unacknowledged: u64::from_str_radix(sent, 16).ok()?,
            unread: u64::from_str_radix(received, 16).ok()?,
        };
        Some(([local, remote], queues))
    })
}

/// An address as the kernel's table writes it; it has IPv4 only.
fn hex(addr: SocketAddr) -> Option<String> {
    let SocketAddr::V4(addr) = addr else {
        return None;
    };
    let host = u32::from_ne_bytes(addr.ip().octets());
    Some(format!("{host:08X}:{:04X}", addr.port()))
}

/// `table`: proc_pid_net(5), the kernel's list of IPv4 sockets; state 0A is LISTEN, addresses are in host order.
fn listens(table: &str, addr: SocketAddr) -> bool {
    let Some(exact) = hex(addr) else {
        return false;
    };
    let any = format!("00000000:{:04X}", addr.port());
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next();
        let state = fields.nth(1);
        state == Some("0A") && (local == Some(exact.as_str()) || local == Some(any.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_listening_is_seen() {
        let (a, b) = (loopback(), loopback());
        assert_ne!(a, b);
        let me = std::process::id();
        assert!(!is_listening(me, a));
        let _listener = TcpListener::bind(a).unwrap();
        assert!(is_listening(me, a));
        assert!(!is_listening(me, b));
    }

    #[test]
    fn what_a_server_has_not_read_is_counted() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let mut client = std::net::TcpStream::connect(addr).unwrap();
        let _server = listener.accept().unwrap();
        assert_eq!(unread(std::process::id(), addr), 0);
        std::io::Write::write_all(&mut client, &[7; 1234]).unwrap();
        crate::wait::must("arrived", std::time::Duration::from_secs(5), || {
            (unread(std::process::id(), addr) == 1234).then_some(())
        });
        let ends = (client.local_addr().unwrap(), addr);
        assert_eq!(queues(ends.0, ends.1), Some(Queues::default()));
        let server = queues(ends.1, ends.0).unwrap();
        assert_eq!((server.unacknowledged, server.unread), (0, 1234));
    }
}
