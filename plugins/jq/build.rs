//! Cuts jq's library into single definitions and works out which of them each one needs.
//!
//! Every fresh instance would otherwise parse and compile the whole library for one small filter.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::{env, fs, path::Path};

struct Definition {
    name: String,
    source: String,
    needs: BTreeSet<usize>,
}

fn main() {
    let mut definitions: Vec<Definition> = Vec::new();
    // The last is of our own; the runtime checks expressions with it as well.
    for path in ["prelude/core.jq", "prelude/std.jq", "prelude/json.jq", "../../wit/expression/library.jq"] {
        println!("cargo::rerun-if-changed={path}");
        let text = fs::read_to_string(path).expect("the library is there");
        cut(&text, &mut definitions);
    }
    for index in 0..definitions.len() {
        definitions[index].needs = needs(&definitions, index);
    }
    let mut table = String::from("&[\n");
    for Definition { name, source, needs } in &definitions {
        let needs: Vec<usize> = needs.iter().copied().collect();
        writeln!(table, "    Definition {{ name: {name:?}, source: {source:?}, needs: &{needs:?} }},")
            .expect("a string grows");
    }
    table.push(']');
    let out = env::var("OUT_DIR").expect("cargo says where");
    fs::write(Path::new(&out).join("definitions.rs"), table).expect("the table is written");
}

/// A definition starts with `def` at the beginning of a line and goes on to the next one.
fn cut(text: &str, definitions: &mut Vec<Definition>) {
    let mut fresh = true;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("def ") {
            let name: String = rest
                .trim_start()
                .chars()
                .take_while(|letter| letter.is_alphanumeric() || "_@".contains(*letter))
                .collect();
            definitions.push(Definition { name, source: String::new(), needs: BTreeSet::new() });
            fresh = false;
        }
        if let (Some(last), false) = (definitions.last_mut(), fresh || line.starts_with('#')) {
            last.source.push_str(line);
            last.source.push('\n');
        }
    }
}

/// Everything that a definition names, directly or not. It sees those before it, as jq does.
fn needs(definitions: &[Definition], index: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    for word in words(&definitions[index].source) {
        for (earlier, definition) in definitions[..index].iter().enumerate() {
            if definition.name == word {
                found.insert(earlier);
                found.extend(&definition.needs);
            }
        }
    }
    found
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !(letter.is_alphanumeric() || "_@".contains(letter))).filter(|word| !word.is_empty())
}
