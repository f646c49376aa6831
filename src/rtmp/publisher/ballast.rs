//! Bytes for a server to read and forget, so that a way can be measured without publishing. Pure.
//!
//! They go as AMF0 data messages on the connection's own stream 0 while it stands by. Servers must read messages that
//! they do not act upon there (chunk size, acknowledgements, remarks), and what they do with data messages of a name
//! they do not know is nothing: nginx-rtmp finds no handler for it, SRS and MediaMTX wait for a command.

use super::{Publisher, State};
use crate::rtmp::amf0::{self, Amf0Value};
use crate::rtmp::writer::MediaKind;

/// Tells whoever reads a server's log what this was.
const NAME: &str = "regiaProbe";
/// Small enough for any server's limit of one message (nginx-rtmp: 1 MB), large enough that there are few of them.
const TEXT_LEN: usize = 8 * 1024;
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Makes text that no link can compress away: six random bits a letter.
#[derive(Debug)]
pub struct Ballast {
    state: u64,
}

impl Ballast {
    pub fn new(seed: u64) -> Self {
        // Zero is the one state from which xorshift never leaves.
        Ballast { state: seed.max(1) }
    }

    fn text(&mut self) -> String {
        (0..TEXT_LEN)
            .map(|_| {
                // Marsaglia, "Xorshift RNGs" (2003): 13, 7, 17.
                self.state ^= self.state << 13;
                self.state ^= self.state >> 7;
                self.state ^= self.state << 17;
                char::from(LETTERS[(self.state >> 58) as usize])
            })
            .collect()
    }
}

impl Publisher {
    /// Writes one message of ballast, about 8 KB. False, and no bytes, unless the connection stands by.
    pub fn write_ballast(&mut self, ballast: &mut Ballast, out: &mut Vec<u8>) -> bool {
        if !matches!(self.state, State::Standby) {
            return false;
        }
        let values = [Amf0Value::string(NAME), Amf0Value::String(ballast.text())];
        let body = amf0::encode(&values).into();
        self.connection
            .writer
            .media(MediaKind::Data, 0, 0, body, out)
            .is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtmp::{
        PublisherEvent, PublisherSettings, Receiver, ReceiverEvent, ReceiverSettings,
    };
    use crate::secret::Secret;

    fn publisher() -> Publisher {
        Publisher::new(PublisherSettings {
            app: "live".into(),
            tc_url: "rtmp://host/live".into(),
            key: Secret::new("key"),
            credentials: None,
            chunk_size: 65_536,
        })
    }

    /// Carries what each has to say to the other until neither says more.
    fn talk(publisher: &mut Publisher, receiver: &mut Receiver, mut extra: Vec<u8>) {
        loop {
            let mut up = publisher.take_output();
            up.append(&mut extra);
            receiver.handle_input(&up).unwrap();
            let down = receiver.take_output();
            if up.is_empty() && down.is_empty() {
                return;
            }
            publisher.handle_input(&down).unwrap();
        }
    }

    #[test]
    fn a_server_reads_it_and_knows_of_no_publish() {
        let (mut publisher, mut receiver) =
            (publisher(), Receiver::new(ReceiverSettings::default()));
        let mut ballast = Ballast::new(7);
        let mut out = Vec::new();
        assert!(!publisher.write_ballast(&mut ballast, &mut out) && out.is_empty());
        talk(&mut publisher, &mut receiver, Vec::new());
        assert!(matches!(
            receiver.poll_event(),
            Some(ReceiverEvent::Connect { .. })
        ));
        assert_eq!(publisher.poll_event(), Some(PublisherEvent::Connected));
        for _ in 0..50 {
            assert!(publisher.write_ballast(&mut ballast, &mut out));
        }
        assert!(out.len() > 50 * TEXT_LEN);
        talk(&mut publisher, &mut receiver, out);
        while let Some(event) = receiver.poll_event() {
            assert!(
                matches!(event, ReceiverEvent::Acknowledged { .. }),
                "{event:?}"
            );
        }
        // And it publishes afterwards as if nothing had been.
        publisher.publish();
        talk(&mut publisher, &mut receiver, Vec::new());
        let events = std::iter::from_fn(|| receiver.poll_event());
        assert!(
            events
                .into_iter()
                .any(|e| matches!(e, ReceiverEvent::PublishRequested { .. }))
        );
    }

    #[test]
    fn it_does_not_repeat_itself() {
        let mut ballast = Ballast::new(0);
        let (first, second) = (ballast.text(), ballast.text());
        assert_ne!(first, second);
        let letters: std::collections::BTreeSet<char> = first.chars().collect();
        assert_eq!(letters.len(), 64);
    }
}
