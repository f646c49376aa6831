//! `regia passwd USER`: through the daemon where one runs, or else in its store.

use super::args::PasswdArgs;
use super::client;
use crate::panel::{Access, Role, check_user_name, hash_password};
use crate::session::keys::Memory;
use anyhow::{Context, anyhow, bail};
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
use serde_json::json;
use std::io::{BufRead, IsTerminal, Write as _};
use std::path::Path;

const LONGEST: usize = 1_024;

pub async fn passwd(state: &Path, args: PasswdArgs) -> anyhow::Result<u8> {
    let password = read()?;
    let role = args.role.as_deref().map(|word| {
        Role::from_word(word)
            .ok_or_else(|| anyhow!("a role is viewer, operator or admin, not {word:?}"))
    });
    let role = role.transpose()?;
    let socket = state.join("regia.sock");
    if client::is_there(&socket).await {
        let name: String = url::form_urlencoded::byte_serialize(args.user.as_bytes())
            .collect::<String>()
            .replace('+', "%20");
        let users = client::request(&socket, "/api/v1/users", None).await?;
        let known = users
            .as_array()
            .is_some_and(|users| users.iter().any(|user| user["name"] == args.user.as_str()));
        let mut body = json!({ "password": password });
        if let Some(role) = role.or((!known).then_some(Role::Admin)) {
            body["role"] = json!(role);
        }
        client::request_by(&socket, "PUT", &format!("/api/v1/users/{name}"), Some(body)).await?;
    } else {
        check_user_name(&args.user).map_err(|_| anyhow!("that is no name for a user"))?;
        std::fs::create_dir_all(state)
            .with_context(|| format!("cannot make the state directory {}", state.display()))?;
        let store = Memory::open(state, super::credentials().as_deref())?.store;
        let access = Access::open(Some(store.clone())).await?;
        let role = role.unwrap_or(match access.role_of(&args.user) {
            Some(role) => role,
            None => Role::Admin,
        });
        let put = access
            .put_user(&args.user, role, hash_password(&password)?)
            .await;
        put.map_err(|_| anyhow!("the user could not be saved in {}", state.display()))?;
        store.flush().await;
    }
    println!("{}: the password is set", args.user);
    Ok(0)
}

/// From a terminal twice and unseen; from a pipe its first line. Never from an argument: every user of the machine can read those.
fn read() -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return line();
    }
    let before = tcgetattr(&stdin)?;
    let mut silent = before.clone();
    silent.local_flags.remove(LocalFlags::ECHO);
    silent.local_flags.insert(LocalFlags::ECHONL);
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &silent)?;
    let typed =
        ask("The password (it is not shown): ").and_then(|first| Ok((first, ask("Once more: ")?)));
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &before)?;
    let (first, again) = typed?;
    if first != again {
        bail!("the two are not the same: try again");
    }
    Ok(first)
}

fn ask(prompt: &str) -> anyhow::Result<String> {
    eprint!("{prompt}");
    std::io::stderr().flush()?;
    line()
}

fn line() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().lock().read_line(&mut text)?;
    if text.len() > LONGEST {
        bail!("that is longer than any password");
    }
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}
