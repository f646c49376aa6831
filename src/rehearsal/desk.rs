//! Who may publish: the one owner of the rules and of the judges. A judge is lent to the connection that
//! publishes on its key and comes back when that ends, however it ends.

use super::judge::Judge;
use super::judge::report::{Report, Summary, Verdict};
use super::rules::{Answer, ConnectionId, End, Gatekeeper, Refusal, Rules, StreamKey};
use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{broadcast, mpsc, oneshot};

/// Failures told one by one in the report.
const MAX_FAILURES: usize = 20;
/// Newcomers waiting for a take-over of one key.
const MAX_WAITING: usize = 8;

/// What happens, as it happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A publish began; `publish` counts those on this key.
    Began {
        key: String,
        publish: u64,
    },
    /// Each second while a publish is on.
    Summary(Summary),
    Ended {
        key: String,
        end: End,
    },
    Refused {
        key: String,
        description: String,
    },
    /// A connection failed, or a recording: in a sentence.
    Failed(String),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Event::Began { key, publish } => write!(f, "{key} publish {publish} begins"),
            Event::Summary(summary) => summary.fmt(f),
            Event::Ended { key, end } => write!(f, "{key} ends: {end}"),
            Event::Refused { key, description } => write!(f, "{key} refused: {description}"),
            Event::Failed(text) => f.write_str(text),
        }
    }
}

/// What connections tell the desk.
pub(super) enum Word {
    Publish {
        from: ConnectionId,
        app: String,
        key: StreamKey,
        reply: oneshot::Sender<Result<Lease, Refusal>>,
    },
    Returned {
        from: ConnectionId,
        key: StreamKey,
        judge: Box<Judge>,
        end: End,
    },
    Failed(String),
}

/// The right to publish on a key, with the judge of its stream. Both go back to the desk when it is dropped, so that
/// neither is lost with a connection that panics.
pub(super) struct Lease {
    pub key: StreamKey,
    /// Counts all publishes of this run from 1.
    pub number: u64,
    /// When the session is cut.
    pub until: Option<Instant>,
    /// Resolves when another connection takes over.
    pub taken_over: oneshot::Receiver<()>,
    /// How it ends, unless the connection is lost.
    pub end: End,
    from: ConnectionId,
    judge: Option<Box<Judge>>,
    desk: mpsc::UnboundedSender<Word>,
}

impl Lease {
    /// None never happens before the lease is dropped.
    pub fn judge(&mut self) -> Option<&mut Judge> {
        self.judge.as_deref_mut()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(mut judge) = self.judge.take() {
            judge.end_publish(Instant::now(), self.end);
            // The desk is gone only when the whole rehearsal is.
            let _ = self.desk.send(Word::Returned {
                from: self.from,
                key: self.key.clone(),
                judge,
                end: self.end,
            });
        }
    }
}

struct Stream {
    /// Absent while lent.
    judge: Option<Box<Judge>>,
    take_over: Option<oneshot::Sender<()>>,
    waiting: Vec<Waiting>,
    /// Publishes that were refused while the judge is lent.
    refused: u64,
}

struct Waiting {
    from: ConnectionId,
    reply: oneshot::Sender<Result<Lease, Refusal>>,
}

pub(super) struct Desk {
    rules: Rules,
    gate: Gatekeeper,
    streams: HashMap<StreamKey, Stream>,
    /// Keys in the order of their first publish.
    order: Vec<StreamKey>,
    /// For the leases.
    words: mpsc::UnboundedSender<Word>,
    events: broadcast::Sender<Event>,
    publishes: u64,
    ended: u64,
    failed: u64,
    failures: Vec<String>,
    started: Instant,
    started_wall: SystemTime,
}

impl Desk {
    pub fn new(
        rules: Rules,
        words: mpsc::UnboundedSender<Word>,
        events: broadcast::Sender<Event>,
    ) -> Self {
        Desk {
            rules,
            gate: Gatekeeper::new(rules),
            streams: HashMap::new(),
            order: Vec::new(),
            words,
            events,
            publishes: 0,
            ended: 0,
            failed: 0,
            failures: Vec::new(),
            started: Instant::now(),
            started_wall: SystemTime::now(),
        }
    }

