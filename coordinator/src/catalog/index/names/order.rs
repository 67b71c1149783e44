//! Pure: slots in an order that the caller knows, in blocks: to walk through it is to read numbers
//! that stand side by side, and a change moves one block.

use super::Slot;

/// Slots of a full block.
const BLOCK: usize = if cfg!(test) { 4 } else { 1024 };

#[derive(Debug, Clone, Default)]
pub(super) struct Order {
    /// None of them empty.
    blocks: Vec<Vec<Slot>>,
}

impl Order {
    /// Puts `slot` behind all that are `before` it.
    pub(super) fn insert(&mut self, slot: Slot, before: impl Fn(Slot) -> bool) {
        let (block, place) = self.position(before);
        let Some(there) = self.blocks.get_mut(block) else {
            match self.blocks.last_mut() {
                Some(last) if last.len() < BLOCK => last.push(slot),
                _ => self.blocks.push(vec![slot]),
            }
            return;
        };
        there.insert(place, slot);
        if there.len() > BLOCK {
            let upper = there.split_off(BLOCK / 2);
            self.blocks.insert(block + 1, upper);
        }
    }

    /// Takes `slot` out, which stands behind all that are `before` it.
    pub(super) fn remove(&mut self, slot: Slot, before: impl Fn(Slot) -> bool) {
        let (block, place) = self.position(before);
        if let Some(there) = self.blocks.get_mut(block)
            && there.get(place) == Some(&slot)
        {
            there.remove(place);
            if there.is_empty() {
                self.blocks.remove(block);
            }
        }
    }

    /// Forwards, from the first that is not `before`.
    pub(super) fn on_from(&self, before: impl Fn(Slot) -> bool) -> impl Iterator<Item = Slot> {
        let (block, place) = self.position(before);
        let (_, blocks) = self.blocks.split_at(block);
        let part = blocks.first().map_or(&[][..], |block| &block[place..]);
        let whole = blocks.iter().skip(1).flatten();
        part.iter().chain(whole).copied()
    }

    /// Backwards, from the last that is `before`.
    pub(super) fn back_from(&self, before: impl Fn(Slot) -> bool) -> impl Iterator<Item = Slot> {
        let (block, place) = self.position(before);
        let (blocks, rest) = self.blocks.split_at(block);
        let part = rest.first().map_or(&[][..], |block| &block[..place]);
        let whole = blocks.iter().rev().flat_map(|block| block.iter().rev());
        part.iter().rev().chain(whole).copied()
    }

    /// Block and place of the first that is not `before`, past the last block if all are.
    fn position(&self, before: impl Fn(Slot) -> bool) -> (usize, usize) {
        let is_before = |slot: &Slot| before(*slot);
        let block = (self.blocks).partition_point(|block| block.last().is_some_and(is_before));
        let place = (self.blocks.get(block)).map_or(0, |block| block.partition_point(is_before));
        (block, place)
    }
}
