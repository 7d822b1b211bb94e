//! A component from the core module that a bare `wasm32-unknown-unknown` build makes. On `wasm32-wasip2` the linker does this.

use anyhow::Result;
use wit_component::ComponentEncoder;

/// Wraps a core module that carries its WIT types, as wit-bindgen leaves them, into a component.
pub fn from_module(module: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default().validate(true).module(module)?.encode()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_module_is_refused() {
        assert!(from_module(b"no wasm at all").is_err());
    }
}
