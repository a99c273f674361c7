//! The levels of a page: runs of both kinds as runs, all else in blocks of masks; cut where a row begins.
//!
//! Dremel's encoding (Melnik et al., 2010; Parquet format, "Nested Encoding"): beside each value, or each null or empty list
//! that stands in for one, two numbers. The *repetition level* says at which list the value goes on, 0 where a new row
//! begins; the *definition level* how many of the optional and repeated fields on the way to it are there.

use bytes::Bytes;

use super::super::flat::{BLOCK, Hybrid, Run};
use super::depths::Depths;
use super::masks::{self, Words};
use crate::error::{Error, Result};

/// Words of a block's mask.
const WORDS: usize = BLOCK / 64;
/// A run of so many levels is worth ending a block for: as a run it costs next to nothing. Lists that are long, such as
/// embeddings, are runs between rows.
const LONG: usize = 128;

/// The levels of a page, read once from front to back. Holds 8 KiB for each of the two kinds, and masks of 128
/// bytes for every level that there can be.
pub struct Levels {
    repetition: Stream,
    definition: Stream,
    /// Levels that are in no block yet.
    left: usize,
    block: Block,
}

/// Levels of one kind.
struct Stream {
    /// `None` where all are 0.
    levels: Option<Hybrid>,
    /// The highest that there can be.
    most: u32,
    /// A run, and how many are left of it.
    run: (u32, usize),
    /// The next levels, and how many they are.
    next: Box<[[u32; 64]]>,
    filled: usize,
}

/// Up to [`BLOCK`] levels, as masks.
pub struct Block {
    /// Where the repetition level is at most 0, 1, …; none for the highest, as that is everywhere.
    upto: Vec<[u64; WORDS]>,
    /// Where the definition level is at least 1, 2, …
    from: Vec<[u64; WORDS]>,
    /// The first one that was not taken, and how many there are.
    at: usize,
    len: usize,
}

/// What was taken of a page.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Levels.
    pub levels: usize,
    /// Values among them.
    pub values: usize,
    /// Whether a row begins behind them that is not wanted.
    pub ended: bool,
}

impl Levels {
    /// `count` levels up to `most`, of repetition and definition; of those that are always 0 there are no bytes.
    ///
    /// # Errors
    /// Levels that are needed are not there.
    pub fn new(repetition: Option<Bytes>, definition: Option<Bytes>, most: [usize; 2], count: usize) -> Result<Self> {
        let block = Block { upto: vec![[0; WORDS]; most[0]], from: vec![[0; WORDS]; most[1]], at: 0, len: 0 };
        let (repetition, definition) = (Stream::new(repetition, most[0])?, Stream::new(definition, most[1])?);
        Ok(Self { repetition, definition, left: count, block })
    }

    /// How many are left.
    pub fn left(&self) -> usize {
        self.left + self.block.len - self.block.at
    }

    /// Takes some of the next levels, `most` at most where they are a run: up to `rows` rows, which become fewer by those
    /// that begin, and what belongs to them. Nothing is taken of an empty page.
    ///
    /// # Errors
    /// Levels that end before, or that the column does not have.
    pub fn take(&mut self, rows: &mut usize, most: usize, mut to: Option<&mut Depths>) -> Result<Taken> {
        if self.block.at == self.block.len {
            if self.left == 0 {
                return Ok(Taken::default());
            }
            if let Some((repetition, definition, count)) = self.run()? {
                let count = count.min(most).min(if repetition == 0 { *rows } else { count });
                self.repetition.pass(count);
                self.definition.pass(count);
                self.left -= count;
                if repetition == 0 {
                    *rows -= count;
                }
                if let Some(to) = &mut to {
                    to.run(repetition as usize, definition as usize, count);
                }
                let values = if definition == self.definition.most { count } else { 0 };
                return Ok(Taken { levels: count, values, ended: count == 0 });
            }
            self.fill()?;
        }
        let highest = self.block.from.len();
        Ok(masks::run(Pass { block: &mut self.block, rows, to, highest }))
    }

    /// Whether the next level begins a row; there is one.
    ///
    /// # Errors
    /// As `take`.
    pub fn begins_row(&mut self) -> Result<bool> {
        if self.block.at == self.block.len {
            if let Some((repetition, ..)) = self.run()? {
                return Ok(repetition == 0);
            }
            self.fill()?;
        }
        Ok(self.block.upto(0, self.block.at / 64) >> (self.block.at % 64) & 1 == 1)
    }

    /// Where both kinds of levels are the same for a while: the levels, and for how long.
    fn run(&mut self) -> Result<Option<(u32, u32, usize)>> {
        let Some((repetition, count)) = self.repetition.run(self.left)? else { return Ok(None) };
        let Some((definition, other)) = self.definition.run(self.left)? else { return Ok(None) };
        Ok(Some((repetition, definition, count.min(other).min(self.left))))
    }

    /// Fills the block, which was taken.
    fn fill(&mut self) -> Result<()> {
        // of the other kind, none may be listed beyond it
        let short = self.definition.filled == 0;
        let count = self.repetition.gather(self.left.min(BLOCK), short)?;
        // without lists, that one alone decides
        let count = self.definition.gather(count, self.repetition.levels.is_none())?;
        let Block { upto, from, at, len } = &mut self.block;
        self.repetition.masks(count, upto)?;
        upto.iter_mut().flatten().for_each(|word| *word = !*word);
        self.definition.masks(count, from)?;
        self.left -= count;
        (*at, *len) = (0, count);
        Ok(())
    }
}

