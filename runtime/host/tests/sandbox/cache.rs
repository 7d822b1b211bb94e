//! The folder of compiled components: a help where it is in order, and never trusted where it is not.

use std::fs;
use std::path::{Path, PathBuf};

use camshaft_model::limits::Budget;
use camshaft_model::{Value, json};

use crate::world::{World, guest};

async fn assert_counts(folder: &Path, key: u8) {
    let world = World::with_cache(Budget::default(), Some(folder.to_owned()), key);
    assert_eq!(world.call(guest("counter"), Value::Null).await.result, Ok(json!({"calls": 1})));
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_kept_file_is_used_by_the_next_host_and_is_nobody_else_s_to_read() {
    let folder = tempfile::tempdir().unwrap();
    assert_counts(folder.path(), 1).await;
    let [file] = &files(folder.path())[..] else { panic!("one file: {:?}", files(folder.path())) };
    let written = fs::metadata(file).unwrap().modified().unwrap();
    #[cfg(unix)]
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(file).unwrap().permissions()) & 0o777, 0o600);
    assert_counts(folder.path(), 1).await;
    assert_eq!(fs::metadata(file).unwrap().modified().unwrap(), written, "it was not written again");
}

#[tokio::test]
async fn a_changed_cut_or_foreign_file_is_compiled_again_and_put_right() {
    let folder = tempfile::tempdir().unwrap();
    assert_counts(folder.path(), 1).await;
    let file = files(folder.path()).remove(0);
    let good = fs::read(&file).unwrap();
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let bad =
        [flipped(0), flipped(40), flipped(good.len() / 2), flipped(good.len() - 1), good[..good.len() / 2].to_vec()];
    for bytes in bad.into_iter().chain([Vec::new(), b"not ours".to_vec()]) {
        fs::write(&file, bytes).unwrap();
        assert_counts(folder.path(), 1).await;
        assert_eq!(fs::read(&file).unwrap(), good);
    }
    // Another key: what the old one signed is worth nothing.
    assert_counts(folder.path(), 2).await;
    assert_ne!(fs::read(&file).unwrap(), good);
}

#[tokio::test]
async fn one_component_s_file_is_not_taken_for_another_s() {
    let folder = tempfile::tempdir().unwrap();
    let kept = || Some(folder.path().to_owned());
    let world = World::with_cache(Budget::default(), kept(), 1);
    world.host.prepare(world.add(guest("counter")).digest).await.unwrap();
    let counter = files(folder.path()).remove(0);
    world.host.prepare(world.add(guest("same-version-a")).digest).await.unwrap();
    let other = files(folder.path()).into_iter().find(|file| *file != counter).unwrap();
    fs::copy(&other, &counter).unwrap();
    assert_counts(folder.path(), 1).await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_costs_time_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a-file");
    fs::write(&file, "in the way").unwrap();
    assert_counts(&file, 1).await;
}
