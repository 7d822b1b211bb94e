//! `cargo xtask api`: the management API held against its own OpenAPI document by schemathesis, which makes up requests. Nothing
//! may be a fault of the server, and no status or content type may come that the document does not name.

use anyhow::{Result, ensure};

use crate::demo::server::Server;
use crate::oracle;
use crate::process::Process;
use crate::progress;
use crate::workspace::{Workspace, on_ci};

const SCHEMATHESIS: &str = "schemathesis==4.32.5";
const SEED: &str = "20261121";
/// Requests that are made up for each operation.
const EXAMPLES: &str = "15";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance";
/// Whose answers are others' (a workflow's), endless, or of bytes that cannot be made up.
const LEFT_OUT: [&str; 4] = ["trigger_workflow", "stream_execution", "backup", "upload_plugin"];
/// What there is to be found.
const WORKFLOW: &str =
    r#"{"name": "api", "triggers": [{"manual": {}}, {"event": {"type": "api"}}], "steps": [{"exit": {"body": 1}}]}"#;

/// Starts the binary that is built for debugging, and asks it.
pub fn run(workspace: &Workspace) -> Result<()> {
    progress::doing("the API, as its own document describes it", |_| {
        let Some(folder) = oracle::installed(workspace, &[SCHEMATHESIS], "schemathesis") else {
            ensure!(!on_ci(), "{SCHEMATHESIS} cannot be had here, and on CI nothing is left out");
            println!("    left out: {SCHEMATHESIS} cannot be had here");
            return Ok(());
        };
        let server = Server::start(&workspace.binary("camshaft"), &[("CAMSHAFT_LIMITS_EXECUTIONS_PER_SECOND", "0")])?;
        server.put("/api/v1/workflows/api", WORKFLOW)?;
        server.put("/api/v1/integrations/api", r#"{"adapter": "generic"}"#)?;
        // It leaves notes of its own where it runs.
        let mut asking = Process::new("python3", &folder)
            .arg(folder.join("bin").join("schemathesis"))
            .args(["run", &format!("{}/api/openapi.json", server.url), "--no-color"])
            .args(["--header", &format!("Authorization: Bearer {}", server.token)])
            .args(["--checks", CHECKS, "--phases", "fuzzing", "--max-examples", EXAMPLES, "--seed", SEED])
            .env("PYTHONPATH", &folder)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        for operation in LEFT_OUT {
            asking = asking.args(["--exclude-operation-id", operation]);
        }
        asking.read().map(|_| ())
    })
}
