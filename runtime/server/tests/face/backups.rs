//! Backups over the API, and the folder that one becomes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use camshaft_model::json;
use camshaft_server::backup;
use camshaft_store::RedbStore;
use http_body_util::BodyExt;
use tempfile::TempDir;

use crate::bench::{ADMIN, Bench, ECHO, Options};

const USER: &str = "
name: user
triggers: [{ manual: {} }]
steps:
  - id: use
    task: echo@1
    with: { key: \"Bearer {{ $.secrets.api_key }}\" }
  - exit: { status: 200, body: \"{{ $.steps.use }}\" }
";

/// A bench whose store is on disk.
async fn on_disk(database: &Path, key: [u8; 32]) -> Bench {
    let store = Arc::new(RedbStore::open(database).unwrap());
    Bench::with(Options { store, key, ..Options::default() }).await
}

/// The answer to a request for a backup, its body not yet read.
async fn asked(bench: &Bench) -> Response {
    let request = Request::get("/api/v1/backup").header("authorization", format!("Bearer {ADMIN}"));
    bench.envelope.answer(request.body(Body::empty()).unwrap(), None).await
}

/// A small backup in a file.
async fn small(outside: &TempDir) -> PathBuf {
    let bench = on_disk(&outside.path().join("one.redb"), [9; 32]).await;
    bench.publish("echo-it", ECHO).await;
    bench.run("echo-it", "{}").await;
    let file = outside.path().join("small.backup");
    fs::write(&file, bench.call("GET", "/api/v1/backup", Body::empty()).await.is(200).bytes).unwrap();
    file
}

/// Restores into a folder that there is not, which must be refused, and leave nothing.
fn refusal(file: &Path) -> String {
    let outside = tempfile::tempdir().unwrap();
    let data = outside.path().join("data");
    let error = format!("{:#}", backup::restore(file, &data).unwrap_err());
    let left = fs::read_dir(&data).map_or(0, Iterator::count);
    assert_eq!(left, 0, "{error}");
    assert!(error.contains(&file.display().to_string()), "the file is not named: {error}");
    error
}

#[tokio::test]
async fn what_was_acknowledged_before_a_backup_is_in_it_though_others_write_meanwhile() {
    let outside = tempfile::tempdir().unwrap();
    let bench = on_disk(&outside.path().join("one.redb"), [9; 32]).await;
    bench.call("PUT", "/api/v1/secrets/api_key", r#"{"value": "hunt-me"}"#).await.is(204);
    bench.publish("echo-it", ECHO).await;
    bench.publish("user", USER).await;
    let mut before = Vec::new();
    for number in 0..30 {
        let body = json!({"params": {"text": format!("number {number}")}}).to_string();
        before.push(bench.run("echo-it", &body).await);
    }

    let answer = asked(&bench).await;
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    let mut bytes = Vec::new();
    let mut after = Vec::new();
    // Each piece comes while another execution is written.
    loop {
        let (frame, execution) = futures::join!(body.frame(), bench.run("echo-it", "{}"));
        after.push(execution["id"].as_str().unwrap().to_owned());
        match frame {
            Some(frame) => bytes.extend_from_slice(&frame.unwrap().into_data().unwrap()),
            None => break,
        }
    }
    assert!(after.len() > 3, "it came in {} pieces", after.len());
    let file = outside.path().join("one.backup");
    fs::write(&file, &bytes).unwrap();
    assert_eq!(backup::check(&file).unwrap().bytes, bytes.len() as u64);

    let data = outside.path().join("data");
    let restored = backup::restore(&file, &data).unwrap();
    assert!(restored.executions >= 30, "{restored:?}");
    let key = fs::read_to_string(data.join("keys")).unwrap();
    let key = hex::decode(key.trim()).unwrap().try_into().unwrap();
    assert_eq!(key, [9; 32], "the key comes with it");
    let second = on_disk(&data.join("camshaft.redb"), key).await;
    for execution in before {
        let id = execution["id"].as_str().unwrap();
        assert_eq!(second.get(&format!("/api/v1/executions/{id}")).await, execution);
    }
    // What ran when the last pieces were read began behind the moment that the backup shows.
    let id = after.last().unwrap();
    second.call("GET", &format!("/api/v1/executions/{id}"), Body::empty()).await.problem(404, &[id]);
    second.run("user", "{}").await;
    assert_eq!(second.hands.seen.lock().unwrap()[0]["key"], "Bearer hunt-me");
}

#[cfg(unix)]
#[tokio::test]
async fn a_restored_folder_is_its_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt;
    let outside = tempfile::tempdir().unwrap();
    let data = outside.path().join("data");
    backup::restore(&small(&outside).await, &data).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&data), mode(&data.join("keys")), mode(&data.join("camshaft.redb"))), (0o700, 0o600, 0o600));
    let mut names: Vec<_> = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["camshaft.redb", "keys"]);
}

