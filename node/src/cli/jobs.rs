//! `reelmesh jobs`: work, why it waits, and another try.

use clap::Subcommand;
use protocol::http::Page;
use protocol::http::job::{Job, JobState};
use protocol::id::JobId;

use super::client::Client;
use super::{Error, Kind, Shared, table};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// Finished jobs too.
    #[arg(long)]
    all: bool,
    /// At most this many.
    #[arg(long, default_value_t = 200)]
    limit: usize,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Try a failed or cancelled job again.
    Retry { id: String },
    /// Give a job up.
    Cancel { id: String },
}

pub(crate) async fn run(shared: &Shared, args: Args) -> Result<(), Error> {
    let client = Client::new(shared)?;
    match args.action {
        Some(Action::Retry { id }) => act(shared, &client, &id, "retry").await,
        Some(Action::Cancel { id }) => act(shared, &client, &id, "cancel").await,
        None => list(shared, &client, &args).await,
    }
}

#[expect(clippy::print_stdout, reason = "this is the command line")]
async fn act(shared: &Shared, client: &Client, id: &str, verb: &str) -> Result<(), Error> {
    let id: JobId = id.parse().map_err(|error| {
        Error::new(Kind::Usage, format!("{error}")).hint("`reelmesh jobs --all` lists the ids")
    })?;
    client.post(&format!("/jobs/{id}/{verb}")).await?;
    if shared.json {
        println!("{}", serde_json::json!({ verb: id }));
    } else {
        println!("{verb}: {id}");
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is the command line")]
async fn list(shared: &Shared, client: &Client, args: &Args) -> Result<(), Error> {
    let query = [("limit", args.limit.min(200).to_string())];
    let page: Page<Job> = client.fetch("/jobs", &query).await?;
    let jobs: Vec<&Job> = page
        .items
        .iter()
        .filter(|job| args.all || !matches!(job.state, JobState::Done))
        .collect();
    if shared.json {
        for job in &jobs {
            println!("{}", serde_json::json!(job));
        }
        return Ok(());
    }
    if jobs.is_empty() {
        println!("Nothing to do.");
        return Ok(());
    }
    let rows: Vec<_> = jobs.iter().map(|job| row(job)).collect();
    table::print(["ID", "WORK", "STATE", "NODE", "TRIES", "VIDEO"], &rows);
    for job in jobs {
        for reason in &job.waiting_because {
            println!("{} ({}): {reason}", job.filename, job.kind);
        }
        if let Some(failure) = &job.failure {
            println!("{} ({}): {}", job.filename, job.kind, failure.message);
        }
    }
    Ok(())
}

fn row(job: &Job) -> [String; 6] {
    let state = match job.state {
        JobState::Waiting => "waiting".to_owned(),
        JobState::Running => format!("running {}", table::percent(job.progress_permille)),
        JobState::Done => "done".to_owned(),
        JobState::Failed => "failed".to_owned(),
        JobState::Cancelled => "cancelled".to_owned(),
    };
    [
        job.id.to_string(),
        job.kind.clone(),
        state,
        job.node.clone().unwrap_or_default(),
        format!("{} of {}", job.attempts, job.max_attempts),
        job.filename.clone(),
    ]
}
