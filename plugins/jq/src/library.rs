//! jq's library, one definition at a time: a filter is compiled together with what it names, and with nothing else.

use jaq_core::data::JustLut;
use jaq_core::load::parse::Def;
use jaq_core::native::Fun;
use jaq_json::Val;

/// What filters run on.
pub(crate) type Data = JustLut<Val>;

struct Definition {
    name: &'static str,
    source: &'static str,
    /// Indexes of everything that it names, directly or not.
    needs: &'static [usize],
}

const DEFINITIONS: &[Definition] = include!(concat!(env!("OUT_DIR"), "/definitions.rs"));

/// What reaches outside, or depends on where it runs. Definitions and functions of these names are not there.
const ABSENT: &[&str] = &["env", "now", "halt", "halt_error", "localtime", "strflocaltime"];

/// The definitions that a filter may use: those whose names stand anywhere in it, with what they need.
pub(crate) fn definitions(filter: &str) -> Vec<Def<&'static str>> {
    let mut wanted = vec![false; DEFINITIONS.len()];
    for word in filter.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_' || letter == '@')) {
        for (index, definition) in DEFINITIONS.iter().enumerate() {
            if definition.name == word && !ABSENT.contains(&word) {
                wanted[index] = true;
                definition.needs.iter().for_each(|need| wanted[*need] = true);
            }
        }
    }
    let chosen = DEFINITIONS.iter().zip(wanted).filter_map(|(definition, wanted)| wanted.then_some(definition.source));
    chosen.flat_map(|source| jaq_core::load::parse(source, |parser| parser.defs()).unwrap_or_default()).collect()
}

/// The functions that jq's library is built on. `debug` and `stderr` are there and say nothing.
pub(crate) fn functions() -> impl Iterator<Item = Fun<Data>> {
    let all = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    all.filter(|(name, _, _)| !ABSENT.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_those_of_the_library_in_its_order() {
        let upstream = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
        let upstream: Vec<String> = upstream.map(|definition| format!("{definition:?}")).collect();
        let ours =
            DEFINITIONS.iter().flat_map(|one| jaq_core::load::parse(one.source, |parser| parser.defs()).unwrap());
        let ours: Vec<String> = ours.map(|definition| format!("{definition:?}")).collect();
        assert_eq!(ours[..upstream.len()], upstream, "what follows is of our own");
    }

    #[test]
    fn a_filter_brings_only_what_it_names() {
        assert_eq!(definitions(".a.b[0]").len(), 0);
        let names: Vec<&str> = definitions("map_values(.)").iter().map(|definition| definition.name).collect();
        assert_eq!(names, ["map_values"]);
    }

    /// Every definition on its own, so that none misses another one that it needs.
    #[test]
    fn what_a_definition_names_comes_with_it() {
        for definition in DEFINITIONS.iter().filter(|definition| !ABSENT.contains(&definition.name)) {
            let parsed = jaq_core::load::parse(definition.source, |parser| parser.defs()).unwrap();
            for one in parsed {
                let arguments = vec!["."; one.args.len()].join(";");
                let call =
                    if arguments.is_empty() { one.name.to_owned() } else { format!("{}({arguments})", one.name) };
                let compiled = crate::Filter::compile(&call);
                assert!(compiled.is_ok(), "{call}: {:?}", compiled.err());
            }
        }
    }
}
