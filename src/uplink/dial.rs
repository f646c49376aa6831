//! Opens the socket of one connection: name, interface, TCP or MPTCP, options. Shell.

use super::dns::Names;
use super::error::ConnectionError;
use super::sockopt;
use crate::config::IngestUrl;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};

/// TCP's retransmission interval is capped at this: a path that comes back is used within it (HAZARDS: the kernel's
/// own interval doubles to 12 s and more). The kernel takes nothing under a second.
const MAX_RETRANSMISSION_INTERVAL: Duration = Duration::from_secs(1);
/// What the kernel may hold that was not yet sent once. Enough to keep 20 Mb/s busy for 50 ms.
const UNSENT_MAX: u32 = 128 * 1024;
/// Finds out that the path of an idle standby is dead, at a few bytes a second.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(5))
    .with_interval(Duration::from_secs(2))
    .with_retries(3);
/// With several addresses, how long each is given before the next is tried.
const PER_ADDRESS: Duration = Duration::from_millis(1500);

/// How to leave the box.
#[derive(Clone)]
pub struct Way {
    /// Every packet leaves by this interface; None: the system's routing.
    pub interface: Option<String>,
    pub names: std::sync::Arc<Names>,
    pub mptcp: bool,
}

pub async fn dial(way: &Way, server: &IngestUrl) -> Result<TcpStream, ConnectionError> {
    let addresses = way.names.resolve(&server.host, server.port).await?;
    let several = addresses.len() > 1;
    let mut last = None;
    for address in addresses {
        let attempt = connect(way, address);
        let result = if several {
            let timed_out = || {
                Err(ConnectionError::NoAnswer {
                    address: address.to_string(),
                })
            };
            tokio::time::timeout(PER_ADDRESS, attempt)
                .await
                .unwrap_or_else(|_| timed_out())
        } else {
            attempt.await
        };
        match result {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    // `resolve` gives at least one address, so there was an attempt and it failed.
    Err(last.unwrap_or_else(|| ConnectionError::NoAnswer {
        address: server.host.clone(),
    }))
}

async fn connect(way: &Way, address: SocketAddr) -> Result<TcpStream, ConnectionError> {
    let socket = open(way, address)?;
    let stream = TcpSocket::from_std_stream(socket.into())
        .connect(address)
        .await
        .map_err(|error| {
            let address = address.to_string();
            match error.kind() {
                io::ErrorKind::ConnectionRefused => ConnectionError::Refused { address },
                io::ErrorKind::TimedOut => ConnectionError::NoAnswer { address },
                _ => ConnectionError::Unreachable { address, error },
            }
        })?;
    Ok(stream)
}

fn open(way: &Way, address: SocketAddr) -> Result<Socket, ConnectionError> {
    let unusable = |error| ConnectionError::Unreachable {
        address: address.to_string(),
        error,
    };
    let domain = Domain::for_address(address);
    let multipath = way
        .mptcp
        .then(|| Socket::new(domain, Type::STREAM, Some(Protocol::MPTCP)));
    let socket = match multipath {
        Some(Ok(socket)) => socket,
        // A kernel without MPTCP: plain TCP does the same over one path.
        _ => Socket::new(domain, Type::STREAM, Some(Protocol::TCP)).map_err(unusable)?,
    };
    if let Some(interface) = &way.interface {
        socket
            .bind_device(Some(interface.as_bytes()))
            .map_err(|error| ConnectionError::Interface {
                interface: interface.clone(),
                error,
            })?;
    }
    socket.set_nonblocking(true).map_err(unusable)?;
    socket.set_tcp_nodelay(true).map_err(unusable)?;
    SockRef::from(&socket)
        .set_tcp_keepalive(&KEEPALIVE)
        .map_err(unusable)?;
    // The last two are improvements: kernels (or MPTCP) that refuse them still deliver.
    if let Err(error) = sockopt::set_unsent_low_water(&socket, UNSENT_MAX) {
        tracing::trace!(%error, "TCP_NOTSENT_LOWAT is not available");
    }
    if let Err(error) =
        sockopt::set_max_retransmission_interval(&socket, MAX_RETRANSMISSION_INTERVAL)
    {
        tracing::trace!(%error, "TCP_RTO_MAX_MS is not available");
    }
    Ok(socket)
}
