//! Names to addresses over one uplink, so that not even a DNS packet leaves by another interface. Shell.
//!
//! Without an uplink, the system's own resolution is used. What resolved once is remembered: in an outage of the
//! name server an ingest is still reached.

use crate::config::Uplink;
use futures_util::future::BoxFuture;
use hickory_resolver::Resolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::iocompat::AsyncIoTokioAsStd;
use hickory_resolver::net::runtime::{RuntimeProvider, TokioHandle, TokioTime};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

/// How long a name server is waited for when an earlier answer is at hand.
const REMEMBERED_WAIT: Duration = Duration::from_millis(300);
/// One try at a name server, well under the time in which a fresh dial is due again.
const QUERY_TIMEOUT: Duration = Duration::from_millis(1500);

#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    #[error("cannot resolve {host}: {reason}")]
    Failed { host: String, reason: String },
    #[error("cannot resolve {host}: the name has no address")]
    Empty { host: String },
}

/// Resolves names for one destination over one uplink.
pub struct Names {
    pinned: Option<Resolver<Pinned>>,
    /// The last answer for each name. The lock is held for no longer than a look-up in the map.
    remembered: Mutex<HashMap<String, Vec<IpAddr>>>,
}

impl Names {
    pub fn new(uplink: Option<&Uplink>) -> Result<Self, DnsError> {
        let Some(uplink) = uplink else {
            return Ok(Names::with(None));
        };
        let failed = |e: &dyn std::fmt::Display| DnsError::Failed {
            host: "any name".into(),
            reason: e.to_string(),
        };
        let (mut config, mut options) = hickory_resolver::system_conf::read_system_conf()
            .unwrap_or_else(|_| {
                (
                    ResolverConfig::from_name_servers(Vec::new()),
                    ResolverOpts::default(),
                )
            });
        if !uplink.dns.is_empty() {
            let servers = uplink
                .dns
                .iter()
                .map(|ip| NameServerConfig::udp_and_tcp(*ip))
                .collect();
            config = ResolverConfig::from_name_servers(servers);
        }
        options.timeout = QUERY_TIMEOUT;
        let provider = Pinned {
            interface: uplink.interface.clone(),
            handle: TokioHandle::default(),
        };
        let pinned = Resolver::builder_with_config(config, provider)
            .with_options(options)
            .build()
            .map_err(|e| failed(&e))?;
        Ok(Names::with(Some(pinned)))
    }

    fn with(pinned: Option<Resolver<Pinned>>) -> Self {
        Names {
            pinned,
            remembered: Mutex::default(),
        }
    }

    /// The addresses of `host`, which may be an address itself (also an IPv6 one in brackets).
    pub async fn resolve(
        self: &Arc<Self>,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, DnsError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let remembered = self.lock().get(host).cloned();
        let ips = match remembered {
            None => self.ask(host).await?,
            Some(earlier) => {
                // An answer that comes late is still noted, for the next dial.
                let (names, name) = (Arc::clone(self), host.to_owned());
                let asked = tokio::spawn(async move { names.ask(&name).await });
                match tokio::time::timeout(REMEMBERED_WAIT, asked).await {
                    Ok(Ok(Ok(ips))) => ips,
                    _ => earlier,
                }
            }
        };
        Ok(ips
            .into_iter()
            .map(|ip| SocketAddr::new(ip, port))
            .collect())
    }

    async fn ask(&self, host: &str) -> Result<Vec<IpAddr>, DnsError> {
        let failed = |reason: String| DnsError::Failed {
            host: host.to_owned(),
            reason,
        };
        let found: Vec<IpAddr> = match &self.pinned {
            None => {
                let answer = tokio::net::lookup_host((host, 0))
                    .await
                    .map_err(|e| failed(e.to_string()))?;
                answer.map(|address| address.ip()).collect()
            }
            Some(resolver) => {
                let answer = resolver
                    .lookup_ip(host)
                    .await
                    .map_err(|e| failed(e.to_string()))?;
                answer.iter().collect()
            }
        };
        if found.is_empty() {
            return Err(DnsError::Empty {
                host: host.to_owned(),
            });
        }
        self.lock().insert(host.to_owned(), found.clone());
        Ok(found)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<IpAddr>>> {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the resolver's sockets on one interface.
#[derive(Clone)]
struct Pinned {
    interface: String,
    handle: TokioHandle,
}

impl RuntimeProvider for Pinned {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = UdpSocket;
    type Tcp = AsyncIoTokioAsStd<TcpStream>;

    fn create_handle(&self) -> TokioHandle {
        self.handle.clone()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        _local: Option<SocketAddr>,
        wait_for: Option<Duration>,
    ) -> BoxFuture<'static, io::Result<Self::Tcp>> {
        let interface = self.interface.clone();
        Box::pin(async move {
            let socket = if server.is_ipv4() {
                TcpSocket::new_v4()
            } else {
                TcpSocket::new_v6()
            }?;
            socket.bind_device(Some(interface.as_bytes()))?;
            let connected =
                tokio::time::timeout(wait_for.unwrap_or(QUERY_TIMEOUT), socket.connect(server));
            Ok(AsyncIoTokioAsStd(
                connected.await.map_err(|_| io::ErrorKind::TimedOut)??,
            ))
        })
    }

    fn bind_udp(
        &self,
        local: SocketAddr,
        _server: SocketAddr,
    ) -> BoxFuture<'static, io::Result<UdpSocket>> {
        let interface = self.interface.clone();
        Box::pin(async move {
            let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
            socket.bind_device(Some(interface.as_bytes()))?;
            socket.set_nonblocking(true)?;
            socket.bind(&local.into())?;
            UdpSocket::from_std(socket.into())
        })
    }
}
