//! The hidden commands that load GStreamer: the media worker and the test reel.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use super::Error;
use crate::media::sandbox;

#[derive(Debug, clap::Args)]
pub(crate) struct ReelArgs {
    /// Where to write it; an MP4 file.
    file: PathBuf,
    /// Length in seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u32,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only let GStreamer write its list of plug-ins: no job, no media, no confinement.
    #[arg(long)]
    prepare: bool,
}

/// Confines this process first: nothing may run before that, least of all GStreamer.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Error> {
    if args.prepare {
        crate::worker::prepare().map_err(anyhow::Error::from)?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(match sandbox::enter() {
        Ok(_) => crate::worker::main(),
        Err(error) => {
            // The parent keeps it for its log, and knows the status; when it is gone, nobody reads.
            drop(writeln!(
                std::io::stderr(),
                "the worker cannot be confined: {error}"
            ));
            ExitCode::from(sandbox::EXIT_UNCONFINED)
        }
    })
}

pub(crate) fn reel(args: &ReelArgs) -> Result<ExitCode, Error> {
    crate::worker::reel::write(&args.file, args.seconds)?;
    Ok(ExitCode::SUCCESS)
}
