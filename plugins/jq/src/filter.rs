//! A compiled filter, and how it fails.

use crate::json;
use crate::library::{self, Data};
use jaq_core::compile::Undefined;
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Exn, Vars};
use jaq_json::Val;
use std::fmt;

/// The variable that holds the input, wherever the filter has got to.
const ROOT: &str = "$__";

/// A filter that is ready to run.
pub struct Filter {
    compiled: jaq_core::Filter<Data>,
}

/// Why there is no output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The filter cannot be read, or names what does not exist.
    Filter(String),
    /// The input is no JSON.
    Input(String),
    /// The filter failed on this input.
    Run(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(message) | Self::Input(message) | Self::Run(message) => f.write_str(message),
        }
    }
}

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// Where it is no jq, or names what does not exist; with the place.
    pub fn compile(filter: &str) -> Result<Self, Fault> {
        let arena = Arena::default();
        let loaded = Loader::new(library::definitions(filter)).load(&arena, File { code: filter, path: () });
        let modules = loaded.map_err(|errors| {
            let first = errors.into_iter().next().map(|(_, error)| unreadable(filter, error));
            Fault::Filter(first.unwrap_or_default())
        })?;
        let compiler = Compiler::default().with_funs(library::functions()).with_global_vars([ROOT]);
        let compiled = compiler.compile(modules).map_err(|errors| {
            let all = errors.into_iter().flat_map(|(_, undefined)| undefined);
            Fault::Filter(all.map(|(name, kind)| undefined(filter, name, &kind)).collect::<Vec<_>>().join("; "))
        })?;
        Ok(Self { compiled })
    }

    /// The first output for an input; `null` where there is none.
    ///
    /// # Errors
    /// Where the input is no JSON, the filter fails, or its output is no JSON.
    pub fn first(&self, input: &str) -> Result<String, Fault> {
        let input = json::read(input).map_err(Fault::Input)?;
        let context = Ctx::<Data>::new(&self.compiled.lut, Vars::new([input.clone()]));
        match self.compiled.id.run((context, input)).next() {
            None => Ok("null".to_owned()),
            Some(Ok(value)) => json::write(&value).map_err(Fault::Run),
            Some(Err(exception)) => Err(Fault::Run(failed(exception))),
        }
    }
}

fn failed(exception: Exn<'_, Val>) -> String {
    match exception.get_err() {
        Ok(error) => error.to_string(),
        Err(_) => "the filter broke off".to_owned(),
    }
}

fn unreadable(filter: &str, error: load::Error<&str>) -> String {
    match error {
        load::Error::Io(_) => "modules cannot be imported here".to_owned(),
        load::Error::Lex(errors) => {
            let (expected, rest) = errors.into_iter().next_back().unwrap_or((load::lex::Expect::Token, ""));
            complaint(filter, expected.as_str(), first_word(rest))
        }
        load::Error::Parse(errors) => {
            let (expected, found) = errors.into_iter().next().unwrap_or((load::parse::Expect::Nothing, ""));
            complaint(filter, expected.as_str(), found)
        }
    }
}

/// `found` is a part of `filter`, so its place is known.
fn complaint(filter: &str, expected: &str, found: &str) -> String {
    if found.is_empty() {
        return format!("expected {expected}, but the filter ends");
    }
    format!("expected {expected} at position {}, found `{found}`", position(filter, found))
}

fn undefined(filter: &str, name: &str, kind: &Undefined) -> String {
    let arguments = match kind {
        Undefined::Filter(count) if *count > 0 => format!("/{count}"),
        _ => String::new(),
    };
    format!("the {} `{name}{arguments}` at position {} does not exist", kind.as_str(), position(filter, name))
}

/// Characters before the part, from 1.
fn position(filter: &str, part: &str) -> usize {
    let offset = (part.as_ptr() as usize).wrapping_sub(filter.as_ptr() as usize);
    filter.get(..offset).map_or(1, |before| before.chars().count() + 1)
}

