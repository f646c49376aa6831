//! How the rehearsed platform treats a publisher: who may publish on which key, for how long, and who may come
//! back. Pure: times come in as arguments.

use super::platform::Platform;
use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

/// A stream key, which is never shown whole.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StreamKey(String);

impl StreamKey {
    /// Some platforms give no key: the application's name then tells the streams apart.
    pub fn new(app: &str, key: &str) -> Self {
        StreamKey(if key.is_empty() { app } else { key }.to_owned())
    }

    /// What of the application's name may be shown: its first segment. What follows may hold a key, and where the
    /// publisher gave none, the name is the key.
    pub fn shown_app(&self, app: &str) -> String {
        let first = app.split(['/', '?']).next().unwrap_or_default();
        if self.0 == app {
            "…".to_owned()
        } else if first.len() < app.len() {
            format!("{first}/…")
        } else {
            first.to_owned()
        }
    }

    /// The key's last characters, at most four and at most a third of it, without what a terminal or a file name could
    /// take for something else.
    pub fn tail(&self) -> String {
        let letters = self.0.chars().count();
        self.0
            .chars()
            .skip(letters - (letters / 3).min(4))
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect()
    }
}

impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "…{}", self.tail())
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "StreamKey({self})")
    }
}

/// What happens to a second publish on a key that is being published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondPublish {
    /// It is refused with BadName; after an unclean end the dead publisher is held on to this much longer.
    Refuse { ghost: Duration },
    /// The newcomer takes the stream over, and the older connection is closed.
    TakeOver,
}

#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub platform: Platform,
    /// Instead of the platform's own longest session.
    pub limit: Option<Duration>,
    pub second_publish: SecondPublish,
}

impl Rules {
    pub fn limit(&self) -> Option<Duration> {
        self.limit.or(self.platform.longest())
    }
}

/// How a publish ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// FCUnpublish or a close of the stream, without deleteStream.
    Unpublished,
    /// deleteStream.
    Deleted,
    /// The connection ended without either.
    Lost,
    /// This ingest cut it at the longest session.
    Limit,
    /// Another connection took the key over.
    TakenOver,
    /// This ingest was stopped.
    Shutdown,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            End::Unpublished => "unpublished by its publisher",
            End::Deleted => "ended by its publisher",
            End::Lost => "the connection ended without FCUnpublish or deleteStream",
            End::Limit => "cut at the longest session",
            End::TakenOver => "taken over by another connection",
            End::Shutdown => "this ingest was stopped",
        })
    }
}

/// Names one connection for the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Publish; the session is cut at `until`.
    Accept {
        until: Option<Instant>,
    },
    /// Close this connection, then ask again.
    TakeOver {
        from: ConnectionId,
    },
    Refuse(Refusal),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The onStatus code.
    pub code: &'static str,
    /// For the publisher's operator.
    pub description: String,
}

pub const BAD_NAME: &str = "NetStream.Publish.BadName";
pub const DENIED: &str = "NetStream.Publish.Denied";

#[derive(Debug)]
enum KeyState {
    Publishing(ConnectionId),
    /// A publisher whose connection is dead, which the platform doesn't know yet.
    Ghost {
        until: Instant,
    },
    Idle,
    Closed(End),
}

#[derive(Debug)]
struct Broadcast {
    began: Instant,
    state: KeyState,
}

/// Decides for all keys of one ingest.
#[derive(Debug)]
pub struct Gatekeeper {
    rules: Rules,
    broadcasts: HashMap<StreamKey, Broadcast>,
}

/// Keys remembered. Whoever tries more has to start the rehearsal anew: forgetting one would let a closed broadcast
/// come back.
const MAX_KEYS: usize = 1_024;

impl Gatekeeper {
    pub fn new(rules: Rules) -> Self {
        Gatekeeper {
            rules,
            broadcasts: HashMap::new(),
        }
    }

    pub fn request(&mut self, now: Instant, key: &StreamKey, from: ConnectionId) -> Answer {
        if let Some(broadcast) = self.broadcasts.get(key) {
            match (&broadcast.state, self.rules.second_publish) {
                (KeyState::Closed(end), _) => return Answer::Refuse(self.closed(*end)),
                // Where a broken connection closes the event, a newcomer must not break it.
                (KeyState::Publishing(other), SecondPublish::TakeOver)
                    if *other != from && !self.rules.platform.interruption_is_final() =>
                {
                    return Answer::TakeOver { from: *other };
                }
                (KeyState::Publishing(_), _) => {
                    return Answer::Refuse(Refusal {
                        code: BAD_NAME,
                        description: "Stream already publishing: another connection publishes on \
                                      this key."
                            .into(),
                    });
                }
                (KeyState::Ghost { until }, _) if *until > now => {
                    let rest = (*until - now).as_secs_f64();
                    return Answer::Refuse(Refusal {
                        code: BAD_NAME,
                        description: format!(
                            "Stream already publishing: the connection that broke off is held for \
                             another {rest:.1} s."
                        ),
                    });
                }
                (KeyState::Ghost { .. } | KeyState::Idle, _) => {}
            }
        } else if self.broadcasts.len() >= MAX_KEYS {
            return Answer::Refuse(Refusal {
                code: DENIED,
                description: format!("This ingest has seen {MAX_KEYS} keys and takes no more."),
            });
        }
        let began = self.broadcasts.get(key).map_or(now, |b| b.began);
        let until = self.rules.limit().map(|limit| began + limit);
        if until.is_some_and(|until| until <= now) {
            return Answer::Refuse(self.closed(End::Limit));
        }
        self.broadcasts.insert(
            key.clone(),
            Broadcast {
                began,
                state: KeyState::Publishing(from),
            },
        );
        Answer::Accept { until }
    }

