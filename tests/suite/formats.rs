//! What another version has written: the real binary brings what is older up to date, and refuses what is newer, with both numbers
//! and a way out, before it changes anything.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use redb::{Database, TableDefinition};

use crate::support::server::{Server, TOKEN, binary};

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const FORMAT: u64 = 3;

const WORKFLOW: &str =
    "name: echo-it\ntriggers: [ { manual: {} } ]\nsteps: [ { exit: { status: 200, body: hello } } ]\n";

/// Begins to serve a folder that must be refused.
fn refused(data: &Path) -> Output {
    let mut command = Command::new(binary());
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).env("CAMSHAFT_ADMIN_TOKEN", TOKEN);
    command.output().expect("the binary starts")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Changes the database's format, and takes away what the first one had not.
fn as_format(database: &Path, format: u64) {
    let transaction = Database::open(database).expect("it is a database").begin_write().expect("nobody else writes");
    if format == 1 {
        assert!(transaction.delete_table(TableDefinition::<[u8; 24], ()>::new("ended_at")).expect("a table"));
        assert!(transaction.delete_table(TableDefinition::<&[u8], u64>::new("counts")).expect("a table"));
        transaction.open_table(META).expect("a table").remove("used").expect("a row");
        assert!(transaction.delete_table(TableDefinition::<&[u8], ()>::new("open_by_workflow")).expect("a table"));
    }
    let was =
        transaction.open_table(META).expect("a table").insert("format", format).expect("a row").map(|row| row.value());
    assert!(was == Some(FORMAT) || format == FORMAT, "{FORMAT} is the format that is written today, not {was:?}");
    transaction.commit().expect("it is written");
}

#[test]
fn an_older_store_is_brought_up_to_date_and_a_newer_one_is_refused_and_left_as_it_is() {
    let data = Arc::new(tempfile::tempdir().expect("a folder can be made"));
    let database = data.path().join("camshaft.redb");
    let server = Server::start_on(data.clone(), &[]);
    server.publish("echo-it", WORKFLOW);
    let id = server.ok("POST", "/api/v1/workflows/echo-it/trigger", "{}")["execution_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let execution = server.ended(&id);
    assert!(server.terminate().success());

    as_format(&database, 1);
    let server = Server::start_on(data.clone(), &[]);
    assert_eq!(server.ended(&id), execution);
    assert!(server.terminate().success());

    as_format(&database, FORMAT + 1);
    let output = refused(data.path());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    for part in ["format 4", "up to 3", "newer Camshaft", "restore a backup", &database.display().to_string()] {
        assert!(said(&output).contains(part), "no `{part}`: {}", said(&output));
    }
    // Whoever knows the format finds everything as it was.
    as_format(&database, FORMAT);
    assert_eq!(Server::start_on(data, &[]).ended(&id), execution);
}

#[test]
fn a_newer_backup_is_refused_by_the_command_with_both_numbers() {
    let outside = tempfile::tempdir().expect("a folder can be made");
    let file = outside.path().join("one.backup");
    let server = Server::start();
    let taken = server.cli(&["backup", file.to_str().expect("a path is text")]);
    assert!(taken.status.success(), "{}", said(&taken));
    let mut newer = fs::read(&file).expect("it was written");
    assert_eq!(newer[16..20], 1_u32.to_be_bytes(), "the format that is written today");
    newer[19] = 2;
    fs::write(&file, newer).expect("it can be written");
    let folder = outside.path().join("data");
    let restored = server.cli(&[
        "restore",
        file.to_str().expect("a path is text"),
        "--data",
        folder.to_str().expect("a path is text"),
    ]);
    assert_eq!(restored.status.code(), Some(1), "{}", said(&restored));
    for part in ["format 2", "up to 1", "newer Camshaft", "restore it with that version"] {
        assert!(said(&restored).contains(part), "no `{part}`: {}", said(&restored));
    }
    assert!(!folder.join("camshaft.redb").exists());
}
