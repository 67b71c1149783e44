//! The command line, one room a command.

mod client;
mod clip;
mod cluster;
mod delivery;
mod doctor;
mod exit;
mod export;
mod jobs;
mod ls;
mod machine;
mod nodes;
mod origin;
mod progress;
mod proxy;
mod rm;
mod serve;
mod show;
mod table;
mod token;
mod upload;
#[cfg(feature = "gstreamer")]
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use protocol::access::Secret;

pub use exit::{Error, Kind};

/// Turns a handful of machines into one video proxy and subclip platform.
#[derive(Debug, Parser)]
#[command(
    name = "reelmesh",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
struct Cli {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Debug, Clone, clap::Args)]
pub struct Shared {
    /// Print JSON, one value a line, for programs.
    #[arg(long, global = true)]
    pub json: bool,
    /// The node to talk to.
    #[arg(
        help = "The node to talk to [env: REELMESH_URL, else http://127.0.0.1:8080]",
        long,
        global = true,
        value_name = "URL"
    )]
    pub to: Option<String>,
    /// Who the environment says.
    #[arg(
        long = "__url",
        hide = true,
        env = "REELMESH_URL",
        hide_env = true,
        default_value = "http://127.0.0.1:8080"
    )]
    pub usual: String,
    /// The API token to show, where a node wants one.
    #[arg(
        long = "api-token",
        global = true,
        value_name = "TOKEN",
        env = "REELMESH_TOKEN",
        hide_env_values = true
    )]
    pub api_token: Option<Secret>,
}

impl Shared {
    /// The node to talk to.
    pub fn url(&self) -> &str {
        self.to.as_deref().unwrap_or(&self.usual)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node.
    Serve(serve::Args),
    /// Upload files; a second call with the same file goes on where the first stopped.
    Upload(upload::Args),
    /// List the library.
    Ls(ls::Args),
    /// Show one video.
    Show(show::Args),
    /// Delete videos, with everything that was made from them.
    Rm(rm::Args),
    /// Mark a subclip; with `-o`, make a file of it and fetch that.
    Clip(clip::Args),
    /// Make an edit proxy, list them, or say whether edit software takes one.
    Proxy(proxy::Args),
    /// Write subclips for edit software.
    Export(export::Args),
    /// List work and why it waits; retry or cancel it.
    Jobs(jobs::Args),
    /// List the machines; drain or remove one.
    Nodes(nodes::Args),
    /// List or change the keys of private playback.
    #[command(subcommand)]
    Delivery(delivery::Action),
    /// Found a cluster.
    #[command(subcommand)]
    Cluster(cluster::Cluster),
    /// Let machines in, or programs and people.
    #[command(subcommand)]
    Token(token::TokenAction),
    /// Let this machine join the cluster that made the token.
    Join(cluster::JoinArgs),
    /// Bring the cluster to what the file says.
    Apply(cluster::ApplyArgs),
    /// The store of everything derived: check it, sweep it.
    #[command(subcommand)]
    Origin(origin::Origin),
    /// Try everything that a node needs of this machine, and say of each failure what to do.
    Doctor(doctor::Args),
    /// The media worker: reads one job from standard input. Started by the node, never by hand.
    #[cfg(feature = "gstreamer")]
    #[command(name = "__worker", hide = true)]
    Worker(worker::Args),
    /// Writes a short test reel, for `make run`.
    #[cfg(feature = "gstreamer")]
    #[command(name = "__reel", hide = true)]
    Reel(worker::ReelArgs),
}

/// Parses the command line, does what it says, and says how that ended.
pub fn main() -> ExitCode {
    let Cli { shared, command } = Cli::parse();
    // One TLS provider for everything that does not bring its own.
    drop(rustls::crypto::ring::default_provider().install_default());
    match run(&shared, command) {
        Ok(code) => code,
        Err(error) => error.report(&shared),
    }
}

fn run(shared: &Shared, command: Command) -> Result<ExitCode, Error> {
    match command {
        Command::Serve(args) => serve::run(args),
        Command::Upload(args) => block_on(upload::run(shared, args)),
        Command::Ls(args) => block_on(ls::run(shared, args)),
        Command::Show(args) => block_on(show::run(shared, args)),
        Command::Rm(args) => block_on(rm::run(shared, args)),
        Command::Clip(args) => block_on(clip::run(shared, args)),
        Command::Proxy(args) => block_on(proxy::run(shared, args)),
        Command::Export(args) => block_on(export::run(shared, args)),
        Command::Jobs(args) => block_on(jobs::run(shared, args)),
        Command::Nodes(args) => block_on(nodes::run(shared, args)),
        Command::Delivery(action) => block_on(delivery::run(shared, action)),
        Command::Cluster(cluster::Cluster::Init(args)) => {
            cluster::init(shared, &args).map(|()| ExitCode::SUCCESS)
        }
        Command::Token(action) => block_on(token::run(shared, action)),
        Command::Join(args) => block_on(cluster::join(shared, args)),
        Command::Apply(args) => block_on(cluster::apply(shared, args)),
        Command::Doctor(args) => block_on(doctor::run(shared, &args)),
        Command::Origin(action) => block_on(origin::run(shared, action)),
        #[cfg(feature = "gstreamer")]
        Command::Worker(args) => worker::run(&args),
        #[cfg(feature = "gstreamer")]
        Command::Reel(args) => worker::reel(&args),
    }
}

/// Client commands talk to one node: a single-threaded runtime is enough.
fn block_on(command: impl Future<Output = Result<(), Error>>) -> Result<ExitCode, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::new(Kind::Failed, format!("cannot start: {error}")))?
        .block_on(command)
        .map(|()| ExitCode::SUCCESS)
}

/// The environment, which only the door reads.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
