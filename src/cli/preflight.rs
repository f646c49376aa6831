//! `regia preflight`: asks the running daemon.

use super::args::PreflightArgs;
use super::{FAILED, client};
use crate::preflight::Report;
use anyhow::Context;
use std::path::Path;

pub async fn preflight(state: &Path, args: PreflightArgs) -> anyhow::Result<u8> {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("destinations", &args.destination.join(","));
    if let Some(planned) = args.planned {
        query.append_pair("planned_s", &planned.as_secs_f64().to_string());
    }
    let path = format!("/api/v1/preflight?{}", query.finish());
    let value = client::request(&state.join("regia.sock"), &path, None).await?;
    let report: Report = serde_json::from_value(value)
        .context("the daemon is of another version than this command")?;
    if args.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print!("{report}");
    }
    Ok(if report.ok { 0 } else { FAILED })
}
