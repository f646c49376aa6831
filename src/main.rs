use clap::{Parser, Subcommand};
use regia::rehearsal::{RehearseArgs, rehearse_command};
use std::process::ExitCode;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Rehearse(RehearseArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Rehearse(args) = Cli::parse().command;
    rehearse_command(args).await
}
