//! JSON in and out, strictly. jaq reads and writes more than JSON; what leaves here is JSON or a fault.

use jaq_json::{Num, Val};
use std::fmt::Write;

/// As deep as serde_json reads, which reads it everywhere else; it also keeps recursion off the end of the stack.
const DEPTH_MAX: usize = 127;

/// Reads one JSON value.
pub(crate) fn read(text: &str) -> Result<Val, String> {
    if depth(text) > DEPTH_MAX {
        return Err(format!("the input is nested deeper than {DEPTH_MAX} levels"));
    }
    jaq_json::read::parse_single(text.as_bytes()).map_err(|error| format!("the input is no JSON: {error}"))
}

/// How deep brackets are nested outside strings.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    let (mut inside, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            b'[' | b'{' if !inside => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !inside => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Writes a value as JSON.
pub(crate) fn write(value: &Val) -> Result<String, String> {
    let mut text = String::new();
    append(&mut text, value, 0)?;
    Ok(text)
}

fn append(text: &mut String, value: &Val, depth: usize) -> Result<(), String> {
    if depth == DEPTH_MAX && matches!(value, Val::Arr(_) | Val::Obj(_)) {
        return Err(format!("the output is nested deeper than {DEPTH_MAX} levels"));
    }
    match value {
        Val::Null => text.push_str("null"),
        Val::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Val::Num(number) => append_number(text, number),
        Val::TStr(bytes) => append_string(text, bytes),
        Val::BStr(_) => return Err("the output holds bytes that are no text; encode them with @base64".to_owned()),
        Val::Arr(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                append(text, item, depth + 1)?;
            }
            text.push(']');
        }
        Val::Obj(fields) => {
            text.push('{');
            for (index, (key, item)) in fields.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                match key {
                    Val::TStr(bytes) => append_string(text, bytes),
                    other => return Err(format!("the output has an object whose key {other} is no string")),
                }
                text.push(':');
                append(text, item, depth + 1)?;
            }
            text.push('}');
        }
    }
    Ok(())
}

/// Numbers are written as jq does: what is whole without a fraction, what is not a number as null, what is infinite as the
/// largest number. What came in as a decimal and was not touched goes out as it came.
fn append_number(text: &mut String, number: &Num) {
    /// Up to here every whole number is exact.
    const WHOLE_MAX: f64 = 1e17;
    match number {
        Num::Float(float) if float.is_nan() => text.push_str("null"),
        Num::Float(float) if float.is_infinite() => append_number(text, &Num::Float(f64::MAX.copysign(*float))),
        Num::Float(float) if float.fract() == 0.0 && float.abs() < WHOLE_MAX => {
            let _ = write!(text, "{float:.0}");
        }
        Num::Dec(decimal) => text.push_str(decimal.strip_prefix('+').unwrap_or(decimal)),
        other => {
            let _ = write!(text, "{other}");
        }
    }
}

fn append_string(text: &mut String, bytes: &[u8]) {
    text.push('"');
    for letter in String::from_utf8_lossy(bytes).chars() {
        match letter {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\0'..='\x1f' => {
                let _ = write!(text, "\\u{:04x}", letter as u32);
            }
            other => text.push(other),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use crate::{Fault, Filter};

    fn run(filter: &str, input: &str) -> Result<String, Fault> {
        Filter::compile(filter).unwrap().first(input)
    }

    #[test]
    fn strings_are_escaped() {
        assert_eq!(run(".", r#""a\"\\\n\u0001\u00fc\ud83d\ude00""#).unwrap(), r#""a\"\\\n\u0001ü😀""#);
    }

    #[test]
    fn numbers_that_are_not_touched_stay_as_they_are() {
        for number in ["1.10", "123456789012345678901234567890", "1e3", "-0.5"] {
            assert_eq!(run(".", number).unwrap(), number);
        }
    }

    #[test]
    fn numbers_that_are_worked_out_look_as_in_jq() {
        assert_eq!(run("[4 / 2, 3 / 2, nan, 1e3 * 1e3, infinite > 1e308]", "0").unwrap(), "[2,1.5,null,1000000,true]");
        assert_eq!(run("infinite", "0").unwrap(), "1.7976931348623157e308");
        assert_eq!(run(r#""+1.5" | tonumber"#, "0").unwrap(), "1.5");
    }

    #[test]
    fn what_is_no_json_does_not_leave() {
        assert!(matches!(run("{(0): 1}", "0"), Err(Fault::Run(_))));
        assert!(matches!(run("tobytes", r#""a""#), Err(Fault::Run(_))));
    }

    #[test]
    fn depth_is_bounded_both_ways_and_brackets_in_strings_do_not_count() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(run(".", &nested(127)).is_ok());
        assert!(matches!(run(".", &nested(128)), Err(Fault::Input(_))));
        assert!(matches!(run("[.]", &nested(127)), Err(Fault::Run(_))));
        assert!(matches!(run("reduce range(300) as $i (0; [.])", "0"), Err(Fault::Run(_))));
        assert!(run(".", &format!(r#""{}\"{}""#, "[".repeat(200), "{".repeat(200))).is_ok());
    }
}
