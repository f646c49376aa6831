//! The end in order, after an operator's stop.

use super::{Connection, Event, READ_BUFFER};
use crate::uplink::error::ConnectionError;
use crate::uplink::sockopt;
use std::io;
use std::time::{Duration, Instant};
use tokio::time::timeout_at;

/// After the last byte of a stopped broadcast, the time for the peer to take it and close.
const GOODBYE: Duration = Duration::from_secs(3);
/// How often is looked whether it has acknowledged it.
const LOOK: Duration = Duration::from_millis(50);

impl Connection {
    /// The operator's stop: RTMP's own words, then TLS's, then TCP's, each after all that comes before it has left.
    pub(super) async fn say_goodbye(&mut self) -> Result<Event, ConnectionError> {
        self.publisher.finish();
        self.seal_control()?;
        // From here on the socket is closed in order, not reset.
        let _ = socket2::SockRef::from(&self.socket).set_linger(None);
        let deadline = (Instant::now() + GOODBYE).into();
        let done = timeout_at(deadline, async {
            while self.sent < self.out.len() {
                self.flush()?;
                self.socket.writable().await.map_err(ConnectionError::Io)?;
            }
            self.wire.close(&mut self.out);
            self.flush()?;
            let mut buffer = [0u8; READ_BUFFER];
            while sockopt::unacknowledged(&self.socket).unwrap_or(0) > 0 {
                tokio::time::sleep(LOOK).await;
            }
            // Our side is closed in order; what the server still says is read, so that its last words reset nothing.
            let _ = socket2::SockRef::from(&self.socket).shutdown(std::net::Shutdown::Write);
            loop {
                self.socket.readable().await.map_err(ConnectionError::Io)?;
                match self.socket.try_read(&mut buffer) {
                    Ok(0) => return Ok(()),
                    // A socket that always has more to read would never let the deadline be looked at.
                    Ok(_) => tokio::task::yield_now().await,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(ConnectionError::Io(error)),
                }
            }
        });
        match done.await {
            Ok(Err(error)) => tracing::debug!(%error, "the server did not wait for the end"),
            Ok(Ok(())) => {}
            Err(_) => tracing::debug!("the server did not close its side in time"),
        }
        Ok(Event::Finished)
    }
}
