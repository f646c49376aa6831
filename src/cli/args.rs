//! The arguments, with the help that goes with them.

use crate::rehearsal::RehearseArgs;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  regia demo                              see it run: test picture to a built-in RTMPS ingest
  regia check --config regia.toml         every problem of a configuration, with its line
  regia run --config regia.toml --live    the daemon, on air at once
  regia preflight                         what would go wrong if the broadcast started now
  regia live status                       how it stands
  regia live stop                         deliver what is left, then end the broadcast
  regia scene take wide --fade 500        put a scene on air
  regia key set linkedin < key.txt        a stream key into its encrypted slot
  regia show list                         what is planned, and when it is next
  regia rehearse --tls --as linkedin      an ingest that behaves like LinkedIn, to try against";

const SHOW_EXAMPLES: &str = "\
Examples:
  regia show add sunday.toml              save a show: the keys of a [[show]] in the configuration
  regia show import calendar.ics          shows from a calendar of Google, Apple or Outlook
  regia show run sunday --dry-run         its timeline, and everything that would fail
  regia show next                         what comes next, with the venue's time
  regia show hold                         begin no further step; `regia show release` goes on
  regia show step                         do the next step now
  regia show feed                         an address that a phone's calendar can subscribe to";

/// A live-streaming encoder daemon for headless boxes at event venues.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// The configuration [default: ./regia.toml, then /etc/regia/regia.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the daemon keeps its state and its socket [default: $STATE_DIRECTORY, then /run/user/UID/regia or /var/lib/regia]
    #[arg(long, global = true, value_name = "DIR", env = "REGIA_STATE")]
    pub state: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Where the state is when nobody says: systemd's directory, else this user's own.
    pub fn state_dir(&self) -> PathBuf {
        let given = self
            .state
            .clone()
            .or_else(|| std::env::var_os("STATE_DIRECTORY").map(PathBuf::from));
        let user =
            || std::env::var_os("XDG_RUNTIME_DIR").map(|dir| PathBuf::from(dir).join("regia"));
        given
            .or_else(user)
            .unwrap_or_else(|| PathBuf::from("/var/lib/regia"))
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// The daemon: capture, encode, deliver
    Run {
        /// Go on air at once
        #[arg(long)]
        live: bool,
    },
    /// Check the configuration: every problem at once; exits with 2 when there is one
    Check {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// See it run: a moving, sounding test programme to a built-in RTMPS ingest over loopback
    Demo(DemoArgs),
    /// A built-in ingest that behaves like a platform and reports what arrived
    Rehearse(RehearseArgs),
    /// What would go wrong if the broadcast started now? Asks the running daemon, publishes nothing; exits with 1 when
    /// there is a problem
    Preflight(PreflightArgs),
    /// Start, stop and watch the broadcast of a running daemon
    Live {
        #[command(subcommand)]
        command: LiveCommand,
    },
    /// Scenes of a running daemon: take one on air, make one ready, fade to black
    #[command(after_help = SCENES)]
    Scene {
        #[command(subcommand)]
        command: SceneCommand,
    },
    /// Keys over the programme, which stay through takes
    Overlay {
        #[command(subcommand)]
        command: OverlayCommand,
    },
    /// A title's text, live
    #[command(after_help = "Example:\n  regia title speaker \"Anna Rossi\" \"Mayor of Trento\"")]
    Title {
        #[arg(value_name = "ID")]
        id: String,
        #[arg(value_name = "LINE")]
        lines: Vec<String>,
        /// One JSON object: what became of it, and the status
        #[arg(long)]
        json: bool,
    },
    /// An input of the audio desk
    #[command(after_help = AUDIO)]
    Audio(AudioArgs),
    /// Stream keys, kept encrypted: saved from standard input, shown only by their ends
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Shows that go on air by themselves: what is planned, and the run-of-show under way
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        #[command(subcommand)]
        command: ShowCommand,
    },
    /// Set the password of a user of the panel, read from the terminal or from standard input
    Passwd(PasswdArgs),
    /// Devices, encoders by trial, GStreamer, clock, disk, uplinks; exits with 1 when there is a problem
    Doctor {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Internal: the process that captures and encodes
    #[command(hide = true)]
    Engine,
    /// Internal: a process that captures a web page or a screen
    #[command(hide = true)]
    Apart,
}

#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// End after this long, with the rehearsal's report; exits with 1 when anything was lost
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,
    /// The panel's port on 127.0.0.1; 0 takes any that is free
    #[arg(long, value_name = "N", default_value_t = 8080)]
    pub port: u16,
    /// In standby: go live in the panel
    #[arg(long)]
    pub standby: bool,
    /// Open no browser; without a desktop, or with --seconds, none is opened anyway
    #[arg(long)]
    pub no_browser: bool,
}

