//! `regia rehearse`: its arguments, and the command.

use super::desk::Event;
use super::judge::report::Report;
use super::platform::Platform;
use super::rules::{Rules, SecondPublish};
use super::server::{Misbehaviour, Patience, Rehearsal, Settings};
use super::tls::Tls;
use std::fmt::Display;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

const BAD_ARGUMENTS: u8 = 2;
const FAILED: u8 = 1;

const EXAMPLES: &str = "\
Examples:
  regia rehearse
      takes any stream at rtmp://127.0.0.1:1935/live and tells what arrives, until Ctrl-C
  regia rehearse --as linkedin --limit 600 --record /tmp/rehearsal
      behaves like LinkedIn: who is interrupted can't come back, and after ten minutes the stream is cut
  regia rehearse --listen 127.0.0.1:1936 --tls --tls-ca-out ca.pem
      RTMPS; the sending side trusts it with tls_ca_file = \"ca.pem\"
  regia rehearse --once --report report.json
      judges one publish; exits with 1 when anything was lost";

/// A built-in ingest that behaves like a platform and reports what arrived
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct RehearseArgs {
    /// Address and port to listen on
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:1935")]
    pub listen: SocketAddr,

    /// Take RTMPS instead of RTMP, with a certificate made for this run
    #[arg(long)]
    pub tls: bool,

    /// Where to write the CA (PEM) that publishers have to trust
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls",
        conflicts_with = "tls_cert"
    )]
    pub tls_ca_out: Option<PathBuf>,

    /// A certificate of your own (PEM, with its chain) instead of the one made for this run
    #[arg(long, value_name = "FILE", requires_all = ["tls", "tls_key"])]
    pub tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// The platform to behave like: custom, linkedin, youtube, facebook, vimeo, twitch or x
    #[arg(long = "as", value_name = "PLATFORM", default_value = "custom")]
    pub platform: Platform,

    /// Cut a session after this long, instead of the platform's own limit
    #[arg(long, value_name = "SECONDS", value_parser = positive_seconds)]
    pub limit: Option<Duration>,

    /// Hold on to a publisher that broke off for this long, and refuse its key meanwhile (BadName)
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "0")]
    pub ghost: Duration,

    /// Let a second publish on a key take the stream over instead of refusing it
    #[arg(long, conflicts_with = "ghost")]
    pub take_over: bool,

    /// Write what arrives to this directory: one FLV file for each publish
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,

    /// Write the final report to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// End after the first publish; exit with 1 when anything was lost
    #[arg(long)]
    pub once: bool,

    /// Print the final report as one JSON object; what happens meanwhile goes to standard error
    #[arg(long)]
    pub json: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "seconds are wanted, like 8 or 0.5".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| *duration < Duration::from_secs(365 * 86_400))
        .ok_or_else(|| "from 0 up to a year of seconds are wanted".to_owned())
}

fn positive_seconds(text: &str) -> Result<Duration, String> {
    seconds(text).and_then(|duration| match duration {
        Duration::ZERO => Err("more than 0 seconds are wanted".to_owned()),
        duration => Ok(duration),
    })
}

