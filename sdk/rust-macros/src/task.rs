//! `#[task]`: the function stays, and a type of its name implements `Task` and is the component's export.

use crate::arguments::{Arguments, Example};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Error, Expr, ExprLit, FnArg, ItemFn, Lit, Meta, Result, ReturnType, Type};

pub(crate) fn expand(arguments: Arguments, item: TokenStream) -> Result<TokenStream> {
    let function: ItemFn = syn::parse2(item)?;
    let signature = &function.sig;
    if let Some(asyncness) = signature.asyncness {
        return Err(Error::new_spanned(asyncness, "a task is not async: `http` and `clock` wait by themselves"));
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &signature.generics,
            "a task has no generic parameters: its input has one schema",
        ));
    }
    let ReturnType::Type(_, result) = &signature.output else {
        return Err(Error::new_spanned(signature, "a task returns `Result<Output, Failure>`"));
    };
    let (input, call) = parameters(&function)?;

    let (visibility, ident) = (&function.vis, &signature.ident);
    let (name, version) = (arguments.name(), arguments.version());
    let summary = match &arguments.summary {
        Some(summary) => summary.value(),
        None => first_paragraph(&function.attrs),
    };
    let (hosts, secrets) = (&arguments.hosts, &arguments.secrets);
    let examples = arguments.examples.iter().map(example);
    let doc = format!("The task `{ident}`, as a type.");

    Ok(quote! {
        #function

        #[doc = #doc]
        #[allow(non_camel_case_types, dead_code)]
        #visibility enum #ident {}

        impl ::camshaft_sdk::Task for #ident {
            const NAME: &'static str = #name;
            const VERSION: &'static str = #version;
            const SUMMARY: &'static str = #summary;
            const HOSTS: &'static [&'static str] = &[#(#hosts),*];
            const SECRETS: &'static [&'static str] = &[#(#secrets),*];

            type Input = #input;
            type Output = <#result as ::camshaft_sdk::task::TaskResult>::Output;

            fn examples() -> ::std::vec::Vec<::camshaft_sdk::task::Example> {
                ::std::vec![#(#examples),*]
            }

            fn run(
                context: &::camshaft_sdk::Context,
                input: Self::Input,
            ) -> ::core::result::Result<Self::Output, ::camshaft_sdk::Failure> {
                ::camshaft_sdk::task::TaskResult::into_result(#ident(#call))
            }
        }

        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)]
        const _: () = {
            type Exported = ::camshaft_sdk::private::TaskExport<#ident>;
            ::camshaft_sdk::private::task_world::export!(Exported with_types_in ::camshaft_sdk::private::task_world);
        };
    })
}

/// The input's type, and the arguments to call the function with.
fn parameters(function: &ItemFn) -> Result<(&Type, TokenStream)> {
    let types: Vec<&Type> = function
        .sig
        .inputs
        .iter()
        .map(|input| match input {
            FnArg::Typed(typed) => Ok(&*typed.ty),
            FnArg::Receiver(receiver) => Err(Error::new_spanned(receiver, "a task is a function, not a method")),
        })
        .collect::<Result<_>>()?;
    match types[..] {
        [Type::Reference(_), input] => Ok((input, quote!(context, input))),
        [input] if !matches!(input, Type::Reference(_)) => Ok((input, quote!(input))),
        _ => Err(Error::new_spanned(
            &function.sig,
            "a task takes `(context: &Context, input: Input)` or `(input: Input)`",
        )),
    }
    .map(|(input, call)| (input, if types.len() == 1 { quote!({ let _ = context; #call }) } else { call }))
}

/// The first paragraph of a doc comment, on one line.
fn first_paragraph(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

fn example(example: &Example) -> TokenStream {
    match example {
        Example::File(path) => quote!(::camshaft_sdk::private::file_example(::core::include_str!(
            ::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/", #path)
        ))),
        Example::Inline { name, input, output } => {
            let output = match output {
                Some(output) => quote!(::core::option::Option::Some(::camshaft_sdk::private::json!(#output))),
                None => quote!(::core::option::Option::None),
            };
            quote!(::camshaft_sdk::private::inline_example(#name, ::camshaft_sdk::private::json!(#input), #output))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(item: TokenStream) -> String {
        expand(Arguments::default(), item).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_summary_is_the_first_paragraph_on_one_line() {
        let function: ItemFn = syn::parse_quote! {
            /// Greets somebody
            /// by name.
            ///
            /// More.
            fn greet() {}
        };
        assert_eq!(first_paragraph(&function.attrs), "Greets somebody by name.");
    }

    #[test]
    fn functions_that_are_no_tasks_are_told_why() {
        assert!(
            fault(quote!(
                async fn f(i: I) -> Result<O, F> {}
            ))
            .contains("not async")
        );
        assert!(
            fault(quote!(
                fn f<T>(i: T) -> Result<O, F> {}
            ))
            .contains("generic")
        );
        assert!(
            fault(quote!(
                fn f(i: I) {}
            ))
            .contains("returns")
        );
        assert!(
            fault(quote!(
                fn f() -> Result<O, F> {}
            ))
            .contains("takes")
        );
        assert!(
            fault(quote!(
                fn f(c: &Context) -> Result<O, F> {}
            ))
            .contains("takes")
        );
        assert_eq!(
            fault(quote!(
                fn f(c: &Context, i: I) -> Result<O, F> {}
            )),
            ""
        );
        assert_eq!(
            fault(quote!(
                fn f(i: I) -> Result<O, F> {}
            )),
            ""
        );
    }
}
