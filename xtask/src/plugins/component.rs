//! A component as it is shipped: made of the core module of a bare `wasm32-unknown-unknown` build, which on `wasm32-wasip2` the linker
//! does, and without what nobody reads.

use anyhow::Result;
use wasm_encoder::{Component, RawSection};
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

/// Names of a component's own imports and instances: 4 to 8 KB that no trace of a failure shows.
const NAMES: &str = "component-name";

/// Wraps a core module that carries its WIT types, as wit-bindgen leaves them, into a component.
pub fn from_module(module: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default().validate(true).module(module)?.encode()
}

/// The component without [`NAMES`].
pub fn without_names(component: &[u8]) -> Result<Vec<u8>> {
    let mut kept = Component::new();
    // How many modules and components the section is in.
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload?;
        let named = matches!(&payload, Payload::CustomSection(section) if section.name() == NAMES);
        if let Some((id, range)) = payload.as_section().filter(|_| depth == 0 && !named) {
            kept.section(&RawSection { id, data: &component[range] });
        }
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            _ => {}
        }
    }
    Ok(kept.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_encoder::{ComponentNameSection, CustomSection, Module, ModuleSection, NameMap};

    #[test]
    fn what_is_no_wasm_is_refused() {
        assert!(from_module(b"no wasm at all").is_err());
        assert!(without_names(b"no wasm at all").is_err());
    }

    #[test]
    fn a_component_loses_its_names_and_nothing_else() {
        let mut module = Module::new();
        module.section(&CustomSection { name: NAMES.into(), data: b"the module's own".into() });
        let made = |named: bool| {
            let mut component = Component::new();
            component.section(&ModuleSection(&module));
            if named {
                let mut names = ComponentNameSection::new();
                let mut map = NameMap::new();
                map.append(0, "main");
                names.core_modules(&map);
                component.section(&names);
            }
            component.section(&CustomSection { name: "other".into(), data: b"kept".into() });
            component.finish()
        };
        assert_ne!(made(true), made(false));
        assert_eq!(without_names(&made(true)).unwrap(), made(false));
    }
}
