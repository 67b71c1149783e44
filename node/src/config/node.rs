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
    /// Uploads, and the other nodes.
    pub quic: SocketAddr,
    /// Where the other nodes reach `quic`.
    pub peer: Peer,
    pub role: Role,
    /// Everything this node keeps.
    pub data_dir: PathBuf,
    pub slots: Slots,
    /// PEM file of the chain that browsers and players see; empty: no TLS, no HTTP/3.
    pub certificate: PathBuf,
    /// PEM file of its key.
    pub private_key: PathBuf,
    /// When it renders.
    pub work: Work,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            name: "node-1".to_owned(),
            site: "here".to_owned(),
            http: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            quic: SocketAddr::from((Ipv4Addr::LOCALHOST, 7443)),
            peer: Peer::Auto,
            role: Role::Voter,
            data_dir: PathBuf::from("data"),
            slots: Slots::Auto,
            certificate: PathBuf::new(),
            private_key: PathBuf::new(),
            work: Work::Always,
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
        if self.certificate.as_os_str().is_empty() != self.private_key.as_os_str().is_empty() {
            return Err(Error::invalid(
                "node.certificate",
                "TLS needs both node.certificate and node.private_key, or neither",
            ));
        }
        if let Peer::Address(address) = &self.peer
            && !is_host_and_port(address)
        {
            return Err(Error::invalid(
                "node.peer",
                format!("{address:?} is no host and port; write one such as \"10.0.0.2:7443\""),
            ));
        }
        Ok(())
    }

    /// Host and port where other nodes reach this one; none if the file does not say.
    pub fn peer_address(&self) -> Option<String> {
        match &self.peer {
            Peer::Address(address) => Some(address.clone()),
            Peer::Auto if self.quic.ip().is_unspecified() => None,
            Peer::Auto => Some(self.quic.to_string()),
        }
    }

    /// Whether the address is on this machine only.
    pub(super) fn is_loopback(&self) -> bool {
        self.peer_address().is_some_and(|address| {
            address.starts_with("localhost:")
                || address
                    .parse::<SocketAddr>()
                    .is_ok_and(|address| address.ip().is_loopback())
        })
    }
}

fn is_host_and_port(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && address.len() <= 255 && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// What a machine is to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Decides with the others: one, three or five are.
    Voter,
    /// Has the catalogue and originals, serves, renders.
    Learner,
    /// Renders only.
    Worker,
}

/// Where other nodes reach a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Peer {
    /// At the address in `quic`.
    Auto,
    Address(String),
}

impl From<String> for Peer {
    fn from(text: String) -> Self {
        if text == "auto" {
            Self::Auto
        } else {
            Self::Address(text)
        }
    }
}

impl From<Peer> for String {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer::Auto => "auto".to_owned(),
            Peer::Address(address) => address,
        }
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

/// When a machine renders; what it has begun it finishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Work {
    Always,
    /// While nobody else uses the machine.
    Idle,
    /// Between two times of day, in minutes after midnight, UTC; perhaps over midnight.
    Hours {
        from: u16,
        to: u16,
    },
}

impl TryFrom<String> for Work {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let hours = |text: &str| {
            let (from, to) = text.split_once('-')?;
            let (from, to) = (minute_of_day(from)?, minute_of_day(to)?);
            (from != to).then_some(Self::Hours { from, to })
        };
        match text.as_str() {
            "always" => Ok(Self::Always),
            "idle" => Ok(Self::Idle),
            text => hours(text).ok_or_else(|| {
                format!("work is \"always\", \"idle\" or hours such as \"22:00-06:00\" (UTC), not {text:?}")
            }),
        }
    }
}

impl From<Work> for String {
    fn from(work: Work) -> Self {
        let time = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        match work {
            Work::Always => "always".to_owned(),
            Work::Idle => "idle".to_owned(),
            Work::Hours { from, to } => format!("{}-{}", time(from), time(to)),
        }
    }
}

/// `HH:MM` as minutes after midnight.
fn minute_of_day(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    if hour.len() != 2 || minute.len() != 2 {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_read_and_written_alike_and_others_refused() {
        for text in ["always", "idle", "22:00-06:00", "00:01-23:59"] {
            let work = Work::try_from(text.to_owned()).unwrap();
            assert_eq!(String::from(work), text);
        }
        for text in [
            "never",
            "22-6",
            "22:00-22:00",
            "24:00-06:00",
            "1:00-02:00",
            "22:00",
        ] {
            let error = Work::try_from(text.to_owned()).unwrap_err();
            assert!(
                error.contains("22:00-06:00") && error.contains(text),
                "{error}"
            );
        }
    }
}
