//! The attributes of `camshaft-sdk`: they turn a function into a task and an `impl Adapter` into an adapter.

mod adapter;
mod arguments;
mod task;

use proc_macro::TokenStream;

/// Makes a function a task plugin.
///
/// ```text
/// /// Greets somebody by name.
/// #[task]
/// fn greet(context: &Context, input: Greet) -> Result<Greeting, Failure> { … }
/// ```
///
/// The function takes a `&Context` and its input, or only its input. Input and output are any types with `Deserialize` or
/// `Serialize` and `JsonSchema`; `serde_json::Value` does too, and `Box<serde_json::value::RawValue>` with schemars' feature
/// `raw_value`. Name and version are those of the crate, the summary is the first paragraph of the doc comment. Arguments say
/// otherwise:
///
/// ```text
/// #[task(
///     name = "greet",
///     version = "1.2.0",
///     summary = "Greets somebody by name.",
///     hosts = ["https://api.example.com"],
///     secrets = ["api_token"],
///     example("by name", input = { "name": "Ada" }, output = { "text": "Hello, Ada!" }),
///     example(file = "cases/unknown.json"),
/// )]
/// ```
///
/// The function stays callable as it is. A type of the same name implements `Task`, for `testing::call::<greet>(…)`.
#[proc_macro_attribute]
pub fn task(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let written = arguments::parse(arguments.into()).and_then(|arguments| task::expand(arguments, item.into()));
    written.unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Makes an `impl Adapter for …` an adapter plugin. Name and version are those of the crate unless `name = "…"` or
/// `version = "…"` say otherwise; `type Config` may be left out where there is none, and `sign` where it cannot.
///
/// ```text
/// pub struct GitHub;
///
/// #[adapter]
/// impl Adapter for GitHub {
///     fn describe() -> Description { … }
///     fn receive(request: &Request, integration: &Integration<NoConfig>) -> Result<Receipt, Rejection> { … }
/// }
/// ```
#[proc_macro_attribute]
pub fn adapter(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let written = arguments::parse(arguments.into()).and_then(|arguments| adapter::expand(arguments, item.into()));
    written.unwrap_or_else(syn::Error::into_compile_error).into()
}
