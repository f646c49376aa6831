//! One request to the daemon's socket.

use anyhow::{anyhow, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::path::Path;
use tokio::net::UnixStream;

/// Whether a daemon answers on the socket.
pub async fn is_there(socket: &Path) -> bool {
    UnixStream::connect(socket).await.is_ok()
}

/// Posts `body` (or gets, without one) and gives the answer's JSON. An answer that is a problem is an error with its title.
pub async fn request(socket: &Path, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
    let method = if body.is_some() { "POST" } else { "GET" };
    request_by(socket, method, path, body).await
}

/// The same by another method.
pub async fn request_by(
    socket: &Path,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> anyhow::Result<Value> {
    let body = body.map_or_else(String::new, |body| body.to_string());
    let answer = request_text(socket, method, path, "application/json", body).await?;
    Ok(serde_json::from_str(&answer).unwrap_or(Value::Null))
}

/// Sends text of that type and gives the answer's text. An answer that is a problem is an error with its title.
pub async fn request_text(
    socket: &Path,
    method: &str,
    path: &str,
    kind: &str,
    body: String,
) -> anyhow::Result<String> {
    let stream = UnixStream::connect(socket).await.map_err(|error| {
        anyhow!(
            "no daemon answers on {} ({error}); is `regia run` up, and with the same --state?",
            socket.display()
        )
    })?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "regia")
        .header(header::CONTENT_TYPE, kind)
        .body(Full::new(Bytes::from(body)))?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let bytes = answer.into_body().collect().await?.to_bytes();
    if !status.is_success() {
        let value: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        let title = value.get("title").and_then(Value::as_str);
        bail!(
            "{}",
            title.map_or_else(
                || String::from_utf8_lossy(&bytes).into_owned(),
                str::to_owned
            )
        );
    }
    Ok(String::from_utf8(bytes.into())?)
}