    /// The publish of `from` on `key` ended.
    pub fn ended(&mut self, now: Instant, key: &StreamKey, from: ConnectionId, end: End) {
        let Some(broadcast) = self.broadcasts.get_mut(key) else {
            return;
        };
        if !matches!(broadcast.state, KeyState::Publishing(owner) if owner == from) {
            return;
        }
        broadcast.state = match (end, self.rules.second_publish) {
            (End::Limit, _) => KeyState::Closed(end),
            _ if self.rules.platform.closes_on(end) => KeyState::Closed(end),
            (End::Lost, SecondPublish::Refuse { ghost }) if !ghost.is_zero() => {
                KeyState::Ghost { until: now + ghost }
            }
            _ => KeyState::Idle,
        };
    }

    fn closed(&self, end: End) -> Refusal {
        let name = self.rules.platform.name();
        let description = match end {
            End::Limit => {
                let limit = self.rules.limit().unwrap_or_default().as_secs_f64();
                format!(
                    "This broadcast reached its longest, {limit} s, and was closed. {name} takes no \
                     further publish on this key: use the key of a new event."
                )
            }
            End::Deleted | End::Unpublished => format!(
                "This broadcast was ended by its publisher. {name} takes no further publish on this \
                 key: use the key of a new event."
            ),
            End::Lost | End::TakenOver | End::Shutdown => format!(
                "This broadcast was interrupted. {name} closes the event with that, and takes no \
                 further publish on this key: use the key of a new event."
            ),
        };
        Refusal {
            code: DENIED,
            description,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ConnectionId = ConnectionId(1);
    const B: ConnectionId = ConnectionId(2);
    const SECOND: Duration = Duration::from_secs(1);

    fn gate(platform: Platform, second_publish: SecondPublish) -> (Gatekeeper, StreamKey, Instant) {
        let rules = Rules {
            platform,
            limit: None,
            second_publish,
        };
        let key = StreamKey::new("live", "abcd-efgh-ijkl-x7Qd");
        (Gatekeeper::new(rules), key, Instant::now())
    }

    fn refuse(ghost_s: u64) -> SecondPublish {
        SecondPublish::Refuse {
            ghost: Duration::from_secs(ghost_s),
        }
    }

    fn refused(answer: Answer) -> Refusal {
        match answer {
            Answer::Refuse(refusal) => refusal,
            other => panic!("{other:?} is no refusal"),
        }
    }

    #[test]
    fn linkedin_closes_with_an_interruption() {
        let (mut gate, key, now) = gate(Platform::LinkedIn, refuse(0));
        assert_eq!(
            gate.request(now, &key, A),
            Answer::Accept {
                until: Some(now + 4 * 3600 * SECOND)
            }
        );
        gate.ended(now + SECOND, &key, A, End::Lost);
        assert_eq!(
            refused(gate.request(now + 2 * SECOND, &key, B)),
            Refusal {
                code: DENIED,
                description:
                    "This broadcast was interrupted. LinkedIn closes the event with that, \
                              and takes no further publish on this key: use the key of a new event."
                        .into()
            }
        );
        let other = StreamKey::new("live", "another-key-of-another-event");
        assert!(matches!(
            gate.request(now, &other, B),
            Answer::Accept { .. }
        ));
    }

    #[test]
    fn linkedin_closes_with_a_clean_end_too() {
        let (mut gate, key, now) = gate(Platform::LinkedIn, refuse(0));
        gate.request(now, &key, A);
        gate.ended(now, &key, A, End::Unpublished);
        assert_eq!(
            refused(gate.request(now, &key, B)).description,
            "This broadcast was ended by its publisher. LinkedIn takes no further publish on this \
             key: use the key of a new event."
        );
    }

    #[test]
    fn the_limit_counts_from_the_broadcasts_first_publish() {
        let (mut gate, key, now) = gate(Platform::Facebook, refuse(0));
        gate.rules.limit = Some(10 * SECOND);
        gate.request(now, &key, A);
        gate.ended(now + 6 * SECOND, &key, A, End::Lost);
        assert_eq!(
            gate.request(now + 7 * SECOND, &key, B),
            Answer::Accept {
                until: Some(now + 10 * SECOND)
            }
        );
        gate.ended(now + 10 * SECOND, &key, B, End::Limit);
        assert_eq!(
            refused(gate.request(now + 11 * SECOND, &key, B)).description,
            "This broadcast reached its longest, 10 s, and was closed. Facebook takes no further \
             publish on this key: use the key of a new event."
        );
    }

    #[test]
    fn a_limit_that_passed_while_nobody_published_holds_too() {
        let (mut gate, key, now) = gate(Platform::Custom, refuse(0));
        gate.rules.limit = Some(10 * SECOND);
        gate.request(now, &key, A);
        gate.ended(now + SECOND, &key, A, End::Lost);
        assert_eq!(
            refused(gate.request(now + 10 * SECOND, &key, B)).code,
            DENIED
        );
    }

    #[test]
    fn facebook_ends_on_delete_stream_only() {
        for (end, comes_back) in [
            (End::Deleted, false),
            (End::Unpublished, true),
            (End::Lost, true),
        ] {
            let (mut gate, key, now) = gate(Platform::Facebook, refuse(0));
            gate.request(now, &key, A);
            gate.ended(now, &key, A, end);
            let accepted = matches!(gate.request(now, &key, B), Answer::Accept { .. });
            assert_eq!(accepted, comes_back, "{end:?}");
        }
    }

    #[test]
    fn a_ghost_is_held_and_let_go() {
        let (mut gate, key, now) = gate(Platform::YouTube, refuse(8));
        gate.request(now, &key, A);
        assert_eq!(
            refused(gate.request(now, &key, B)),
            Refusal {
                code: BAD_NAME,
                description: "Stream already publishing: another connection publishes on this key."
                    .into()
            }
        );
        gate.ended(now, &key, A, End::Lost);
        assert_eq!(
            refused(gate.request(now + 2 * SECOND, &key, B)),
            Refusal {
                code: BAD_NAME,
                description:
                    "Stream already publishing: the connection that broke off is held for \
                              another 6.0 s."
                        .into()
            }
        );
        assert_eq!(
            gate.request(now + 8 * SECOND, &key, B),
            Answer::Accept { until: None }
        );
    }

    #[test]
    fn a_clean_end_leaves_no_ghost() {
        let (mut gate, key, now) = gate(Platform::Custom, refuse(8));
        gate.request(now, &key, A);
        gate.ended(now, &key, A, End::Deleted);
        assert_eq!(gate.request(now, &key, B), Answer::Accept { until: None });
    }

    #[test]
    fn the_newcomer_takes_over() {
        let (mut gate, key, now) = gate(Platform::Custom, SecondPublish::TakeOver);
        gate.request(now, &key, A);
        assert_eq!(gate.request(now, &key, B), Answer::TakeOver { from: A });
        gate.ended(now, &key, A, End::TakenOver);
        assert_eq!(gate.request(now, &key, B), Answer::Accept { until: None });
        // The old connection's late word changes nothing.
        gate.ended(now, &key, A, End::Lost);
        assert_eq!(gate.request(now, &key, A), Answer::TakeOver { from: B });
    }

    #[test]
    fn nobody_takes_over_where_that_would_close_the_event() {
        let (mut gate, key, now) = gate(Platform::LinkedIn, SecondPublish::TakeOver);
        gate.request(now, &key, A);
        assert_eq!(refused(gate.request(now, &key, B)).code, BAD_NAME);
    }

    #[test]
    fn keys_are_bounded() {
        let (mut gate, _, now) = gate(Platform::Custom, refuse(0));
        for n in 0..MAX_KEYS {
            gate.request(now, &StreamKey::new("live", &format!("key-{n}")), A);
        }
        assert_eq!(
            refused(gate.request(now, &StreamKey::new("live", "one-more"), A)).description,
            "This ingest has seen 1024 keys and takes no more."
        );
    }

    #[test]
    fn a_key_is_shown_by_its_tail_only() {
        let show = |key: &str| format!("{}", StreamKey::new("app", key));
        assert_eq!(show("abcd-efgh-ijkl-x7Qd"), "…x7Qd");
        assert_eq!(show("secret"), "…et");
        assert_eq!(show("ab"), "…");
        assert_eq!(show("0123456789/../\u{1b}[2J"), "…__2J");
        assert_eq!(
            format!("{:?}", StreamKey::new("an-app-without-key", "")),
            "StreamKey(…_key)"
        );
    }

    #[test]
    fn an_app_that_may_hold_a_key_is_not_shown() {
        let key = StreamKey::new("live", "key");
        assert_eq!(key.shown_app("live"), "live");
        assert_eq!(key.shown_app("live/8f7e6d"), "live/…");
        assert_eq!(key.shown_app("live2?backup=1"), "live2/…");
        assert_eq!(StreamKey::new("8f7e6d", "").shown_app("8f7e6d"), "…");
    }
}
