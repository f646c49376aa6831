//! The calendar's feed: a token of its own, that opens nothing else. Shell.

use super::shelf::ShowError;
use crate::session::clock::wall_ms;
use crate::store::{Store, StoreError};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;

#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    #[error("this is not the calendar's token; `regia show feed` makes one")]
    Token,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Show(#[from] ShowError),
}

fn hash(token: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, token.as_bytes())
        .as_ref()
        .to_vec()
}

/// Only its hash is kept: it is shown this once.
pub(super) async fn renew(store: Option<&Store>) -> Result<String, StoreError> {
    let store = store.ok_or(StoreError::Gone)?;
    let random = ring::rand::generate::<[u8; 24]>(&ring::rand::SystemRandom::new());
    let random = random.map_err(|_| StoreError::Gone)?.expose();
    let token = URL_SAFE_NO_PAD.encode(random);
    store.save_feed_token(hash(&token), wall_ms()).await?;
    Ok(token)
}

pub(super) async fn check(store: Option<&Store>, token: &str) -> Result<(), FeedError> {
    let store = store.ok_or(StoreError::Gone)?;
    // Hashes are compared, whose first bytes tell nothing of the token.
    match store.feed_token().await? {
        Some(right) if right == hash(token) => Ok(()),
        _ => Err(FeedError::Token),
    }
}