fn first_word(text: &str) -> &str {
    let end = text.char_indices().nth(1).map_or(text.len(), |(end, _)| end);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(filter: &str, input: &str) -> Result<String, Fault> {
        Filter::compile(filter)?.first(input)
    }

    fn refused(filter: &str) -> String {
        run(filter, "null").unwrap_err().to_string()
    }

    #[test]
    fn the_input_is_the_dot_and_the_root_variable() {
        assert_eq!(run(".a", r#"{"a":[1,{"b":"ü"}]}"#).unwrap(), r#"[1,{"b":"ü"}]"#);
        assert_eq!(run(".a[] | $__.b", r#"{"a":[1],"b":2}"#).unwrap(), "2");
    }

    #[test]
    fn only_the_first_output_counts_and_none_is_null() {
        assert_eq!(run(".[]", "[1,2]").unwrap(), "1");
        assert_eq!(run("empty", "1").unwrap(), "null");
        assert_eq!(run("first(repeat(1))", "1").unwrap(), "1");
    }

    #[test]
    fn what_people_write_works() {
        let cases = [
            (
                r#"[.[] | select(.n > 1) | .s] | join(", ")"#,
                r#"[{"n":1,"s":"a"},{"n":2,"s":"b"},{"n":3,"s":"c"}]"#,
                r#""b, c""#,
            ),
            (
                r#"group_by(.k) | map({(.[0].k): length}) | add"#,
                r#"[{"k":"a"},{"k":"b"},{"k":"a"}]"#,
                r#"{"a":2,"b":1}"#,
            ),
            (r#"with_entries(.value += 1)"#, r#"{"a":1,"b":2}"#, r#"{"a":2,"b":3}"#),
            (r#"try error("no") catch ."#, "null", r#""no""#),
            (r#".a // "none""#, "{}", r#""none""#),
            (r#"test("^a.c$")"#, r#""abc""#, "true"),
            (r#"sub("(?<x>b)"; "[\(.x)]")"#, r#""abc""#, r#""a[b]c""#),
            (r#""2026-01-01T00:00:00Z" | fromdate"#, "null", "1767225600"),
            (r#"1767225600 | strftime("%Y-%m-%d")"#, "null", r#""2026-01-01""#),
            (r#"@base64 + (@base64 | @base64d) + ("a b" | @uri)"#, r#""hi""#, r#""aGk=hia%20b""#),
            (r#"[.[] | @csv]"#, r#"[[1,"a\"b"]]"#, r#"["1,\"a\"\"b\""]"#),
            (r#"@tsv"#, r#"["a\tb",null,true,"\\"]"#, r#""a\\tb\t\ttrue\t\\\\""#),
            (r#"[INDEX(.id) | has("a"), (1 | IN(1, 2))]"#, r#"[{"id":"a"}]"#, "[true,true]"),
            (r#"def f(x): x * 2; [f(.[])]"#, "[1,2]", "[2,4]"),
            (r#"reduce .[] as [$a, $b] (0; . + $a * $b)"#, "[[1,2],[3,4]]", "14"),
            (r#"[paths]"#, r#"{"a":[1]}"#, r#"[["a"],["a",0]]"#),
            (r#"[limit(3; range(10))]"#, "null", "[0,1,2]"),
            (r#"if . then "y" elif true then "n" end"#, "false", r#""n""#),
            (r#"debug | stderr"#, "1", "1"),
            (r#"-(3 - 5) | abs | sqrt | floor"#, "null", "1"),
            (r#"[splits(", *")] | unique | ascii_downcase?"#, r#""B, a""#, "null"),
        ];
        for (filter, input, expected) in cases {
            assert_eq!(run(filter, input).as_deref(), Ok(expected), "{filter}");
        }
    }

    #[test]
    fn what_reaches_outside_does_not_exist() {
        for filter in ["env", "now", "halt", "halt_error", "input", "inputs", "localtime", "input_filename"] {
            assert_eq!(refused(filter), format!("the filter `{filter}` at position 1 does not exist"));
        }
        assert_eq!(refused("halt(3)"), "the filter `halt/1` at position 1 does not exist");
        assert_eq!(refused(".a | $ENV.PATH"), "the variable `$ENV` at position 6 does not exist");
        assert_eq!(refused(r#"import "a" as a; 1"#), "modules cannot be imported here");
    }

    #[test]
    fn a_filter_that_is_no_jq_is_refused_with_the_place() {
        assert_eq!(refused(".a |"), "expected term, but the filter ends");
        assert_eq!(refused(".a ü"), "expected token at position 4, found `ü`");
        assert_eq!(refused("{a: 1"), "expected closing brace, but the filter ends");
        assert_eq!(refused(".a . b )"), "expected token at position 8, found `)`");
        assert_eq!(refused("if 1 else 2 end"), "expected then at position 6, found `else`");
    }

    #[test]
    fn a_filter_that_fails_says_what_it_met() {
        assert!(refused("1 + {}").contains('1'), "{}", refused("1 + {}"));
        assert_eq!(run("error({a: 1})", "null"), Err(Fault::Run(r#"{"a":1}"#.to_owned())));
        assert!(matches!(run(".", "{"), Err(Fault::Input(_))));
    }
}
