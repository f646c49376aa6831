//! What goes to the log, and how: one line an event on standard error, so that standard output stays for answers. Shell.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// `REGIA_LOG` chooses what is logged, for example `debug` or `regia::uplink=trace`; the default is `info`.
pub fn init() {
    let filter = EnvFilter::try_from_env("REGIA_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
}
