//! How things look to people: tables, pairs, durations, errors.

use std::io::IsTerminal;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use crate::client::ClientError;
use crate::commands::BadDocument;

/// A table with a header; as wide as its content needs.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().map(|name| name.to_uppercase()));
    let mut empty = true;
    for row in rows {
        empty = false;
        table.add_row(row);
    }
    if empty {
        return "nothing here yet".to_owned();
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Names and values, one a line.
pub(crate) fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = pairs.iter().filter(|(_, value)| !value.is_empty());
    lines.map(|(name, value)| format!("{name:width$}  {value}")).collect::<Vec<_>>().join("\n")
}

/// A field's text; nothing where it is missing or null.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Microseconds as people read them.
pub(crate) fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        1_000_000..60_000_000 => format!("{:.1} s", us as f64 / 1e6),
        _ => format!("{} min {} s", us / 60_000_000, us / 1_000_000 % 60),
    }
}

/// A text on one line, of at most so many characters.
pub(crate) fn short(text: &str, width: usize) -> String {
    let line: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    match line.char_indices().nth(width) {
        Some(_) => line.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        None => line,
    }
}

/// A status, coloured where somebody looks.
pub(crate) fn status(word: &str) -> String {
    let colour = match word {
        "succeeded" => "32",
        "failed" | "timed_out" | "dropped" => "31",
        "cancelled" | "skipped" => "33",
        _ => "36",
    };
    let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    if coloured { format!("\x1b[{colour}m{word}\x1b[0m") } else { word.to_owned() }
}

/// An error, with a document's faults under it where it has them.
pub(crate) fn error(error: &anyhow::Error) -> String {
    if let Some(bad) = error.downcast_ref::<BadDocument>() {
        return format!("error: {bad}");
    }
    let mut text = format!("error: {error:#}");
    if let Some(ClientError::Refused { problem, .. }) = error.downcast_ref() {
        for fault in problem["diagnostics"].as_array().into_iter().flatten() {
            text.push_str(&format!("\n  {}:{}: {}", fault["line"], fault["column"], fault_text(fault)));
        }
    }
    text
}

/// What a diagnostic says, and what was probably meant.
pub(crate) fn fault_text(fault: &Value) -> String {
    match fault["suggestion"].as_str() {
        Some(name) => format!("{}; did you mean `{name}`?", text(&fault["message"])),
        None => text(&fault["message"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        for (us, expected) in [(7, "7 µs"), (1_500, "1.5 ms"), (2_500_000, "2.5 s"), (61_000_000, "1 min 1 s")] {
            assert_eq!(duration(us), expected);
        }
    }

    #[test]
    fn long_texts_end_with_an_ellipsis_on_one_line() {
        assert_eq!(short("a\nb", 10), "a b");
        assert_eq!(short("äbcdef", 4), "äbc…");
    }

    #[test]
    fn a_table_lines_up() {
        let shown = table(&["name", "n"], [vec!["alpha".into(), "1".into()], vec!["b".into(), "22".into()]]);
        assert_eq!(shown, " NAME   N\n alpha  1\n b      22");
        assert_eq!(table(&["a"], []), "nothing here yet");
    }
}