    /// Publishes that have ended.
    pub fn ended(&self) -> u64 {
        self.ended
    }

    pub fn handle(&mut self, word: Word) {
        match word {
            Word::Publish {
                from,
                app,
                key,
                reply,
            } => self.request(&app, key, Waiting { from, reply }),
            Word::Returned {
                from,
                key,
                judge,
                end,
            } => self.take_back(from, key, judge, end),
            Word::Failed(text) => self.failed(text),
        }
    }

    pub fn failed(&mut self, text: String) {
        self.failed += 1;
        if self.failures.len() < MAX_FAILURES {
            self.failures.push(text.clone());
        }
        self.tell(Event::Failed(text));
    }

    fn request(&mut self, app: &str, key: StreamKey, newcomer: Waiting) {
        match self.gate.request(Instant::now(), &key, newcomer.from) {
            Answer::Accept { until } => self.lend(app, key, newcomer, until),
            Answer::TakeOver { .. } => {
                let Some(stream) = self.streams.get_mut(&key) else {
                    return;
                };
                if let Some(take_over) = stream.take_over.take() {
                    // If its receiver is gone, the lease is already on its way back.
                    let _ = take_over.send(());
                }
                // A reply that is dropped tells the newcomer to give up.
                if stream.waiting.len() < MAX_WAITING {
                    stream.waiting.push(newcomer);
                }
            }
            Answer::Refuse(refusal) => {
                if let Some(stream) = self.streams.get_mut(&key) {
                    match &mut stream.judge {
                        Some(judge) => judge.refused(&refusal),
                        None => stream.refused += 1,
                    }
                }
                self.tell(Event::Refused {
                    key: key.to_string(),
                    description: refusal.description.clone(),
                });
                let _ = newcomer.reply.send(Err(refusal));
            }
        }
    }

    fn lend(&mut self, app: &str, key: StreamKey, newcomer: Waiting, until: Option<Instant>) {
        let platform = self.rules.platform;
        let stream = self.streams.entry(key.clone()).or_insert_with(|| {
            self.order.push(key.clone());
            Stream {
                judge: Some(Box::new(Judge::new(platform, app, &key))),
                take_over: None,
                waiting: Vec::new(),
                refused: 0,
            }
        });
        let Some(mut judge) = stream.judge.take() else {
            // The rules accept only where nobody publishes, and then the judge is here.
            return;
        };
        let (take_over, taken_over) = oneshot::channel();
        stream.take_over = Some(take_over);
        self.publishes += 1;
        let publish = judge.begin_publish(Instant::now());
        let lease = Lease {
            key: key.clone(),
            number: self.publishes,
            until,
            taken_over,
            end: End::Lost,
            from: newcomer.from,
            judge: Some(judge),
            desk: self.words.clone(),
        };
        self.tell(Event::Began {
            key: key.to_string(),
            publish,
        });
        // A newcomer that went away meanwhile drops the lease, which brings it back.
        let _ = newcomer.reply.send(Ok(lease));
    }

    fn take_back(&mut self, from: ConnectionId, key: StreamKey, mut judge: Box<Judge>, end: End) {
        self.ended += 1;
        self.gate.ended(Instant::now(), &key, from, end);
        self.tell(Event::Ended {
            key: key.to_string(),
            end,
        });
        let Some(stream) = self.streams.get_mut(&key) else {
            return;
        };
        judge.refused_meanwhile(std::mem::take(&mut stream.refused));
        stream.judge = Some(judge);
        stream.take_over = None;
        let waiting = std::mem::take(&mut stream.waiting);
        for newcomer in waiting {
            self.request("", key.clone(), newcomer);
        }
    }

    fn tell(&self, event: Event) {
        // Nobody has to listen.
        let _ = self.events.send(event);
    }

