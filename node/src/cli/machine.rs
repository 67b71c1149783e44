//! What commands that run on a machine itself share: the file, and which [[node]] this is.

use std::path::PathBuf;

use super::{Error, Kind};
use crate::config::{self, Config};

#[derive(Debug, clap::Args)]
#[group(id = "machine")]
pub(crate) struct Args {
    /// The file that describes the cluster; without it: one node, loopback only.
    #[arg(long, value_name = "FILE", env = "REELMESH_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Which [[node]] of the file this machine is.
    #[arg(long, value_name = "NAME", env = "REELMESH_NODE")]
    node: Option<String>,
    /// Where this node keeps everything; the file's `data_dir` without it.
    #[arg(long, value_name = "DIR", env = "REELMESH_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

impl Args {
    /// The file, and the section of this machine; of any machine where it does not matter which.
    pub(crate) fn load_any(&self) -> Result<(Config, config::Node), Error> {
        let usage = |error: config::Error| Error::new(Kind::Usage, error.to_string());
        if self.node.is_some() || self.data_dir.is_some() {
            return self.load();
        }
        let config = Config::load(self.config.as_deref()).map_err(usage)?;
        // A cluster's origin lies in no data folder.
        let node = config.nodes[0].clone();
        Ok((config, node))
    }

    /// The file, and the section of this machine.
    pub(crate) fn load(&self) -> Result<(Config, config::Node), Error> {
        let usage = |error: config::Error| Error::new(Kind::Usage, error.to_string());
        let config = Config::load(self.config.as_deref()).map_err(usage)?;
        let mut node = config.node(self.node.as_deref()).map_err(usage)?.clone();
        if let Some(data_dir) = &self.data_dir {
            node.data_dir.clone_from(data_dir);
        }
        Ok((config, node))
    }
}
