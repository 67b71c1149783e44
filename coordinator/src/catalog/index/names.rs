//! Pure: parts of file names, found without a look at every name, and what else lists are narrowed by.
//!
//! A video has a slot, a small number that is used again when the video is gone, and sets of slots
//! are compressed bitmaps.
//! There is one set per *place*: two neighbouring bytes and how many bytes of the name stand before
//! them.
//! A text stands at some byte of a name exactly when pairs that cover the text stand at their
//! places from there on, so intersections answer without reading a name, and the size of the set
//! is the total. What it costs grows with how many different places the text has: least where names
//! follow one pattern, most for a common text anywhere in names of many lengths.
//!
//! A page of few matches is sorted. With more than a few it is found by walking through all videos
//! in the wanted order, four bytes for each, from the cursor on: where matches are many, the walk is
//! short, and it is bounded if they all stand at the far end.
//!
//! A [`Facet`] is one more set of slots each: a tag, a bin, a frame rate, a node with a copy.
//!
//! Memory for a video: 56 bytes to name it and order it, 2 bytes or less for each byte of the name
//! (a bit, where more than every sixteenth video has the pair there), and a share of the bitmaps'
//! heads, which is small unless names have nothing in common; docs/benchmarks.md has the measured
//! sum. Slots leave no holes, so nothing is ever compacted.

mod order;

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::id::{BinId, NodeId, VideoId};
use protocol::time::Timestamp;
use roaring::RoaringBitmap;

use crate::catalog::video::Status;
use order::Order;

/// Position of a video in [`NameIndex::named`] and in every bitmap.
type Slot = u32;

/// Matches up to this many are sorted rather than found on a walk.
const FEW: u64 = if cfg!(test) { 3 } else { 1024 };
/// Steps of a walk before the bitmap is unpacked, which costs as much as a few thousand looks into
/// the packed one.
const GLANCES: usize = if cfg!(test) { 5 } else { 8192 };

/// See the module.
#[derive(Debug, Clone, Default)]
pub(in crate::catalog) struct NameIndex {
    /// By slot; none where a video went.
    named: Vec<Option<Named>>,
    free: Vec<Slot>,
    by_created: Order,
    by_name: Order,
    by_length: Order,
    by_status: BTreeMap<Status, RoaringBitmap>,
    by_byte: BTreeMap<u8, RoaringBitmap>,
    /// By [`place`].
    by_place: BTreeMap<u64, RoaringBitmap>,
    by_facet: BTreeMap<Facet, RoaringBitmap>,
}

/// Something that many videos have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::catalog) enum Facet {
    /// In lower case.
    Tag(Arc<str>),
    Bin(BinId),
    /// Numerator and denominator of a frame rate.
    Rate(u32, u32),
    /// The node has a copy of the original.
    Holder(NodeId),
}

/// What the index knows of a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::catalog) struct Named {
    pub(in crate::catalog) created_at: Timestamp,
    /// In lower case.
    pub(in crate::catalog) name: Arc<str>,
    pub(in crate::catalog) id: VideoId,
    /// How long it plays; zero until that is known.
    pub(in crate::catalog) length_ms: u32,
}

