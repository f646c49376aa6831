//! The socket options and queries that no safe library offers. The only file with `unsafe`: each block
//! is one getsockopt, setsockopt or ioctl on a borrowed descriptor that is open for the whole call, with a
//! pointer to a local of the length that is passed.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

/// Caps TCP's retransmission interval; Linux 6.15 (include/uapi/linux/tcp.h). libc has no name for it yet.
const TCP_RTO_MAX_MS: libc::c_int = 44;

/// Bytes written to the socket that the peer's TCP has not acknowledged (ioctl SIOCOUTQ, tcp(7)). Exact for
/// TCP and MPTCP alike, where `tcpi_bytes_acked` also counts the SYN and knows only one subflow.
pub fn unacknowledged(socket: impl AsFd) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: TIOCOUTQ (= SIOCOUTQ) writes one c_int to the pointer.
    let rc = unsafe { libc::ioctl(raw(&socket.as_fd()), libc::TIOCOUTQ, &mut bytes) };
    check(rc)?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// The kernel's smoothed round-trip time (TCP_INFO, tcpi_rtt).
pub fn round_trip(socket: impl AsFd) -> io::Result<Duration> {
    let info = tcp_info(&socket.as_fd())?;
    Ok(Duration::from_micros(u64::from(info.tcpi_rtt)))
}

/// Bytes that the peer has beyond a hole, and has said so (TCP_INFO, tcpi_sacked): with those acknowledged they are all that the
/// way has carried.
pub fn selectively_acknowledged(socket: impl AsFd) -> io::Result<u64> {
    let info = tcp_info(&socket.as_fd())?;
    Ok(u64::from(info.tcpi_sacked) * u64::from(info.tcpi_snd_mss))
}

fn tcp_info(fd: &BorrowedFd<'_>) -> io::Result<libc::tcp_info> {
    // SAFETY: tcp_info is plain integers, for which zero is a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut len = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes to `info` and the length written to `len`.
    let rc = unsafe {
        libc::getsockopt(
            raw(fd),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &mut len,
        )
    };
    check(rc)?;
    Ok(info)
}

/// Caps the retransmission interval, so that a path that comes back is used soon. Kernels before 6.15 refuse.
pub fn set_max_retransmission_interval(socket: impl AsFd, interval: Duration) -> io::Result<()> {
    set_int(
        &socket.as_fd(),
        TCP_RTO_MAX_MS,
        interval.as_millis() as libc::c_int,
    )
}

/// Keeps what the kernel holds unsent below `bytes`: the socket is writable only under it (tcp(7)), so that the
/// backlog stays in the window, where it can still be shed.
pub fn set_unsent_low_water(socket: impl AsFd, bytes: u32) -> io::Result<()> {
    set_int(
        &socket.as_fd(),
        libc::TCP_NOTSENT_LOWAT,
        bytes as libc::c_int,
    )
}

fn set_int(fd: &BorrowedFd<'_>, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the kernel reads one c_int from the pointer.
    let rc = unsafe {
        libc::setsockopt(
            raw(fd),
            libc::IPPROTO_TCP,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    check(rc)
}

fn raw(fd: &BorrowedFd<'_>) -> libc::c_int {
    fd.as_raw_fd()
}

fn check(rc: libc::c_int) -> io::Result<()> {
    if rc == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn unacknowledged_bytes_are_counted_until_the_peer_has_them() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        assert_eq!(unacknowledged(&socket).unwrap(), 0);
        // The peer reads nothing: once its buffer and ours are full, what it has not acknowledged stays counted.
        let mut written = 0;
        while let Ok(n) = socket.write(&[0; 65536]) {
            written += n;
        }
        let waiting = unacknowledged(&socket).unwrap();
        assert!(waiting > 0 && waiting <= written, "{waiting} of {written}");
        let mut left = written;
        let mut buffer = [0; 65536];
        while left > 0 {
            left -= peer.read(&mut buffer).unwrap();
        }
        assert_eq!(unacknowledged(&socket).unwrap(), 0);
        assert!(round_trip(&socket).unwrap() < Duration::from_secs(10));
        set_unsent_low_water(&socket, 128 * 1024).unwrap();
    }
}
