//! `[[node]]`: one machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Error;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Node {
    /// `[a-z0-9-]`, unique.
    pub name: String,
    /// Machines with one site are near to each other.
    pub site: String,
    /// Web page and API.
    pub http: SocketAddr,
    /// Uploads.
    pub quic: SocketAddr,
    /// Everything this node keeps.
    pub data_dir: PathBuf,
    pub slots: Slots,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            name: "node-1".to_owned(),
            site: "here".to_owned(),
            http: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            quic: SocketAddr::from((Ipv4Addr::LOCALHOST, 7443)),
            data_dir: PathBuf::from("data"),
            slots: Slots::Auto,
        }
    }
}

impl Node {
    pub(super) fn check(&self) -> Result<(), Error> {
        let named = (1..=63).contains(&self.name.len())
            && self
                .name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !named {
            return Err(Error::invalid(
                "node.name",
                format!(
                    "{:?} is not a name; use up to 63 of a-z, 0-9 and -",
                    self.name
                ),
            ));
        }
        Ok(())
    }
}

/// How many renders run at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slots {
    /// One for every two cores and one more: a ladder keeps nearly two busy, and the one more
    /// fills the gaps that the others leave at their beginning and end.
    Auto,
    Count(NonZeroU16),
}

impl Slots {
    pub fn count(self, cores: u16) -> u16 {
        match self {
            Self::Auto => (cores / 2).saturating_add(1),
            Self::Count(count) => count.get(),
        }
    }
}

impl Serialize for Slots {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Count(count) => serializer.serialize_u16(count.get()),
        }
    }
}

impl<'de> Deserialize<'de> for Slots {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "slots is \"auto\" or a number of 1 or more")]
        enum Raw {
            Word(Auto),
            Count(NonZeroU16),
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Auto {
            Auto,
        }
        Ok(match Raw::deserialize(deserializer)? {
            Raw::Word(Auto::Auto) => Self::Auto,
            Raw::Count(count) => Self::Count(count),
        })
    }
}
