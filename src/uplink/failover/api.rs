//! What goes into the decision and what comes out of it. Pure.

use std::time::Instant;

pub type ConnectionId = u64;
pub type PathIndex = usize;

/// A way from the box to an ingest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Index of the uplink; None: the system's routing.
    pub uplink: Option<usize>,
    /// Index of the ingest: paths with the same number lead to the same server.
    pub ingest: usize,
    pub metered: bool,
}

/// Why a connection ended, as far as the decision needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Somebody answered and said no, or the name or the certificate is wrong: again after a short, growing wait.
    Refused,
    /// Nobody answered in time.
    NoAnswer,
    /// It was established and ended.
    Closed,
    /// The ingest still holds an earlier session on this key.
    Busy,
    /// The ingest refused and will refuse again.
    Final,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Carrier {
        uplink: usize,
        up: bool,
    },
    /// RTMP's connect was answered: ready to publish.
    Connected(ConnectionId),
    /// The ingest accepted the publish.
    Published(ConnectionId),
    Stalled {
        connection: ConnectionId,
        since: Instant,
    },
    /// Acknowledgements moved again after a stall. Saying it more than once does no harm.
    Progressed(ConnectionId),
    Closed {
        connection: ConnectionId,
        failure: Failure,
    },
    /// The server asks to be left for this path, which was added before.
    MoveRequested(PathIndex),
    /// No more standbys: what is left is being drained.
    Draining,
    Timeout,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Dial {
        connection: ConnectionId,
        path: PathIndex,
    },
    Publish(ConnectionId),
    /// Close without a word of RTMP: an aborted session must not look like a stopped one.
    Drop(ConnectionId),
}
