//! `Failover` in a small world of uplinks and ingests, in virtual time.

mod properties;
mod scenarios;
mod world;