impl RehearseArgs {
    pub fn settings(&self) -> Settings {
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Tls::Files {
                certificate: certificate.clone(),
                key: key.clone(),
            },
            _ if self.tls => Tls::SelfMade,
            _ => Tls::Off,
        };
        Settings {
            listen: self.listen,
            tls,
            rules: Rules {
                platform: self.platform,
                limit: self.limit,
                second_publish: if self.take_over {
                    SecondPublish::TakeOver
                } else {
                    SecondPublish::Refuse { ghost: self.ghost }
                },
            },
            record: self.record.clone(),
            once: self.once,
            patience: Patience::default(),
            misbehave: Misbehaviour::default(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{what} {} can't be written: {source}", .path.display())]
struct WriteError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

/// Serves until Ctrl-C or SIGTERM, or with `--once` until the first publish has ended. The exit code is 2 for
/// files that can't be used, 1 for what fails later, and with `--once` for anything lost.
pub async fn rehearse_command(args: RehearseArgs) -> ExitCode {
    // Before anybody publishes for hours: can the report be written at all?
    if let Some(path) = &args.report
        && let Err(error) = writable(path)
    {
        return fail(BAD_ARGUMENTS, &error);
    }
    let rehearsal = match Rehearsal::bind(args.settings()).await {
        Ok(rehearsal) => rehearsal,
        Err(error) => return fail(error.exit_code(), &error),
    };
    if let (Some(path), Some(pem)) = (&args.tls_ca_out, rehearsal.ca_pem())
        && let Err(error) = write("the CA certificate", path, pem.as_bytes())
    {
        return fail(BAD_ARGUMENTS, &error);
    }
    let live = Live { json: args.json };
    live.line(&format!(
        "Rehearsing as {}: publish to {} with any key; Ctrl-C ends it.",
        args.platform.word(),
        rehearsal.url()
    ));
    if rehearsal.ca_pem().is_some() && args.tls_ca_out.is_none() {
        live.line(&"The certificate is self-made: --tls-ca-out FILE writes what a publisher has to trust.");
    }
    let lines = tokio::spawn(live.follow(rehearsal.events()));
    let report = rehearsal.run(stopped()).await;
    // It ends with the last sender of events, which ended with the run; it panics at nothing.
    let _ = lines.await;
    conclude(&args, &report)
}

fn conclude(args: &RehearseArgs, report: &Report) -> ExitCode {
    let json = match serde_json::to_string_pretty(report) {
        Ok(json) => json + "\n",
        Err(error) => return fail(FAILED, &error),
    };
    print(if args.json {
        json.clone()
    } else {
        format!("\n{report}\n")
    });
    if let Some(path) = &args.report
        && let Err(error) = write("the report", path, json.as_bytes())
    {
        return fail(FAILED, &error);
    }
    if args.once && report.verdict.lost {
        return ExitCode::from(FAILED);
    }
    ExitCode::SUCCESS
}

/// What happens, in lines.
#[derive(Clone, Copy)]
struct Live {
    json: bool,
}

impl Live {
    async fn follow(self, mut events: broadcast::Receiver<Event>) {
        loop {
            match events.recv().await {
                Ok(event) => self.line(&event),
                Err(RecvError::Lagged(missed)) => self.line(&format!("({missed} lines left out)")),
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn line(self, text: &dyn Display) {
        if self.json {
            eprintln!("{text}");
        } else {
            print(format!("{text}\n"));
        }
    }
}

/// A reader that has gone (`| head`) is no reason to die: the report is still to be written.
fn print(text: String) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn fail(code: u8, error: &dyn Display) -> ExitCode {
    eprintln!("regia rehearse: {error}");
    ExitCode::from(code)
}

/// Opens without changing what is there.
fn writable(path: &Path) -> Result<(), WriteError> {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map(drop)
        .map_err(|source| WriteError {
            what: "the report",
            path: path.to_owned(),
            source,
        })
}

fn write(what: &'static str, path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    std::fs::write(path, bytes).map_err(|source| WriteError {
        what,
        path: path.to_owned(),
        source,
    })
}

/// Ctrl-C, or SIGTERM from a service manager.
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => {
            // Without the signal only SIGTERM ends it.
            if interrupted.is_err() {
                std::future::pending::<()>().await;
            }
        }
        () = terminated => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        args: RehearseArgs,
    }

    fn parse(line: &str) -> Result<RehearseArgs, String> {
        let words = std::iter::once("rehearse").chain(line.split_whitespace());
        Program::try_parse_from(words)
            .map(|program| program.args)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn without_arguments_anything_goes() {
        let settings = parse("").unwrap().settings();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:1935");
        assert_eq!(settings.tls, Tls::Off);
        assert_eq!(settings.rules.limit(), None);
    }

    #[test]
    fn a_platform_and_its_limit() {
        let settings = parse("--as linkedin --limit 0.5 --ghost 8")
            .unwrap()
            .settings();
        assert_eq!(settings.rules.limit(), Some(Duration::from_millis(500)));
        assert_eq!(
            settings.rules.second_publish,
            SecondPublish::Refuse {
                ghost: Duration::from_secs(8)
            }
        );
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for (line, part) in [
            ("--as tiktok", "no platform is called \"tiktok\""),
            ("--limit 0", "more than 0 seconds are wanted"),
            ("--ghost soon", "seconds are wanted, like 8 or 0.5"),
            ("--ghost 1e300", "from 0 up to a year of seconds are wanted"),
            ("--ghost 3 --take-over", "cannot be used with"),
            ("--tls-ca-out ca.pem", "--tls"),
            ("--tls --tls-cert a.pem", "--tls-key"),
        ] {
            let text = parse(line).unwrap_err();
            assert!(text.contains(part), "{line}: {text}");
        }
    }
}
