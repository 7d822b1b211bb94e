//! From a document to a workflow and its program: what all parts of it share.

use std::collections::BTreeMap;

use super::diagnose::{Diagnostic, Mark};
use super::document::{Node, read};
use super::expression::{Expression, Form};
use super::faults::{Faults, get};
use super::native::{self, Part, RawPath};
use super::template::SecretOf;
use super::visible::Visible;
use super::{Compiled, FindTask, filter, head, triggers};
use crate::ids::SecretName;
use crate::limits;
use crate::plugin::PluginPin;
use crate::program::{Program, Step, StepAddress};

/// Compiles a document, or tells every fault that it has. Plugins are looked up once each; the pins say which was found.
pub fn compile(text: &str, plugins: &dyn FindTask) -> Result<Compiled, Vec<Diagnostic>> {
    if text.len() > limits::DOCUMENT_BYTES_MAX {
        let message = format!("the document has {} bytes; {} is the limit", text.len(), limits::DOCUMENT_BYTES_MAX);
        let mark = Mark { line: 1, column: 1 };
        return Err(vec![Diagnostic { mark, path: String::new(), message, suggestion: None }]);
    }
    let root = read(text).map_err(|fault| vec![fault])?;
    let mut compiler = Compiler {
        plugins,
        faults: Faults::default(),
        steps: Vec::new(),
        blocks: Vec::new(),
        visible: Visible::default(),
        pins: BTreeMap::new(),
        secrets: Vec::new(),
    };
    let compiled = compiler.document(&root);
    let mut found = compiler.faults.found;
    match compiled {
        Some(compiled) if found.is_empty() => Ok(compiled),
        _ => {
            found.sort_by(|a, b| (a.mark, &a.message).cmp(&(b.mark, &b.message)));
            found.dedup();
            Err(found)
        }
    }
}

/// Keys of a document.
pub(crate) const DOCUMENT_KEYS: [&str; 7] = ["name", "description", "labels", "params", "triggers", "limits", "steps"];

/// Where an expression stands decides what it may look at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a step: everything of the execution.
    Step,
    /// In a trigger: the event alone.
    Trigger,
    /// In a wait's `match`: everything of the execution, and the event that came.
    Match,
}

/// What an expression turned out to be.
pub(crate) enum Read {
    Expression(Expression),
    Secret(SecretOf, SecretName),
}

/// One compilation.
pub(crate) struct Compiler<'a> {
    pub(crate) plugins: &'a dyn FindTask,
    pub(crate) faults: Faults,
    /// By address; none while its blocks are still being read.
    pub(crate) steps: Vec<Option<Step>>,
    pub(crate) blocks: Vec<Vec<StepAddress>>,
    /// What expressions can read where the compiler has got to.
    pub(crate) visible: Visible,
    pub(crate) pins: BTreeMap<String, PluginPin>,
    pub(crate) secrets: Vec<SecretName>,
}

