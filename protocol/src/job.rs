//! Pure: the kinds of work a video becomes, and how far one has come.

use std::fmt;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// A part of a generation that one job makes. Append only.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[repr(u8)]
pub enum Unit {
    /// All rungs of one range of frames, from one decode.
    Piece(u32) = 0,
    /// The sound of the whole video.
    Audio = 1,
    /// Poster images.
    Stills = 2,
    /// A subclip as a file; the only unit of its generation.
    Clip = 3,
    /// An edit proxy; the only unit of its generation.
    Proxy = 4,
}

impl fmt::Display for Unit {
    /// Also the name of the unit's manifest folder: `[a-z0-9-]+`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Piece(number) => write!(f, "piece-{number:04}"),
            Self::Audio => f.write_str("audio"),
            Self::Stills => f.write_str("stills"),
            Self::Clip => f.write_str("clip"),
            Self::Proxy => f.write_str("proxy"),
        }
    }
}

/// How far an attempt has come. Never goes backwards within one attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Progress {
    /// Source frames done; for sound and stills any steadily growing count.
    pub done: u64,
    pub total: u64,
}

impl Progress {
    /// Thousandths done, 0 to 1000.
    pub fn permille(self) -> u16 {
        if self.total == 0 {
            return 0;
        }
        let permille = u128::from(self.done.min(self.total)) * 1000 / u128::from(self.total);
        u16::try_from(permille).unwrap_or(1000)
    }
}
