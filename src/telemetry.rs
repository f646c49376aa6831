//! What goes to the log, and how: one line an event on standard error, so that standard output stays for answers. Shell.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// The verifier logs each refused certificate as an error of its own; the destination's line says the same, with its remedy, and
/// only once.
const TOLD_ELSEWHERE: &str = "rustls_platform_verifier=off";

/// `REGIA_LOG` chooses what is logged, for example `debug` or `regia::uplink=trace`; the default is `info`. What can't be
/// understood of it is said on standard error, and `info` holds.
pub fn init() {
    let wanted = std::env::var("REGIA_LOG").unwrap_or_else(|_| "info".to_owned());
    let filter = EnvFilter::try_new(format!("{TOLD_ELSEWHERE},{wanted}")).unwrap_or_else(|error| {
        eprintln!("REGIA_LOG: {error}; for example REGIA_LOG=debug");
        EnvFilter::new(format!("{TOLD_ELSEWHERE},info"))
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
}
