//! What may be read where: which steps, items and other roots an expression can name at its place.
//!
//! ```text
//!   any step         can be read once it is over, by everything behind it, but:
//!   a loop's body    is there until the turn is over: in the rest of the body, in `collect` and `until`
//!   a branch         is not there in the branches beside it, and is behind the `parallel`
//!   $.index, $.item  inside their loop        $.error  in `catch`        $.received  in `match`
//! ```

use std::collections::{BTreeSet, HashMap};

use super::compile::{Compiler, Place};
use super::diagnose::Mark;
use super::document::{Content, Node};
use super::expression::{Form, Path, Root, Segment};
use super::faults::{get, nearest};
use super::native::{Part, RawPath};
use crate::program::StepAddress;

/// Names that stand behind `$.`; no item of a loop is called so.
pub(crate) const ROOTS: [&str; 11] =
    ["event", "params", "steps", "vars", "env", "execution", "connection", "index", "error", "received", "secrets"];

/// Keys with a list of steps, and keys with several by their names.
const BLOCKS: [&str; 8] = ["then", "else", "default", "do", "repeat", "try", "catch", "finally"];
const NAMED_BLOCKS: [&str; 2] = ["cases", "parallel"];

/// Of parameters or variables, so many are named where one is missing.
const NAMES_SHOWN: usize = 10;

/// What can be read at the place that the compiler has got to.
#[derive(Default)]
pub(crate) struct Visible {
    /// Every id of the document, and where it stands.
    everywhere: HashMap<String, Mark>,
    /// Steps with an id that are over, and in which order they came to be.
    over: HashMap<String, StepAddress>,
    order: Vec<String>,
    /// Steps with an id that are being read.
    open: Vec<String>,
    /// Steps that are over and cannot be read here.
    hidden: HashMap<String, Hidden>,
    /// The loops around this place, outermost first.
    loops: Vec<Loop>,
    /// Items of loops that are over, and their lines.
    items_past: HashMap<String, u32>,
    /// How many `catch` are around this place.
    catches: usize,
    /// The document's parameters.
    params: BTreeSet<String>,
    /// Variables that some `set` of the document sets, wherever it stands.
    vars: BTreeSet<String>,
}

/// A loop that is being read.
pub(crate) struct Loop {
    /// `for_each` or `repeat`.
    pub(crate) word: &'static str,
    /// Where it stands.
    pub(crate) line: u32,
    /// Its id.
    pub(crate) id: Option<String>,
    /// What its items are called.
    pub(crate) item: Option<(String, StepAddress)>,
}

/// Why a step that is over cannot be read.
#[derive(Clone)]
enum Hidden {
    /// It is inside a loop that is over.
    Loop { word: &'static str, line: u32, id: Option<String> },
    /// It is in another branch of a `parallel`.
    Branch { name: String, line: u32 },
}

impl Visible {
    /// Notes the parameters, those with a fault too.
    pub(crate) fn note_params(&mut self, params: &Node) {
        if let Content::Map(entries) = &params.content {
            self.params.extend(entries.iter().map(|(key, _)| key.text.clone()));
        }
    }

    /// Notes every id and every variable, wherever it stands, so that a reference can be told apart from a slip.
    pub(crate) fn note_ids(&mut self, steps: &Node) {
        let Content::List(steps) = &steps.content else { return };
        for step in steps {
            let Content::Map(entries) = &step.content else { continue };
            if let Some(Node { content: Content::Scalar(id), mark }) = get(entries, "id") {
                self.everywhere.entry(id.text.clone()).or_insert(*mark);
            }
            for (key, value) in entries {
                match &value.content {
                    Content::Map(values) if key.text == "set" => {
                        self.vars.extend(values.iter().map(|(key, _)| key.text.clone()));
                    }
                    _ if BLOCKS.contains(&key.text.as_str()) => self.note_ids(value),
                    Content::Map(blocks) if NAMED_BLOCKS.contains(&key.text.as_str()) => {
                        blocks.iter().for_each(|(_, block)| self.note_ids(block));
                    }
                    _ => {}
                }
            }
        }
    }

    /// Where an id stands first.
    pub(crate) fn first(&self, id: &str) -> Option<Mark> {
        self.everywhere.get(id).copied()
    }

    /// A step is being read from here on.
    pub(crate) fn begin(&mut self, id: &str) {
        self.open.push(id.to_owned());
    }

    /// The latest step that began is over; from here on its output can be read.
    pub(crate) fn end(&mut self, id: &str, address: StepAddress) {
        self.open.pop();
        self.over.insert(id.to_owned(), address);
        self.order.push(id.to_owned());
    }

