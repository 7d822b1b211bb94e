//! How the demonstration talks: a title, the command or request that a person could type, what came of it.

use std::env;
use std::io::{self, IsTerminal};

use serde_json::Value;

use super::github::{Answer, Delivery, SECRET};
use super::server::Server;
use super::{AND_WAIT, EXAMPLE};
use crate::workspace::Workspace;

/// Headers that say how the answer travelled, not what it is.
const PLUMBING: [&str; 5] = ["connection", "date", "content-length", "transfer-encoding", "vary"];

/// Begins a part.
pub fn title(title: &str, command: &str) {
    let (bold, dim, plain) = if colour() { ("\x1b[1m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
    println!("\n{bold}{title}{plain}");
    println!("{dim}{command}{plain}");
}

/// The command line as a person types it.
pub fn command(arguments: &[&str]) -> String {
    format!("$ camshaft {}", arguments.join(" "))
}

/// A webhook's request, in short.
pub fn request(path: &str, delivery: &Delivery) -> String {
    format!(
        "> POST {path}\n> X-GitHub-Event: {}\n> X-Hub-Signature-256: {}…\n> {} bytes of JSON",
        delivery.event,
        &delivery.signature[..23],
        delivery.body.len()
    )
}

/// Status, headers and body of an answer.
pub fn answer(answer: &Answer) {
    println!("  {}", answer.status);
    for (name, value) in answer.headers.iter().filter(|(name, _)| !PLUMBING.contains(&name.as_str())) {
        println!("  {name}: {value}");
    }
    println!();
    let body = serde_json::from_str::<Value>(&answer.body).ok();
    let pretty = body.and_then(|body| serde_json::to_string_pretty(&body).ok());
    indented(pretty.as_deref().unwrap_or(&answer.body));
}

/// What a program said.
pub fn indented(text: &str) {
    for line in text.trim_end().lines() {
        println!("  {line}");
    }
}

/// Lines to copy.
pub fn what_next(workspace: &Workspace, server: &Server) {
    let payloads = workspace.root.join(EXAMPLE).join("payloads");
    title("Your turn: the server goes on until you press Ctrl-C", "copy these into another terminal");
    println!(
        r#"
  cd {root}
  export CAMSHAFT_URL={url} CAMSHAFT_TOKEN={token}
  alias camshaft={binary}

  camshaft execution ls
  camshaft workflow show github-triage
  camshaft plugin ls

  payload={payload}
  curl -i "$CAMSHAFT_URL{AND_WAIT}" --data-binary @"$payload" \
    -H 'Content-Type: application/json' -H 'X-GitHub-Event: issues' -H "X-GitHub-Delivery: $(date +%s)" \
    -H "X-Hub-Signature-256: sha256=$(openssl dgst -sha256 -hmac "{SECRET}" -r "$payload" | cut -d' ' -f1)"

  $EDITOR {EXAMPLE}/    # change something, then:
  camshaft deploy {EXAMPLE}

  the server's log: {log}
"#,
        root = workspace.root.display(),
        url = server.url,
        token = server.token,
        binary = server.binary().display(),
        payload = payloads.join("issues.opened.json").display(),
        log = server.log().display(),
    );
}

fn colour() -> bool {
    io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