impl Compiler<'_> {
    fn document(&mut self, root: &Node) -> Option<Compiled> {
        let entries = self.faults.map(root, "a workflow document")?;
        self.faults.keys(entries, "a workflow document", &DOCUMENT_KEYS);
        let start = root.mark;
        let mut workflow = head::read(&mut self.faults, entries, start);
        if let Some(params) = get(entries, "params") {
            self.visible.note_params(params);
        }
        if let Some(node) = get(entries, "triggers") {
            let params = workflow.as_ref().map(|workflow| workflow.params.clone()).unwrap_or_default();
            let triggers = triggers::read(self, node, &params);
            if let Some(workflow) = &mut workflow {
                workflow.triggers = triggers;
            }
        }
        match get(entries, "steps") {
            Some(node) => {
                self.visible.note_ids(node);
                self.faults_within("steps", |compiler| compiler.block(node, ""));
            }
            None => self.faults.add(start, "the document has no `steps`"),
        }
        if self.steps.len() > limits::STEPS_MAX {
            let count = self.steps.len();
            self.faults.add(start, format!("the document has {count} steps; {} is the limit", limits::STEPS_MAX));
        }
        let workflow = workflow?;
        let steps = std::mem::take(&mut self.steps).into_iter().collect::<Option<Vec<_>>>()?;
        let program = Program { steps, blocks: std::mem::take(&mut self.blocks), timeout: workflow.limits.timeout };
        let pins = std::mem::take(&mut self.pins);
        Some(Compiled { workflow, program, pins, secrets: std::mem::take(&mut self.secrets) })
    }

    /// Reads something within a key; as [`Faults::within`], for readers that need the whole compiler.
    pub(crate) fn faults_within<T>(&mut self, part: impl Into<String>, read: impl FnOnce(&mut Self) -> T) -> T {
        self.faults.enter(part.into());
        let value = read(self);
        self.faults.leave();
        value
    }

    /// Reads one expression. `mark` is where its text begins; `at` tells the place of a byte of it.
    pub(crate) fn expression(&mut self, source: &str, at: &dyn Fn(usize) -> Mark, place: Place) -> Option<Read> {
        let offset = source.len() - source.trim_start().len();
        let text = source.trim();
        let mark = at(offset);
        if text.is_empty() {
            self.faults.add(mark, "an expression is empty");
            return None;
        }
        if text.len() > limits::EXPRESSION_BYTES_MAX {
            let (found, limit) = (text.len(), limits::EXPRESSION_BYTES_MAX);
            self.faults.add(mark, format!("an expression has {found} bytes; {limit} is the limit"));
            return None;
        }
        if depth(text) > limits::EXPRESSION_DEPTH_MAX {
            let limit = limits::EXPRESSION_DEPTH_MAX;
            self.faults.add(mark, format!("an expression has more than {limit} brackets inside each other"));
            return None;
        }
        let done = |form| Some(Read::Expression(Expression { source: text.to_owned(), mark, form }));

        // A secret, and nothing but it.
        let mut whose = SecretOf::Workspace;
        if let Ok(Some(Form::Literal(secret))) = native::parse::<()>(text, &mut |path| match &path.parts[..] {
            [Part::Key(root), Part::Key(name)] if root == "secrets" => Ok(Form::Literal(name.clone().into())),
            [Part::Key(root), Part::Key(of), Part::Key(name)] if root == "connection" && of == "credentials" => {
                whose = SecretOf::Connection;
                Ok(Form::Literal(name.clone().into()))
            }
            _ => Err(()),
        }) && text.starts_with('$')
        {
            let secret = secret.as_str().unwrap_or_default();
            return match SecretName::new(secret) {
                Ok(name) => {
                    if whose == SecretOf::Workspace {
                        self.secrets.push(name.clone());
                    }
                    Some(Read::Secret(whose, name))
                }
                Err(malformed) => {
                    self.faults.add(mark, malformed.to_string());
                    None
                }
            };
        }
        match native::parse(text, &mut |path| self.resolve(path, mark, place)) {
            Ok(Some(form)) => return done(form),
            Ok(None) => {}
            Err(()) => return None,
        }
        let filter = filter::rewrite(text, &self.visible.words(place));
        if let Err((offset_inside, message)) = filter::check(&filter) {
            self.faults.add(at(offset + offset_inside), format!("expression `{text}`: {message}"));
            return None;
        }
        let mut roots = Vec::new();
        for (first, second, offset_inside) in &filter.roots {
            let parts = [Some(first), second.as_ref()].into_iter().flatten().cloned().map(Part::Key).collect();
            match self.resolve(RawPath { parts }, at(offset + offset_inside), place) {
                Ok(Form::Path(path)) if !roots.contains(&path.root) => roots.push(path.root),
                Ok(_) => {}
                Err(()) => return None,
            }
        }
        if filter.whole {
            for root in self.visible.all_roots(place) {
                if !roots.contains(&root) {
                    roots.push(root);
                }
            }
        }
        done(Form::Jq { filter: filter.text, roots })
    }
}

/// Most brackets that are open at once. Those in strings count too, which errs on the safe side.
fn depth(text: &str) -> usize {
    let (mut open, mut most) = (0usize, 0);
    for letter in text.bytes() {
        match letter {
            b'(' | b'[' | b'{' => {
                open += 1;
                most = most.max(open);
            }
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    // Words that nest without brackets.
    let words = text
        .split_whitespace()
        .filter(|word| matches!(*word, "if" | "try" | "reduce" | "foreach" | "def" | "-" | "as"));
    most.max(words.count() / 4)
}
