//! The report as one page that needs nothing else: no script, no font, no address of anybody. Pure.

use super::plot::{Base, Curve, Span, bar, curves};
use super::text::{clock, covered, end};
use super::{Anyway, DestinationReport, Outage, Report, Sample};
use crate::session::event::span;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt::Write as _;

const STYLE: &str = include_str!("style.css");
/// LU: less would make a mountain of a steady voice.
const LOUDNESS_SHOWN: f64 = 8.0;
/// Uplinks beyond share a colour.
const COLOURS: usize = 4;

/// `zone` is that of the times a reader compares with a watch.
pub fn page(report: &Report, zone: &TimeZone) -> String {
    let title = format!("Broadcast of {}", date(report.started_ms, zone));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        escaped(&title)
    );
    header(&mut out, report, zone, &title);
    tiles(&mut out, report);
    report.anyway.iter().for_each(|it| anyway(&mut out, it));
    for to in &report.destinations {
        destination(&mut out, to, report);
    }
    recordings(&mut out, report);
    log(&mut out, report, zone);
    put(
        &mut out,
        format_args!(
            "<footer>Session {} · Regia {}</footer>\n</main>\n</body>\n</html>\n",
            escaped(&report.session),
            env!("CARGO_PKG_VERSION")
        ),
    );
    out
}

/// Appends; writing to a String does not fail.
fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// In the zone; a time that no calendar holds is shown as its number.
fn wall(at_ms: i64, zone: &TimeZone, format: &str) -> String {
    match Timestamp::from_millisecond(at_ms) {
        Ok(at) => at.to_zoned(zone.clone()).strftime(format).to_string(),
        Err(_) => at_ms.to_string(),
    }
}

fn date(at_ms: i64, zone: &TimeZone) -> String {
    wall(at_ms, zone, "%-d %B %Y")
}

fn header(out: &mut String, report: &Report, zone: &TimeZone, title: &str) {
    let until = match report.ended_ms {
        Some(ended_ms) => format!("to {}", wall(ended_ms, zone, "%H:%M:%S")),
        None => "under way, or cut off".to_owned(),
    };
    let totals = &report.totals;
    let lossy = totals.shed_s > 0.0 || totals.undelivered_s > 0.0;
    put(
        out,
        format_args!(
            "<header><div class=\"mark\">Regia</div><h1>{}</h1>\n<p class=\"aside\">{} {until} ({}) · started by {}</p>\n\
         <p class=\"verdict{}\">{}</p></header>\n",
            escaped(title),
            wall(report.started_ms, zone, "%A, %H:%M:%S"),
            wall(report.started_ms, zone, "%Z"),
            escaped(&report.started_by),
            if lossy { " lossy" } else { "" },
            escaped(&report.verdict())
        ),
    );
}

fn tiles(out: &mut String, report: &Report) {
    out.push_str("<div class=\"tiles\">");
    let mut tile = |name: &str, value: String, bad: bool| {
        let class = if bad { "tile bad" } else { "tile" };
        put(
            out,
            format_args!(
                "<div class=\"{class}\"><b>{}</b><span>{name}</span></div>",
                escaped(&value)
            ),
        );
    };
    let totals = &report.totals;
    tile("lasted", span(report.lasted_s), false);
    let delivered = match report.destinations.len() {
        1 => "delivered",
        _ => "delivered, all destinations",
    };
    tile(delivered, span(totals.delivered_s), false);
    tile("lost to outages", span(totals.shed_s), totals.shed_s > 0.0);
    tile("sent again", span(totals.replayed_s), false);
    tile("outages", report.outages().to_string(), false);
    tile("reconnects", totals.reconnects.to_string(), false);
    if report.engine.restarts > 0 {
        let value = format!("{} ({})", report.engine.restarts, span(report.engine.gap_s));
        tile("engine restarts (without pictures)", value, true);
    }
    if report.engine.frames_left_out > 0 {
        let frames = report.engine.frames_left_out.to_string();
        tile("frames left out, machine too slow", frames, true);
    }
    for away in &report.away {
        tile("Regia was away", span(away.lasted_s), true);
    }
    out.push_str("</div>\n");
}

fn anyway(out: &mut String, anyway: &Anyway) {
    let title = if anyway.problems.is_empty() {
        "Started without waiting for pre-flight"
    } else {
        "Started although pre-flight had problems"
    };
    put(
        out,
        format_args!(
            "<section class=\"anyway\"><h2>{title}</h2><p>{}: {}</p>",
            escaped(&anyway.who),
            escaped(&anyway.reason)
        ),
    );
    if !anyway.problems.is_empty() {
        out.push_str("<ul>");
        for problem in &anyway.problems {
            put(out, format_args!("<li>{}</li>", escaped(problem)));
        }
        out.push_str("</ul>");
    }
    out.push_str("</section>\n");
}

