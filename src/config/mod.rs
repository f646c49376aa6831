//! From the TOML file to validated settings: every problem at once, each with its line and dotted path.
//!
//! `parse` is a function of the text and of what an [`Environment`] says of the machine; `load` reads the file and asks
//! the machine itself. The sections are read by `programme`, `inputs` and `outputs` through `reader`; `rules` asks `platform`
//! what each destination's platform has against them.

mod alerts;
pub mod check;
mod desk;
pub mod environment;
pub mod ingest_url;
mod inputs;
mod key;
mod kinds;
mod outputs;
mod panel;
mod picture;
mod problem;
mod programme;
mod reader;
mod report;
mod rules;
mod scenes;
pub mod settings;
pub mod show;
mod shows;
mod sound;
mod steps;
mod titles;

pub use crate::secret::{Credentials, Secret};
pub use alerts::HOOK_EVENTS;
pub use desk::*;
pub use environment::{Environment, Look, System};
pub use picture::*;
pub use problem::{ConfigErrors, Place as TextPlace, Problem, Severity};
pub use settings::*;
pub use show::Show;
pub use shows::{CONFLICT_DAYS, CONFLICT_TIMES, conflict_text, parse_show};
pub use titles::CountdownTo;

use reader::Table;
use report::Report;
use std::path::{Path, PathBuf};
use toml::de::DeTable;

/// Settings that may go on air, and what the operator should know all the same.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub settings: Settings,
    pub warnings: Vec<Problem>,
}

/// Where the configuration is when nobody says: `regia.toml` here, or else in /etc/regia.
pub fn default_path() -> PathBuf {
    let here = PathBuf::from("regia.toml");
    if here.exists() {
        return here;
    }
    PathBuf::from("/etc/regia/regia.toml")
}

/// Reads and validates a configuration file.
pub fn load(path: &Path) -> Result<Loaded, ConfigErrors> {
    let file = path.display().to_string();
    let unreadable = |what: String, instead: &str| ConfigErrors {
        problems: vec![Problem {
            severity: Severity::Problem,
            file: file.clone(),
            place: None,
            path: String::new(),
            what,
            instead: instead.to_owned(),
        }],
    };
    let bytes = std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => unreadable(
            "there is no such file".to_owned(),
            "name one with --config FILE",
        ),
        _ => unreadable(format!("can't be read: {error}"), ""),
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let upto = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = upto.iter().filter(|&&byte| byte == b'\n').count() + 1;
        unreadable(format!("line {line} is not UTF-8"), "save it as UTF-8 text")
    })?;
    parse(&text, &file, &System)
}

/// Validates the text of a configuration. `file` is its name in problems, and where relative paths start.
pub fn parse(text: &str, file: &str, env: &dyn Environment) -> Result<Loaded, ConfigErrors> {
    let report = Report::new(file, text);
    let (document, syntax) = DeTable::parse_recoverable(text);
    let base = Path::new(file).parent().unwrap_or(Path::new(""));
    let settings = read(&Table::root(&report, document.get_ref()), base, env);
    let problems = report.finish(&syntax);
    if problems.iter().any(|p| p.severity == Severity::Problem) {
        return Err(ConfigErrors { problems });
    }
    let warnings = problems;
    Ok(Loaded { settings, warnings })
}

/// Reads every section. What can't be used is reported and left out or replaced, so that the rest is read as well; the
/// settings are whole only if nothing was reported as a problem.
fn read(root: &Table<'_>, base: &Path, env: &dyn Environment) -> Settings {
    let programme = programme::programme(root);
    let window = programme::window(root, &programme, env.memory_bytes());
    let inputs::Inputs {
        mut sources,
        sounds,
        keys,
        ids: source_ids,
    } = inputs::sources(root, base, env);
    let rtmp = kinds::rtmp(root, keys);
    let (titles, title_ids) = titles::titles(root, base, env);
    let known = scenes::Known {
        sources: &sources,
        source_ids: &source_ids,
        title_ids: &title_ids,
    };
    let scenes = scenes::scenes(root, &known, base, env);
    let overlays = scenes::overlays(root, &known, base, env);
    scenes::warn_of_unused(root, &known, &scenes, &overlays);
    sound::settle(root, &mut sources, &sounds, &source_ids, &scenes);
    let (uplinks, uplink_ids) = outputs::uplinks(root, env);
    let destinations = outputs::destinations(root, &programme, base, &uplink_ids, env);
    let recordings = outputs::recordings(root, base, env);
    let panel = panel::panel(root, base, env);
    let session = programme::session(root, &scenes, &destinations);
    let alerts = alerts::alerts(root, base, env);
    let hooks = alerts::hooks(root, base, env);
    let mut settings = Settings {
        programme,
        window,
        sources,
        rtmp,
        scenes,
        titles,
        overlays,
        uplinks,
        destinations,
        recordings,
        panel,
        session,
        shows: Vec::new(),
        alerts,
        hooks,
    };
    settings.shows = shows::shows(root, &shows::Known::of(&settings));
    root.finish();
    settings
}