    /// How many steps are over; for [`Self::end_loop`] and [`Self::end_branch`].
    pub(crate) fn mark(&self) -> usize {
        self.order.len()
    }

    /// A loop's body follows.
    pub(crate) fn begin_loop(&mut self, begun: Loop) {
        self.loops.push(begun);
    }

    /// The latest loop is over, and with it what came since `mark`.
    pub(crate) fn end_loop(&mut self, mark: usize) {
        let Some(Loop { word, line, id, item }) = self.loops.pop() else { return };
        self.hide(mark, &Hidden::Loop { word, line, id });
        if let Some((item, _)) = item {
            self.items_past.insert(item, line);
        }
    }

    /// The loop around this place whose items are called so.
    pub(crate) fn loop_of(&self, item: &str) -> Option<&Loop> {
        self.loops.iter().rev().find(|around| around.item.as_ref().is_some_and(|(name, _)| name == item))
    }

    /// A branch is over: what came since `mark` is not there in the next one. Hands it out for [`Self::join`].
    pub(crate) fn end_branch(&mut self, mark: usize, name: &str, line: u32) -> Vec<(String, StepAddress)> {
        self.hide(mark, &Hidden::Branch { name: name.to_owned(), line })
    }

    /// Behind all branches, what they did can be read.
    pub(crate) fn join(&mut self, steps: Vec<(String, StepAddress)>) {
        for (id, address) in steps {
            self.hidden.remove(&id);
            self.over.insert(id.clone(), address);
            self.order.push(id);
        }
    }

    /// A `catch` follows, with `$.error`.
    pub(crate) fn begin_catch(&mut self) {
        self.catches += 1;
    }

    /// The latest `catch` is over.
    pub(crate) fn end_catch(&mut self) {
        self.catches -= 1;
    }

    fn hide(&mut self, mark: usize, why: &Hidden) -> Vec<(String, StepAddress)> {
        let mut gone = Vec::new();
        for id in self.order.drain(mark..) {
            if let Some(address) = self.over.remove(&id) {
                self.hidden.insert(id.clone(), why.clone());
                gone.push((id, address));
            }
        }
        gone
    }

    /// The words that can stand behind `$.` here, `steps` among them.
    pub(crate) fn words(&self, place: Place) -> Vec<&str> {
        if place == Place::Trigger {
            return vec!["event"];
        }
        let mut words = vec!["event", "params", "steps", "vars", "env", "execution", "connection"];
        words.extend((!self.loops.is_empty()).then_some("index"));
        words.extend(self.loops.iter().filter_map(|around| around.item.as_ref()).map(|(name, _)| name.as_str()));
        words.extend((self.catches > 0).then_some("error"));
        words.extend((place == Place::Match).then_some("received"));
        words
    }

    /// Everything that can be read here.
    pub(crate) fn all_roots(&self, place: Place) -> Vec<Root> {
        if place == Place::Trigger {
            return vec![Root::Event];
        }
        let mut roots = vec![Root::Event, Root::Params, Root::Vars, Root::Env, Root::Execution, Root::Connection];
        roots.extend((!self.loops.is_empty()).then_some(Root::Index));
        let items = self.loops.iter().filter_map(|around| around.item.clone());
        roots.extend(items.map(|(name, address)| Root::Item(name, address)));
        roots.extend((self.catches > 0).then_some(Root::Error));
        roots.extend((place == Place::Match).then_some(Root::Received));
        let steps = roots.len();
        roots.extend(self.over.iter().map(|(id, address)| Root::Step(id.clone(), *address)));
        roots[steps..].sort_by(|a, b| a.key().cmp(b.key()));
        roots
    }
}

impl Compiler<'_> {
    /// Finds what a path begins with.
    pub(crate) fn resolve(&mut self, path: RawPath, mark: Mark, place: Place) -> Result<Form, ()> {
        let mut parts = path.parts.into_iter();
        let Some(Part::Key(first)) = parts.next() else { return Err(()) };
        if place == Place::Trigger && first != "event" {
            self.faults.add(
                mark,
                format!("`$.{first}` is not there before an execution; a trigger's `when` looks at `$.event`"),
            );
            return Err(());
        }
        let visible = &self.visible;
        let root = match first.as_str() {
            "event" => Root::Event,
            "params" => Root::Params,
            "vars" => Root::Vars,
            "env" => Root::Env,
            "execution" => Root::Execution,
            "connection" => Root::Connection,
            "index" if !visible.loops.is_empty() => Root::Index,
            "error" if visible.catches > 0 => Root::Error,
            "received" if place == Place::Match => Root::Received,
            "steps" => match parts.next() {
                Some(Part::Key(id)) => self.step_root(id, mark)?,
                _ => {
                    self.faults.add(mark, "`$.steps` is followed by the id of a step");
                    return Err(());
                }
            },
            word => match visible.loop_of(word).and_then(|around| around.item.clone()) {
                Some((item, address)) => Root::Item(item, address),
                None => {
                    self.not_there(word, mark, place);
                    return Err(());
                }
            },
        };
        if let (Root::Params | Root::Vars, Some(Part::Key(name))) = (&root, parts.as_slice().first()) {
            self.known(&root, name, mark)?;
        }
        if let (Root::Connection, Some(Part::Key(key))) = (&root, parts.as_slice().first())
            && key == "credentials"
        {
            let message = "a credential is handed to a task whole, as `{{ $.connection.credentials.NAME }}` in its `with`, \
                           and used nowhere else";
            self.faults.add(mark, message);
            return Err(());
        }
        let segments = parts
            .map(|part| match part {
                Part::Key(key) => Segment::Key(key),
                Part::Index(index) => Segment::Index(index),
            })
            .collect();
        Ok(Form::Path(Path { root, segments }))
    }

