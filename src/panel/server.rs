//! The panel's listener: HTTP/1.1, over TLS where the network can see it. Shell.
//!
//! Strangers may connect, so everything that they can hold is bounded: connections, what a connection may send before it has
//! asked for anything, how long it takes over it, and how long it leaves an answer lying.

use super::gate::Transport;
use super::tls::Certificates;
use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;
use tracing::{debug, warn};

/// Twenty panels with all their sockets, several times over.
const CONNECTIONS: usize = 384;
const TLS_WITHIN: Duration = Duration::from_secs(8);
/// For a request's head, from the first byte on or from the answer before.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Of a request's head, in bytes and lines.
const HEAD: usize = 32 * 1024;
const HEAD_LINES: usize = 64;
/// What a peer has not acknowledged for so long it never will.
const DEAD_AFTER_MS: u32 = 20_000;
/// Unsent bytes that the kernel takes: what lies there can't be skipped any more.
const UNSENT: u32 = 128 * 1024;
/// Such as no descriptor being free.
const AFTER_TROUBLE: Duration = Duration::from_millis(200);

pub struct Server {
    listener: TcpListener,
    certificates: Option<Arc<Certificates>>,
    router: Router,
}

impl Server {
    pub async fn bind(
        listen: SocketAddr,
        certificates: Option<Certificates>,
        router: Router,
    ) -> std::io::Result<Self> {
        Ok(Server {
            listener: TcpListener::bind(listen).await?,
            certificates: certificates.map(Arc::new),
            router,
        })
    }

    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until it is dropped. Connections end with it.
    pub async fn run(self) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut strangers = Strangers::default();
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (stream, peer) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "the panel can't take a connection");
                    sleep(AFTER_TROUBLE).await;
                    continue;
                }
            };
            while connections.try_join_next().is_some() {}
            let place = match Arc::clone(&places).try_acquire_owned() {
                Ok(place) => Some(place),
                // Whoever has connected longest ago and asked for nothing goes.
                Err(_) if strangers.send_one_away() => places.clone().acquire_owned().await.ok(),
                Err(_) => None,
            };
            let Some(place) = place else {
                debug!(%peer, "the panel has too many connections");
                continue;
            };
            let asked = Arc::new(AtomicBool::new(false));
            let connection = Connection {
                peer,
                certificates: self.certificates.clone(),
                router: self.router.clone(),
                asked: Arc::clone(&asked),
            };
            let task = connections.spawn(connection.run(stream, place));
            strangers.came(asked, task);
        }
    }
}

/// Connections that have not asked for anything yet, the oldest first.
#[derive(Default)]
struct Strangers(VecDeque<(Arc<AtomicBool>, AbortHandle)>);

impl Strangers {
    /// `asked`: set as soon as it has.
    fn came(&mut self, asked: Arc<AtomicBool>, task: AbortHandle) {
        self.0
            .retain(|(asked, task)| !asked.load(Ordering::Relaxed) && !task.is_finished());
        self.0.push_back((asked, task));
    }

    fn send_one_away(&mut self) -> bool {
        while let Some((asked, task)) = self.0.pop_front() {
            if !asked.load(Ordering::Relaxed) && !task.is_finished() {
                task.abort();
                return true;
            }
        }
        false
    }
}

struct Connection {
    peer: SocketAddr,
    certificates: Option<Arc<Certificates>>,
    router: Router,
    /// It has sent a whole request's head.
    asked: Arc<AtomicBool>,
}

impl Connection {
    async fn run(self, stream: TcpStream, place: OwnedSemaphorePermit) {
        let socket = SockRef::from(&stream);
        // Without them it works as well, only later.
        let _ = stream.set_nodelay(true);
        let _ = socket.set_tcp_user_timeout(Some(Duration::from_millis(DEAD_AFTER_MS.into())));
        let _ = socket.set_tcp_notsent_lowat(UNSENT);
        match self.certificates.clone() {
            None => self.serve(stream, place).await,
            Some(certificates) => {
                let acceptor = TlsAcceptor::from(certificates.newest());
                match timeout(TLS_WITHIN, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => self.serve(stream, place).await,
                    // Whoever does not know the certificate goes away like this: no news.
                    Ok(Err(error)) => debug!(peer = %self.peer, %error, "no TLS with the panel"),
                    Err(_) => debug!(peer = %self.peer, "TLS with the panel took too long"),
                }
            }
        }
    }

    fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        place: OwnedSemaphorePermit,
    ) -> impl Future<Output = ()> + Send {
        let transport = Transport {
            at_the_box: false,
            tls: self.certificates.is_some(),
            address: Some(self.peer.ip()),
        };
        let place = Arc::new(place);
        let asked = self.asked;
        let service = service_fn(move |mut request: Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(transport);
            // Whoever makes a WebSocket of it keeps its place by this.
            request.extensions_mut().insert(Place(Arc::clone(&place)));
            self.router.clone().oneshot(request)
        });
        async move {
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_WITHIN)
                .max_headers(HEAD_LINES)
                .max_buf_size(HEAD)
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
            if let Err(error) = served {
                debug!(peer = %self.peer, %error, "a connection to the panel ended");
            }
        }
    }
}

/// One of the places for connections.
#[derive(Clone)]
pub struct Place(#[expect(dead_code, reason = "held, not read")] Arc<OwnedSemaphorePermit>);
