//! demo
#[derive(clap::Args)]
pub struct Options {
    #[arg(long)]
    once: bool,
}
pub fn run(_w: &crate::workspace::Workspace, _o: &Options) -> anyhow::Result<()> { Ok(()) }
