//! A webhook's request. Shell. hyper and rustls are there for other things; a client library would bring little more.

use super::message::{Message, Post, post};
use crate::config::Webhook;
use crate::uplink::tls;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const TIME_OUT: Duration = Duration::from_secs(20);
/// Of an answer that is read, in bytes.
const MOST: usize = 16 * 1024;

#[derive(Debug, thiserror::Error)]
pub(super) enum WebhookError {
    #[error("its address is none")]
    Address,
    #[error("{host} can't be reached: {reason}")]
    Reach { host: String, reason: String },
    #[error("{host} did not answer within {} s", TIME_OUT.as_secs())]
    Slow { host: String },
    #[error("{host} answered {status}{said}")]
    Refused {
        host: String,
        status: u16,
        said: String,
    },
}

impl WebhookError {
    /// Whether the same request may be answered otherwise later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            WebhookError::Address => false,
            WebhookError::Reach { .. } | WebhookError::Slow { .. } => true,
            WebhookError::Refused { status, .. } => {
                *status >= 500 || *status == 429 || *status == 408
            }
        }
    }
}

pub(super) async fn send(hook: &Webhook, message: &Message) -> Result<(), WebhookError> {
    let post = post(hook, message).ok_or(WebhookError::Address)?;
    let host = post.url.host_str().unwrap_or_default().to_owned();
    match tokio::time::timeout(TIME_OUT, deliver(hook, post, &host)).await {
        Ok(sent) => sent,
        Err(_) => Err(WebhookError::Slow { host }),
    }
}

async fn deliver(hook: &Webhook, post: Post, host: &str) -> Result<(), WebhookError> {
    let reach = |reason: String| WebhookError::Reach {
        host: host.to_owned(),
        reason,
    };
    let port = post
        .url
        .port_or_known_default()
        .ok_or(WebhookError::Address)?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((bare, port))
        .await
        .map_err(|error| reach(error.to_string()))?;
    let request = request(&post, host, port)?;
    if post.url.scheme() == "http" {
        return exchange(stream, request, host).await;
    }
    let config = tls::client_config(hook.tls_ca_file.as_deref())
        .map_err(|error| reach(error.to_string()))?;
    let name = ServerName::try_from(bare.to_owned()).map_err(|error| reach(error.to_string()))?;
    let stream = TlsConnector::from(config).connect(name, stream).await;
    exchange(
        stream.map_err(|error| reach(error.to_string()))?,
        request,
        host,
    )
    .await
}

fn request(post: &Post, host: &str, port: u16) -> Result<Request<Full<Bytes>>, WebhookError> {
    let path = &post.url[url::Position::BeforePath..url::Position::AfterQuery];
    let authority = match post.url.port() {
        Some(_) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let mut builder = Request::builder()
        .method(post.method)
        .uri(path)
        .header(header::HOST, authority);
    for (name, value) in &post.headers {
        builder = builder.header(*name, value);
    }
    let body = Full::new(Bytes::from(post.body.clone()));
    builder.body(body).map_err(|_| WebhookError::Address)
}

async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    host: &str,
) -> Result<(), WebhookError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let reach = |error: hyper::Error| WebhookError::Reach {
        host: host.to_owned(),
        reason: error.to_string(),
    };
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(reach)?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(reach)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MOST).collect().await;
    connection.abort();
    if status.is_success() {
        return Ok(());
    }
    let said = body.map(|body| body.to_bytes()).unwrap_or_default();
    let said: String = String::from_utf8_lossy(&said)
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect();
    let said = if said.is_empty() {
        said
    } else {
        format!(": {said}")
    };
    Err(WebhookError::Refused {
        host: host.to_owned(),
        status: status.as_u16(),
        said,
    })
}
