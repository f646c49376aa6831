//! Benchmarks of Regia beside ffmpeg and GStreamer. Peers do the same job, take turns round by round, and are judged as whole process
//! trees. Each part replaces its own section of docs/benchmarks.md.

#![forbid(unsafe_code)]

mod cost;
mod failover;
mod fanout;
mod jobs;
mod latency;
mod mix;
mod report;
mod shows;

use clap::{Parser, ValueEnum};
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    Cost,
    Latency,
    Fanout,
    Failover,
    Mix,
    Shows,
}

impl Part {
    const ALL: [Part; 6] = [
        Part::Cost,
        Part::Latency,
        Part::Fanout,
        Part::Failover,
        Part::Mix,
        Part::Shows,
    ];

    fn title(self) -> &'static str {
        match self {
            Part::Cost => "Cost",
            Part::Latency => "Latency",
            Part::Fanout => "Fan-out",
            Part::Failover => "Failover",
            Part::Mix => "Mix",
            Part::Shows => "Shows",
        }
    }

    /// Measures, and gives the section's text.
    fn run(self, bench: &Bench) -> String {
        match self {
            Part::Cost => cost::run(bench),
            Part::Latency => latency::run(bench),
            Part::Fanout => fanout::run(bench),
            Part::Failover => failover::run(bench),
            Part::Mix => mix::run(bench),
            Part::Shows => shows::run(bench),
        }
    }
}

#[derive(Parser)]
#[command(
    about = "Regia beside ffmpeg and GStreamer: cost, latency, fan-out, failover; what mixing costs, and how long many shows take"
)]
struct Args {
    /// Only this part; may be given several times
    #[arg(long)]
    only: Vec<Part>,

    /// Only these competitors, by the beginning of their names; may be given several times
    #[arg(long, value_name = "NAME")]
    peer: Vec<String>,

    /// How often each job is measured; the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,

    /// How long each measurement takes, after a warm-up
    #[arg(long, default_value_t = 30)]
    seconds: u32,

    /// The program to measure
    #[arg(long, default_value = "target/release/regia")]
    regia: PathBuf,

    /// Keep recordings and logs of the servers in this directory, to look into them
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,

    /// The document to write into
    #[arg(long, default_value = "docs/benchmarks.md")]
    out: PathBuf,
}

/// What all parts need to know.
struct Bench {
    regia: PathBuf,
    peers: Vec<String>,
    rounds: usize,
    seconds: u32,
    work: PathBuf,
}

impl Bench {
    /// A directory for this part.
    fn dir(&self, part: &str) -> PathBuf {
        let dir = self.work.join(part);
        std::fs::create_dir_all(&dir).expect("the work directory is writable");
        dir
    }

    fn wants(&self, peer: &str) -> bool {
        self.peers.is_empty()
            || self
                .peers
                .iter()
                .any(|name| peer.starts_with(name.as_str()))
    }
}

fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let temporary = tempfile::tempdir()?;
    let bench = Bench {
        work: args.keep.unwrap_or_else(|| temporary.path().to_owned()),
        regia: args.regia.canonicalize()?,
        peers: args.peer,
        rounds: args.rounds.max(1),
        seconds: args.seconds.max(5),
    };
    for part in Part::ALL {
        if args.only.is_empty() || args.only.contains(&part) {
            let title = part.title();
            eprintln!("== {title}");
            let body = part.run(&bench);
            println!("{body}");
            report::write(&args.out, title, &body)?;
        }
    }
    Ok(())
}