#[derive(Debug, clap::Args)]
pub struct PasswdArgs {
    pub user: String,
    /// viewer, operator or admin [default: as it is; admin for a new user]
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,
}

#[derive(Debug, clap::Args)]
pub struct PreflightArgs {
    /// Only this destination (may be repeated)
    #[arg(long, value_name = "ID")]
    pub destination: Vec<String>,
    /// How long the show is to be, such as 3h or 90m [default: as long as the platforms allow]
    #[arg(long, value_name = "TIME", value_parser = planned)]
    pub planned: Option<Duration>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

fn planned(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text
        .parse()
        .map_err(|_| "a time such as 3h, 90m or \"2h 30m\"".to_owned())?;
    Duration::try_from(span)
        .ok()
        .filter(|planned| !planned.is_zero())
        .ok_or_else(|| "longer than nothing".to_owned())
}

#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// The session's id [default: the newest]
    pub session: Option<String>,
    /// Name the sessions that there are
    #[arg(long)]
    pub list: bool,
    /// Write one page with plots to this file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum LiveCommand {
    /// Go live, unless pre-flight finds a problem
    Start {
        /// Only this destination (may be repeated)
        #[arg(long, value_name = "ID")]
        destination: Vec<String>,
        /// Start in spite of pre-flight's problems; the reason is kept in the log
        #[arg(long, value_name = "REASON")]
        anyway: Option<String>,
        /// The occurrence of a show that it is for: a key may be bound to one
        #[arg(long, value_name = "ID")]
        occurrence: Option<String>,
        /// One JSON object: the status afterwards
        #[arg(long)]
        json: bool,
    },
    /// Deliver what is left, then end the broadcast in the platform's own words
    Stop {
        /// The broadcast that is meant, from the status [default: the one that runs]
        #[arg(long, value_name = "ID")]
        session: Option<String>,
        /// Where an event can't be reopened: the platform's word, to end it for good
        #[arg(long, value_name = "PLATFORM")]
        confirm: Option<String>,
        /// Only this destination (may be repeated)
        #[arg(long, value_name = "ID")]
        destination: Vec<String>,
        /// One JSON object: the status afterwards
        #[arg(long)]
        json: bool,
    },
    /// Put off the end that the guard has set, where the platform allows
    Extend {
        #[arg(long, value_name = "ID")]
        destination: String,
        /// How much longer
        #[arg(long, value_name = "N")]
        minutes: f64,
        /// One JSON object: the status afterwards
        #[arg(long)]
        json: bool,
    },
    /// Throw away what is delayed and was not sent yet; the slate is shown until the delay has filled again
    Dump {
        /// One JSON object: the status afterwards
        #[arg(long)]
        json: bool,
    },
    /// Set a mark in the log
    Mark {
        #[arg(value_name = "TEXT", default_value = "")]
        text: String,
        /// One JSON object: the status afterwards
        #[arg(long)]
        json: bool,
    },
    /// What happened in a broadcast: the newest, or the one that is named
    Report(ReportArgs),
    /// How the broadcast stands
    Status {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
}

const SCENES: &str = "\
Examples:
  regia scene list
  regia scene preview pip                     make it ready
  regia scene take                            what is in preview, as it says itself
  regia scene take wide --fade 500            by a fade of half a second
  regia scene take wide --transition wipe --from left --ms 800
  regia scene black                           fade everything to black; any take undoes it";

const AUDIO: &str = "\
Examples:
  regia audio lectern --mute
  regia audio lectern --unmute --gain -3
  regia audio camera --mode off               follow: heard while its picture is on air";

#[derive(Debug, Subcommand)]
pub enum SceneCommand {
    /// Put a scene on air, from the next frame on
    Take(TakeArgs),
    /// Make a scene ready
    Preview {
        #[arg(value_name = "ID")]
        scene: String,
        /// One JSON object: what became of it, and the status
        #[arg(long)]
        json: bool,
    },
    /// Fade everything to black, or back
    Black {
        /// Back to the scene
        #[arg(long)]
        off: bool,
        /// How long it takes [default: 500]
        #[arg(long, value_name = "N")]
        ms: Option<u32>,
        /// One JSON object: what became of it, and the status
        #[arg(long)]
        json: bool,
    },
    /// The scenes there are, and which is where
    List {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
pub struct TakeArgs {
    /// [default: what is in preview]
    #[arg(value_name = "ID")]
    pub scene: Option<String>,
    /// By a fade of so many milliseconds
    #[arg(long, value_name = "MS", conflicts_with_all = ["transition", "ms"])]
    pub fade: Option<u32>,
    /// cut, fade, dip, slide, push or wipe [default: the scene's own]
    #[arg(long, value_name = "KIND", value_parser = ["cut", "fade", "dip", "slide", "push", "wipe"])]
    pub transition: Option<String>,
    /// How long it takes [default: 500]
    #[arg(long, value_name = "N")]
    pub ms: Option<u32>,
    /// Where the scene comes from, of slide, push and wipe
    #[arg(long, value_name = "SIDE", value_parser = ["left", "right", "top", "bottom"])]
    pub from: Option<String>,
    /// One JSON object: what became of it, and the status
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum OverlayCommand {
    /// It comes, as it is configured to
    On {
        #[arg(value_name = "ID")]
        id: String,
        /// One JSON object: what became of it, and the status
        #[arg(long)]
        json: bool,
    },
    /// It goes
    Off {
        #[arg(value_name = "ID")]
        id: String,
        /// One JSON object: what became of it, and the status
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
pub struct AudioArgs {
    #[arg(value_name = "SOURCE")]
    pub source: String,
    #[arg(long, conflicts_with = "unmute")]
    pub mute: bool,
    #[arg(long)]
    pub unmute: bool,
    /// In dB
    #[arg(long, value_name = "DB", allow_negative_numbers = true)]
    pub gain: Option<f32>,
    /// From -1, left, to 1, right
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub pan: Option<f32>,
    /// In milliseconds, for lips that come later than their sound
    #[arg(long, value_name = "MS")]
    pub delay: Option<u32>,
    /// In Hz; 0 takes it out
    #[arg(long, value_name = "HZ")]
    pub high_pass: Option<u32>,
    /// follow (heard while its picture is on air), on or off
    #[arg(long, value_name = "MODE", value_parser = ["follow", "on", "off"])]
    pub mode: Option<String>,
    /// One JSON object: what became of it, and the status
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Save the key on standard input in a slot; key_secret = "SLOT" publishes with it
    Set {
        #[arg(value_name = "SLOT")]
        slot: String,
        /// It serves for one broadcast, whatever the platform
        #[arg(long)]
        single_use: bool,
        /// The one occurrence of a recurring show that it is for
        #[arg(long, value_name = "ID")]
        occurrence: Option<String>,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// What is in the slots: the keys' ends, and whether they were used
    List {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Forget the key of a slot
    Delete {
        #[arg(value_name = "SLOT")]
        slot: String,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum ShowCommand {
    /// All shows, and when each is next
    List {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// What comes next
    Next {
        /// So many occurrences
        #[arg(long, value_name = "N", default_value_t = 10)]
        most: usize,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// A show as it was saved, to change and add again
    Get {
        id: String,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Save a show from a file, or from standard input
    Add {
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// In place of the one with its id
        #[arg(long)]
        replace: bool,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Save the events of a calendar (iCalendar) as shows, all or none
    Import {
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// In place of those with their ids
        #[arg(long)]
        replace: bool,
        /// Of events that have no length, such as 1h
        #[arg(long, value_name = "TIME", value_parser = planned)]
        length: Option<Duration>,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// All shows as a calendar (iCalendar), on standard output
    Export,
    /// Forget a show
    Delete {
        id: String,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Run a show now, or say what would happen; a dry run exits with 1 when something would fail
    Run {
        id: String,
        /// Only say what would happen, and what of it would fail
        #[arg(long)]
        dry_run: bool,
        /// Go live at once, without the steps before the start
        #[arg(long)]
        at_start: bool,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// How the run under way stands
    Status {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Do the run's next step now
    Step {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Leave the run's next step out
    Skip {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Begin no further step
    Hold {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Go on after a hold
    Release {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// A new address for the calendar's feed
    Feed {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
}