fn destination(out: &mut String, to: &DestinationReport, report: &Report) {
    let totals = &to.totals;
    let on_air = match to.on_air_at_s {
        Some(at_s) => format!("on air from {}", clock(at_s)),
        None => "never on air".to_owned(),
    };
    let ended = to.ended_at_s.map(|at_s| format!(" at {}", clock(at_s)));
    put(
        out,
        format_args!(
            "<section><h2>{}</h2><p class=\"aside\">{on_air}, {}{}{}</p>\n",
            escaped(&to.id),
            end(to.end),
            ended.unwrap_or_default(),
            match to.sessions {
                0 | 1 => String::new(),
                n => format!(", {n} sessions of the platform"),
            }
        ),
    );
    ways(out, to, report.lasted_s);
    plots(out, to, report.lasted_s);
    outages(out, &to.outages);
    put(
        out,
        format_args!(
            "<h3>Sums</h3><table class=\"sums\"><tr><td>delivered</td><td>{}</td></tr><tr><td>lost to outages</td>\
         <td>{} ({} pictures and AAC frames)</td></tr><tr><td>sent again</td><td>{}</td></tr>\
         <tr><td>undelivered at the end</td><td>{}</td></tr><tr><td>reconnects</td><td>{}</td></tr>",
            span(totals.delivered_s),
            span(totals.shed_s),
            totals.shed_units,
            span(totals.replayed_s),
            span(totals.undelivered_s),
            totals.reconnects
        ),
    );
    if let Some(loudness) = to.loudness {
        put(
            out,
            format_args!(
                "<tr><td>loudness</td><td>{} LUFS on the whole, from {} to {}</td></tr>",
                lufs(loudness.mean_lufs),
                lufs(loudness.least_lufs),
                lufs(loudness.most_lufs)
            ),
        );
    }
    out.push_str("</table></section>\n");
}

fn lufs(value: f64) -> String {
    format!("{value:.1}").replace('-', "−")
}

/// Which way carried it when, with the outages over it.
fn ways(out: &mut String, to: &DestinationReport, lasted_s: f64) {
    let mut names: Vec<String> = Vec::new();
    let mut pieces = Vec::new();
    for way in &to.ways {
        let name = match &way.uplink {
            Some(uplink) => format!("{uplink} → {}", way.ingest),
            None => way.ingest.clone(),
        };
        let number = names.iter().position(|known| *known == name);
        let number = number.unwrap_or_else(|| {
            names.push(name.clone());
            names.len() - 1
        });
        let times = format!("{} – {}", clock(way.from_s), clock(way.until_s));
        pieces.push(Span {
            from_s: way.from_s,
            until_s: way.until_s,
            class: format!("c{}", number % COLOURS),
            tip: escaped(&format!("{name}, {times}")),
        });
    }
    pieces.extend(troubles(&to.outages, "bad"));
    if pieces.is_empty() {
        return;
    }
    out.push_str("<h3>What carried it</h3><ul class=\"key\">");
    for (number, name) in names.iter().enumerate() {
        put(
            out,
            format_args!(
                "<li><i class=\"c{}\"></i>{}</li>",
                number % COLOURS,
                escaped(name)
            ),
        );
    }
    if !to.outages.is_empty() {
        out.push_str("<li><i class=\"bad\"></i>outage</li>");
    }
    let name = format!("What carried {} over time", to.id);
    put(
        out,
        format_args!(
            "</ul><div class=\"wide\">{}</div>\n",
            bar(&name, lasted_s, &pieces)
        ),
    );
}

fn troubles<'a>(outages: &'a [Outage], class: &'a str) -> impl Iterator<Item = Span> + 'a {
    outages.iter().map(move |outage| Span {
        from_s: outage.at_s,
        until_s: outage.at_s + outage.lasted_s,
        class: class.to_owned(),
        tip: escaped(&format!(
            "{} without delivery: {}",
            span(outage.lasted_s),
            outage.reason
        )),
    })
}

