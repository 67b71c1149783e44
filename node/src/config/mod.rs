//! One file describes the cluster; the same file serves every node.
//!
//! Each section is a struct of its own with its defaults; a room is given its section, never the
//! whole. `cluster.toml` at the top of the repository is complete and equals the defaults.

mod cluster;
mod delivery;
mod http;
mod limits;
mod node;
mod origin;
mod render;
mod store;
mod units;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use cluster::Cluster;
pub use delivery::Delivery;
pub use http::Http;
pub use limits::Limits;
pub use node::{Node, Peer, Role, Slots};
pub use origin::{Addressing, Checksum, ConditionalPut, Origin, Provider};
pub use render::{Render, Sandbox};
pub use store::{S3, Store};
pub use units::{ByteSize, Span};

/// Everything that `cluster.toml` can say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub cluster: Cluster,
    pub origin: Origin,
    pub render: Render,
    pub delivery: Delivery,
    pub http: Http,
    pub limits: Limits,
    /// One a machine.
    #[serde(rename = "node")]
    pub nodes: Vec<Node>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cluster: Cluster::default(),
            origin: Origin::default(),
            render: Render::default(),
            delivery: Delivery::default(),
            http: Http::default(),
            limits: Limits::default(),
            nodes: vec![Node::default()],
        }
    }
}

/// Why a configuration cannot be used. The text names the file, the key and the mend.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "cannot read {path}: {source}; name another file with --config, or leave it out to run with the defaults"
    )]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path} is not a valid configuration:\n{source}")]
    Parse {
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
    #[error("{key}: {problem}")]
    Invalid { key: String, problem: String },
}

impl Error {
    fn invalid(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid {
            key: key.into(),
            problem: problem.into(),
        }
    }
}

impl Config {
    /// The configuration in `path`, or the defaults without one.
    ///
    /// # Errors
    /// A file that cannot be read or understood, an unknown key, a value out of bounds.
    pub fn load(path: Option<&Path>) -> Result<Self, Error> {
        let config = match path {
            None => Self::default(),
            Some(path) => {
                #[expect(
                    clippy::disallowed_methods,
                    reason = "the one place that reads the file"
                )]
                let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
                    path: path.to_owned(),
                    source,
                })?;
                // Before anything that would show the line a secret stands in.
                if let Ok(table) = toml::from_str::<toml::Table>(&text) {
                    origin::refuse_secrets(&table)?;
                }
                toml::from_str(&text).map_err(|source| Error::Parse {
                    path: path.to_owned(),
                    source: Box::new(source),
                })?
            }
        };
        config.check()?;
        Ok(config)
    }

    /// The section of the machine called `name`, or of the only machine.
    ///
    /// # Errors
    /// No such node, or several and no name.
    pub fn node(&self, name: Option<&str>) -> Result<&Node, Error> {
        let names = || {
            let names: Vec<&str> = self.nodes.iter().map(|node| node.name.as_str()).collect();
            names.join(", ")
        };
        match name {
            Some(name) => self
                .nodes
                .iter()
                .find(|node| node.name == name)
                .ok_or_else(|| {
                    Error::invalid(
                        "--node",
                        format!("there is no node {name:?}; there are: {}", names()),
                    )
                }),
            None if self.nodes.len() == 1 => Ok(&self.nodes[0]),
            None => Err(Error::invalid(
                "--node",
                format!(
                    "the file has several nodes; say which one this machine is: {}",
                    names()
                ),
            )),
        }
    }

    fn check(&self) -> Result<(), Error> {
        if self.nodes.is_empty() {
            return Err(Error::invalid(
                "[[node]]",
                "the file describes no machine; add one",
            ));
        }
        for (number, node) in self.nodes.iter().enumerate() {
            node.check()?;
            if self.nodes[..number]
                .iter()
                .any(|other| other.name == node.name)
            {
                return Err(Error::invalid(
                    "node.name",
                    format!("two nodes are called {:?}; names are unique", node.name),
                ));
            }
        }
        self.cluster.check()?;
        if self.nodes.len() > 1 {
            self.check_cluster()?;
        }
        self.origin.check()?;
        self.render.check()?;
        self.delivery.check()?;
        self.http.check()?;
        self.limits.check()
    }
}

