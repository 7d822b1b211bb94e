//! jq filters: `$.` rewritten for the evaluator, checked when the document is, and what they look at collected.
//!
//! The evaluator runs a filter with the context as its input and as the variable `$__`, so that `$.` becomes `$__.`.

use std::collections::HashSet;
use std::sync::LazyLock;

use jaq_core::compile::Undefined;
use jaq_core::data::JustLut;
use jaq_core::load::parse::Def;
use jaq_core::load::{self, Arena, File, Loader};
use jaq_json::Val;

/// The variable that holds the context.
const CONTEXT: &str = "$__";

/// What the evaluator knows besides jaq's library.
const LIBRARY: &str = include_str!("../../../../wit/expression/library.jq");

/// What reaches outside a filter, or depends on where it runs. The evaluator has none of these.
const ABSENT: &[&str] = &["env", "now", "halt", "halt_error", "localtime", "strflocaltime"];

/// A filter as the evaluator takes it.
pub(crate) struct Rewritten {
    pub(crate) text: String,
    /// Byte offsets in `text` of each `__` that was put in.
    inserted: Vec<usize>,
    /// What stands behind each `$.`: a name, and a second one where the first is `steps` or `secrets`; with the offset in
    /// the source.
    pub(crate) roots: Vec<(String, Option<String>, usize)>,
    /// Whether the context is taken as a whole somewhere.
    pub(crate) whole: bool,
}

impl Rewritten {
    /// The offset in the source of an offset in the rewritten text.
    fn source(&self, offset: usize) -> usize {
        offset - 2 * self.inserted.iter().filter(|at| **at < offset).count()
    }
}

/// Where the reader is: in a filter, within so many parentheses of an interpolation, or in a string.
enum Inside {
    Filter(usize),
    String,
}

/// Rewrites `$.`, `$[` and a bare `$`; leaves strings, comments and `$name` alone. `words` can stand behind `$.` there.
pub(crate) fn rewrite(source: &str, words: &[&str]) -> Rewritten {
    let mut rewritten = Rewritten { text: String::new(), inserted: Vec::new(), roots: Vec::new(), whole: false };
    let mut inside = vec![Inside::Filter(0)];
    let mut letters = source.char_indices().peekable();
    let mut before = ' ';
    while let Some((at, letter)) = letters.next() {
        rewritten.text.push(letter);
        let nested = inside.len() > 1;
        match (inside.last_mut(), letter) {
            (Some(Inside::String), '\\') => {
                if let Some((_, escaped)) = letters.next() {
                    rewritten.text.push(escaped);
                    if escaped == '(' {
                        inside.push(Inside::Filter(0));
                    }
                }
            }
            (Some(Inside::String), '"') => drop(inside.pop()),
            (Some(Inside::String), _) => {}
            (_, '"') => inside.push(Inside::String),
            (_, '#') => {
                while let Some((_, letter)) = letters.next_if(|(_, letter)| *letter != '\n') {
                    rewritten.text.push(letter);
                }
            }
            (Some(Inside::Filter(depth)), '(') => *depth += 1,
            (Some(Inside::Filter(0)), ')') if nested => drop(inside.pop()),
            (Some(Inside::Filter(depth)), ')') => *depth = depth.saturating_sub(1),
            (_, '$') => {
                let next = source[at + 1..].chars().next().unwrap_or(' ');
                if !next.is_ascii_alphabetic() && next != '_' {
                    rewritten.inserted.push(rewritten.text.len());
                    rewritten.text.push_str("__");
                    rewritten.root(&source[at + 1..], at);
                }
            }
            (_, '.') if !before.is_alphanumeric() && !"_.$)]?\"".contains(before) => {
                // `.event` where a term begins may mean the context, so all of it is given.
                let word = word(&source[at + 1..]);
                rewritten.whole |= words.contains(&word);
            }
            _ => {}
        }
        before = letter;
    }
    rewritten
}

impl Rewritten {
    /// Notes what stands behind a `$`.
    fn root(&mut self, rest: &str, at: usize) {
        let Some(rest) = rest.strip_prefix('.') else {
            self.whole = true;
            return;
        };
        let first = word(rest);
        if first.is_empty() {
            self.whole = true;
            return;
        }
        let second = rest[first.len()..].strip_prefix('.').map(word).filter(|second| !second.is_empty());
        if first == "steps" && second.is_none() {
            self.whole = true;
            return;
        }
        self.roots.push((first.to_owned(), second.map(str::to_owned), at));
    }
}

fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// Stack for reading one filter. jaq descends once for each operator, so the longest filter that is taken
/// (`limits::EXPRESSION_BYTES_MAX`) needs far more than a thread has; only what is used is ever touched.
const STACK_BYTES: usize = 512 << 20;

/// Whether the filter can be read and names only what exists; otherwise the offset in the source and what is wrong.
pub(crate) fn check(filter: &Rewritten) -> Result<(), (usize, String)> {
    if filter.text.len() < 256 {
        return check_here(filter);
    }
    std::thread::scope(|scope| {
        let reader = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, || check_here(filter));
        let busy = |_| (0, "the expression cannot be checked now: no thread is to be had".to_owned());
        reader.map_err(busy)?.join().unwrap_or_else(|_| Err((0, "the expression cannot be read".to_owned())))
    })
}

/// A definition of jq's library, and every word in it.
struct Known {
    definition: Def<&'static str>,
    words: HashSet<String>,
}

/// The whole library, read once.
static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let own = load::parse(LIBRARY, |parser| parser.defs()).expect("the library is jq");
    let all = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).chain(own);
    all.map(|definition| Known { words: words(&format!("{definition:?}")), definition }).collect()
});

