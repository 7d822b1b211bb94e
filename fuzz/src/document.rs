//! Any text as a workflow document: it is read, or refused with faults that have their places in it; and what is read keeps to
//! the bounds that it was read with.

use camshaft_model::ids::{Digest, Name};
use camshaft_model::language::{FindTask, TaskMissing, compile};
use camshaft_model::limits;
use camshaft_model::plugin::PluginPin;
use semver::{Version, VersionReq};

/// Every task there is, in version 1.
pub(crate) struct EveryTask;

impl FindTask for EveryTask {
    fn find(&self, name: &Name, range: &VersionReq) -> Result<PluginPin, TaskMissing> {
        let version = Version::new(1, 2, 3);
        if !range.matches(&version) {
            return Err(TaskMissing::NoSuchVersion(vec![version]));
        }
        Ok(PluginPin { name: name.clone(), version, digest: Digest([1; 32]), observable: false })
    }
    fn names(&self) -> Vec<String> {
        vec!["echo".to_owned(), "http-request".to_owned()]
    }
}

pub(crate) fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match compile(text, &EveryTask) {
        Ok(compiled) => {
            assert!(compiled.program.steps.len() <= limits::STEPS_MAX);
            assert!(compiled.workflow.labels.len() <= limits::LABELS_MAX);
            assert!(text.len() <= limits::DOCUMENT_BYTES_MAX);
            for step in &compiled.program.steps {
                assert!(
                    step.line as usize <= text.split(['\n', '\r']).count(),
                    "step `{}` is at line {}",
                    step.path,
                    step.line
                );
            }
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "it is refused, and nobody says why");
            for fault in faults {
                let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count();
                assert!(fault.mark.line >= 1 && fault.mark.line as usize <= lines + 1, "{fault} of {lines} lines");
                assert!(fault.mark.column >= 1, "{fault}");
                assert!(!fault.message.is_empty());
            }
        }
    }
}
