//! What a document says of the users of an app: `app_event`, `connected`, `resource`, and the credentials of a connection.

use camshaft_model::ids::Name;
use camshaft_model::language::compile;
use camshaft_model::language::template::{Piece, SecretOf, Template};
use camshaft_model::program::StepKind;
use camshaft_model::workflow::{Trigger, trigger_keys};

use super::documents::{admit, is_admitted};
use super::{Shelf, good, show, step};

fn document(triggers: &str) -> String {
    format!("name: a\ntriggers:\n  - {triggers}\nsteps: []\n")
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

#[test]
fn the_triggers_of_users_are_read_with_every_key() {
    let workflow = good(
        r#"
name: a
triggers:
  - app_event: { name: Contact Created }
  - app_event: { name: Contact Created, integration: salesforce, when: $.event.body.id > 7 }
  - connected: { integration: salesforce }
  - resource: { integration: internal-api }
  - resource: { integration: internal-api, user: $.event.subject, when: '$.event.type == "user"' }
  - schedule: { every: 1h, integration: salesforce }
steps: []
"#,
    )
    .workflow;
    let keys: Vec<_> = trigger_keys(&workflow.triggers).iter().map(ToString::to_string).collect();
    let expected = [
        "app_event:Contact Created",
        "app_event:Contact Created#2",
        "connected:salesforce",
        "resource:internal-api",
        "resource:internal-api#2",
        "schedule",
    ];
    assert_eq!(keys, expected);
    let [Trigger::AppEvent { integration: None, when: None, .. }, second, connected, _, of_user, schedule] =
        &workflow.triggers[..]
    else {
        panic!("{:?}", workflow.triggers)
    };
    let Trigger::AppEvent { integration, when: Some(_), .. } = second else { panic!("{second:?}") };
    assert_eq!(*integration, Some(name("salesforce")));
    assert_eq!(*connected, Trigger::Connected { integration: name("salesforce") });
    let Trigger::Resource { user: Some(user), .. } = of_user else { panic!("{of_user:?}") };
    assert_eq!(user.source, "$.event.subject");
    let Trigger::Schedule(schedule) = schedule else { panic!("{schedule:?}") };
    assert_eq!(schedule.integration, Some(name("salesforce")));
}

/// Triggers, and what must be said of them.
const FAULTS: &[(&str, &[&str])] = &[
    ("app_event: {}", &["`app_event` has no `name`"]),
    ("app_event: { name: '' }", &["`name` is \"\"", "1 to 256 bytes"]),
    ("app_event: { name: a, integration: A }", &["`A`"]),
    ("app_event: { name: a, user: x }", &["`app_event` has no key `user`"]),
    ("app_event: { name: a, when: $.params.x }", &["a trigger's `when` looks at `$.event`"]),
    ("connected: {}", &["`connected` has no `integration`"]),
    ("connected: { integration: a, when: x }", &["`connected` has no key `when`"]),
    ("resource: {}", &["`resource` has no `integration`"]),
    ("resource: { integration: a, user: $.connection.user }", &["`$.connection` is not there before an execution"]),
    ("schedule: { every: 1h, integration: crm, overlap: queue }", &["`queue`", "`crm`", "cancel_previous"]),
    ("app_evnt: { name: a }", &["did you mean `app_event`?"]),
];

#[test]
fn what_is_wrong_with_a_trigger_is_said_and_seen_by_the_schema() {
    for (trigger, named) in FAULTS {
        let text = document(trigger);
        let faults = show(&compile(&text, &Shelf).unwrap_err());
        for part in *named {
            assert!(faults.contains(part), "{part:?} is not said of {trigger}: {faults}");
        }
    }
    for trigger in [
        "app_event: {}",
        "app_event: { name: '' }",
        "connected: {}",
        "resource: { user: a }",
        "connected: { integration: A }",
    ] {
        assert!(!is_admitted(&document(trigger)), "the schema takes {trigger}");
    }
    for trigger in [
        "app_event: { name: a, integration: b, when: $.event.x }",
        "resource: { integration: a, user: $.event.subject }",
    ] {
        admit(&document(trigger));
    }
}

#[test]
fn a_credential_goes_into_a_task_whole_and_nowhere_else() {
    let compiled = good(
        "name: a\nsteps: [ { task: echo, with: { a: 'Bearer {{ $.connection.credentials.token }}', b: '{{ $.secrets.connection }}' } } ]",
    );
    let StepKind::Task(task) = &step(&compiled, 0).kind else { panic!("it is a task") };
    let Template::Object(fields) = &task.with else { panic!("{:?}", task.with) };
    let secrets: Vec<_> = fields
        .iter()
        .flat_map(|(_, field)| match field {
            Template::Text(pieces) => pieces.clone(),
            other => panic!("{other:?}"),
        })
        .filter_map(|piece| match piece {
            Piece::Secret(of, name) => Some((of, name.to_string())),
            _ => None,
        })
        .collect();
    let expected = [(SecretOf::Connection, "token".to_owned()), (SecretOf::Workspace, "connection".to_owned())];
    assert_eq!(secrets, expected);
    assert_eq!(compiled.secrets.iter().map(ToString::to_string).collect::<Vec<_>>(), ["connection"]);

    for (steps, said) in [
        ("{ set: { a: '{{ $.connection.credentials.token }}' } }", "can only be handed to a task"),
        (
            "{ task: echo, with: { a: '{{ $.connection.credentials.token | length }}' } }",
            "a credential is handed to a task whole",
        ),
        ("{ task: echo, with: { a: '{{ $.connection.credentials }}' } }", "a credential is handed to a task whole"),
        ("{ if: $.connection.credentials.token == 1, then: [] }", "a credential is handed to a task whole"),
        ("{ task: echo, with: { a: '{{ $.connection.credentials[\"a-b\"] }}' } }", "`a-b`"),
    ] {
        let faults = show(&compile(&format!("name: a\nsteps: [ {steps} ]"), &Shelf).unwrap_err());
        assert!(faults.contains(said), "{said:?} is not said of {steps}: {faults}");
    }
    good("name: a\nsteps: [ { set: { a: '{{ $.connection.user }}', b: '{{ $.connection.settings.list }}' } } ]");
}
