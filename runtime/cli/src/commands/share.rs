//! `camshaft workflow share …`, `unshare`, `shares`, `offers`, `accept` and `leave`.

use anyhow::Result;
use serde_json::{Value, json};

use super::Session;
use crate::client::escape;
use crate::view::{table, text};

fn path(workflow: &str) -> String {
    format!("/api/v1/workflows/{}/shares", escape(workflow))
}

/// Offers a workflow to another workspace.
pub(super) fn share(session: &Session, workflow: &str, workspace: &str) -> Result<()> {
    let offered = session.client.json("POST", &path(workflow), &json!({"workspace": workspace}))?;
    session.print(&offered, |offered| {
        let id = text(&offered["id"]);
        format!("workflow {workflow}  offered to {workspace}\nthere: camshaft workflow accept {id}")
    })
}

/// Takes it back.
pub(super) fn unshare(session: &Session, workflow: &str, workspace: &str) -> Result<()> {
    session.client.json("DELETE", &format!("{}/{}", path(workflow), escape(workspace)), &Value::Null)?;
    let told = json!({"workflow": workflow, "workspace": workspace});
    session.print(&told, |_| format!("workflow {workflow}  shared with {workspace} no more"))
}

/// Whom a workflow is shared with.
pub(super) fn shares(session: &Session, workflow: &str) -> Result<()> {
    list(session, &path(workflow), &["workspace", "workflow_id", "created_at"])
}

/// What others offer.
pub(super) fn offers(session: &Session) -> Result<()> {
    list(session, "/api/v1/shares", &["id", "workspace", "workflow", "accepted_as", "created_at"])
}

fn list(session: &Session, path: &str, columns: &[&str]) -> Result<()> {
    let items = session.client.list(path)?;
    session.print(&Value::Array(items), |items| {
        let row = |item: &Value| columns.iter().map(|key| text(&item[*key])).collect();
        let shown: Vec<_> = columns.iter().map(|column| column.replace('_', " ")).collect();
        let shown: Vec<_> = shown.iter().map(String::as_str).collect();
        table(&shown, items.as_array().into_iter().flatten().map(row))
    })
}

/// Accepts an offer, or catches up with what has been published since.
pub(super) fn accept(session: &Session, share: &str, name: Option<&str>) -> Result<()> {
    let path = format!("/api/v1/shares/{}/accept", escape(share));
    let accepted = session.client.json("POST", &path, &json!({"name": name}))?;
    session.print(&accepted, |accepted| {
        let from = text(&accepted["shared_from"]["workspace"]);
        format!("workflow {}  of {from}  {}", text(&accepted["name"]), text(&accepted["id"]))
    })
}

/// Turns an offer down, or gives a workflow back.
pub(super) fn leave(session: &Session, share: &str) -> Result<()> {
    session.client.json("DELETE", &format!("/api/v1/shares/{}", escape(share)), &Value::Null)?;
    session.print(&json!({"id": share}), |_| format!("share {share}  left"))
}