impl Config {
    /// What only matters once there are several nodes.
    fn check_cluster(&self) -> Result<(), Error> {
        let mut addresses = std::collections::BTreeMap::new();
        for node in &self.nodes {
            let name = &node.name;
            let address = node.peer_address().ok_or_else(|| {
                Error::invalid(
                    "node.peer",
                    format!(
                        "node {name:?} listens on all addresses; say at which of them the other nodes reach it, such as \"10.0.0.2:7443\""
                    ),
                )
            })?;
            if let Some(other) = addresses.insert(address.clone(), name) {
                return Err(Error::invalid(
                    "node.peer",
                    format!("nodes {other:?} and {name:?} have the same address {address}"),
                ));
            }
        }
        let voters = self
            .nodes
            .iter()
            .filter(|node| node.role == Role::Voter)
            .count();
        if !matches!(voters, 1 | 3 | 5) {
            return Err(Error::invalid(
                "node.role",
                format!(
                    "the file has {voters} voters, and a cluster needs 1, 3 or 5: an even number stands no more failures than one less; give the others role = \"learner\" or \"worker\""
                ),
            ));
        }
        let one_machine = self.nodes.iter().all(Node::is_loopback);
        self.origin.check_reach(one_machine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        toml::from_str::<Config>(text)
            .map_err(|error| error.to_string())
            .and_then(|config| config.check().map_err(|error| error.to_string()))
            .expect_err("must be refused")
    }

    #[test]
    fn an_empty_file_equals_the_defaults() {
        assert_eq!(toml::from_str::<Config>("").unwrap(), Config::default());
    }

    #[test]
    fn an_unknown_key_is_named() {
        assert!(error("[render]\nsegmnt = \"4s\"").contains("segmnt"));
    }

    #[test]
    fn values_out_of_bounds_name_the_key() {
        assert!(error("[render]\nladder = []").contains("render.ladder"));
        assert!(error("[render]\ngop = \"0s\"").contains("render.gop"));
        assert!(error("[[node]]\nname = \"a/b\"").contains("node.name"));
        assert!(error("[[node]]\nname = \"a\"\n[[node]]\nname = \"a\"").contains("unique"));
        assert!(error("[origin]\nurl = \"ftp://x\"").contains("origin.url"));
        assert!(error("[delivery]\ncache_memory = \"1MiB\"").contains("delivery.cache_memory"));
        assert!(error("[delivery]\nread_ahead = 17").contains("delivery.read_ahead"));
        for origin in ["example.org", "https://", "https://x/", "https://*.x"] {
            let text = format!("[http]\ncors_origins = [{origin:?}]");
            assert!(error(&text).contains("http.cors_origins"), "{origin}");
        }
    }

    #[test]
    fn a_credential_in_the_file_is_refused_without_being_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cluster.toml");
        for (key, variable) in [
            ("secret_access_key", "AWS_SECRET_ACCESS_KEY"),
            ("account_key", "AZURE_STORAGE_ACCOUNT_KEY"),
        ] {
            std::fs::write(&path, format!("[origin]\n{key} = \"hush-hush\"")).unwrap();
            let error = Config::load(Some(&path)).unwrap_err().to_string();
            assert!(error.starts_with(&format!("origin.{key}: ")), "{error}");
            assert!(error.contains(variable), "{error}");
            assert!(!error.contains("hush-hush"), "{error}");
        }
    }

    #[test]
    fn several_nodes_need_a_name() {
        // Read, not checked: it would want addresses of their own.
        let config: Config =
            toml::from_str("[[node]]\nname = \"a\"\n[[node]]\nname = \"b\"").unwrap();
        assert!(config.node(None).is_err());
        assert!(config.node(Some("c")).is_err());
        assert_eq!(config.node(Some("b")).unwrap().name, "b");
    }
    fn cluster(origin: &str, rest: &str) -> String {
        let node = |name: &str, port: u16| {
            format!("[[node]]\nname = \"{name}\"\nquic = \"127.0.0.1:{port}\"\n")
        };
        format!(
            "[origin]\nurl = \"{origin}\"\n{}{}{rest}",
            node("a", 1),
            node("b", 2)
        )
    }

    #[test]
    fn a_cluster_needs_an_odd_number_of_voters_and_one_origin() {
        let third = "[[node]]\nname = \"c\"\nquic = \"127.0.0.1:3\"\n";
        let even = error(&cluster("file:///srv/origin", ""));
        assert!(even.contains("2 voters"), "{even}");
        let apart = error(&cluster("file://./origin", third));
        assert!(apart.contains("origin of its own"), "{apart}");
        let same = error(&cluster(
            "file:///srv/origin",
            "[[node]]\nname = \"c\"\nquic = \"127.0.0.1:2\"\n",
        ));
        assert!(same.contains("the same address"), "{same}");
        let whole: Config = toml::from_str(&cluster("file:///srv/origin", third)).unwrap();
        whole.check().unwrap();
        let far = "[[node]]\nname = \"c\"\nquic = \"10.0.0.3:3\"\n";
        let far = error(&cluster("file:///srv/origin", far));
        assert!(far.contains("origin.shared"), "{far}");
        let anywhere = "[[node]]\nname = \"c\"\nquic = \"0.0.0.0:3\"\n";
        let anywhere = error(&cluster("file:///srv/origin", anywhere));
        assert!(anywhere.contains("node.peer"), "{anywhere}");
        let learner =
            format!("{third}[[node]]\nname = \"d\"\nquic = \"127.0.0.1:4\"\nrole = \"learner\"\n");
        let whole: Config = toml::from_str(&cluster("file:///srv/origin", &learner)).unwrap();
        whole.check().unwrap();
    }
}
