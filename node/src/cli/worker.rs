//! The hidden commands that load GStreamer: the media worker and the test reel.

use std::path::PathBuf;
use std::process::ExitCode;

use super::Error;

#[derive(Debug, clap::Args)]
pub(crate) struct ReelArgs {
    /// Where to write it; an MP4 file.
    file: PathBuf,
    /// Length in seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u32,
}

pub(crate) fn run() -> ExitCode {
    crate::worker::main()
}

pub(crate) fn reel(args: &ReelArgs) -> Result<ExitCode, Error> {
    crate::worker::reel::write(&args.file, args.seconds)?;
    Ok(ExitCode::SUCCESS)
}
