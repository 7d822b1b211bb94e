//! `workflow`, `with`, `wait`.

use serde_json::{Map, Value};

use super::super::compile::Compiler;
use super::super::document::{Content, Node};
use super::super::faults::get;
use super::super::holes::Secrets;
use super::super::scalars::name;
use super::super::template::Template;
use super::Reading;
use crate::program::{Child, StepKind};

impl Compiler<'_> {
    pub(super) fn workflow(&mut self, reading: &Reading<'_>) -> Option<StepKind> {
        let workflow = self.faults_within(".workflow", |this| name(&mut this.faults, reading.kind));
        let with = match get(reading.entries, "with") {
            None => Some(Template::Literal(Value::Object(Map::new()))),
            Some(node) => self.faults_within(".with", |this| this.child_params(node)),
        };
        let wait = get(reading.entries, "wait").map_or(Some(true), |node| self.wait_for_child(node));
        Some(StepKind::Workflow(Child { workflow: workflow?, with: with?, wait: wait? }))
    }

    fn child_params(&mut self, node: &Node) -> Option<Template> {
        match self.template(node, Secrets::Refused)? {
            template @ (Template::Object(_) | Template::Literal(Value::Object(_)) | Template::Expression(_)) => {
                Some(template)
            }
            _ => {
                let found = node.describe();
                self.faults.add(node.mark, format!("`with` is a map of the workflow's parameters, found {found}"));
                None
            }
        }
    }

    fn wait_for_child(&mut self, node: &Node) -> Option<bool> {
        if let Content::Scalar(text) = &node.content
            && let Value::Bool(wait) = text.value
        {
            return Some(wait);
        }
        let found = node.describe();
        let message = format!(
            "`wait` of a `workflow` step is true or false, found {found}; to wait for anything else, make it a step of its own"
        );
        self.faults.add(node.mark, message);
        None
    }
}
