//! Pure: jobs by video, by phase, waiting ones by due time, running ones by node.

use std::collections::{BTreeMap, BTreeSet};

use protocol::id::{JobId, NodeId, VideoId};
use protocol::time::Timestamp;

use super::{link, unlink};
use crate::catalog::job::{Class, Job, Phase, State};

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::catalog) struct JobIndex {
    pub(in crate::catalog) by_created: BTreeSet<(Timestamp, JobId)>,
    pub(in crate::catalog) by_video: BTreeMap<VideoId, BTreeSet<(Timestamp, JobId)>>,
    pub(in crate::catalog) by_phase: BTreeMap<Phase, BTreeSet<(Timestamp, JobId)>>,
    /// By class first, so that a flood of heavy work cannot hide light work.
    pub(in crate::catalog) waiting: BTreeMap<Class, BTreeSet<(Timestamp, JobId)>>,
    pub(in crate::catalog) running: BTreeMap<NodeId, BTreeSet<JobId>>,
}

impl JobIndex {
    /// The hook: `old` became `new`.
    pub(in crate::catalog) fn updated(&mut self, old: Option<&Job>, new: Option<&Job>) {
        if let (Some(old), Some(new)) = (old, new)
            && Place::of(old) == Place::of(new)
        {
            // The usual change: a renewed lease moves nothing.
            return;
        }
        if let Some(old) = old {
            let key = (old.created_at, old.id);
            self.by_created.remove(&key);
            unlink(&mut self.by_video, &old.video, &key);
            unlink(&mut self.by_phase, &old.state.phase(), &key);
            match &old.state {
                State::Waiting => {
                    unlink(
                        &mut self.waiting,
                        &old.kind.class(),
                        &(old.not_before, old.id),
                    );
                }
                State::Running { node, .. } => unlink(&mut self.running, node, &old.id),
                State::Done | State::Failed | State::Cancelled => {}
            }
        }
        if let Some(new) = new {
            let key = (new.created_at, new.id);
            self.by_created.insert(key);
            link(&mut self.by_video, new.video, key);
            link(&mut self.by_phase, new.state.phase(), key);
            match &new.state {
                State::Waiting => {
                    link(
                        &mut self.waiting,
                        new.kind.class(),
                        (new.not_before, new.id),
                    );
                }
                State::Running { node, .. } => link(&mut self.running, *node, new.id),
                State::Done | State::Failed | State::Cancelled => {}
            }
        }
    }
}

/// All that decides where a job stands in the indexes.
#[derive(PartialEq, Eq)]
struct Place {
    id: JobId,
    video: VideoId,
    created_at: Timestamp,
    class: Class,
    phase: Phase,
    not_before: Timestamp,
    node: Option<NodeId>,
}

impl Place {
    fn of(job: &Job) -> Self {
        Self {
            id: job.id,
            video: job.video,
            created_at: job.created_at,
            class: job.kind.class(),
            phase: job.state.phase(),
            not_before: job.not_before,
            node: match &job.state {
                State::Running { node, .. } => Some(*node),
                _ => None,
            },
        }
    }
}