impl Named {
    fn key(&self, sort: Sort) -> Key<'_> {
        match sort {
            Sort::Created => Key::Created(self.created_at, self.id),
            Sort::Length => Key::Length(self.length_ms, self.id),
            Sort::Name => Key::Name(&self.name, self.id),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::catalog) enum Sort {
    Created,
    Length,
    Name,
}

/// Where a video stands in one of the orders; keys of different orders are never compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::catalog) enum Key<'a> {
    Created(Timestamp, VideoId),
    Length(u32, VideoId),
    Name(&'a str, VideoId),
}

impl Sort {
    const ALL: [Self; 3] = [Self::Created, Self::Length, Self::Name];
}

impl NameIndex {
    pub(in crate::catalog) fn insert(&mut self, named: Named, status: Status, facets: &[Facet]) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.named.push(None);
            Slot::try_from(self.named.len() - 1).expect("memory ends before four thousand million")
        });
        link(&mut self.by_status, status, slot);
        for byte in named.name.bytes() {
            link(&mut self.by_byte, byte, slot);
        }
        for place in places(&named.name) {
            link(&mut self.by_place, place, slot);
        }
        for facet in facets {
            link(&mut self.by_facet, facet.clone(), slot);
        }
        for sort in Sort::ALL {
            let (order, all) = self.order_mut(sort);
            let key = named.key(sort);
            order.insert(slot, |other| is_before(all, other, sort, key));
        }
        self.named[index(slot)] = Some(named);
    }

    pub(in crate::catalog) fn remove(&mut self, named: &Named, status: Status, facets: &[Facet]) {
        let Some(slot) = self.slot(named) else {
            return;
        };
        for sort in Sort::ALL {
            let (order, all) = self.order_mut(sort);
            let key = named.key(sort);
            order.remove(slot, |other| is_before(all, other, sort, key));
        }
        for place in places(&named.name) {
            unlink(&mut self.by_place, &place, slot);
        }
        for byte in named.name.bytes() {
            unlink(&mut self.by_byte, &byte, slot);
        }
        for facet in facets {
            unlink(&mut self.by_facet, facet, slot);
        }
        unlink(&mut self.by_status, &status, slot);
        self.named[index(slot)] = None;
        self.free.push(slot);
    }

    pub(in crate::catalog) fn move_to(&mut self, named: &Named, old: Status, new: Status) {
        if let Some(slot) = self.slot(named) {
            unlink(&mut self.by_status, &old, slot);
            link(&mut self.by_status, new, slot);
        }
    }

    /// The video has other facets now.
    pub(in crate::catalog) fn refile(&mut self, named: &Named, old: &[Facet], new: &[Facet]) {
        if old == new {
            return;
        }
        if let Some(slot) = self.slot(named) {
            for facet in old {
                unlink(&mut self.by_facet, facet, slot);
            }
            for facet in new {
                link(&mut self.by_facet, facet.clone(), slot);
            }
        }
    }

    /// The videos with `facet`.
    pub(in crate::catalog) fn with(&self, facet: &Facet) -> Option<&RoaringBitmap> {
        self.by_facet.get(facet)
    }

    /// One of the videos with `facet`.
    pub(in crate::catalog) fn one_with(&self, facet: &Facet) -> Option<VideoId> {
        let slot = self.by_facet.get(facet)?.min()?;
        self.named[index(slot)].as_ref().map(|named| named.id)
    }

    /// All videos with `facet`.
    pub(in crate::catalog) fn ids_with(&self, facet: &Facet) -> Vec<VideoId> {
        (self.by_facet.get(facet).into_iter().flatten())
            .filter_map(|slot| self.named[index(slot)].as_ref())
            .map(|named| named.id)
            .collect()
    }

    /// All facets, and how many videos have each.
    pub(in crate::catalog) fn facets(&self) -> impl Iterator<Item = (&Facet, u64)> {
        self.by_facet.iter().map(|(facet, set)| (facet, set.len()))
    }

    /// The videos that were made from `from` on, and before `to`.
    pub(in crate::catalog) fn made_between(
        &self,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> RoaringBitmap {
        let made = |slot: Slot| {
            self.named[index(slot)]
                .as_ref()
                .map(|named| named.created_at)
        };
        let before = |slot| from.is_some_and(|from| made(slot).is_some_and(|at| at < from));
        (self.by_created.on_from(before))
            .take_while(|slot| to.is_none_or(|to| made(*slot).is_some_and(|at| at < to)))
            .collect()
    }

    /// The videos with `status` whose name has `text`, which is in lower case; all of them if it is empty.
    pub(in crate::catalog) fn find(&self, text: &str, status: Option<Status>) -> RoaringBitmap {
        let mut found = match text.as_bytes() {
            [] => match status {
                Some(status) => self.by_status.get(&status).cloned().unwrap_or_default(),
                None => self
                    .by_status
                    .values()
                    .fold(RoaringBitmap::new(), |all, set| all | set),
            },
            [byte] => self.by_byte.get(byte).cloned().unwrap_or_default(),
            [first, second, ..] => self.find_pairs([*first, *second], text.as_bytes()),
        };
        if let Some(status) = status {
            match self.by_status.get(&status) {
                Some(set) => found &= set,
                None => found.clear(),
            }
        }
        found
    }

    /// The first `most` of `found` in the order of `sort`, those behind `after` alone.
    pub(in crate::catalog) fn first_of(
        &self,
        found: &RoaringBitmap,
        sort: Sort,
        is_descending: bool,
        after: Option<Key<'_>>,
        most: usize,
    ) -> Vec<&Named> {
        if found.len() <= FEW {
            let mut few: Vec<_> = (found.iter())
                .filter_map(|slot| self.named[index(slot)].as_ref())
                .filter(|named| match after {
                    None => true,
                    Some(after) if is_descending => named.key(sort) < after,
                    Some(after) => named.key(sort) > after,
                })
                .collect();
            few.sort_unstable_by(|a, b| a.key(sort).cmp(&b.key(sort)));
            if is_descending {
                few.reverse();
            }
            few.truncate(most);
            return few;
        }

        let order = match sort {
            Sort::Created => &self.by_created,
            Sort::Length => &self.by_length,
            Sort::Name => &self.by_name,
        };
        let slots = if is_descending {
            let walk = order.back_from(|slot| {
                after.is_none_or(|after| is_before(&self.named, slot, sort, after))
            });
            first_in(walk, found, most)
        } else {
            let walk = order.on_from(|slot| {
                let named = self.named[index(slot)].as_ref();
                after.is_some_and(|after| named.is_some_and(|named| named.key(sort) <= after))
            });
            first_in(walk, found, most)
        };
        (slots.into_iter())
            .filter_map(|slot| self.named[index(slot)].as_ref())
            .collect()
    }

    /// `text` begins with `first`.
    fn find_pairs(&self, first: [u8; 2], text: &[u8]) -> RoaringBitmap {
        // Every second pair, and the last one if that leaves a byte over: together all of the text.
        let last = text.len() - 2;
        let rest: Vec<(u64, [u8; 2])> = (0_u64..)
            .zip(text.windows(2))
            .enumerate()
            .filter(|(at, _)| *at > 0 && (at % 2 == 0 || *at == last))
            .map(|(_, (at, pair))| (at, [pair[0], pair[1]]))
            .collect();
        let mut found = RoaringBitmap::new();
        let mut sets = Vec::with_capacity(1 + rest.len());
        for (here, set) in (self.by_place).range(place(first, 0)..=place(first, AT_MAX)) {
            sets.clear();
            sets.push(set);
            sets.extend((rest.iter()).map_while(|(at, pair)| {
                let there = place(*pair, (here & AT_MAX) + at);
                self.by_place.get(&there)
            }));
            if sets.len() <= rest.len() {
                // Nowhere does that pair stand there.
                continue;
            }
            // Small ones first: what is left soon is little.
            sets.sort_unstable_by_key(|set| set.len());
            match &sets[..] {
                [a, b, others @ ..] => {
                    let mut common = *a & *b;
                    for other in others {
                        if common.is_empty() {
                            break;
                        }
                        common &= *other;
                    }
                    found |= common;
                }
                _ => found |= set,
            }
        }
        found
    }

    fn slot(&self, named: &Named) -> Option<Slot> {
        let key = named.key(Sort::Created);
        let mut walk =
            (self.by_created).on_from(|other| is_before(&self.named, other, Sort::Created, key));
        let slot = walk.next()?;
        (self.named[index(slot)].as_ref() == Some(named)).then_some(slot)
    }

    fn order_mut(&mut self, sort: Sort) -> (&mut Order, &[Option<Named>]) {
        let order = match sort {
            Sort::Created => &mut self.by_created,
            Sort::Length => &mut self.by_length,
            Sort::Name => &mut self.by_name,
        };
        (order, &self.named)
    }

    /// All that answers follow from, with ranks in the order of creation for slots: those depend on
    /// what was there before.
    fn content(&self) -> impl Iterator<Item = Content<'_>> {
        let mut ranks = vec![Slot::MAX; self.named.len()];
        for (rank, slot) in (0..).zip(self.by_created.on_from(|_| false)) {
            ranks[index(slot)] = rank;
        }
        let named = (self.by_created.on_from(|_| false))
            .map(|slot| Content::Named(self.named[index(slot)].as_ref()));
        let orders = [&self.by_name, &self.by_length].map(|order| {
            let order = order.on_from(|_| false);
            Content::Order(order.map(|slot| ranks[index(slot)]).collect())
        });
        let ranked = move |set: &RoaringBitmap| {
            let mut ranked: Vec<_> = set.iter().map(|slot| ranks[index(slot)]).collect();
            ranked.sort_unstable();
            ranked
        };
        let statuses = (self.by_status.iter()).map(|(key, set)| (*key as u64, set));
        let bytes = (self.by_byte.iter()).map(|(key, set)| (u64::from(*key), set));
        let places = (self.by_place.iter()).map(|(key, set)| (*key, set));
        named
            .chain(orders)
            .chain(
                (statuses.chain(bytes).chain(places))
                    .map(|(key, set)| Content::Set(key, ranked(set)))
                    .collect::<Vec<_>>(),
            )
            .chain(
                (self.by_facet.iter())
                    .map(|(facet, set)| Content::Facet(facet, ranked(set)))
                    .collect::<Vec<_>>(),
            )
    }
}