impl Stream {
    fn new(bytes: Option<Bytes>, most: usize) -> Result<Self> {
        if most == 0 {
            return Ok(Self { levels: None, most: 0, run: (0, usize::MAX), next: Box::default(), filled: 0 });
        }
        let next = vec![[0; 64]; WORDS].into_boxed_slice();
        let bytes = bytes.ok_or_else(|| Error::Format("a page without its levels".into()))?;
        let most = u32::try_from(most).map_err(|_| Error::Format("levels beyond 32 bits".into()))?;
        let width = u8::try_from(u32::BITS - most.leading_zeros()).unwrap_or(32);
        Ok(Self { levels: Some(Hybrid::new(bytes, width)?), most, run: (0, 0), next, filled: 0 })
    }

    /// The run that the next of `left` levels begin with, if it is one.
    #[inline]
    fn run(&mut self, left: usize) -> Result<Option<(u32, usize)>> {
        if self.run.1 == 0 && self.filled == 0 {
            self.more(left)?;
        }
        Ok((self.filled == 0).then_some(self.run))
    }

    /// Leaves out `count` levels of the current run.
    fn pass(&mut self, count: usize) {
        if self.levels.is_some() {
            self.run.1 -= count;
        }
    }

    /// Reads some levels, `most` at most: a run, or what is put behind the next ones.
    fn more(&mut self, most: usize) -> Result<()> {
        let Some(levels) = &mut self.levels else { return Ok(()) };
        match levels.next(most)? {
            Run::Repeat { value, .. } if value > self.most => Err(beyond(value, self.most)),
            Run::Repeat { value, count } => {
                self.run = (value, count);
                Ok(())
            }
            Run::Packed(some) => {
                let end = self.filled + some.len();
                self.next.as_flattened_mut()[self.filled..end].copy_from_slice(some);
                self.filled = end;
                Ok(())
            }
        }
    }

    /// Lists the next `count` levels, as many as a block has at most, or, if it may be `short`, those in front of the next
    /// long run; how many they are.
    fn gather(&mut self, count: usize, short: bool) -> Result<usize> {
        if self.levels.is_none() {
            return Ok(count);
        }
        while self.filled < count {
            if self.run.1 == 0 {
                self.more(count - self.filled)?;
                continue;
            }
            if short && self.filled > 0 && self.run.1 >= LONG {
                break;
            }
            let n = self.run.1.min(count - self.filled);
            self.next.as_flattened_mut()[self.filled..self.filled + n].fill(self.run.0);
            self.run.1 -= n;
            self.filled += n;
        }
        Ok(self.filled)
    }

    /// The `count` levels that were listed, as a mask for each level from 1 on.
    fn masks(&mut self, count: usize, masks: &mut [[u64; WORDS]]) -> Result<()> {
        if self.levels.is_none() {
            return Ok(());
        }
        self.filled = 0;
        let next = &self.next[..count.div_ceil(64)];
        for (mask, level) in masks.iter_mut().zip(1..) {
            masks::at_least(next, level, mask);
        }
        // as many bits as the highest level has can say more than that
        if !(self.most + 1).is_power_of_two() {
            let mut wrong = [0; WORDS];
            masks::at_least(next, self.most + 1, &mut wrong);
            // behind the last level stands what was there before
            wrong[(count - 1) / 64] &= u64::MAX >> (63 - (count - 1) % 64);
            if let Some((word, bits)) = wrong.iter().enumerate().find(|(_, bits)| **bits != 0) {
                return Err(beyond(next[word][bits.trailing_zeros() as usize], self.most));
            }
        }
        Ok(())
    }
}

impl Block {
    /// Of the 64 levels of word `word`, those whose repetition level is at most `level`.
    #[inline(always)]
    pub fn upto(&self, level: usize, word: usize) -> u64 {
        self.upto.get(level).map_or(u64::MAX, |mask| mask[word])
    }

    /// Of the 64 levels of word `word`, those whose definition level is at least `level`.
    #[inline(always)]
    pub fn from(&self, level: usize, word: usize) -> u64 {
        level.checked_sub(1).and_then(|i| self.from.get(i)).map_or(u64::MAX, |mask| mask[word])
    }
}

/// What `Levels::take` does with a block.
struct Pass<'a> {
    block: &'a mut Block,
    rows: &'a mut usize,
    to: Option<&'a mut Depths>,
    highest: usize,
}

impl Words for Pass<'_> {
    type Out = Taken;

    #[inline(always)]
    fn each(mut self, compact: impl Fn(u64, u64) -> u64) -> Taken {
        let mut taken = Taken::default();
        while self.block.at < self.block.len && !taken.ended {
            let (word, first) = (self.block.at / 64, self.block.at % 64);
            let behind = (self.block.len - word * 64).min(64);
            let mut some = u64::MAX << first & u64::MAX >> (64 - behind);
            let mut end = word * 64 + behind;
            let starts = some & self.block.upto(0, word);
            let count = starts.count_ones() as usize;
            if count > *self.rows {
                let cut = nth(starts, *self.rows);
                some &= !(u64::MAX << cut);
                end = word * 64 + cut;
                *self.rows = 0;
                taken.ended = true;
            } else {
                *self.rows -= count;
            }
            taken.values += (some & self.block.from(self.highest, word)).count_ones() as usize;
            taken.levels += end - self.block.at;
            if let Some(to) = &mut self.to
                && some != 0
            {
                to.word(self.block, word, some, &compact);
            }
            self.block.at = end;
        }
        taken
    }
}

/// The place of the set bit of `bits` that has `n` in front of it; there is one.
fn nth(mut bits: u64, n: usize) -> usize {
    for _ in 0..n {
        bits &= bits - 1;
    }
    bits.trailing_zeros() as usize
}

fn beyond(level: u32, most: u32) -> Error {
    Error::Format(format!("level {level} found, expected at most {most}"))
}