fn plots(out: &mut String, to: &DestinationReport, lasted_s: f64) {
    let curve = |label, of: fn(&Sample) -> Option<f64>| Curve {
        label,
        points: to
            .samples
            .iter()
            .filter_map(|sample| Some((sample.at_s, of(sample)?)))
            .filter(|(_, value)| value.is_finite())
            .collect(),
    };
    let under: Vec<Span> = troubles(&to.outages, "under").collect();
    let mut plot = |title: &str, lines: &[Curve], base: Base| {
        let svg = curves(
            &format!("{title}, {}", to.id),
            lasted_s,
            lines,
            &under,
            base,
        );
        if svg.is_empty() {
            return;
        }
        put(out, format_args!("<h3>{title}</h3>"));
        if lines.len() > 1 {
            out.push_str("<ul class=\"key\">");
            for (number, line) in lines.iter().enumerate() {
                put(
                    out,
                    format_args!("<li><i class=\"c{number}\"></i>{}</li>", line.label),
                );
            }
            out.push_str("</ul>");
        }
        put(out, format_args!("<div class=\"wide\">{svg}</div>\n"));
    };
    let rate = curve("sent", |sample| Some(f64::from(sample.kbps) / 1000.0));
    plot("Bitrate sent, Mb/s", &[rate], Base::Zero);
    let behind = curve("behind", |sample| Some(sample.behind_s));
    plot("Behind the programme, seconds", &[behind], Base::Zero);
    let round_trip = curve("round trip", |sample| sample.rtt_ms);
    plot("Round trip, ms", &[round_trip], Base::Zero);
    let loudness = curve("loudness", |sample| sample.loudness_lufs);
    plot(
        "Short-term loudness, LUFS",
        &[loudness],
        Base::Around(LOUDNESS_SHOWN),
    );
}

fn outages(out: &mut String, outages: &[Outage]) {
    if outages.is_empty() {
        return;
    }
    out.push_str(
        "<h3>Outages, and what covered them</h3><div class=\"wide\"><table><tr><th>at</th><th>lasted</th><th>why</th><th>then by</th>\
         <th>what an audience saw</th></tr>",
    );
    for outage in outages {
        let way = match (outage.from.as_str(), outage.to.as_str()) {
            (_, "") => "–".to_owned(),
            (from, to) if from == to => format!("{to} again"),
            (from, to) => format!("{to} instead of {from}"),
        };
        put(
            out,
            format_args!(
                "<tr><td class=\"at\">{}</td><td class=\"at\">{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                clock(outage.at_s),
                span(outage.lasted_s),
                escaped(&outage.reason),
                escaped(&way),
                covered(outage)
            ),
        );
    }
    out.push_str("</table></div>");
}

fn recordings(out: &mut String, report: &Report) {
    if report.recordings.is_empty() {
        return;
    }
    out.push_str("<section><h2>Recordings</h2><ul>");
    for recording in &report.recordings {
        put(out, format_args!("<li>{}</li>", escaped(recording)));
    }
    out.push_str("</ul></section>\n");
}

fn log(out: &mut String, report: &Report, zone: &TimeZone) {
    out.push_str(
        "<section><h2>Who did what</h2><div class=\"wide\"><table><tr><th>time</th><th>into it</th><th>who</th><th>what</th></tr>",
    );
    for line in &report.log {
        put(
            out,
            format_args!(
                "<tr><td class=\"at\">{}</td><td class=\"at\">{}</td><td class=\"at\">{}</td><td>{}</td></tr>",
                wall(line.at_ms, zone, "%H:%M:%S"),
                clock(line.at_s),
                escaped(&line.who),
                escaped(&line.text)
            ),
        );
    }
    out.push_str("</table></div></section>\n");
}

#[cfg(test)]
mod tests {
    use super::super::fold::tests::{by, out, show};
    use super::*;
    use crate::session::event::{Event, Who};

    #[test]
    fn a_page_stands_by_itself() {
        let page = page(&Report::of(&show()), &TimeZone::UTC);
        for wanted in [
            "<title>Broadcast of 31 July 2026</title>",
            "Friday, 19:30:00 to 20:30:01 (UTC) · started by anna",
            "<p class=\"verdict lossy\">6.0 s were lost to outages.</p>",
            "<i class=\"c1\"></i>lte → host:443",
            "Bitrate sent, Mb/s",
            "Short-term loudness, LUFS",
            "<td>lte instead of fibre</td><td>nothing was lost</td>",
            "−21.6 LUFS on the whole",
            "<td class=\"at\">the command line</td>",
        ] {
            assert!(page.contains(wanted), "{wanted}");
        }
        for foreign in ["http://", "https://", "<script", "src=", "href=", "url("] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        if let Some(file) = std::env::var_os("REGIA_KEEP_REPORT") {
            std::fs::write(file, &page).unwrap();
        }
    }

    #[test]
    fn nobody_writes_into_the_page() {
        let mut entries = show();
        entries.push(by(
            Who::Operator("<b>eve</b>".into()),
            10.0,
            Event::Lost {
                destination: out(),
                reason: "the server said \"<script>alert(1)</script>\" & 'more'".into(),
            },
        ));
        let page = page(&Report::of(&entries), &TimeZone::UTC);
        assert!(!page.contains("<script") && !page.contains("<b>eve"));
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot; &amp; &#39;more&#39;"));
    }
}
