//! Log lines on standard error: for a person on a terminal, JSON for machines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// The environment variable with the filter, in the syntax of `RUST_LOG`: `info,node::http=debug`.
pub const FILTER_VAR: &str = "REELMESH_LOG";

/// What is logged without a filter. The libraries beneath speak up only when something is wrong.
const DEFAULT_FILTER: &str = "warn,node=info,coordinator=info,reelmesh=info";

/// How lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// Human on a terminal, JSON elsewhere.
    #[default]
    Auto,
    Human,
    Json,
}

/// Why logging did not begin.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "{FILTER_VAR} is not a log filter: {0}; write for example {FILTER_VAR}=info,node::http=debug"
    )]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    #[error("logging was begun twice")]
    Twice(#[from] TryInitError),
}

/// Begins logging, for the whole process. `filter` is the value of [`FILTER_VAR`], if set.
///
/// # Errors
/// The filter cannot be read, or logging was begun before.
pub fn init(format: Format, filter: Option<&str>) -> Result<(), Error> {
    let filter = EnvFilter::try_new(filter.filter(|f| !f.is_empty()).unwrap_or(DEFAULT_FILTER))?;
    let registry = tracing_subscriber::registry().with(filter);
    let human = match format {
        Format::Auto => std::io::stderr().is_terminal(),
        Format::Human => true,
        Format::Json => false,
    };
    if human {
        let colour = std::io::stderr().is_terminal();
        registry
            .with(fmt::layer().with_writer(std::io::stderr).with_ansi(colour))
            .try_init()?;
    } else {
        registry
            .with(
                fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(std::io::stderr),
            )
            .try_init()?;
    }
    Ok(())
}
