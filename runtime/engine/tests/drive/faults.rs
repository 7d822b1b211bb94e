//! Faults of the engine's own: an execution that cannot be driven ends, and gives back what others wait for.

use camshaft_model::outcome::Ending;
use camshaft_model::{Value, json};

use crate::world::World;

const FAULTY: &str = r#"
name: faulty
limits: { concurrency: 1 }
steps:
  - lock: { key: only }
    do:
      - if: $.event.body.faulty
        then: [ { set: { x: "{{ [\"panic\"] | add }}" } } ]
"#;

#[tokio::test]
async fn an_execution_whose_driving_panics_ends_as_failed_and_holds_nobody_up() {
    let world = World::of(&[FAULTY]).await;
    let id = world.start(json!({"faulty": true})).await;
    let next = world.start(json!({"faulty": false})).await;
    let outcome = world.outcome(id).await;
    assert_eq!((outcome.ending, &*outcome.output), (Ending::Failed, &Value::Null));
    assert!(outcome.failure.as_ref().unwrap().message.contains("the server failed"));
    assert_eq!(world.outcome(next).await.ending, Ending::Succeeded, "its place and its lock were given back");

    let again = world.again().await;
    assert_eq!(again.outcome(id).await.ending, Ending::Failed, "it is over after a start, too");
}
