//! Pure: what all nodes must agree on: the ladder, limits and lease times.

use bincode::{Decode, Encode};
use protocol::media::Ladder;
use protocol::time::Span;

use super::Catalog;
use super::outcome::{Rejection, Reply};

/// Replicated settings, set from `cluster.toml` by the leader.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Settings {
    pub ladder: Ladder,
    /// Attempts that a job may fail before it is given up.
    pub max_attempts: u32,
    /// Attempts that may be lost with their node, on top.
    pub max_lost_attempts: u32,
    /// How long an assignment holds without renewal.
    pub lease: Span,
    /// First wait before a retry; doubles with each attempt.
    pub retry_backoff: Span,
    /// An upload that nobody touches is given up after this long.
    pub upload_expiry: Span,
    /// Largest file in bytes.
    pub upload_max_bytes: u64,
    /// Longest file name in characters.
    pub filename_max_chars: u32,
    /// Nodes that are to hold each original.
    pub copies: u32,
    /// In front of every path that viewers are given; empty: this very node.
    pub delivery_base_url: String,
    /// Playback needs a grant.
    pub delivery_private: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ladder: Ladder::default(),
            max_attempts: 3,
            max_lost_attempts: 100,
            lease: Span::from_secs(15),
            retry_backoff: Span::from_secs(5),
            upload_expiry: Span::from_secs(7 * 24 * 3600),
            upload_max_bytes: 1 << 40,
            filename_max_chars: 255,
            copies: 2,
            delivery_base_url: String::new(),
            delivery_private: false,
        }
    }
}

impl Settings {
    /// Whether the settings make sense: every number within its bounds, the ladder not empty and
    /// in falling order.
    ///
    /// # Errors
    /// Names the first setting that is out of bounds, with the bound.
    pub fn check(&self) -> Result<(), Rejection> {
        let ladder = &self.ladder;
        let count = u64::try_from(ladder.rungs.len()).unwrap_or(u64::MAX);
        within("the ladder's number of rungs", count, 1, 16)?;
        for rung in &ladder.rungs {
            within("a rung's height in lines", rung.height.into(), 16, 8640)?;
            within(
                "a rung's bit rate in kbit/s",
                rung.video_kbps.into(),
                1,
                1_000_000,
            )?;
        }
        if !ladder.rungs.is_sorted_by(|a, b| a.height > b.height) {
            return Err(Rejection::WrongState {
                what: "the ladder".to_owned(),
                state: "not in falling order of height".to_owned(),
            });
        }
        within("gop_ms", ladder.gop_ms.into(), 100, 60_000)?;
        within(
            "segment_ms",
            ladder.segment_ms.into(),
            ladder.gop_ms.into(),
            60_000,
        )?;
        within("audio_kbps", ladder.audio_kbps.into(), 8, 1024)?;
        within("max_attempts", self.max_attempts.into(), 1, 1000)?;
        within(
            "max_lost_attempts",
            self.max_lost_attempts.into(),
            0,
            100_000,
        )?;
        let hour = 3_600_000;
        within("the lease in ms", self.lease.as_millis(), 100, hour)?;
        within(
            "the back-off in ms",
            self.retry_backoff.as_millis(),
            0,
            hour,
        )?;
        let expiry = self.upload_expiry.as_millis();
        within(
            "the upload expiry in ms",
            expiry,
            1000,
            10 * 366 * 24 * hour,
        )?;
        within("upload_max_bytes", self.upload_max_bytes, 1, 1 << 60)?;
        within(
            "filename_max_chars",
            self.filename_max_chars.into(),
            1,
            1024,
        )?;
        within("copies", self.copies.into(), 1, 16)?;
        let length = u64::try_from(self.delivery_base_url.len()).unwrap_or(u64::MAX);
        within("the length of the base URL", length, 0, 1024)
    }
}

fn within(what: &str, given: u64, lowest: u64, highest: u64) -> Result<(), Rejection> {
    let refused = |limit| Rejection::Limit {
        what: what.to_owned(),
        given,
        limit,
    };
    if given < lowest {
        return Err(refused(lowest));
    }
    if given > highest {
        return Err(refused(highest));
    }
    Ok(())
}

impl Catalog {
    pub(super) fn set_settings(&mut self, settings: Settings) -> Result<Reply, Rejection> {
        settings.check()?;
        if self.settings == settings {
            return Ok(Reply::Already);
        }
        self.settings = settings;
        Ok(Reply::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_sound() {
        assert_eq!(Settings::default().check(), Ok(()));
    }

    #[test]
    fn an_empty_ladder_and_one_upside_down_are_refused() {
        let mut settings = Settings::default();
        settings.ladder.rungs.reverse();
        assert!(settings.check().is_err());
        settings.ladder.rungs.clear();
        assert!(settings.check().is_err());
    }
}
