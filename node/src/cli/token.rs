//! `reelmesh token`: lets machines join, and programs and people use the API.

use clap::Subcommand;
use protocol::http::Page;
use protocol::http::access::{ApiToken, ChangeApiToken, CreateApiToken, NewApiToken};
use protocol::http::cluster::{CreateToken, JoinToken};
use reqwest::Method;

use super::client::Client;
use super::table;
use super::{Error, Shared};
use crate::config::{ByteSize, Span};

#[derive(Debug, Subcommand)]
pub(crate) enum TokenAction {
    /// Make a token with which one machine may join; with `--api`, one to use the API. Run it on
    /// a node of the cluster.
    Create(CreateArgs),
    /// List API tokens, and how much each keeps.
    Ls,
    /// Give an API token another quota.
    Quota {
        name: String,
        /// Such as 500GB, or "none".
        quota: Quota,
    },
    /// Make an API token worthless.
    Revoke { name: String },
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// What the machine may become.
    #[arg(long, default_value = "voter", value_parser = ["voter", "learner", "worker"])]
    role: String,
    /// How long the token is good for.
    #[arg(long, default_value = "1h", value_name = "SPAN")]
    valid: Span,
    /// A token to use the API and to upload.
    #[arg(long, requires = "name", conflicts_with_all = ["role", "valid"])]
    api: bool,
    /// Whom the API token is for.
    #[arg(long, requires = "api")]
    name: Option<String>,
    /// Bytes of originals that the API token may keep, such as 500GB.
    #[arg(long, requires = "api", value_name = "SIZE", default_value = "none")]
    quota: Quota,
}

/// Bytes, or no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota(Option<u64>);

/// Quotas are agreed upon in the units that disks are sold in.
const DECIMAL: [(&str, u64); 3] = [
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
];

impl std::str::FromStr for Quota {
    type Err = <ByteSize as std::str::FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self(None));
        }
        for (unit, factor) in DECIMAL {
            let number = text.strip_suffix(unit).map(str::trim);
            if let Some(Ok(number)) = number.map(str::parse::<u64>)
                && let Some(bytes) = number.checked_mul(factor)
            {
                return Ok(Self(Some(bytes)));
            }
        }
        text.parse()
            .map(|size: ByteSize| Self(Some(size.as_bytes())))
    }
}

pub(crate) async fn run(shared: &Shared, action: TokenAction) -> Result<(), Error> {
    let client = Client::new(shared)?;
    match action {
        TokenAction::Create(args) if args.api => create_api(shared, &client, args).await,
        TokenAction::Create(args) => create(shared, &client, args).await,
        TokenAction::Ls => list(shared, &client).await,
        TokenAction::Quota { name, quota } => {
            let change = ChangeApiToken {
                quota_bytes: quota.0,
            };
            client.change(Method::PATCH, &path(&name), &change).await
        }
        TokenAction::Revoke { name } => client.delete(&path(&name)).await,
    }
}

fn path(name: &str) -> String {
    let name = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    format!("/api-tokens/{name}")
}

#[expect(clippy::print_stdout, reason = "this is the command line")]
async fn create(shared: &Shared, client: &Client, args: CreateArgs) -> Result<(), Error> {
    let wanted = CreateToken {
        role: args.role,
        valid_for_s: args.valid.as_millis() / 1000,
    };
    let made: JoinToken = client.post_json("/tokens", &wanted).await?;
    if shared.json {
        println!("{}", serde_json::json!(made));
    } else {
        // Alone on its line, so that a script can take it.
        println!("{}", made.token);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is the command line")]
async fn create_api(shared: &Shared, client: &Client, args: CreateArgs) -> Result<(), Error> {
    let wanted = CreateApiToken {
        name: args.name.unwrap_or_default(),
        quota_bytes: args.quota.0,
    };
    let made: NewApiToken = client.post_json("/api-tokens", &wanted).await?;
    if shared.json {
        println!("{}", serde_json::json!(made));
    } else {
        println!("{}", made.token);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is the command line")]
async fn list(shared: &Shared, client: &Client) -> Result<(), Error> {
    let page: Page<ApiToken> = client.fetch("/api-tokens", &[]).await?;
    if shared.json {
        for token in page.items {
            println!("{}", serde_json::json!(token));
        }
        return Ok(());
    }
    let rows: Vec<[String; 3]> = page
        .items
        .into_iter()
        .map(|token| {
            let quota = token
                .quota_bytes
                .map_or_else(|| "none".to_owned(), table::bytes);
            [token.name, table::bytes(token.used_bytes), quota]
        })
        .collect();
    table::print(["NAME", "USED", "QUOTA"], &rows);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_come_in_the_units_of_disks_and_of_memory() {
        let check = |text: &str, bytes| assert_eq!(text.parse().ok(), bytes, "{text}");
        check("none", Some(Quota(None)));
        check("500GB", Some(Quota(Some(500_000_000_000))));
        check("2 TiB", Some(Quota(Some(2 << 40))));
        for bad in ["", "GB", "1.5GB", "-1GB", "999999999999TB", "many"] {
            check(bad, None);
        }
    }
}
