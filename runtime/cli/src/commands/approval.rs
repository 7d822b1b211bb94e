//! `camshaft approval …`

use anyhow::Result;
use serde_json::Value;

use super::Session;
use crate::arguments::Approval;
use crate::client::escape;
use crate::view::{short, table, text};

/// Width of what is shown of a question.
const SHOWN: usize = 80;

pub(super) fn run(session: &Session, command: Approval) -> Result<()> {
    let Approval::Ls { workflow, limit } = command;
    let workflow = workflow.map(|workflow| format!("workflow={}", escape(&workflow))).unwrap_or_default();
    let items = session.client.newest(&format!("/api/v1/approvals?{workflow}"), limit)?;
    session.print(&Value::Array(items), |items| {
        table(
            &["execution", "workflow", "step", "asks", "of", "since", "until"],
            items.as_array().into_iter().flatten().map(row),
        )
    })
}

fn row(item: &Value) -> Vec<String> {
    let turns: String = item["iteration"].as_array().into_iter().flatten().map(|turn| format!("[{turn}]")).collect();
    let of = if item["of"].as_array().is_none_or(Vec::is_empty) { "anybody".to_owned() } else { text(&item["of"]) };
    vec![
        text(&item["execution_id"]),
        text(&item["workflow"]),
        format!("{}{turns}", text(&item["step"])),
        short(&text(&item["ask"]), SHOWN),
        of,
        text(&item["asked_at"]),
        text(&item["until"]),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_tells_the_turn_and_who_may_answer() {
        let item = json!({"execution_id": "0190", "workflow": "w", "step": "sure", "iteration": [2, 0], "ask": "Ship?",
            "of": [], "asked_at": "then", "until": null});
        assert_eq!(row(&item), ["0190", "w", "sure[2][0]", "Ship?", "anybody", "then", ""]);
    }
}
