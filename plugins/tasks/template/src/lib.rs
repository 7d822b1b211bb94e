//! The task `template`: fills a Jinja template with data.

use camshaft_sdk::prelude::*;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior};

/// A template and what to fill it with.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// The template, in Jinja.
    pub text: String,
    /// What the template can name: an object.
    #[serde(default)]
    pub data: serde_json::Map<String, Value>,
    /// How values are escaped.
    #[serde(default)]
    pub escape: Escape,
    /// What stands around a value; `{{` and `}}` if left out. A workflow document takes those for its own expressions, so say
    /// `["<<", ">>"]` there.
    #[serde(default)]
    pub marks: Option<(String, String)>,
    /// Whether naming what the data does not have is a failure; it is empty text otherwise.
    #[serde(default)]
    pub strict: bool,
}

/// How values are escaped.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Escape {
    /// Not at all.
    #[default]
    None,
    /// For HTML and XML; `| safe` lets a value through.
    Html,
    /// As JSON.
    Json,
}

/// The filled template.
#[derive(Serialize, JsonSchema)]
pub struct Filled {
    /// The text.
    pub text: String,
}

/// Fills a Jinja template with data and gives the text.
#[task(example(file = "cases/list.json"), example(file = "cases/html.json"))]
pub fn template(input: Template) -> Result<Filled, Failure> {
    let mut environment = Environment::new();
    // So that a fault names the value.
    environment.set_debug(true);
    if let Some((start, end)) = &input.marks {
        let syntax = SyntaxConfig::builder().variable_delimiters(start.clone(), end.clone()).build();
        environment.set_syntax(syntax.map_err(|error| Failure::invalid_input(format!("`marks`: {error}")))?);
    }
    environment.set_undefined_behavior(if input.strict {
        UndefinedBehavior::Strict
    } else {
        UndefinedBehavior::Chainable
    });
    let escape = input.escape;
    environment.set_auto_escape_callback(move |_| match escape {
        Escape::None => AutoEscape::None,
        Escape::Html => AutoEscape::Html,
        Escape::Json => AutoEscape::Json,
    });
    environment.render_str(&input.text, Serde(&input.data)).map(|text| Filled { text }).map_err(|error| failure(&error))
}

/// The template's own faults are the author's input; what goes wrong while filling it may be the data's.
fn failure(error: &Error) -> Failure {
    let line = error.line().map_or(String::new(), |line| format!("line {line}: "));
    let what = error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()));
    let own = [
        ErrorKind::SyntaxError,
        ErrorKind::UnknownFilter,
        ErrorKind::UnknownFunction,
        ErrorKind::UnknownMethod,
        ErrorKind::UnknownTest,
        ErrorKind::TemplateNotFound,
    ];
    if own.contains(&error.kind()) {
        return Failure::invalid_input(format!("`text`: {line}{what}"));
    }
    Failure::failed(format!("{line}{what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use camshaft_sdk::testing;

    #[test]
    fn golden_cases_hold() {
        testing::task_cases::<template>("cases");
    }

    #[test]
    fn other_templates_cannot_be_reached() {
        let failure = testing::call::<template>(json!({ "text": "{% include 'a' %}" })).unwrap_err();
        assert_eq!(failure.kind, FailureKind::InvalidInput, "{failure}");
    }

    #[test]
    fn a_template_that_calls_itself_ends() {
        let text = "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}";
        let failure = testing::call::<template>(json!({ "text": text })).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Failed, "{failure}");
    }
}
