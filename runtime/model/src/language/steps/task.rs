//! `task` and `with`.

use semver::VersionReq;
use serde_json::{Map, Value};

use super::super::TaskMissing;
use super::super::compile::Compiler;
use super::super::faults::{get, nearest};
use super::super::holes::Secrets;
use super::super::template::Template;
use super::Reading;
use crate::ids::Name;
use crate::plugin::PluginPin;
use crate::program::{StepKind, Task};

impl Compiler<'_> {
    pub(super) fn task(&mut self, reading: &Reading<'_>) -> Option<StepKind> {
        let reference = self.faults.text(reading.kind, "`task`").map(|text| text.text.clone());
        let plugin = reference.and_then(|reference| self.find(reading, &reference));
        let with = match get(reading.entries, "with") {
            None => Some(Template::Literal(Value::Object(Map::new()))),
            Some(node) => self.faults_within(".with", |this| this.template(node, Secrets::Allowed)),
        };
        Some(StepKind::Task(Task { plugin: plugin?, with: with? }))
    }

    fn find(&mut self, reading: &Reading<'_>, reference: &str) -> Option<PluginPin> {
        if let Some(pin) = self.pins.get(reference) {
            return Some(pin.clone());
        }
        let mark = reading.kind.mark;
        let (name, range) = match read_reference(reference) {
            Ok(read) => read,
            Err(why) => {
                self.faults.add(mark, why);
                return None;
            }
        };
        match self.plugins.find(&name, &range) {
            Ok(pin) => {
                self.pins.insert(reference.to_owned(), pin.clone());
                Some(pin)
            }
            Err(TaskMissing::NoSuchPlugin) => {
                let names = self.plugins.names();
                let suggestion = nearest(name.as_str(), names.iter().map(String::as_str));
                self.faults.suggest(mark, format!("there is no task plugin `{name}`"), suggestion);
                None
            }
            Err(TaskMissing::NotATask) => {
                self.faults.add(mark, format!("`{name}` is an adapter, not a task"));
                None
            }
            Err(TaskMissing::NoSuchVersion(there)) => {
                let there = there.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                self.faults.add(mark, format!("`{name}` has no version within `{reference}`; there are {there}"));
                None
            }
        }
    }
}

/// `name` is the latest release, `name@1` any 1.x.y, `name@1.2` any 1.2.y, `name@1.2.3` exactly that one.
fn read_reference(reference: &str) -> Result<(Name, VersionReq), String> {
    let (name, version) = match reference.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (reference, None),
    };
    let name = Name::new(name).map_err(|malformed| format!("`task`: {malformed}"))?;
    let Some(version) = version else { return Ok((name, VersionReq::STAR)) };
    let numbers = version.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    let operator = match version.split('.').count() {
        1 | 2 if numbers => "~",
        3 if numbers => "=",
        _ => return Err(format!("the version `{version}` of `{name}` is no range; write 1, 1.2 or 1.2.3")),
    };
    let range = VersionReq::parse(&format!("{operator}{version}"));
    range.map(|range| (name, range)).map_err(|error| format!("the version `{version}` is no range: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use semver::Version;

    #[test]
    fn a_reference_means_a_range() {
        let matches = |reference: &str, version: &str| {
            read_reference(reference).unwrap().1.matches(&version.parse::<Version>().unwrap())
        };
        assert!(matches("a@1", "1.9.3") && !matches("a@1", "2.0.0"));
        assert!(matches("a@0", "0.9.3") && !matches("a@0", "1.0.0"));
        assert!(matches("a@1.2", "1.2.9") && !matches("a@1.2", "1.3.0"));
        assert!(matches("a@1.2.3", "1.2.3") && !matches("a@1.2.3", "1.2.4"));
        assert!(matches("a", "7.0.0"));
        for bad in ["a@", "a@x", "a@1.2.3.4", "a@^1", "A@1"] {
            assert!(read_reference(bad).is_err(), "{bad}");
        }
    }
}
