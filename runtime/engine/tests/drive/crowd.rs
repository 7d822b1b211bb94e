//! Many executions that evaluate at once: as many do as there are workers, the others stand in line and need no thread for it.

use std::time::Duration;

use camshaft_model::ids::ExecutionId;
use camshaft_model::json;
use camshaft_model::outcome::Ending;
use camshaft_model::seams::Dispatch;

use crate::hold::Crowd;
use crate::world::{World, message};

/// Ends all evaluations, also where a test fails.
struct Ends<'a>(&'a Crowd);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_stands_in_line_and_hears_what_it_is_told() {
    let world =
        World::of(&["name: crowd\nsteps: [ { set: { x: '{{ [$.event.body, \"crowd\"] | length }}' } } ]"]).await;
    let _ends = Ends(&world.crowd);
    let mut ids: Vec<ExecutionId> = Vec::new();
    for number in 0..10 {
        ids.push(world.start(json!(number)).await);
    }
    let mut inside = world.crowd.inside();
    let evaluating = inside.wait_for(|inside| inside.len() >= 2).await.unwrap().clone();
    let is_evaluating = |n: usize| evaluating.contains(&json!(n));
    let cancelled = (0..10).filter(|n| !is_evaluating(*n)).map(|n| world.dispatcher.cancel(ids[n], "ada".to_owned()));
    tokio::select! {
        told = futures::future::join_all(cancelled) => assert!(told.iter().all(Result::is_ok), "{told:?}"),
        _ = inside.wait_for(|inside| inside.len() > 2) => panic!("more evaluate at once than there are workers"),
    }
    world.crowd.end();
    for (n, id) in ids.into_iter().enumerate() {
        let outcome = world.dispatcher.outcome(id, Duration::from_secs(60)).await.unwrap().unwrap();
        let expected = if is_evaluating(n) { Ending::Succeeded } else { Ending::Cancelled };
        assert_eq!(outcome.ending, expected, "{n}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_one_workflow_holds_up_no_other() {
    let crowd = "name: crowd\nsteps: [ { set: { x: '{{ [$.event.body, \"crowd\"] | length }}' } } ]";
    let other = "
name: other
steps:
  - parallel:
      a: [ { set: { x: '{{ [$.event.body, \"crowd\"] | length }}' } } ]
      b: [ { wait: { event: { topic: t } } } ]
";
    let world = World::of(&[crowd, other]).await;
    let _ends = Ends(&world.crowd);
    for number in 0..20 {
        world.start_of("crowd", json!(number)).await;
    }
    let mut inside = world.crowd.inside();
    inside.wait_for(|inside| inside.len() >= 2).await.unwrap();
    let id = world.start_of("other", json!("other")).await;
    // It hears this while it stands in line.
    world.dispatcher.send_to(id, message("t", "1", json!(null))).await.unwrap();
    for ended in 1..=2 {
        world.crowd.end_one();
        inside.wait_for(|inside| inside.len() == 2 + ended).await.unwrap();
    }
    let order = inside.borrow().clone();
    assert!(order.contains(&json!("other")), "{order:?}");
    world.crowd.end();
    let outcome = world.dispatcher.outcome(id, Duration::from_secs(60)).await.unwrap().unwrap();
    assert_eq!(outcome.ending, Ending::Succeeded);
}
