//! `reelmesh origin check`: tries everything that a node needs of its store.

use clap::Subcommand;

use super::{Error, Kind, Shared, machine};
use crate::origin::Class;
use crate::origin::check;
use crate::origin::check::{Outcome, Report};

#[derive(Debug, Subcommand)]
pub(crate) enum Origin {
    /// Try everything that a node will ask of the store, and say of each failure what to do.
    /// Run it on the machine of a node, with the node's environment.
    Check(CheckArgs),
}

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
