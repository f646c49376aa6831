//! Whoever guesses passwords waits longer and longer. Pure.
//!
//! The delay belongs to an address and a name together: somebody far away who guesses must not keep the operator out. An attempt
//! counts as failed when it begins, so that many at once gain nothing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// So many slips cost nothing.
const FREE: u32 = 5;
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3_600);
/// Those that were quiet longest are forgotten beyond this.
const MOST: usize = 2_000;

/// One who tries. Names that nobody has are one and the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Guesser {
    network: IpAddr,
    name: Option<String>,
}

impl Guesser {
    /// Of an IPv6 address the /64 counts: whoever has one has all of it.
    pub fn new(address: IpAddr, name: Option<&str>) -> Self {
        let network = match address.to_canonical() {
            IpAddr::V4(v4) => IpAddr::V4(v4),
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::V6([a, b, c, d, 0, 0, 0, 0].into())
            }
        };
        Guesser {
            network,
            name: name.map(str::to_owned),
        }
    }
}

#[derive(Debug)]
struct Tries {
    failed: u32,
    last: Instant,
    not_before: Instant,
}

#[derive(Debug, Default)]
pub struct Lockout {
    tries: HashMap<Guesser, Tries>,
}

impl Lockout {
    /// Whether this one may try now; if not, how long to wait.
    pub fn begin(&mut self, now: Instant, guesser: &Guesser) -> Result<(), Duration> {
        self.tries
            .retain(|_, tries| now.saturating_duration_since(tries.last) < FORGOTTEN_AFTER);
        if self.tries.len() >= MOST
            && !self.tries.contains_key(guesser)
            && let Some(oldest) = self.tries.iter().min_by_key(|(_, tries)| tries.last)
        {
            let oldest = oldest.0.clone();
            self.tries.remove(&oldest);
        }
        let tries = self.tries.entry(guesser.clone()).or_insert(Tries {
            failed: 0,
            last: now,
            not_before: now,
        });
        if now < tries.not_before {
            return Err(tries.not_before - now);
        }
        tries.failed += 1;
        tries.last = now;
        tries.not_before = now + delay(tries.failed);
        Ok(())
    }

    /// It was the right password.
    pub fn succeeded(&mut self, guesser: &Guesser) {
        self.tries.remove(guesser);
    }
}

fn delay(failed: u32) -> Duration {
    match failed.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(over) => FIRST.saturating_mul(1 << over.min(16)).min(LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guesser(name: &str) -> Guesser {
        Guesser::new([192, 0, 2, 1].into(), Some(name))
    }

    #[test]
    fn the_delay_grows_and_ends_with_the_right_password() {
        let (mut lockout, mut now) = (Lockout::default(), Instant::now());
        let anna = guesser("anna");
        for _ in 0..FREE {
            assert_eq!(lockout.begin(now, &anna), Ok(()));
        }
        let mut waits = Vec::new();
        for _ in 0..12 {
            let wait = lockout.begin(now, &anna).unwrap_err();
            waits.push(wait.as_secs());
            now += wait;
            assert_eq!(lockout.begin(now, &anna), Ok(()));
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert!(lockout.begin(now, &anna).is_err());
        assert_eq!(lockout.begin(now, &guesser("other")), Ok(()));
        lockout.succeeded(&anna);
        assert_eq!(lockout.begin(now, &anna), Ok(()));
    }

    #[test]
    fn ten_thousand_at_once_are_few_tries_and_little_memory() {
        let (mut lockout, now) = (Lockout::default(), Instant::now());
        let tried = (0..10_000).filter(|_| lockout.begin(now, &guesser("anna")).is_ok());
        assert_eq!(tried.count(), FREE as usize);
        for n in 0..10_000u32 {
            let address = IpAddr::V4(n.into());
            let _ = lockout.begin(now, &Guesser::new(address, None));
        }
        assert!(lockout.tries.len() <= MOST);
    }

    #[test]
    fn a_network_of_ipv6_is_one_guesser() {
        let at = |text: &str| Guesser::new(text.parse().unwrap(), None);
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:2"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
    }
}
