//! Programs by hand, so that the engine's tests do not hang on the language.

use std::time::Duration;

use camshaft_model::Value;
use camshaft_model::ids::{Digest, Name};
use camshaft_model::language::expression::{Expression, Form, Path, Root, Segment};
use camshaft_model::language::template::Template;
use camshaft_model::plugin::PluginPin;
use camshaft_model::program::*;

/// Puts steps into blocks.
pub struct Build {
    steps: Vec<Step>,
    blocks: Vec<Vec<StepAddress>>,
}

impl Default for Build {
    fn default() -> Self {
        Self { steps: vec![], blocks: vec![vec![]] }
    }
}

impl Build {
    fn add(&mut self, block: usize, step: Step) {
        self.blocks[block].push(StepAddress(self.steps.len() as u32));
        self.steps.push(step);
    }

    pub fn step(mut self, step: Step) -> Self {
        self.add(0, step);
        self
    }

    pub fn branch(mut self, mut step: Step, then: Vec<Step>, otherwise: Vec<Step>) -> Self {
        let first = self.blocks.len();
        self.blocks.extend([vec![], vec![]]);
        if let StepKind::If(r#if) = &mut step.kind {
            r#if.then = BlockAddress(first as u32);
            r#if.otherwise = Some(BlockAddress(first as u32 + 1));
        }
        self.add(0, step);
        then.into_iter().for_each(|step| self.add(first, step));
        otherwise.into_iter().for_each(|step| self.add(first + 1, step));
        self
    }

    pub fn done(self) -> Program {
        Program { steps: self.steps, blocks: self.blocks, timeout: Duration::from_secs(24 * 60 * 60) }
    }
}

fn step(path: &str, kind: StepKind) -> Step {
    Step {
        path: path.into(),
        id: Some(path.into()),
        name: None,
        line: 1,
        when: None,
        timeout: None,
        retry: Retry::default(),
        on_error: OnError::default(),
        repeat: RepeatAfterCrash::default(),
        kind,
    }
}

/// A task with a literal input; observable if its plugin is called so.
pub fn task(path: &str, plugin: &str, input: Value) -> Step {
    let plugin = PluginPin {
        name: Name::new(plugin).unwrap(),
        version: semver::Version::new(1, 0, 0),
        digest: Digest([1; 32]),
        observable: plugin == "observable",
    };
    step(path, StepKind::Task(Task { plugin, with: Template::Literal(input) }))
}

pub fn exit(outputs: Value) -> Step {
    let outputs = outputs.as_object().unwrap().iter();
    let outputs = outputs.map(|(key, value)| (key.clone(), Template::Literal(value.clone()))).collect();
    step("exit", StepKind::Exit(ExitStep { outputs, failed: false }))
}

pub fn set(variable: &str, value: Expression) -> Step {
    step("set", StepKind::Set(vec![(variable.into(), Template::Expression(value))]))
}

pub fn branch(path: &str, condition: Expression) -> Step {
    step(path, StepKind::If(If { condition, then: ROOT, otherwise: None }))
}

/// `$.event.a.b` or `$.vars.a.b`.
pub fn path(root: &str, keys: &[&str]) -> Expression {
    let root = if root == "vars" { Root::Vars } else { Root::Event };
    let segments = keys.iter().map(|key| Segment::Key((*key).to_owned())).collect();
    Expression { source: format!("{keys:?}"), mark: Default::default(), form: Form::Path(Path { root, segments }) }
}
