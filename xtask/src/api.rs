//! `cargo xtask api`: the management API held against its own OpenAPI document by schemathesis, which makes up requests. Nothing
//! may be a fault of the server, and no status or content type may come that the document does not name.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

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
/// What is there to be found; its answer is its own.
const WORKFLOW: &str = r#"{"name": "api", "triggers": [{"manual": {}}, {"event": {"type": "api"}}],
    "steps": [{"exit": {"status": 418, "body": "short and stout"}}]}"#;
/// What is asked of it by its name: names that are made up reach none.
const BY_NAME: [&str; 3] = ["trigger_workflow", "get_workflow", "list_triggers"];
const NAMED: &str = "[parameters]\n\"path.workflow\" = \"api\"\n\"query.environment\" = \"production\"\n\"header.Prefer\" = \"wait=9\"\n";

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
        server.camshaft(workspace, &["workflow", "publish", "api"])?;
        let named = tempfile::NamedTempFile::with_suffix(".toml").context("cannot make a file")?;
        fs::write(named.path(), NAMED).context("cannot write a file")?;
        // While it is published: what is made up may reach it later.
        let by_name = BY_NAME.into_iter().fold(asking(&folder, &server, Some(named.path())), |asking, operation| {
            asking.args(["--include-operation-id", operation])
        });
        by_name.read()?;
        asking(&folder, &server, None).read().map(|_| ())
    })
}

/// Schemathesis, in its own folder, where it leaves notes.
fn asking(folder: &Path, server: &Server, configuration: Option<&Path>) -> Process {
    let mut asking = Process::new("python3", folder).arg(folder.join("bin").join("schemathesis"));
    if let Some(configuration) = configuration {
        asking = asking.arg("--config-file").arg(configuration);
    }
    asking
        .args(["run", &format!("{}/api/openapi.json", server.url), "--no-color"])
        .args(["--header", &format!("Authorization: Bearer {}", server.token)])
        .args(["--checks", CHECKS, "--phases", "fuzzing", "--max-examples", EXAMPLES, "--seed", SEED])
        .env("PYTHONPATH", folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
}
