//! The one way out of a plugin: on WebAssembly the component's imports, natively the mock host of [`crate::testing`].
//!
//! Each function is linked only where it is called, so a component imports only what it uses.

#[cfg(target_arch = "wasm32")]
mod component;
#[cfg(target_arch = "wasm32")]
mod outgoing;
#[cfg(target_arch = "wasm32")]
pub(crate) use {component::*, outgoing::send};

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::native::*;
