//! What a revision needs before it can run: grants for its plugins, secrets, integrations, the workflows it starts. Pure.
//!
//! Refused when it is published, with everything that is missing named at once, not when it runs.

use std::collections::BTreeSet;

use camshaft_model::ids::{Name, SecretName};
use camshaft_model::plugin::{Descriptor, Grant, PluginPin, PluginRelease};
use camshaft_model::program::{Program, StepKind};
use camshaft_model::workflow::{Trigger, Workflow};
use serde::Serialize;
use utoipa::ToSchema;

/// Something that is missing, and the command that helps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Missing {
    /// `grant`, `secret`, `integration`, `plugin`, `workflow`
    pub kind: &'static str,
    /// The plugin, secret, integration or workflow.
    pub name: String,
    /// The import that wants a grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<String>,
    /// One sentence.
    pub message: String,
    /// What to type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// What a release imports that its plugin's grant does not cover.
pub fn missing_grants(release: &PluginRelease, grant: &Grant) -> Vec<Missing> {
    let (hosts, secrets) = match &release.descriptor {
        Descriptor::Task(task) => (task.hosts.as_slice(), task.secrets.as_slice()),
        Descriptor::Adapter(adapter) => (adapter.hosts.as_slice(), &[][..]),
    };
    let plugin = &release.name;
    let mut missing = Vec::new();
    let mut want = |prefix: &str, what: &str, flag: &str, wanted: &[String], example: &str| {
        let import = release.imports.iter().find(|import| import.starts_with(prefix)).cloned();
        let import = import.unwrap_or_else(|| prefix.to_owned());
        let values = if wanted.is_empty() { vec![example.to_owned()] } else { wanted.to_vec() };
        let flags: Vec<_> = values.iter().map(|value| format!("{flag} {value}")).collect();
        missing.push(Missing {
            kind: "grant",
            name: plugin.to_string(),
            message: format!("plugin `{plugin}` imports {import}, and no grant names {what} for it"),
            import: Some(import),
            command: Some(format!("camshaft plugin grant {plugin} {flags}", flags = flags.join(" "))),
        });
    };
    if release.wants_http() && grant.hosts.is_empty() {
        want("wasi:http/outgoing-handler", "a host", "--host", hosts, "https://HOST");
    }
    if release.wants_secrets() && grant.secrets.is_empty() {
        want("camshaft:plugin/secrets", "a secret", "--secret", secrets, "NAME");
    }
    missing
}

/// A secret that a document names and nobody has set.
pub fn missing_secret(secret: &SecretName) -> Missing {
    Missing {
        kind: "secret",
        name: secret.to_string(),
        import: None,
        message: format!("the document uses `$.secrets.{secret}`, and there is no such secret"),
        command: Some(format!("camshaft secret set {secret}")),
    }
}

/// An integration that a trigger names and that is not there.
pub fn missing_integration(integration: &Name) -> Missing {
    Missing {
        kind: "integration",
        name: integration.to_string(),
        import: None,
        message: format!(
            "a webhook trigger names the integration `{integration}`, and there is none; \
             write its adapter into {integration}.yaml, such as `adapter: github`"
        ),
        command: Some(format!("camshaft integration apply {integration}.yaml")),
    }
}

/// A workflow that a step starts and that is not published there.
pub fn missing_workflow(workflow: &Name, environment: &Name) -> Missing {
    Missing {
        kind: "workflow",
        name: workflow.to_string(),
        import: None,
        message: format!("a step starts the workflow `{workflow}`, which is not published to `{environment}`"),
        command: Some(format!("camshaft workflow publish {workflow} --environment {environment}")),
    }
}

/// A plugin's release that a workspace does not have.
pub fn missing_plugin(pin: &PluginPin) -> Missing {
    let PluginPin { name, version, .. } = pin;
    Missing {
        kind: "plugin",
        name: name.to_string(),
        import: None,
        message: format!(
            "a step calls the plugin `{name}` {version}, whose very component this workspace does not have"
        ),
        command: None,
    }
}

/// Workflows that the steps of a program start.
pub fn children_of(program: &Program) -> BTreeSet<&Name> {
    let children = program.steps.iter().filter_map(|step| match &step.kind {
        StepKind::Workflow(child) => Some(&child.workflow),
        _ => None,
    });
    children.collect()
}

/// Integrations that the triggers of a workflow name.
pub fn integrations_of(workflow: &Workflow) -> BTreeSet<&Name> {
    let webhooks = workflow.triggers.iter().filter_map(|trigger| match trigger {
        Trigger::Webhook { integration, .. } => Some(integration),
        _ => None,
    });
    webhooks.collect()
}

#[cfg(test)]
mod tests {
    use camshaft_model::ids::Digest;
    use camshaft_model::json;
    use camshaft_model::plugin::{PluginKind, TaskDescriptor};

    use super::*;

    fn release(imports: &[&str], hosts: &[&str]) -> PluginRelease {
        PluginRelease {
            name: Name::new("caller").unwrap(),
            version: semver::Version::new(1, 0, 0),
            digest: Digest([0; 32]),
            kind: PluginKind::Task,
            size_bytes: 1,
            observable: true,
            imports: imports.iter().map(|import| (*import).to_owned()).collect(),
            exports: vec![],
            shipped: false,
            descriptor: Descriptor::Task(TaskDescriptor {
                summary: String::new(),
                input_schema: json!({}),
                output_schema: json!({}),
                examples: vec![],
                hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
                secrets: vec![],
            }),
        }
    }

    #[test]
    fn an_import_without_a_grant_is_named_with_the_command_that_helps() {
        let http = release(&["wasi:http/outgoing-handler@0.2.3"], &["https://api.example.com"]);
        let missing = missing_grants(&http, &Grant::default());
        assert_eq!(missing.len(), 1);
        assert_eq!(missing[0].import.as_deref(), Some("wasi:http/outgoing-handler@0.2.3"));
        let command = missing[0].command.as_deref().unwrap();
        assert_eq!(command, "camshaft plugin grant caller --host https://api.example.com");
        let granted = Grant { hosts: vec!["*".into()], ..Grant::default() };
        assert_eq!(missing_grants(&http, &granted), []);

        let secret = release(&["camshaft:plugin/secrets@1.0.0"], &[]);
        let missing = missing_grants(&secret, &granted);
        assert_eq!(missing[0].command.as_deref(), Some("camshaft plugin grant caller --secret NAME"));
        assert_eq!(missing_grants(&release(&["camshaft:plugin/log@1.0.0"], &[]), &Grant::default()), []);
    }
}