#[derive(PartialEq, Eq)]
enum Content<'a> {
    Named(Option<&'a Named>),
    Order(Vec<Slot>),
    Set(u64, Vec<Slot>),
    Facet(&'a Facet, Vec<Slot>),
}

/// The same videos under the same words, whatever their slots: a rebuilt index has others.
impl PartialEq for NameIndex {
    fn eq(&self, other: &Self) -> bool {
        self.content().eq(other.content())
    }
}

impl Eq for NameIndex {}

/// Largest number of bytes before a pair.
const AT_MAX: u64 = u32::MAX as u64;

/// Ordered by the pair first: all places of a pair are neighbours.
fn place(pair: [u8; 2], at: u64) -> u64 {
    u64::from(u16::from_be_bytes(pair)) << 32 | at.min(AT_MAX)
}

fn places(name: &str) -> impl Iterator<Item = u64> {
    (0..)
        .zip(name.as_bytes().windows(2))
        .map(|(at, pair)| place([pair[0], pair[1]], at))
}

fn is_before(named: &[Option<Named>], slot: Slot, sort: Sort, key: Key<'_>) -> bool {
    (named[index(slot)].as_ref()).is_some_and(|named| named.key(sort) < key)
}

fn link<K: Ord>(map: &mut BTreeMap<K, RoaringBitmap>, key: K, slot: Slot) {
    map.entry(key).or_default().insert(slot);
}

/// Also removes the set when it is empty: names that once were cost nothing.
fn unlink<K: Ord>(map: &mut BTreeMap<K, RoaringBitmap>, key: &K, slot: Slot) {
    if let Some(set) = map.get_mut(key) {
        set.remove(slot);
        if set.is_empty() {
            map.remove(key);
        }
    }
}

/// The first `most` of `walk` that are in `found`.
fn first_in(mut walk: impl Iterator<Item = Slot>, found: &RoaringBitmap, most: usize) -> Vec<Slot> {
    let mut first: Vec<Slot> = (walk.by_ref().take(GLANCES))
        .filter(|slot| found.contains(*slot))
        .take(most)
        .collect();
    if first.len() < most {
        let last = found.max().map_or(0, index);
        let mut words = vec![0_u64; last / 64 + 1];
        for slot in found {
            words[index(slot) / 64] |= 1 << (slot % 64);
        }
        let is_found = |slot: &Slot| {
            (words.get(index(*slot) / 64)).is_some_and(|word| word >> (slot % 64) & 1 == 1)
        };
        first.extend(walk.filter(is_found).take(most - first.len()));
    }
    first
}

const fn index(slot: Slot) -> usize {
    slot as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a plain list of videos answers.
    fn plainly(
        videos: &[(Named, Status)],
        text: &str,
        status: Option<Status>,
        sort: Sort,
        is_descending: bool,
    ) -> Vec<Named> {
        let mut found: Vec<_> = (videos.iter())
            .filter(|(named, of)| {
                named.name.contains(text) && status.is_none_or(|status| *of == status)
            })
            .map(|(named, _)| named.clone())
            .collect();
        found.sort_by(|a, b| a.key(sort).cmp(&b.key(sort)));
        if is_descending {
            found.reverse();
        }
        found
    }

    /// Few letters, so that names have much in common; of one to four bytes.
    fn text(length: std::ops::Range<usize>) -> impl Strategy<Value = String> {
        let letters = vec!['a', 'b', '.', 'ä', 'ß', '日', '本', '🎬', 'İ'];
        let letter = proptest::sample::select(letters);
        proptest::collection::vec(letter, length)
            .prop_map(|letters| letters.into_iter().collect::<String>().to_lowercase())
    }

    #[derive(Debug, Clone)]
    enum Step {
        Add(String, u8),
        Remove(usize),
        Rename(usize, String),
        Move(usize, u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (text(1..9), any::<u8>()).prop_map(|(name, twist)| Step::Add(name, twist)),
            1 => any::<usize>().prop_map(Step::Remove),
            1 => (any::<usize>(), text(1..9)).prop_map(|(at, name)| Step::Rename(at, name)),
            1 => (any::<usize>(), any::<u8>()).prop_map(|(at, twist)| Step::Move(at, twist)),
        ];
        proptest::collection::vec(step, 0..120)
    }

    /// What follows from the name and the length, so that both ways of looking agree.
    fn facets(named: &Named) -> Vec<Facet> {
        let mut facets = vec![Facet::Rate(named.length_ms, 1)];
        if let Some(letter) = named.name.chars().next() {
            facets.push(Facet::Tag(letter.to_string().into()));
        }
        facets
    }

    fn status(twist: u8) -> Status {
        Status::ALL[usize::from(twist) % 3]
    }

    /// The index and the list after `steps`.
    fn play(steps: Vec<Step>) -> (NameIndex, Vec<(Named, Status)>) {
        let mut index = NameIndex::default();
        let mut videos: Vec<(Named, Status)> = Vec::new();
        for (number, step) in (0_u64..).zip(steps) {
            let count = videos.len().max(1);
            match step {
                Step::Add(name, twist) => {
                    // Not in the order of the ids, and some at the same time.
                    let created_at = Timestamp::from_millis(i64::from(twist / 8));
                    let named = Named {
                        created_at,
                        name: name.into(),
                        id: VideoId::derived(Timestamp::default(), number, 0),
                        length_ms: u32::from(twist % 5),
                    };
                    index.insert(named.clone(), status(twist), &facets(&named));
                    videos.push((named, status(twist)));
                }
                Step::Remove(at) if !videos.is_empty() => {
                    let (named, status) = videos.swap_remove(at % count);
                    index.remove(&named, status, &facets(&named));
                    // Again, which does nothing.
                    index.remove(&named, status, &facets(&named));
                }
                Step::Rename(at, name) if !videos.is_empty() => {
                    let (named, status) = &mut videos[at % count];
                    index.remove(named, *status, &facets(named));
                    named.name = name.into();
                    index.insert(named.clone(), *status, &facets(named));
                }
                Step::Move(at, twist) if !videos.is_empty() => {
                    let (named, old) = &mut videos[at % count];
                    index.move_to(named, *old, status(twist));
                    *old = status(twist);
                }
                Step::Remove(_) | Step::Rename(..) | Step::Move(..) => {}
            }
        }
        (index, videos)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_finds_what_a_plain_scan_finds(
            steps in steps(),
            text in text(0..5),
            wanted in proptest::option::of(any::<u8>().prop_map(status)),
            is_descending in any::<bool>(),
            sort in proptest::sample::select(&Sort::ALL[..]),
            most in 1_usize..9,
        ) {
            let (index, videos) = play(steps);
            let expected = plainly(&videos, &text, wanted, sort, is_descending);
            let found = index.find(&text, wanted);
            prop_assert_eq!(found.len(), expected.len() as u64);
            let all = index.first_of(&found, sort, is_descending, None, usize::MAX);
            prop_assert_eq!(all, expected.iter().collect::<Vec<_>>());
            // From every video on, also those that do not match.
            for (after, _) in &videos {
                let after = after.key(sort);
                let rest: Vec<_> = (expected.iter())
                    .filter(|named| {
                        let key = named.key(sort);
                        if is_descending { key < after } else { key > after }
                    })
                    .take(most)
                    .collect();
                let page = index.first_of(&found, sort, is_descending, Some(after), most);
                prop_assert_eq!(page, rest);
            }
        }

        #[test]
        fn facets_and_times_narrow_as_a_plain_scan_does(
            steps in steps(),
            from in 0_i64..32,
            to in 0_i64..32,
        ) {
            let (index, videos) = play(steps);
            let range = (Timestamp::from_millis(from), Timestamp::from_millis(to));
            let made = index.made_between(Some(range.0), Some(range.1));
            let count = (videos.iter())
                .filter(|(named, _)| named.created_at >= range.0 && named.created_at < range.1)
                .count();
            prop_assert_eq!(made.len(), count as u64);
            let mut plain: BTreeMap<Facet, u64> = BTreeMap::new();
            for facet in videos.iter().flat_map(|(named, _)| facets(named)) {
                *plain.entry(facet).or_default() += 1;
            }
            let found: BTreeMap<Facet, u64> =
                index.facets().map(|(facet, count)| (facet.clone(), count)).collect();
            prop_assert_eq!(found, plain);
        }

        #[test]
        fn it_equals_one_that_was_built_anew_and_no_other(steps in steps(), at in any::<usize>()) {
            let (index, mut videos) = play(steps);
            let build = |videos: &[(Named, Status)]| {
                let mut built = NameIndex::default();
                for (named, status) in videos {
                    built.insert(named.clone(), *status, &facets(named));
                }
                built
            };
            prop_assert!(build(&videos) == index);
            if !videos.is_empty() {
                let at = at % videos.len();
                let (named, _) = &mut videos[at];
                named.name = format!("{}x", named.name).into();
                prop_assert!(build(&videos) != index);
            }
        }
    }

    #[test]
    fn what_once_was_leaves_nothing() {
        let mut index = NameIndex::default();
        let named = |number| Named {
            created_at: Timestamp::default(),
            name: format!("take {number}").into(),
            id: VideoId::derived(Timestamp::default(), number, 0),
            length_ms: 40,
        };
        for number in 0..100 {
            index.insert(named(number), Status::Ready, &facets(&named(number)));
        }
        for number in 0..100 {
            index.remove(&named(number), Status::Ready, &facets(&named(number)));
        }
        assert!(index == NameIndex::default());
        assert!(index.by_place.is_empty() && index.by_byte.is_empty());
        assert!(index.by_facet.is_empty());
        index.insert(named(7), Status::Ready, &[]);
        assert_eq!(index.named.len(), 100, "a slot is used again");
    }
}