    fn not_there(&mut self, word: &str, mark: Mark, place: Place) {
        let message = match (word, self.visible.items_past.get(word)) {
            ("secrets", _) => {
                "a secret is handed to a task whole, as `{{ $.secrets.NAME }}` in its `with`, and used nowhere else"
                    .to_owned()
            }
            ("index", _) => "`$.index` counts the turns of a loop, and no loop is around this".to_owned(),
            ("error", _) => {
                "`$.error` is the failure that a `catch` deals with; it is there in `catch` alone".to_owned()
            }
            ("received", _) => {
                "`$.received` is the event that a `match` looks at; behind the wait it is the output of that step"
                    .to_owned()
            }
            (_, Some(line)) => {
                format!("`$.{word}` is the item of the loop on line {line}, and is there inside that loop alone")
            }
            _ => {
                let words = self.visible.words(place);
                let suggestion = nearest(word, words.iter().copied());
                let message = format!("`$.{word}` is not there; `$.` has {}, secrets", words.join(", "));
                return self.faults.suggest(mark, message, suggestion);
            }
        };
        self.faults.add(mark, message);
    }

    /// A parameter that the document has, or a variable that it sets. Anything else would be null for ever.
    fn known(&mut self, root: &Root, name: &str, mark: Mark) -> Result<(), ()> {
        let (names, what, none) = match root {
            Root::Params => (&self.visible.params, "there is no parameter", "the document has no `params`"),
            _ => (&self.visible.vars, "nothing sets the variable", "the document has no `set`"),
        };
        if names.contains(name) {
            return Ok(());
        }
        let all: Vec<_> = names.iter().take(NAMES_SHOWN).map(|name| format!("`{name}`")).collect();
        let has = match names.len() {
            0 => none.to_owned(),
            1..=NAMES_SHOWN => format!("there are {}", all.join(", ")),
            count => format!("there are {} and {} more", all.join(", "), count - NAMES_SHOWN),
        };
        let suggestion = nearest(name, names.iter().map(String::as_str));
        self.faults.suggest(mark, format!("{what} `{name}`; {has}"), suggestion);
        Err(())
    }

    fn step_root(&mut self, id: String, mark: Mark) -> Result<Root, ()> {
        let visible = &self.visible;
        if let Some(address) = visible.over.get(&id) {
            return Ok(Root::Step(id, *address));
        }
        let Some(place) = visible.everywhere.get(&id) else {
            let nearest = nearest(&id, visible.everywhere.keys().map(String::as_str));
            self.faults.suggest(mark, format!("step `{id}` is not defined"), nearest);
            return Err(());
        };
        let step = format!("step `{id}` (line {})", place.line);
        let message = match visible.hidden.get(&id) {
            _ if visible.open.contains(&id) => {
                format!("{step} has no output when this is read: it is not over")
            }
            Some(Hidden::Loop { word: "for_each", line, id }) => {
                let behind = match id {
                    Some(id) => format!("`$.steps.{id}` is the list of them"),
                    None => "with an `id` the loop can be read".to_owned(),
                };
                format!(
                    "{step} is inside the loop on line {line} and has an output in each turn; `collect` what is wanted, and {behind}"
                )
            }
            Some(Hidden::Loop { word, line, .. }) => format!(
                "{step} is inside the loop on line {line} and has an output in each turn; `set` what is wanted, or `collect` it in a `for_each` instead of `{word}`"
            ),
            Some(Hidden::Branch { name, line }) => format!(
                "{step} is in the branch `{name}` of the `parallel` on line {line}, which runs beside this; read it behind the `parallel`"
            ),
            None => format!("{step} has not run when this is read; it comes later"),
        };
        self.faults.add(mark, message);
        Err(())
    }
}
