//! `camshaft signing-key …`

use anyhow::Result;
use serde_json::{Value, json};

use super::{Session, read_text};
use crate::arguments::SigningKey;
use crate::client::escape;
use crate::view::{table, text};

pub(super) fn run(session: &Session, command: SigningKey) -> Result<()> {
    let path = |label: &str| format!("/api/v1/signing-keys/{}", escape(label));
    match command {
        SigningKey::Add { label, file } => {
            let added = session.client.json("PUT", &path(&label), &json!({"public_key": read_text(&file)?}))?;
            session.print(&added, |key| format!("signing key {label}  {} bits", key["bits"]))
        }
        SigningKey::Ls => {
            let items = session.client.list("/api/v1/signing-keys")?;
            session.print(&Value::Array(items), |items| {
                let row = |key: &Value| -> Vec<String> {
                    ["label", "algorithm", "bits", "created_at"].map(|field| text(&key[field])).into()
                };
                table(&["label", "algorithm", "bits", "added"], items.as_array().into_iter().flatten().map(row))
            })
        }
        SigningKey::Rm { label } => {
            session.client.json("DELETE", &path(&label), &Value::Null)?;
            session.print(&json!({"label": label}), |_| format!("signing key {label}  removed"))
        }
    }
}
