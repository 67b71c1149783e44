//! `reelmesh serve`: runs a node until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Error, Kind};
use crate::app::App;
use crate::config::Config;
use crate::telemetry::logging;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file that describes the cluster; without it: one node, loopback only.
    #[arg(long, value_name = "FILE", env = "REELMESH_CONFIG")]
    config: Option<PathBuf>,
    /// Which [[node]] of the file this machine is.
    #[arg(long, value_name = "NAME", env = "REELMESH_NODE")]
    node: Option<String>,
    /// Where this node keeps everything; the file's `data_dir` without it.
    #[arg(long, value_name = "DIR", env = "REELMESH_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Error> {
    let usage = |error: crate::config::Error| Error::new(Kind::Usage, error.to_string());
    let config = Config::load(args.config.as_deref()).map_err(usage)?;
    let mut node = config.node(args.node.as_deref()).map_err(usage)?.clone();
    if let Some(data_dir) = args.data_dir {
        node.data_dir = data_dir;
    }
    #[expect(clippy::disallowed_methods, reason = "the door reads the environment")]
    let filter = std::env::var(logging::FILTER_VAR).ok();
    logging::init(logging::Format::Auto, filter.as_deref())
        .map_err(|error| Error::new(Kind::Usage, error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(Kind::Failed, format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let app = App::load(config, node).await?;
        app.run().await
    })?;
    Ok(ExitCode::SUCCESS)
}
