//! `#[adapter]`: the `impl` stays; the type gets its name and version and is the component's export.

use crate::arguments::Arguments;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ImplItem, ItemImpl, Result, parse_quote};

pub(crate) fn expand(arguments: Arguments, item: TokenStream) -> Result<TokenStream> {
    if let Some(key) = arguments.keys.iter().find(|key| *key != "name" && *key != "version") {
        let message =
            format!("`{key}` does not belong here: an adapter says it in `describe`; known are name, version");
        return Err(Error::new(key.span(), message));
    }
    let mut block: ItemImpl = syn::parse2(item)?;
    let is_adapter = |path: &syn::Path| path.segments.last().is_some_and(|last| last.ident == "Adapter");
    if !block.trait_.as_ref().is_some_and(|(_, path, _)| is_adapter(path)) {
        return Err(Error::new_spanned(&block.self_ty, "write it over an `impl Adapter for …`"));
    }
    let is_config = |item: &ImplItem| matches!(item, ImplItem::Type(item) if item.ident == "Config");
    if !block.items.iter().any(is_config) {
        block.items.insert(
            0,
            parse_quote!(
                type Config = ::camshaft_sdk::adapter::NoConfig;
            ),
        );
    }
    let (name, version, adapter) = (arguments.name(), arguments.version(), &block.self_ty);
    // What is not written is not exported: the runtime reads off the component that it cannot sign.
    let signs = block.items.iter().any(|item| matches!(item, ImplItem::Fn(function) if function.sig.ident == "sign"));
    let signer = signs.then(|| {
        quote!(::camshaft_sdk::private::signer_world::export!(
            Exported with_types_in ::camshaft_sdk::private::signer_world
        );)
    });

    Ok(quote! {
        #block

        impl ::camshaft_sdk::adapter::Named for #adapter {
            const NAME: &'static str = #name;
            const VERSION: &'static str = #version;
        }

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)]
        const _: () = {
            type Exported = ::camshaft_sdk::private::AdapterExport<#adapter>;
            ::camshaft_sdk::private::adapter_world::export!(
                Exported with_types_in ::camshaft_sdk::private::adapter_world
            );
            #signer
        };
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_configuration_is_filled_in_and_a_given_one_stays() {
        let written = |item| expand(Arguments::default(), item).unwrap().to_string();
        assert!(written(quote!(impl Adapter for A {})).contains("NoConfig"));
        assert!(!written(quote!(impl Adapter for A { type Config = C; })).contains("NoConfig"));
    }

    #[test]
    fn only_what_signs_exports_that_it_does() {
        let written = |item| expand(Arguments::default(), item).unwrap().to_string();
        let signing = written(quote!(
            impl Adapter for A {
                fn sign() {}
            }
        ));
        assert!(signing.contains("adapter_world") && signing.contains("signer_world"), "{signing}");
        assert!(!written(quote!(impl Adapter for A {})).contains("signer_world"));
    }

    #[test]
    fn only_an_impl_of_adapter_is_taken() {
        assert!(expand(Arguments::default(), quote!(impl Other for A {})).is_err());
        assert!(expand(Arguments::default(), quote!(impl A {})).is_err());
    }
}
