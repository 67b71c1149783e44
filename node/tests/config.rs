//! The reference configuration equals the defaults, so that its comments cannot lie; and a cluster
//! started from a file.

#[cfg(feature = "gstreamer")]
#[path = "common/cluster.rs"]
mod cluster;

use std::path::Path;

use node::config::Config;

#[test]
fn the_reference_file_equals_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cluster.toml");
    let config = Config::load(Some(&path)).unwrap();
    assert_eq!(config, Config::default());
}

#[test]
fn the_reference_file_names_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cluster.toml");
    let text = std::fs::read_to_string(path).unwrap();
    let written: toml::Table = toml::from_str(&text).unwrap();
    let complete = toml::Table::try_from(Config::default()).unwrap();
    assert_eq!(written, complete);
}
