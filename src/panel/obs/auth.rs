//! A client's proof that it knows the password, as obs-websocket 5 has it: SHA-256 over the password, a salt and a challenge. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};

/// Random bytes of each of the two.
pub const BYTES: usize = 32;

/// Both made anew for each connection: what one overhears is of no use for another.
#[derive(Clone, Debug)]
pub struct Challenge {
    pub challenge: String,
    pub salt: String,
}

impl Challenge {
    /// Of random bytes.
    pub fn new(challenge: [u8; BYTES], salt: [u8; BYTES]) -> Self {
        Challenge {
            challenge: STANDARD.encode(challenge),
            salt: STANDARD.encode(salt),
        }
    }

    fn proof(&self, password: &str) -> String {
        let secret = hashed(&[password, &self.salt]);
        hashed(&[&secret, &self.challenge])
    }

    /// How long it takes to compare tells nothing of use: what is expected is another for each connection, and each has one try.
    pub fn fits(&self, password: &str, given: &str) -> bool {
        self.proof(password) == given
    }
}

fn hashed(parts: &[&str]) -> String {
    STANDARD.encode(digest(&SHA256, parts.concat().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The protocol's own example, worked out with `openssl dgst -sha256 -binary | base64`.
    #[test]
    fn the_proof_is_obs_s_own() {
        let challenge = Challenge {
            challenge: "+IxH4CnCiqpX1rM9scsNynZzbOe4KhDeYcTNS3PDaeY=".to_owned(),
            salt: "lM1GncleQOaCu9lT1yeUZhFYnqhsLLP1G5lAGo3ixaI=".to_owned(),
        };
        let proof = "1Ct943GAT+6YQUUX47Ia/ncufilbe6+oD6lY+5kaCu4=";
        assert!(challenge.fits("supersecretpassword", proof));
        assert!(!challenge.fits("supersecretpassworD", proof));
        assert!(!challenge.fits("supersecretpassword", ""));
    }
}
