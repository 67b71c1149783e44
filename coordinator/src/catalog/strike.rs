//! Pure: a node that keeps failing one kind of work is barred from it for a while.

use bincode::{Decode, Encode};
use protocol::failure::{Failure, FailureClass};
use protocol::id::{NodeId, VideoId};
use protocol::time::{Span, Timestamp};

use super::Catalog;
use super::job::Work;

/// Failures in a row that bar a node. One file alone bars nobody: it may be the file.
const IN_A_ROW: u32 = 3;
const VIDEOS: u32 = 2;
/// How long the first bar holds; each that follows without a success between holds twice as long.
const FIRST_BAR: Span = Span::from_secs(600);
const BAR_MAX: Span = Span::from_secs(2 * 3600);

/// Failures of one node at one kind of work, since it last succeeded or was started.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Strikes {
    pub node: NodeId,
    pub work: Work,
    pub in_a_row: u32,
    /// Videos among them, counted when they change.
    pub videos: u32,
    pub last_video: VideoId,
    /// The sentence of the last one.
    pub why: String,
    pub bars: u32,
    /// Until then it gets no such work.
    pub barred_until: Option<Timestamp>,
}

impl Catalog {
    /// What nodes have failed at lately.
    pub fn strikes(&self) -> impl Iterator<Item = &Strikes> {
        self.strikes.values()
    }

    /// `node` failed at `work`; what is wrong with the file is not held against it.
    pub(super) fn count_strike(
        &mut self,
        node: NodeId,
        work: Work,
        video: VideoId,
        failure: &Failure,
    ) {
        match failure.class {
            FailureClass::Input | FailureClass::Cancelled => return,
            FailureClass::Crashed
            | FailureClass::Internal
            | FailureClass::Resource
            | FailureClass::Verification => {}
        }
        let at = self.at;
        let strikes = self.strikes.entry((node, work)).or_insert_with(|| Strikes {
            node,
            work,
            in_a_row: 0,
            videos: 0,
            last_video: video,
            why: String::new(),
            bars: 0,
            barred_until: None,
        });
        strikes.in_a_row = strikes.in_a_row.saturating_add(1);
        if strikes.videos == 0 || strikes.last_video != video {
            strikes.videos = strikes.videos.saturating_add(1);
        }
        strikes.last_video = video;
        strikes.why.clone_from(&failure.message);
        let barred = strikes.barred_until.is_some_and(|until| until > at);
        if strikes.in_a_row >= IN_A_ROW && strikes.videos >= VIDEOS && !barred {
            let time = FIRST_BAR.saturating_mul(1 << strikes.bars.min(16));
            strikes.barred_until = Some(at + time.min(BAR_MAX));
            strikes.bars = strikes.bars.saturating_add(1);
        }
    }

    /// `node` can do it after all.
    pub(super) fn clear_strikes(&mut self, node: NodeId, work: Work) {
        self.strikes.remove(&(node, work));
    }

    /// `node` was started anew, perhaps mended, or has gone.
    pub(super) fn clear_all_strikes(&mut self, node: NodeId) {
        self.strikes.retain(|&(of, _), _| of != node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(1);

    fn video(number: u64) -> VideoId {
        VideoId::derived(Timestamp::default(), number, 0)
    }

    fn fail(catalog: &mut Catalog, secs: i64, of: u64, class: FailureClass) {
        catalog.at = Timestamp::from_millis(secs * 1000);
        let failure = Failure::new(class, "test", "It broke.", "");
        catalog.count_strike(NODE, Work::Piece, video(of), &failure);
    }

    fn barred_until(catalog: &Catalog) -> Option<i64> {
        let strikes = catalog.strikes().next()?;
        strikes.barred_until.map(|until| until.as_millis() / 1000)
    }

    #[test]
    fn who_fails_at_several_videos_in_a_row_is_barred_for_longer_and_longer() {
        let mut catalog = Catalog::default();
        for of in [1, 1, 1, 1] {
            fail(&mut catalog, 0, of, FailureClass::Crashed);
        }
        assert_eq!(barred_until(&catalog), None, "it may be the file");
        fail(&mut catalog, 10, 2, FailureClass::Crashed);
        assert_eq!(barred_until(&catalog), Some(610));
        // What it had under way when it was barred.
        fail(&mut catalog, 20, 3, FailureClass::Crashed);
        assert_eq!(barred_until(&catalog), Some(610));
        fail(&mut catalog, 700, 3, FailureClass::Crashed);
        assert_eq!(barred_until(&catalog), Some(1900));
    }

    #[test]
    fn a_success_or_a_start_clears_it_and_bad_files_do_not_count() {
        let mut catalog = Catalog::default();
        for of in 0..9 {
            fail(&mut catalog, 0, of, FailureClass::Input);
        }
        assert_eq!(catalog.strikes().count(), 0);
        for of in [1, 2] {
            fail(&mut catalog, 0, of, FailureClass::Crashed);
        }
        catalog.clear_strikes(NODE, Work::Piece);
        fail(&mut catalog, 0, 3, FailureClass::Crashed);
        assert_eq!(barred_until(&catalog), None);
        for of in [4, 5] {
            fail(&mut catalog, 0, of, FailureClass::Crashed);
        }
        assert!(barred_until(&catalog).is_some());
        catalog.clear_all_strikes(NODE);
        assert_eq!(catalog.strikes().count(), 0);
    }
}
