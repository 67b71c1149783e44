//! `reelmesh origin check` and `origin sweep`: the store of everything derived.

use std::time::Duration;

use clap::Subcommand;
use protocol::http::origin::{BeginSweep, Sweep, Sweeps};

use super::client::Client;
use super::{Error, Kind, Shared, machine};
use crate::origin::Class;
use crate::origin::check;
use crate::origin::check::{Outcome, Report};

#[derive(Debug, Subcommand)]
pub(crate) enum Origin {
    /// Try everything that a node will ask of the store, and say of each failure what to do.
    /// Run it on the machine of a node, with the node's environment.
    Check(CheckArgs),
    /// Remove what nothing names from the store. Run it on a machine of the cluster.
    Sweep(SweepArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct SweepArgs {
    /// Only say what would go.
    #[arg(long)]
    dry_run: bool,
    /// Objects to list; the rest is counted.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
}

/// Between two looks at a sweep.
const LOOK_EVERY: Duration = Duration::from_millis(300);

#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    machine: machine::Args,
    /// The page whose scripts would read the store directly, to try its CORS rule.
    #[arg(long, value_name = "URL", default_value = "https://player.example")]
    page: String,
}

pub(crate) async fn run(shared: &Shared, action: Origin) -> Result<(), Error> {
    match action {
        Origin::Check(args) => check(shared, &args).await,
        Origin::Sweep(args) => sweep(shared, &args).await,
    }
}

async fn check(shared: &Shared, args: &CheckArgs) -> Result<(), Error> {
    let (config, node) = args.machine.load_any()?;
    let report = check::run(
        &config.origin,
        &node.data_dir,
        &super::environment,
        &args.page,
    )
    .await;
    print(shared, &report);
    let failures = report.failures();
    if failures == 0 {
        return Ok(());
    }
    let kind = match report.class {
        Some(Class::Away) => Kind::Unreachable,
        Some(Class::Refused) => Kind::Refused,
        Some(Class::NoBucket) => Kind::NotFound,
        Some(Class::Other) | None => Kind::Failed,
    };
    let tried = report.steps.len();
    Err(Error::new(
        kind,
        format!(
            "{failures} of {tried} things that a node needs of {} do not work",
            report.url
        ),
    ))
}

#[expect(clippy::print_stdout, reason = "this is the command line")]
fn print(shared: &Shared, report: &Report) {
    if shared.json {
        println!("{}", serde_json::json!(report));
        return;
    }
    println!("{}", report.url);
    for step in &report.steps {
        let outcome = match step.outcome {
            Outcome::Ok => "ok",
            Outcome::Warning => "warning",
            Outcome::Failed => "FAILED",
            Outcome::Skipped => "-",
        };
        println!("  {outcome:<8} {:<15} {}", step.name, step.seen);
        if let Some(mend) = &step.mend {
            println!("  {:<24} mend: {mend}", "");
        }
    }
    if report.failures() == 0 {
        let warnings = match report.warnings() {
            0 => "nothing is in the way".to_owned(),
            1 => "one warning".to_owned(),
            count => format!("{count} warnings"),
        };
        println!("A node can use it; {warnings}.");
    }
}

async fn sweep(shared: &Shared, args: &SweepArgs) -> Result<(), Error> {
    let client = Client::new(shared)?;
    let begin = BeginSweep {
        dry_run: args.dry_run,
        limit: Some(args.limit),
    };
    let mut sweeps: Sweeps = client.post_json("/origin/sweep", &begin).await?;
    // It ends: it goes once through what there is.
    while sweeps.running {
        tokio::time::sleep(LOOK_EVERY).await;
        sweeps = client.fetch("/origin/sweep", &[]).await?;
    }
    let gone = || Error::new(Kind::Failed, "the node forgot the sweep; was it restarted?");
    let sweep = sweeps.last.ok_or_else(gone)?;
    if let Some(error) = &sweep.error {
        return Err(Error::new(
            Kind::Failed,
            format!("the sweep broke off: {error}"),
        ));
    }
    print_sweep(shared, &sweep);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is the command line")]
fn print_sweep(shared: &Shared, sweep: &Sweep) {
    if shared.json {
        println!("{}", serde_json::json!(sweep));
        return;
    }
    for orphan in &sweep.objects {
        println!(
            "{:<14} {:>12}  {}",
            orphan.reason, orphan.size_bytes, orphan.key
        );
    }
    for remark in &sweep.remarks {
        println!("{remark}");
    }
    let went = if sweep.dry_run { "would go" } else { "went" };
    for reason in &sweep.gone {
        println!(
            "{} objects with {} bytes {went} ({}): {}.",
            reason.objects, reason.bytes, reason.reason, reason.text
        );
    }
    if sweep.gone.is_empty() {
        println!("There is nothing to remove.");
    }
    println!(
        "{} objects are needed; {} that nothing names are too young to go; {} are not Reelmesh's.",
        sweep.needed.objects, sweep.young.objects, sweep.foreign.objects
    );
}