#[tokio::test]
async fn a_folder_that_holds_something_is_left_as_it_is() {
    let outside = tempfile::tempdir().unwrap();
    let file = small(&outside).await;
    let data = outside.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("diary"), "dear diary").unwrap();
    let error = backup::restore(&file, &data).unwrap_err().to_string();
    assert!(error.contains(&data.display().to_string()) && error.contains("`diary`"), "{error}");
    assert_eq!(fs::read_to_string(data.join("diary")).unwrap(), "dear diary");
    assert_eq!(fs::read_dir(&data).unwrap().count(), 1);
    let error = format!("{:#}", backup::restore(&file, &data.join("diary")).unwrap_err());
    assert!(error.contains("diary"), "{error}");
}

#[tokio::test]
async fn a_backup_that_is_not_whole_or_was_altered_is_refused_before_anything_is_written() {
    let outside = tempfile::tempdir().unwrap();
    let file = small(&outside).await;
    let whole = fs::read(&file).unwrap();
    let bad = outside.path().join("bad.backup");
    for length in (16..whole.len()).step_by(whole.len() / 40).chain([whole.len() - 1]) {
        fs::write(&bad, &whole[..length]).unwrap();
        let error = refusal(&bad);
        assert!(error.contains("not whole"), "{length} of {}: {error}", whole.len());
    }
    for at in (20..whole.len()).step_by(whole.len() / 40).chain([whole.len() - 1]) {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        fs::write(&bad, &altered).unwrap();
        let error = refusal(&bad);
        assert!(error.contains("altered") || error.contains("not whole"), "at {at}: {error}");
    }
    fs::write(&bad, [&whole[..], b"!"].concat()).unwrap();
    assert!(refusal(&bad).contains("something follows its end"));
    fs::write(&bad, &whole).unwrap();
    backup::check(&bad).unwrap();
}

#[tokio::test]
async fn other_files_and_newer_backups_are_refused_by_name() {
    let outside = tempfile::tempdir().unwrap();
    let mut newer = fs::read(small(&outside).await).unwrap();
    newer[19] = 2;
    let file = outside.path().join("newer.backup");
    fs::write(&file, newer).unwrap();
    let error = refusal(&file);
    assert!(error.contains("format 2") && error.contains("up to 1") && error.contains("newer Camshaft"), "{error}");
    for other in ["", "dear diary, today I went to the sea"] {
        fs::write(&file, other).unwrap();
        assert!(refusal(&file).contains("no backup of Camshaft"));
    }
    refusal(&outside.path().join("nothing"));
}

#[tokio::test]
async fn only_admins_take_backups_and_one_at_a_time() {
    let outside = tempfile::tempdir().unwrap();
    let bench = on_disk(&outside.path().join("one.redb"), [9; 32]).await;
    let token = bench.call("POST", "/api/v1/tokens", r#"{"label": "t", "scope": "read"}"#).await.is(201).json();
    let token = token["token"].as_str().unwrap();
    bench.call_as(token, "GET", "/api/v1/backup", Body::empty()).await.problem(403, &["`read`"]);

    let first = asked(&bench).await;
    assert_eq!(first.status(), 200);
    let name = first.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert!(name.contains("filename=\"camshaft-2") && name.contains(".backup"), "{name}");
    bench.call("GET", "/api/v1/backup", Body::empty()).await.problem(409, &["one at a time"]);
    // Whoever goes away makes room.
    drop(first);
    while asked(&bench).await.status() == 409 {
        tokio::task::yield_now().await;
    }
    Bench::new().await.call("GET", "/api/v1/backup", Body::empty()).await.problem(503, &[]);
}
