//! `camshaft:plugin/secrets`: values of the workspace that an operator has granted to this plugin by name.
//!
//! A secret that was handed out is masked from then on in whatever the guest hands back.

use camshaft_model::ids::SecretName;
use camshaft_model::outcome::{Failure, FailureKind};
use wasmtime::Result;

use crate::bindings::task::camshaft::plugin::secrets::{Host, SecretError};
use crate::state::CallState;

impl Host for CallState {
    fn get(&mut self, name: String) -> Result<Result<String, SecretError>> {
        if !self.grant.secrets.contains(&name) {
            let message = format!("the secret `{}` is not granted to `{}`", shown(&name), self.caller.plugin);
            self.outbound.verdict().set(Failure::new(FailureKind::Denied, message));
            return Ok(Err(SecretError::Denied));
        }
        let secret = SecretName::new(&name)
            .ok()
            .and_then(|name| self.permissions.secret(&self.caller.workspace, &self.caller.environment, &name));
        Ok(match secret {
            Some(value) => {
                self.mask.add(&name, &value);
                Ok(value)
            }
            None => Err(SecretError::Missing),
        })
    }
}

/// As much of a name as a message needs; the guest may ask for any text.
fn shown(name: &str) -> &str {
    &name[..name.floor_char_boundary(80)]
}
