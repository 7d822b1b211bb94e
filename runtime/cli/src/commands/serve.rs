//! `camshaft serve`.

use anyhow::{Context, Result};
use camshaft_server::Config;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::arguments::Serve;
use crate::memory;

/// As many connections as the system allows: a shell's usual 1024 open files are for programs that hold few.
fn raise_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Where it is refused, the limit stays what it was.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Runs the server until it is told to stop.
pub(super) fn serve(options: Serve) -> Result<()> {
    let mut flags = Vec::new();
    if let Some(data) = &options.data {
        flags.push(("data", data.display().to_string()));
    }
    if let Some(listen) = options.listen {
        flags.push(("listen", listen));
    }
    Config::check_names(std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()))?;
    let config = Config::load(options.config.as_deref(), |name| std::env::var(name).ok(), &flags)?;
    raise_open_files();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime can be started")?;
    runtime.block_on(camshaft_server::serve(config, memory::hand_back))
}
