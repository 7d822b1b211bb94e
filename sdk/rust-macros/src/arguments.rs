//! The arguments of both attributes.

use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::quote;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Error, LitStr, Result, Token, bracketed, parenthesized};

/// What an author has written in the parentheses.
#[derive(Default)]
pub(crate) struct Arguments {
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<LitStr>,
    pub(crate) summary: Option<LitStr>,
    pub(crate) hosts: Vec<LitStr>,
    pub(crate) secrets: Vec<LitStr>,
    pub(crate) examples: Vec<Example>,
    /// Every key with its place, for complaints.
    pub(crate) keys: Vec<Ident>,
}

/// One worked example.
pub(crate) enum Example {
    File(LitStr),
    Inline { name: LitStr, input: TokenStream, output: Option<TokenStream> },
}

const KEYS: &[&str] = &["name", "version", "summary", "hosts", "secrets", "example"];

pub(crate) fn parse(tokens: TokenStream) -> Result<Arguments> {
    let arguments: Arguments = Parser::parse2(Arguments::parse, tokens)?;
    if let Some(name) = &arguments.name {
        check_name(name)?;
    }
    Ok(arguments)
}

impl Arguments {
    /// The name, checked here where it is written out; the crate's own is checked by the runtime.
    pub(crate) fn name(&self) -> TokenStream {
        self.name.as_ref().map_or(quote!(env!("CARGO_PKG_NAME")), |name| quote!(#name))
    }

    pub(crate) fn version(&self) -> TokenStream {
        self.version.as_ref().map_or(quote!(env!("CARGO_PKG_VERSION")), |version| quote!(#version))
    }
}

impl Parse for Arguments {
    fn parse(input: ParseStream) -> Result<Self> {
        let mut arguments = Self::default();
        while !input.is_empty() {
            let key: Ident = input.parse()?;
            let known = key.to_string();
            if !KEYS.contains(&known.as_str()) {
                return Err(Error::new(
                    key.span(),
                    format!("`{known}` is not known here; known are {}", KEYS.join(", ")),
                ));
            }
            if known != "example" && arguments.keys.contains(&key) {
                return Err(Error::new(key.span(), format!("`{known}` is given twice")));
            }
            if known == "example" {
                arguments.examples.push(example(input)?);
            } else {
                input.parse::<Token![=]>()?;
                match known.as_str() {
                    "name" => arguments.name = Some(input.parse()?),
                    "version" => arguments.version = Some(input.parse()?),
                    "summary" => arguments.summary = Some(input.parse()?),
                    "hosts" => arguments.hosts = texts(input)?,
                    _ => arguments.secrets = texts(input)?,
                }
            }
            arguments.keys.push(key);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(arguments)
    }
}

fn texts(input: ParseStream) -> Result<Vec<LitStr>> {
    let list;
    bracketed!(list in input);
    Ok(Punctuated::<LitStr, Token![,]>::parse_terminated(&list)?.into_iter().collect())
}

/// `example(file = "cases/a.json")` or `example("name", input = …, output = …)`.
fn example(input: ParseStream) -> Result<Example> {
    let inside;
    let parenthesis = parenthesized!(inside in input);
    let mut name: Option<LitStr> = None;
    let (mut given, mut made) = (None, None);
    while !inside.is_empty() {
        if inside.peek(LitStr) {
            name = Some(inside.parse()?);
        } else {
            let key: Ident = inside.parse()?;
            inside.parse::<Token![=]>()?;
            match key.to_string().as_str() {
                "file" => return inside.parse().map(Example::File),
                "input" => given = Some(json(&inside)?),
                "output" => made = Some(json(&inside)?),
                other => {
                    let message = format!("`{other}` is not known here; known are a name, input, output, file");
                    return Err(Error::new(key.span(), message));
                }
            }
        }
        if !inside.is_empty() {
            inside.parse::<Token![,]>()?;
        }
    }
    match (name, given) {
        (Some(name), Some(input)) => Ok(Example::Inline { name, input, output: made }),
        _ => Err(Error::new(parenthesis.span.join(), "an example needs a name and `input = …`")),
    }
}

/// JSON as `json!` reads it: everything up to the next comma.
fn json(input: ParseStream) -> Result<TokenStream> {
    let mut tokens = TokenStream::new();
    while !input.is_empty() && !input.peek(Token![,]) {
        tokens.extend([input.parse::<TokenTree>()?]);
    }
    Ok(tokens)
}

fn check_name(name: &LitStr) -> Result<()> {
    let text = name.value();
    let first = text.starts_with(|letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit());
    let rest = text.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-');
    if first && rest && text.len() <= 63 {
        return Ok(());
    }
    Err(Error::new(name.span(), format!("`{text}` is not a plugin's name: [a-z0-9][a-z0-9-]{{0,62}}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(tokens: TokenStream) -> String {
        parse(tokens).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn everything_an_author_may_write_is_read() {
        let arguments = parse(quote!(
            name = "greet",
            hosts = ["https://a", "https://b"],
            example("one", input = { "a": [1, 2] }, output = -1),
            example(file = "cases/a.json"),
        ))
        .unwrap();
        assert_eq!(arguments.name.unwrap().value(), "greet");
        assert_eq!(arguments.hosts.len(), 2);
        assert_eq!(arguments.examples.len(), 2);
    }

    #[test]
    fn faults_name_the_value() {
        assert_eq!(fault(quote!(name = "Greet")), "`Greet` is not a plugin's name: [a-z0-9][a-z0-9-]{0,62}");
        assert!(fault(quote!(host = [])).starts_with("`host` is not known here"));
        assert_eq!(fault(quote!(name = "a", name = "b")), "`name` is given twice");
        assert_eq!(fault(quote!(example("a"))), "an example needs a name and `input = …`");
    }
}
