//! How long a list of ten thousand shows takes: at the API, and at the command line with its own start.

use crate::Bench;
use crate::report::{cell, table};
use regia_testkit::regia::Regia;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

const SHOWS: u64 = 10_000;
const ASKED: usize = 50;
const PATIENCE: Duration = Duration::from_secs(120);

/// Light, so that it is the list that is measured.
const CONFIG: &str = "[programme]\nwidth = 480\nheight = 270\nfps = 30\n\
     [programme.video]\nencoder = \"x264\"\npreset = \"ultrafast\"\nbitrate_kbps = 800\nmin_bitrate_kbps = 400\n\
     [[source]]\nid = \"main\"\nkind = \"test\"\n\
     [[scene]]\nid = \"all\"\nlayers = [{ source = \"main\" }]\n";

/// One behind the other through a year: every other once, those between each year on that day, in two zones, since ten years ago.
fn calendar(year: i64) -> String {
    let mut text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n".to_owned();
    for n in 0..SHOWS {
        let minute = n * 48;
        // Months of 28 days: no date is none.
        let (month, day) = (minute / 1_440 / 28 + 1, minute / 1_440 % 28 + 1);
        let (hour, minute) = (minute / 60 % 24, minute % 60);
        let (start, rule) = match n % 2 {
            0 => (year + 1, ""),
            _ => (year - 10, "RRULE:FREQ=YEARLY\r\n"),
        };
        let _ = write!(
            text,
            "BEGIN:VEVENT\r\nUID:{n}\r\nSUMMARY:Show {n}\r\nDTSTART:{start:04}{month:02}{day:02}T{hour:02}{minute:02}00Z\r\n\
             DURATION:PT20M\r\n{rule}END:VEVENT\r\n"
        );
    }
    text + "END:VCALENDAR\r\n"
}

/// Milliseconds from asking to the answer's last byte, and its length.
fn asked(socket: &Path, path: &str) -> std::io::Result<(f64, usize)> {
    let began = Instant::now();
    let mut stream = UnixStream::connect(socket)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: regia\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{path} is refused");
    Ok((began.elapsed().as_secs_f64() * 1_000.0, answer.len()))
}

fn told(regia: &Regia, args: &[&str]) -> f64 {
    let began = Instant::now();
    let outcome = regia.cli(args);
    let took = began.elapsed().as_secs_f64() * 1_000.0;
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    took
}

pub fn run(bench: &Bench) -> String {
    let dir = bench.dir("shows");
    let file = dir.join("many.ics");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let year = 1970 + now.map_or(0, |now| now.as_secs() / 31_556_952) as i64;
    std::fs::write(&file, calendar(year)).expect("the work directory is writable");
    let mut regia = bench.run_regia(CONFIG.to_owned()).not_live().start();
    regia.wait_status("standby", PATIENCE, |status| status["state"] == "STANDBY");
    let import_s = told(&regia, &["show", "import", &file.display().to_string()]) / 1_000.0;
    eprintln!("imported in {import_s:.1} s");
    let socket = regia.state_dir().join("regia.sock");
    let mut rows = Vec::new();
    for path in ["/api/v1/shows", "/api/v1/schedule?most=50"] {
        let answers: Vec<(f64, usize)> = (0..ASKED)
            .filter_map(|_| asked(&socket, path).ok())
            .collect();
        let times: Vec<f64> = answers.iter().map(|(ms, _)| *ms).collect();
        let length = answers.first().map_or(0, |(_, length)| *length);
        rows.push(row(&format!("`GET {path}`"), &times, length));
    }
    for args in [["show", "list"], ["show", "next"]] {
        let length = regia.cli(&args).stdout.len();
        let times: Vec<f64> = (0..ASKED).map(|_| told(&regia, &args)).collect();
        rows.push(row(&format!("`regia {}`", args.join(" ")), &times, length));
    }
    regia.terminate(PATIENCE);
    format!(
        "{SHOWS} shows, half of them yearly since ten years ago; each asked {ASKED} times, commands with their own start. Importing them \
         as one calendar took {import_s:.1} s.\n\n{}",
        table(&["what", "median ms", "most ms", "kB"], &rows)
    )
}

fn row(what: &str, times: &[f64], length: usize) -> Vec<String> {
    let most = times.iter().copied().fold(0.0, f64::max);
    eprintln!("{what}: median {} ms", cell(times, 1));
    vec![
        what.to_owned(),
        cell(times, 1),
        format!("{most:.1}"),
        (length / 1_000).to_string(),
    ]
}
