//! The command line: arguments → a command → an exit code (0 done, 1 failed at run time, 2 bad arguments or configuration).

mod args;
mod client;
mod demo;
mod doctor;
mod key;
mod live;
mod panel;
mod passwd;
mod preflight;
mod report;
mod run;
mod scene;
mod service;
mod show;

pub use args::Cli;

use args::Command;
use std::path::PathBuf;
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
        Command::Apart => {
            crate::engine::apart()?;
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
        Command::Preflight(args) => block_on(preflight::preflight(&state, args))?.into(),
        Command::Live { command } => block_on(live::live(state, command))?.into(),
        Command::Show { command } => block_on(show::show(&state, command))?.into(),
        Command::Scene { command } => block_on(scene::scene(&state, command))?.into(),
        Command::Overlay { command } => block_on(scene::overlay(&state, command))?.into(),
        Command::Title { id, lines, json } => {
            block_on(scene::title(&state, &id, lines, json))?.into()
        }
        Command::Audio(args) => block_on(scene::audio(&state, args))?.into(),
        Command::Key { command } => block_on(key::key(&state, command))?.into(),
        Command::Passwd(args) => block_on(passwd::passwd(&state, args))?.into(),
    })
}

fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?
        .block_on(future)
}

/// Where systemd puts the secrets of a service.
fn credentials() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}
