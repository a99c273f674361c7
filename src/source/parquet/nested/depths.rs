//! What the levels of one leaf say of the lists and groups around it, and of its own nulls: offsets and validity.
//!
//! Within *k* lists there is a *slot* for each level whose repetition level is at most *k* and whose definition level is at
//! least that of an element of the innermost of them: a lower repetition level would go on with a list further in, a lower
//! definition level stands for a null or empty list further out. All that is counted is slots: a list begins at each slot
//! of the depth that it is in, and its elements are the slots of the next depth.

use arrow::buffer::NullBuffer;

use super::super::flat::{Validity, fitted};
use super::levels::Block;
use crate::error::{Error, Result};

/// What the levels of a leaf say, window after window.
pub struct Depths {
    /// For 0, 1, … lists around: the definition level from which on there is a slot.
    least: Vec<usize>,
    lists: Vec<List>,
    groups: Vec<Group>,
    /// The definition level of a value.
    highest: usize,
    /// Slots of the leaf itself.
    slots: usize,
    validity: Validity,
    /// The slots of a word by depth.
    masks: Vec<u64>,
}

/// Where a list or a group is, in terms of levels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depth {
    /// How many lists are around it.
    pub lists: usize,
    /// The definition level from which on it is there.
    pub there: usize,
}

struct List {
    depth: Depth,
    nullable: bool,
    /// Where each one begins, among the slots of the next depth.
    starts: Vec<i32>,
    /// How many of these slots there are.
    end: usize,
    validity: Validity,
}

struct Group {
    depth: Depth,
    nullable: bool,
    slots: usize,
    validity: Validity,
}

/// The lists of a window.
pub struct Lists {
    /// Where each one begins, and where the last one ends.
    pub offsets: Vec<i32>,
    /// Which of them are not null.
    pub nulls: Option<NullBuffer>,
}

/// The groups of a window.
pub struct Groups {
    /// How many.
    pub count: usize,
    /// Which of them are not null.
    pub nulls: Option<NullBuffer>,
}

impl Depths {
    /// A leaf whose values have definition level `highest`, with what is to be told of the `lists` and `groups` around it;
    /// within 0, 1, … lists there is a slot from the definition level on that `least` has.
    pub fn new(least: Vec<usize>, lists: &[Depth], groups: &[Depth], highest: usize) -> Self {
        let nullable = |depth: &Depth| depth.there > least[depth.lists];
        let list = |depth: &Depth| List {
            depth: depth.clone(),
            nullable: nullable(depth),
            starts: Vec::new(),
            end: 0,
            validity: Validity::default(),
        };
        let group = |depth: &Depth| Group {
            depth: depth.clone(),
            nullable: nullable(depth),
            slots: 0,
            validity: Validity::default(),
        };
        let (lists, groups) = (lists.iter().map(list).collect(), groups.iter().map(group).collect());
        let masks = vec![0; least.len()];
        Self { least, lists, groups, highest, slots: 0, validity: Validity::default(), masks }
    }

    /// Bytes that a level takes at most, in the offsets of all lists.
    pub fn level_bytes(&self) -> usize {
        self.lists.len() * size_of::<i32>()
    }

    /// Bytes that the offsets of all lists take so far.
    pub fn bytes(&self) -> usize {
        self.lists.iter().map(|list| list.starts.len() * size_of::<i32>()).sum()
    }

    /// Slots so far.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// The validity of the slots so far.
    pub fn validity(&self) -> &Validity {
        &self.validity
    }

    /// Makes room for a window of about `rows` rows, each with about `many` levels.
    pub fn reserve(&mut self, rows: usize, levels: usize) {
        for list in &mut self.lists {
            list.starts.reserve_exact(if list.depth.lists == 0 { rows + 1 } else { levels });
        }
    }

    /// Whether `count` more levels can be told of.
    ///
    /// # Errors
    /// More than offsets reach.
    pub fn check(&self, count: usize) -> Result<()> {
        let end = self.lists.iter().map(|list| list.end).max().unwrap_or(0);
        if i32::try_from(end + count).is_ok() {
            return Ok(());
        }
        Err(Error::MemoryLimit(format!(
            "{} values of lists in one batch, its offsets reach {}; lower batch_size",
            end + count,
            i32::MAX
        )))
    }

    /// `count` levels that are all the same.
    pub fn run(&mut self, repetition: usize, definition: usize, count: usize) {
        let least = &self.least;
        let slot = |lists: usize| repetition <= lists && definition >= least[lists];
        for List { depth, nullable, starts, end, validity } in &mut self.lists {
            let within = slot(depth.lists + 1);
            if slot(depth.lists) {
                if within {
                    starts.extend(offset(*end)..offset(*end + count));
                } else {
                    starts.resize(starts.len() + count, offset(*end));
                }
                if *nullable {
                    validity.append(count, definition >= depth.there);
                }
            }
            if within {
                *end += count;
            }
        }
        for Group { depth, nullable, slots, validity } in self.groups.iter_mut().filter(|g| slot(g.depth.lists)) {
            *slots += count;
            if *nullable {
                validity.append(count, definition >= depth.there);
            }
        }
        if slot(least.len() - 1) {
            self.slots += count;
            self.validity.append(count, definition >= self.highest);
        }
    }

    /// Those of the levels of word `word` of `block` whose bits are set in `some`.
    #[inline(always)]
    pub fn word(&mut self, block: &Block, word: usize, some: u64, compact: &impl Fn(u64, u64) -> u64) {
        for (lists, (mask, least)) in self.masks.iter_mut().zip(&self.least).enumerate() {
            *mask = some & block.upto(lists, word) & block.from(*least, word);
        }
        for List { depth, nullable, starts, end, validity } in &mut self.lists {
            let (slots, within) = (self.masks[depth.lists], self.masks[depth.lists + 1]);
            let mut found = [0; 64];
            let (mut left, mut count) = (slots, 0);
            while left != 0 {
                // the slots of the next depth in front of this one
                let before = within & ((left & left.wrapping_neg()) - 1);
                found[count] = offset(*end + before.count_ones() as usize);
                count += 1;
                left &= left - 1;
            }
            starts.extend_from_slice(&found[..count]);
            if *nullable {
                validity.push(compact(block.from(depth.there, word), slots), count);
            }
            *end += within.count_ones() as usize;
        }
        for Group { depth, nullable, slots, validity } in &mut self.groups {
            let mask = self.masks[depth.lists];
            let count = mask.count_ones() as usize;
            *slots += count;
            if *nullable {
                validity.push(compact(block.from(depth.there, word), mask), count);
            }
        }
        let mask = self.masks[self.least.len() - 1];
        let count = mask.count_ones() as usize;
        self.slots += count;
        self.validity.push(compact(block.from(self.highest, word), mask), count);
    }

    /// Hands over what was told, and the validity of the leaf's slots; begins anew.
    pub fn finish(&mut self) -> (Vec<Lists>, Vec<Groups>, Option<NullBuffer>) {
        let lists = self.lists.iter_mut().map(|list| {
            let mut offsets = std::mem::take(&mut list.starts);
            offsets.push(offset(std::mem::take(&mut list.end)));
            Lists { offsets: fitted(offsets), nulls: list.validity.finish() }
        });
        let groups = self
            .groups
            .iter_mut()
            .map(|group| Groups { count: std::mem::take(&mut group.slots), nulls: group.validity.finish() });
        self.slots = 0;
        (lists.collect(), groups.collect(), self.validity.finish())
    }
}

/// A number of slots as an offset.
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "`Depths::check` keeps it in range")]
#[inline(always)]
fn offset(slots: usize) -> i32 {
    slots as i32
}
