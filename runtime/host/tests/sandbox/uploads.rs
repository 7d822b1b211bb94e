//! Uploads: each check refuses what it is for, and names what it found.

use camshaft_host::{UploadError, digest};
use camshaft_model::limits::{Budget, COMPONENT_BYTES_MAX};
use camshaft_model::plugin::{Descriptor, PluginKind};

use crate::world::{World, guest, shipped};

async fn refused(bytes: Vec<u8>) -> UploadError {
    World::new(Budget::default()).host.inspect(bytes).await.expect_err("the upload is refused")
}

/// Refused by this check, with every one of these words in the message.
async fn assert_refused(bytes: Vec<u8>, check: &str, words: &[&str]) {
    let error = refused(bytes).await;
    let message = error.to_string();
    assert_eq!(error.check(), check, "{message}");
    for word in words {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_webassembly_are_told_by_how_they_begin() {
    assert_refused(Vec::new(), "wasm", &["nothing"]).await;
    assert_refused(b"#!/bin/sh\n".to_vec(), "wasm", &["23 21 2f"]).await;
    assert_refused(b"\0asm".to_vec(), "wasm", &["00 61 73 6d"]).await;
}

#[tokio::test]
async fn too_many_bytes_are_refused_by_their_number() {
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    bytes.resize(COMPONENT_BYTES_MAX + 1, 0);
    let found = bytes.len().to_string();
    assert_refused(bytes, "size", &[&found, &COMPONENT_BYTES_MAX.to_string()]).await;
}

#[tokio::test]
async fn a_core_module_is_told_how_to_become_a_component() {
    assert_refused(wat::parse_str("(module)").unwrap(), "component", &["core module"]).await;
}

#[tokio::test]
async fn damaged_components_are_not_valid() {
    let whole = guest("counter");
    for end in [9, 100, whole.len() / 2, whole.len() - 1] {
        assert_refused(whole[..end].to_vec(), "validation", &[]).await;
    }
}

#[tokio::test]
async fn proposals_that_are_off_are_refused() {
    for module in [
        "(memory 1 1 shared)",
        "(memory i64 1)",
        "(tag)",
        "(type (struct))",
        "(func (param externref))",
        "(func return_call 0)",
    ] {
        let text = format!("(component (core module {module}))");
        let bytes = wat::parse_str(&text).unwrap_or_else(|error| panic!("{module}: {error}"));
        let error = refused(bytes).await;
        assert_eq!(error.check(), "validation", "{module}: {error}");
    }
}

#[tokio::test]
async fn a_component_of_another_world_is_told_what_it_exports() {
    assert_refused(guest("other-world"), "world", &["somebody:elses/greeting@1.0.0", "camshaft:plugin/task"]).await;
    assert_refused(wat::parse_str("(component)").unwrap(), "world", &["camshaft:plugin/task"]).await;
}

#[tokio::test]
async fn a_component_that_is_task_and_adapter_is_refused() {
    let text = r#"(component
        (instance $i)
        (export "camshaft:plugin/task@1.0.0" (instance $i))
        (export "camshaft:plugin/adapter@1.0.0" (instance $i)))"#;
    assert_refused(wat::parse_str(text).unwrap(), "world", &["both"]).await;
}

#[tokio::test]
async fn an_unknown_import_is_named() {
    assert_refused(guest("unknown-import"), "imports", &["nobody:knows/moon@1.0.0"]).await;
    for import in ["wasi:keyvalue/store@0.2.0", "wasi:http/types@0.3.0", "camshaft:plugin/log@2.0.0"] {
        assert_refused(importing(import), "imports", &[import]).await;
    }
}

#[tokio::test]
async fn sockets_are_refused_by_name() {
    for import in ["wasi:sockets/tcp@0.2.3", "wasi:sockets/ip-name-lookup@0.2.0"] {
        assert_refused(importing(import), "imports", &[import, "socket"]).await;
    }
}

/// A task, as far as its exports go, that imports something.
fn importing(import: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            (import "{import}" (instance))
            (instance $i)
            (export "camshaft:plugin/task@1.0.0" (instance $i)))"#
    );
    wat::parse_str(&text).unwrap()
}

#[tokio::test]
async fn a_task_that_lacks_its_functions_is_not_valid() {
    let text = r#"(component (instance $i) (export "camshaft:plugin/task@1.0.0" (instance $i)))"#;
    let error = refused(wat::parse_str(text).unwrap()).await;
    assert!(matches!(error, UploadError::Invalid(_) | UploadError::World(_)), "{error}");
}

#[tokio::test]
async fn what_is_told_of_a_good_component_is_read_off_it() {
    let world = World::new(Budget::default());
    let bytes = guest("call-host");
    let release = world.host.inspect(bytes.clone()).await.unwrap();
    assert_eq!((release.name.as_str(), release.kind), ("call-host", PluginKind::Task));
    assert_eq!((release.digest, release.size_bytes), (digest(&bytes), bytes.len() as u64));
    assert!(release.observable && release.wants_http());
    assert!(!release.shipped);
    let Descriptor::Task(task) = &release.descriptor else { panic!("a task describes a task") };
    assert!(task.input_schema.pointer("/properties/url").is_some(), "{task:?}");

    let silent = world.host.inspect(guest("counter")).await.unwrap();
    assert!(!silent.observable && !silent.wants_http(), "{:?}", silent.imports);
    let adapter = world.host.inspect(shipped("github")).await.unwrap();
    assert_eq!((adapter.kind, adapter.observable), (PluginKind::Adapter, false));
    assert!(adapter.signs() && !silent.signs());
    assert!(!world.host.inspect(shipped("discord")).await.unwrap().signs(), "only its vendor can");
    let secret = world.host.inspect(guest("secret-echo")).await.unwrap();
    assert!(secret.wants_secrets() && !secret.observable);
}

#[tokio::test]
async fn the_same_version_of_other_bytes_has_another_digest() {
    let world = World::new(Budget::default());
    let [a, b] = [guest("same-version-a"), guest("same-version-b")];
    let (a, b) = (world.host.inspect(a).await.unwrap(), world.host.inspect(b).await.unwrap());
    assert_eq!((&a.name, &a.version), (&b.name, &b.version));
    assert_ne!(a.digest, b.digest);
}
