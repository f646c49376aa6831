//! The ways of one lane, with those that servers send it to.

use crate::config::IngestUrl;
use crate::uplink::dial::Way;
use crate::uplink::failover::{Path, PathIndex};
use tracing::warn;

/// A hostile server could name a new place each second.
const ROUTES_MAX: usize = 12;

/// A way from the box to an ingest, with all that dialling it needs.
#[derive(Clone)]
pub struct Route {
    pub path: Path,
    pub server: IngestUrl,
    pub way: Way,
    /// The uplink's id.
    pub uplink: Option<String>,
}

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.server.host, self.server.port)?;
        match &self.uplink {
            Some(uplink) => write!(f, " over {uplink}"),
            None => Ok(()),
        }
    }
}

/// Where a server's ReconnectRequest leads.
#[derive(Debug, PartialEq, Eq)]
pub enum Target {
    Known(PathIndex),
    /// Added at the end.
    New(Path),
    /// It is not followed; the log says why.
    None,
}

/// In order of preference, at least one; those that servers named come last.
#[derive(Clone)]
pub struct Routes(Vec<Route>);

impl Routes {
    pub fn new(routes: Vec<Route>) -> Self {
        Routes(routes)
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Route> {
        self.0.iter()
    }

    /// The path for a ReconnectRequest that came over `path`: a new one when it names another URL, else the same.
    pub fn target(&mut self, path: PathIndex, tc_url: Option<&str>) -> Target {
        let Some(tc_url) = tc_url else {
            return Target::Known(path);
        };
        let here = &self.0[path];
        let server = match crate::config::ingest_url::resolve(&here.server, tc_url) {
            Ok(server) => server,
            Err(reason) => {
                warn!(%reason, "the server asks us to reconnect, and we stay");
                return Target::None;
            }
        };
        if here.server.tls && !server.tls {
            warn!(url = %server.public(), "the server asks us to reconnect without TLS, which would show the key: we stay");
            return Target::None;
        }
        let known = |route: &Route| route.server == server && route.path.uplink == here.path.uplink;
        if let Some(known) = self.0.iter().position(known) {
            return Target::Known(known);
        }
        if self.0.len() >= ROUTES_MAX {
            warn!(url = %server.public(), "the server asks us to reconnect to ever more places: we stay");
            return Target::None;
        }
        let mut route = here.clone();
        let ingests = self.0.iter().map(|route| route.path.ingest);
        // 0 and 1 are the configured ones.
        route.path.ingest = 1 + ingests.max().unwrap_or(0).max(1);
        route.server = server;
        let path = route.path.clone();
        self.0.push(route);
        Target::New(path)
    }
}

impl std::ops::Index<PathIndex> for Routes {
    type Output = Route;

    fn index(&self, path: PathIndex) -> &Route {
        &self.0[path]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ingest_url::parse;
    use crate::uplink::dns::Names;

    fn routes(server: &str) -> Routes {
        let route = |uplink: usize| Route {
            path: Path {
                uplink: Some(uplink),
                ingest: 0,
                metered: false,
            },
            server: parse(server).unwrap(),
            way: Way {
                interface: None,
                names: Names::new(None).unwrap().into(),
                mptcp: false,
            },
            uplink: Some(["fibre", "lte"][uplink].into()),
        };
        Routes::new(vec![route(0), route(1)])
    }

    #[test]
    fn a_request_without_a_url_means_the_same_server() {
        let mut routes = routes("rtmps://a.example/live");
        assert_eq!(routes.target(1, None), Target::Known(1));
    }

    #[test]
    fn a_new_server_is_a_new_ingest_on_the_same_uplink() {
        let mut routes = routes("rtmps://a.example/live");
        let other = Some("rtmps://b.example/live");
        let Target::New(path) = routes.target(1, other) else {
            panic!("not followed");
        };
        assert_eq!((path.uplink, path.ingest), (Some(1), 2));
        assert_eq!(routes.target(1, other), Target::Known(2));
        assert_eq!(routes[2].to_string(), "b.example:443 over lte");
    }

    #[test]
    fn no_way_from_tls_to_plain_nor_to_ever_more_places() {
        let mut routes = routes("rtmps://a.example/live");
        let plain = routes.target(0, Some("rtmp://b.example/live"));
        assert_eq!(plain, Target::None);
        for n in 0..30 {
            routes.target(0, Some(&format!("rtmps://host{n}.example/live")));
        }
        assert_eq!(routes.iter().count(), ROUTES_MAX);
    }
}
