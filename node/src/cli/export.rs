//! `reelmesh export`: subclips for edit software.

use std::io::Write as _;
use std::path::PathBuf;

use super::client::Client;
use super::{Error, Kind, Shared};
use crate::interchange::Format;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Ids of the videos, or their file names.
    #[arg(required = true)]
    videos: Vec<String>,
    /// What to write.
    #[arg(long, value_parser = Format::ALL.map(Format::as_str))]
    format: String,
    /// Where to write it; without it, to standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) async fn run(shared: &Shared, args: Args) -> Result<(), Error> {
    let client = Client::new(shared)?;
    let mut ids = Vec::new();
    for name in &args.videos {
        ids.push(client.video(name).await?.id);
    }
    let format = ("format", args.format.clone());
    let document = if let [id] = ids.as_slice() {
        let path = format!("/videos/{id}/export");
        client.bytes(&path, &[format]).await?
    } else {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let videos = ("videos", ids.join(","));
        client.bytes("/export", &[format, videos]).await?
    };
    write(shared, &args, &document)
}

#[expect(clippy::print_stdout, reason = "this is the command line")]
fn write(shared: &Shared, args: &Args, document: &[u8]) -> Result<(), Error> {
    let Some(path) = &args.output else {
        if shared.json {
            let text = String::from_utf8_lossy(document);
            let value = serde_json::json!({ "format": args.format, "document": text });
            println!("{value}");
            return Ok(());
        }
        return std::io::stdout()
            .write_all(document)
            .map_err(|error| Error::new(Kind::Failed, format!("cannot write: {error}")));
    };
    std::fs::write(path, document).map_err(|error| {
        let message = format!("cannot write {}: {error}", path.display());
        Error::new(Kind::Failed, message)
    })?;
    if shared.json {
        let value = serde_json::json!({ "format": args.format, "file": path });
        println!("{value}");
    } else {
        println!("wrote {}", path.display());
    }
    Ok(())
}
