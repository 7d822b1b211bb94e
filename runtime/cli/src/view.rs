//! How things look to people: tables, pairs, durations, errors.

use std::io::IsTerminal;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

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

/// A field's text on one line; nothing where it is missing or null.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => harmless(text),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        other => harmless(&other.to_string()),
    }
}

/// A text with everything escaped that is no letter to look at. Much of what the server tells comes from strangers: a
/// terminal would obey what it finds there, and a line break would begin a line that nobody wrote.
pub(crate) fn harmless(text: &str) -> String {
    escaped(text, |_| false)
}

/// The same of a text that has lines, such as a document.
pub(crate) fn harmless_lines(text: &str) -> String {
    escaped(text, |letter| matches!(letter, '\n' | '\t'))
}

fn escaped(text: &str, is_fine: impl Fn(char) -> bool) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, letter| {
        if is_obeyed(letter) && !is_fine(letter) {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
        shown
    })
}

/// Controls, breaks of lines and paragraphs, and what turns the direction of writing around.
fn is_obeyed(letter: char) -> bool {
    letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
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
    let line: String = text.chars().map(|letter| if is_obeyed(letter) { ' ' } else { letter }).collect();
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
    let Some(ClientError::Refused { problem, .. }) = error.downcast_ref() else {
        return harmless_lines(&format!("error: {error:#}"));
    };
    let mut text = harmless(&format!("error: {error:#}"));
    for fault in problem["diagnostics"].as_array().into_iter().flatten() {
        text.push_str(&format!("\n  {}:{}: {}", fault["line"], fault["column"], fault_text(fault)));
    }
    text
}

/// An error for programs: the server's problem (RFC 9457) as it came, or an object of the same kind.
pub(crate) fn error_json(error: &anyhow::Error) -> String {
    let mut told = match (error.downcast_ref::<BadDocument>(), error.downcast_ref::<ClientError>()) {
        (Some(bad), _) => bad.to_json(),
        (_, Some(ClientError::Refused { problem: problem @ Value::Object(_), .. })) => {
            let mut told = problem.clone();
            // The file that it is about, for example.
            let around: Vec<_> =
                error.chain().take_while(|part| !part.is::<ClientError>()).map(ToString::to_string).collect();
            if !around.is_empty() {
                told["context"] = json!(around.join(": "));
            }
            told
        }
        (_, Some(ClientError::Refused { status, .. })) => json!({"status": status, "detail": format!("{error:#}")}),
        _ => json!({"detail": format!("{error:#}")}),
    };
    if told["title"].is_null() {
        told["title"] = json!("It was not done");
    }
    format!("{told:#}")
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
    fn no_terminal_obeys_what_a_stranger_wrote_and_no_line_is_forged() {
        let forged = "no\u{1b}[2K\r\u{9b}31m\nstatus       succeeded\u{202e}";
        let shown = pairs(&[("failure", text(&json!(forged)))]);
        assert_eq!(shown, r"failure  no\u{1b}[2K\r\u{9b}31m\nstatus       succeeded\u{202e}");
        assert_eq!(table(&["a"], [vec![text(&json!({"a": "\u{9b}"}))]]).lines().count(), 2);
        assert!(!table(&["a"], [vec![text(&json!({"a": "\u{9b}"}))]]).contains('\u{9b}'));
        let refused = ClientError::Refused { status: 400, problem: json!({"detail": forged}) };
        let shown = error(&anyhow::Error::from(refused).context("w\n.yaml"));
        assert_eq!(shown.lines().count(), 1, "{shown}");
        assert!(!shown.contains('\u{1b}'), "{shown}");
        assert_eq!(harmless_lines("a\n\tb\u{1b}"), "a\n\tb\\u{1b}");
        assert_eq!(short("a\u{202e}\u{7f}b", 10), "a  b");
    }

    #[test]
    fn an_error_for_programs_is_the_servers_problem() {
        let refused =
            ClientError::Refused { status: 404, problem: json!({"title": "No", "detail": "no `x`", "status": 404}) };
        let told: Value = serde_json::from_str(&error_json(&anyhow::Error::from(refused).context("x.yaml"))).unwrap();
        assert_eq!(told, json!({"title": "No", "detail": "no `x`", "status": 404, "context": "x.yaml"}));
        let told: Value = serde_json::from_str(&error_json(&anyhow::anyhow!("cannot read x").context("so"))).unwrap();
        assert_eq!(told, json!({"title": "It was not done", "detail": "so: cannot read x"}));
        let html = ClientError::Refused { status: 502, problem: json!("<html>") };
        let told: Value = serde_json::from_str(&error_json(&html.into())).unwrap();
        assert_eq!(told["status"], 502);
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
