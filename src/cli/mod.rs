//! The command line: arguments → a command → an exit code (0 done, 1 failed at run time, 2 bad arguments or configuration).

mod args;
mod client;
mod demo;
mod doctor;
mod live;
mod run;

pub use args::Cli;

use args::{Command, LiveCommand};
use std::process::ExitCode;

pub const FAILED: u8 = 1;
pub const BAD_USAGE: u8 = 2;

/// Runs the command and says how it went.
pub fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let state = cli.state_dir();
    Ok(match cli.command {
        Command::Engine => {
            crate::engine::run()?;
            ExitCode::SUCCESS
        }
        Command::Check { json } => {
            crate::config::check::check_command(cli.config.as_deref(), json)?.into()
        }
        Command::Doctor { json } => doctor::doctor(cli.config.as_deref(), &state, json)?.into(),
        Command::Run { live } => block_on(run::run(cli.config.as_deref(), &state, live))?.into(),
        Command::Rehearse(args) => {
            block_on(async { Ok(crate::rehearsal::rehearse_command(args).await) })?
        }
        Command::Demo(args) => block_on(demo::demo(args))?.into(),
        Command::Live { command } => block_on(match command {
            LiveCommand::Start { destination, json } => {
                live::ask(state, live::Verb::Start, destination, json)
            }
            LiveCommand::Stop { destination, json } => {
                live::ask(state, live::Verb::Stop, destination, json)
            }
            LiveCommand::Status { json } => live::ask(state, live::Verb::Status, Vec::new(), json),
        })?
        .into(),
    })
}

fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?
        .block_on(future)
}
