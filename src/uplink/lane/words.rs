//! What a lane tells the operator of its troubles: each once until it changes.

use super::Lane;
use crate::uplink::error::ConnectionError;
use crate::uplink::failover::{ConnectionId, PUBLISH_ANSWER};
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// The same trouble is logged again after this long.
const REPEAT_LOG: Duration = Duration::from_secs(30);

impl Lane {
    /// Keeps the error for the operator, and logs it once until it changes or has been silent for a while.
    pub(super) fn note_error(
        &mut self,
        now: Instant,
        id: ConnectionId,
        error: &ConnectionError,
        carried: bool,
    ) {
        let Some(path) = self.connections.get(&id).map(|handle| handle.path) else {
            return;
        };
        let text = error.to_string();
        let repeated = |(logged, at): &(String, Instant)| {
            *logged == text && now.duration_since(*at) < REPEAT_LOG
        };
        if carried || !self.logged.get(&path).is_some_and(repeated) {
            if self.failover.on_air().is_some() && !carried {
                info!(path = %self.path_of(id), "standby: {text}");
            } else {
                warn!(path = %self.path_of(id), "{text}");
            }
            self.logged.insert(path, (text.clone(), now));
        }
        if carried || self.failover.on_air().is_none() {
            self.status.error = Some(text);
        }
    }

    /// A publish that is given up because nobody answered it ends in no error of its connection's.
    pub(super) fn note_unanswered(&mut self, now: Instant, id: ConnectionId) {
        let Some(handle) = self.connections.get(&id) else {
            return;
        };
        let expired = |asked| now.duration_since(asked) >= PUBLISH_ANSWER;
        if handle.asked.is_some_and(expired) {
            let server = &self.routes[handle.path].server;
            let address = format!("{}:{}", server.host, server.port);
            let error = ConnectionError::PublishUnanswered { address };
            self.note_error(now, id, &error, false);
        }
    }
}
