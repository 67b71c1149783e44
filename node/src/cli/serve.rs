//! `reelmesh serve`: runs a node until it is told to stop.

use std::process::ExitCode;

use protocol::join::Token;

use super::{Error, Kind, machine};
use crate::app::{App, Start};
use crate::telemetry::logging;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    machine: machine::Args,
    /// For a machine that has not joined yet: what `reelmesh token create` printed. A node that
    /// has its place already takes no notice of it.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "REELMESH_JOIN_TOKEN",
        hide_env_values = true
    )]
    join_token: Option<Token>,
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Error> {
    let (config, node) = args.machine.load()?;
    #[expect(clippy::disallowed_methods, reason = "the door reads the environment")]
    let filter = std::env::var(logging::FILTER_VAR).ok();
    logging::init(logging::Format::Auto, filter.as_deref())
        .map_err(|error| Error::new(Kind::Usage, error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(Kind::Failed, format!("cannot start: {error}")))?;
    let start = Start {
        file: args.machine.config,
        token: args.join_token,
    };
    runtime.block_on(async {
        let app = App::load(config, node, start).await?;
        app.run().await
    })?;
    Ok(ExitCode::SUCCESS)
}