    /// Of all streams whose judges are here.
    pub fn report(&self) -> Report {
        let now = Instant::now();
        let streams: Vec<_> = self
            .order
            .iter()
            .filter_map(|key| self.streams.get(key)?.judge.as_ref())
            .map(|judge| judge.report(now))
            .collect();
        let of = |texts: fn(&Verdict) -> &Vec<String>| {
            streams
                .iter()
                .flat_map(|s| texts(&s.verdict).iter().map(|t| format!("{}: {t}", s.key)))
                .collect::<Vec<_>>()
        };
        let mut findings = of(|v| &v.findings);
        if streams.is_empty() {
            findings.push("Nothing was published.".into());
        }
        let verdict = Verdict {
            ok: findings.is_empty(),
            lost: streams.is_empty() || streams.iter().any(|s| s.verdict.lost),
            findings,
            notes: of(|v| &v.notes),
        };
        Report {
            platform: self.rules.platform,
            started_unix_s: self
                .started_wall
                .duration_since(UNIX_EPOCH)
                .unwrap_or(Duration::ZERO)
                .as_secs(),
            length_s: (now - self.started).as_secs_f64(),
            failure_count: self.failed,
            failures: self.failures.clone(),
            streams,
            verdict,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearsal::platform::Platform;
    use crate::rehearsal::rules::SecondPublish;

    struct Setup {
        desk: Desk,
        words: mpsc::UnboundedReceiver<Word>,
        key: StreamKey,
    }

    fn setup(second_publish: SecondPublish) -> Setup {
        let (sender, words) = mpsc::unbounded_channel();
        let rules = Rules {
            platform: Platform::Custom,
            limit: None,
            second_publish,
        };
        Setup {
            desk: Desk::new(rules, sender, broadcast::channel(16).0),
            words,
            key: StreamKey::new("live", "abcd-efgh-x7Qd"),
        }
    }

    impl Setup {
        fn publish(&mut self, from: u64) -> oneshot::Receiver<Result<Lease, Refusal>> {
            let (reply, answer) = oneshot::channel();
            self.desk.handle(Word::Publish {
                from: ConnectionId(from),
                app: "live".into(),
                key: self.key.clone(),
                reply,
            });
            answer
        }

        fn take_words(&mut self) {
            while let Ok(word) = self.words.try_recv() {
                self.desk.handle(word);
            }
        }
    }

    fn lease(mut answer: oneshot::Receiver<Result<Lease, Refusal>>) -> Lease {
        answer.try_recv().unwrap().ok().unwrap()
    }

    const REFUSE: SecondPublish = SecondPublish::Refuse {
        ghost: Duration::ZERO,
    };

    #[tokio::test]
    async fn a_panic_brings_the_judge_back() {
        let mut setup = setup(REFUSE);
        let held = lease(setup.publish(1));
        let task = tokio::spawn(async move {
            let _held = held;
            std::panic::panic_any("on purpose");
        });
        assert!(task.await.unwrap_err().is_panic());
        setup.take_words();
        let report = setup.desk.report();
        assert_eq!(report.streams[0].publishes[0].ended, Some(End::Lost));
        assert_eq!(lease(setup.publish(2)).number, 2);
    }

    #[test]
    fn a_newcomer_that_waits_gets_the_stream_when_the_older_one_has_let_go() {
        let mut setup = setup(SecondPublish::TakeOver);
        let mut older = lease(setup.publish(1));
        let mut newcomer = setup.publish(2);
        assert!(newcomer.try_recv().is_err());
        assert_eq!(older.taken_over.try_recv(), Ok(()));
        older.end = End::TakenOver;
        drop(older);
        setup.take_words();
        assert_eq!(lease(newcomer).number, 2);
    }

    #[test]
    fn a_newcomer_that_went_away_leaves_the_key_free() {
        let mut setup = setup(REFUSE);
        drop(setup.publish(1));
        setup.take_words();
        assert_eq!(lease(setup.publish(2)).number, 2);
    }

    #[test]
    fn what_was_refused_while_the_judge_was_lent_is_counted() {
        let mut setup = setup(REFUSE);
        let held = lease(setup.publish(1));
        assert!(setup.publish(2).try_recv().unwrap().is_err());
        drop(held);
        setup.take_words();
        assert_eq!(setup.desk.report().streams[0].refused_publishes, 1);
    }

    #[test]
    fn nothing_published_is_no_success() {
        let report = setup(REFUSE).desk.report();
        assert!(report.verdict.lost && !report.verdict.ok);
        assert_eq!(report.verdict.findings, ["Nothing was published."]);
    }
}
