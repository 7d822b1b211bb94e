//! The documents that the documentation teaches with, each run: `tests/documented/<name>.json` says what comes from outside, as
//! `case.json` does, and how the execution ends.
//!
//! ```text
//! { "body": what $.event.body is, or "event": the whole of it,
//!   "with": further documents that it may start,  "calls", "then": as in a case,
//!   "ends": {"ending": "succeeded", "status", "headers", "output", "failure"}: those that are said are held against what is }
//! ```

use super::*;

fn documents() -> BTreeMap<String, String> {
    let page = read(&folder().join("../../../../docs/language.md"));
    let fenced = page.split("```yaml\n").skip(1).map(|rest| rest.split("\n```").next().unwrap_or_default().to_owned());
    let named = fenced.filter_map(|text| Some((text.strip_prefix("name: ")?.lines().next()?.to_owned(), text.clone())));
    named.collect()
}

async fn run(document: &str, case: Value) -> Result<(), String> {
    let others = case["with"].as_array().into_iter().flatten().map(|text| text.as_str().expect("a document is text"));
    let documents = std::iter::once(document).chain(others);
    let workflows: Vec<_> =
        documents.enumerate().map(|(number, text)| super::document(number as u128 + 7, text)).collect();
    let case = Arc::new(case);
    let world = serve(&case, &workflows, None);
    world.engine.recover().await.expect("an empty disk can be read");
    let event = match &case["event"] {
        Value::Null => json!({"body": case["body"]}),
        event => event.clone(),
    };
    let id = world.start_with(event).await;
    world.rest().await;
    for happening in case["then"].as_array().into_iter().flatten() {
        happen(&world, id, happening).await;
        world.rest().await;
    }
    if !world.has_ended(id) {
        return Err(format!("it has not ended: {:?}", world.disk.words(id)));
    }
    let outcome = world.outcome(id).await;
    let mut found = json!({"ending": outcome.ending, "output": outcome.output, "failure": outcome.failure});
    if let Some(exit) = &outcome.exit {
        found["status"] = json!(exit.status);
        found["headers"] = json!(exit.headers);
    }
    let mut expected = case["ends"].clone();
    if expected["ending"].is_null() {
        expected["ending"] = json!("succeeded");
    }
    let wrong =
        expected.as_object().expect("`ends` is an object").iter().find(|(key, value)| found[key.as_str()] != **value);
    wrong.map_or(Ok(()), |(key, value)| Err(format!("`{key}` is to be {value}; it ended with {found}")))
}

#[test]
fn every_document_of_the_language_s_page_runs_and_ends_as_it_says() {
    let documents = documents();
    let folder = folder().join("../documented");
    let cases: BTreeSet<_> = names(&folder).into_iter().map(|file| file.trim_end_matches(".json").to_owned()).collect();
    assert_eq!(cases, documents.keys().cloned().collect(), "each document has a case, and each case a document");
    let mut faults = Vec::new();
    for (name, document) in &documents {
        let case = serde_json::from_str(&read(&folder.join(format!("{name}.json")))).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        if let Err(why) = runtime.block_on(run(document, case)) {
            faults.push(format!("`{name}`: {why}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