fn words(text: &str) -> HashSet<String> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || "_@".contains(letter)));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The definitions that a filter may use, in the order of the library. Reading all of it for each expression would make a
/// document of many steps slow.
fn needed(filter: &str) -> impl Iterator<Item = Def<&'static str>> {
    let mut wanted = words(filter);
    // A definition names those before it, so one walk from the end finds all.
    let mut chosen: Vec<_> = Vec::new();
    for known in KNOWN.iter().rev() {
        if wanted.contains(known.definition.name) {
            wanted.extend(known.words.iter().cloned());
            chosen.push(known.definition.clone());
        }
    }
    chosen.into_iter().rev()
}

fn check_here(filter: &Rewritten) -> Result<(), (usize, String)> {
    let text = filter.text.as_str();
    let place = |part: &str| {
        let offset = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
        filter.source(if offset <= text.len() { offset } else { 0 })
    };
    let available = |name: &str| !ABSENT.contains(&name);
    let arena = Arena::default();
    let modules = Loader::new(needed(text).filter(|definition| available(definition.name)))
        .load(&arena, File { code: text, path: () })
        .map_err(|errors| match errors.into_iter().next() {
            Some((_, load::Error::Lex(errors))) => {
                let (expected, rest) = errors.into_iter().next_back().unwrap_or((load::lex::Expect::Token, ""));
                let found = rest.chars().next().map_or("the end".to_owned(), |letter| format!("`{letter}`"));
                (place(rest), format!("expected {}, found {found}", expected.as_str()))
            }
            Some((_, load::Error::Parse(errors))) => {
                let (expected, found) = errors.into_iter().next().unwrap_or((load::parse::Expect::Nothing, ""));
                let name = if found.is_empty() { "the end".to_owned() } else { format!("`{found}`") };
                let offset = if found.is_empty() { filter.source(text.len()) } else { place(found) };
                (offset, format!("expected {}, found {name}", expected.as_str()))
            }
            _ => (0, "modules cannot be imported here".to_owned()),
        })?;
    type Data = JustLut<Val>;
    let functions = jaq_core::funs::<Data>().chain(jaq_std::funs()).chain(jaq_json::funs());
    let compiler = jaq_core::Compiler::default()
        .with_funs(functions.filter(|(name, _, _)| available(name)))
        .with_global_vars([CONTEXT]);
    compiler.compile(modules).map(drop).map_err(|errors| {
        let (name, kind) =
            errors.into_iter().flat_map(|(_, undefined)| undefined).next().unwrap_or(("", Undefined::Mod));
        let arguments = match kind {
            Undefined::Filter(count) if count > 0 => format!("/{count}"),
            _ => String::new(),
        };
        let mut message = format!("the {} `{name}{arguments}` is not defined", kind.as_str());
        if text.contains('-') && matches!(kind, Undefined::Filter(0)) {
            message.push_str("; a key with a hyphen is written in brackets: [\"a-b\"]");
        }
        (place(name), message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_is_rewritten_where_it_is_meant_and_nowhere_else() {
        for (source, expected) in [
            ("$.a | length", "$__.a | length"),
            (r#""$.a \($.b) \("$.c")""#, r#""$.a \($__.b) \("$.c")""#),
            ("$x.a # $.b\n| $[0]", "$x.a # $.b\n| $__[0]"),
            ("[$]", "[$__]"),
        ] {
            assert_eq!(rewrite(source, &[]).text, expected);
        }
    }

    #[test]
    fn a_word_of_the_context_where_a_term_begins_means_all_of_it() {
        for (source, whole) in [
            (".line.price * 2", true),
            ("[.line]", true),
            ("$.event | .line", true),
            ("$.line.price * 2", false),
            ("$.event.line + 1", false),
            ("$.event | .lines", false),
            ("\".line\" | length", false),
        ] {
            assert_eq!(rewrite(source, &["event", "line"]).whole, whole, "{source}");
        }
    }

    /// Each on its own, so that none misses another one that it is made of.
    #[test]
    fn every_definition_of_the_library_comes_with_what_it_needs() {
        for Known { definition, .. } in KNOWN.iter().filter(|known| !ABSENT.contains(&known.definition.name)) {
            let arguments = vec!["."; definition.args.len()].join("; ");
            let call = match definition.args.len() {
                0 => definition.name.to_owned(),
                _ => format!("{}({arguments})", definition.name),
            };
            assert_eq!(check(&rewrite(&call, &[])), Ok(()), "{call}");
        }
    }

    #[test]
    fn faults_name_their_place_in_the_source() {
        let fault = |source: &str| check(&rewrite(source, &[])).unwrap_err();
        assert_eq!(fault("$.a | lenght").0, 6);
        assert!(fault("$.headers.X-Y | length").1.contains("brackets"));
        assert!(fault("$.a | (").1.contains("the end"));
        for absent in ["env", "now", "$ENV.PATH", "input_filename", "halt"] {
            assert!(check(&rewrite(absent, &[])).is_err(), "{absent}");
        }
        assert!(check(&rewrite("[$.a[] | select(.b > 1)] | map(.c) | add", &[])).is_ok());
        for more in [
            "$.a[] | @csv",
            "$.a | @tsv",
            "$.a | IN(1, 2)",
            "INDEX($.a[]; .id)",
            "$.a | toarray",
            "$.a | trimstr(\"x\")",
        ] {
            assert_eq!(check(&rewrite(more, &[])), Ok(()), "{more}");
        }
    }
}
