//! `reelmesh proxy`: makes an edit proxy, and says whether edit software takes it.

use std::path::PathBuf;
use std::time::Duration;

use protocol::http::proxy::{NewProxy, Presets, Proxies, Proxy, ProxyStatus, Report};
use protocol::id::{ProxyId, VideoId};
use reqwest::Method;

use super::client::Client;
use super::{Error, Kind, Shared, table};

/// Between two looks at a proxy that is made.
const POLL: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    subcommand_value_name = "COMMAND",
    override_usage = "reelmesh proxy VIDEO --preset NAME [-o FILE]\n       reelmesh proxy report PROXY\n       reelmesh proxy list VIDEO\n       reelmesh proxy presets"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    /// Id of the video, or its file name.
    #[arg(required = true)]
    video: Option<String>,
    /// How it is made; `reelmesh proxy presets` lists them.
    #[arg(long, value_name = "NAME", default_value = "prores-proxy")]
    preset: String,
    /// Wait for it, and write it here; into a folder under the name that edit software looks for.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Say rule by rule whether edit software takes a proxy for its original.
    Report {
        /// Id of the edit proxy.
        proxy: ProxyId,
    },
    /// List the edit proxies of a video.
    List {
        /// Id of the video, or its file name.
        video: String,
    },
    /// Remove an edit proxy.
    Rm {
        /// Id of the edit proxy.
        proxy: ProxyId,
    },
    /// List the presets.
    Presets,
}

#[expect(clippy::print_stdout, reason = "this is the command line")]
pub(crate) async fn run(shared: &Shared, args: Args) -> Result<(), Error> {
    let client = Client::new(shared)?;
    match args.action {
        Some(Action::Report { proxy }) => report(shared, &client, proxy).await,
        Some(Action::List { video }) => {
            let video = client.video(&video).await?;
            let path = format!("/videos/{}/proxies", video.id);
            let proxies: Proxies = client.fetch(&path, &[]).await?;
            for proxy in &proxies.items {
                println!("{}", told(shared, proxy));
            }
            Ok(())
        }
        Some(Action::Rm { proxy }) => client.delete(&format!("/proxies/{proxy}")).await,
        Some(Action::Presets) => {
            let presets: Presets = client.fetch("/presets", &[]).await?;
            for preset in &presets.items {
                if shared.json {
                    println!("{}", serde_json::json!(preset));
                } else {
                    println!(
                        "{} {} at most {} lines, version {}{}",
                        preset.name,
                        preset.codec,
                        preset.lines,
                        preset.version,
                        if preset.built_in { ", built in" } else { "" }
                    );
                }
            }
            Ok(())
        }
        None => {
            let name = args.video.unwrap_or_default();
            make(shared, &client, &name, args.preset, args.output).await
        }
    }
}

#[expect(clippy::print_stdout, reason = "this is the command line")]
async fn make(
    shared: &Shared,
    client: &Client,
    video: &str,
    preset: String,
    output: Option<PathBuf>,
) -> Result<(), Error> {
    let video = client.video(video).await?;
    let mut proxy = client.make_proxy(video.id, &NewProxy { preset }).await?;
    let Some(mut path) = output else {
        println!("{}", told(shared, &proxy));
        return Ok(());
    };
    proxy = client.made(proxy).await?;
    if path.is_dir() {
        path.push(plain(&proxy.filename));
    }
    let source = format!("/proxies/{}/download", proxy.id);
    client.download(&source, &path).await?;
    println!("{}", told(shared, &proxy));
    if !shared.json {
        println!("wrote {}", path.display());
    }
    Ok(())
}

/// A file name that stays in its folder, whatever the node says.
fn plain(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|letter| match letter {
            '/' | '\\' | '\0' => '_',
            letter => letter,
        })
        .collect();
    match plain.as_str() {
        "" | "." | ".." => "proxy.mov".to_owned(),
        _ => plain,
    }
}

#[expect(clippy::print_stdout, reason = "this is the command line")]
async fn report(shared: &Shared, client: &Client, proxy: ProxyId) -> Result<(), Error> {
    let report: Report = client
        .fetch(&format!("/proxies/{proxy}/report"), &[])
        .await?;
    if shared.json {
        println!("{}", serde_json::json!(report));
        return Ok(());
    }
    println!("{} for {}", report.proxy, report.original);
    for rule in &report.rules {
        let mark = if rule.holds { "ok  " } else { "NOT " };
        println!(
            "  {mark} {:<13} {} / {}",
            rule.rule, rule.original, rule.proxy
        );
        if !rule.holds {
            println!("       {}", rule.note);
        }
    }
    for editor in &report.editors {
        let verdict = if editor.relinks {
            "relinks".to_owned()
        } else {
            format!("does not relink: {}", editor.blocked_by.join(", "))
        };
        println!("{}: {verdict}", editor.editor);
        if !editor.warnings.is_empty() {
            println!("  but mind: {}", editor.warnings.join(", "));
        }
    }
    Ok(())
}

/// A proxy on one line, or as JSON.
fn told(shared: &Shared, proxy: &Proxy) -> String {
    if shared.json {
        return serde_json::json!(proxy).to_string();
    }
    line(proxy)
}

fn line(proxy: &Proxy) -> String {
    let status = match proxy.status {
        ProxyStatus::Queued => "queued".to_owned(),
        ProxyStatus::Rendering => format!("rendering {}", table::percent(proxy.progress_permille)),
        ProxyStatus::Ready => {
            let size = proxy.size_bytes.map_or_else(String::new, table::bytes);
            format!("ready, {size}")
        }
        ProxyStatus::Failed => {
            let error = proxy.error.as_ref();
            let message = error.map_or("", |error| error.message.as_str());
            format!("failed: {message}")
        }
    };
    let size = proxy.resolution;
    let size = size.map_or_else(String::new, |size| format!(", {size}"));
    format!(
        "{} {} ({}{size}, {status}) {}",
        proxy.id, proxy.preset, proxy.codec, proxy.filename
    )
}

impl Client {
    async fn make_proxy(&self, video: VideoId, new: &NewProxy) -> Result<Proxy, Error> {
        let path = format!("/videos/{video}/proxies");
        self.send_json(Method::POST, &path, new).await
    }

    /// Waits until the proxy is there.
    async fn made(&self, mut proxy: Proxy) -> Result<Proxy, Error> {
        loop {
            match proxy.status {
                ProxyStatus::Ready => return Ok(proxy),
                ProxyStatus::Failed => {
                    let message = proxy.error.map(|error| error.message);
                    let message = message.unwrap_or_else(|| "it could not be made".to_owned());
                    return Err(Error::new(Kind::Failed, message));
                }
                ProxyStatus::Queued | ProxyStatus::Rendering => {}
            }
            tokio::time::sleep(POLL).await;
            proxy = self.fetch(&format!("/proxies/{}", proxy.id), &[]).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_the_node_stays_in_its_folder() {
        for (name, expected) in [
            ("A001.mov", "A001.mov"),
            ("../../etc/passwd", ".._.._etc_passwd"),
            ("..", "proxy.mov"),
            ("", "proxy.mov"),
        ] {
            assert_eq!(plain(name), expected);
        }
    }
}
