use clap::Parser;
use regia::cli::{Cli, FAILED, dispatch};
use std::process::ExitCode;

fn main() -> ExitCode {
    regia::telemetry::init();
    match dispatch(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("regia: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}
