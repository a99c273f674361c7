//! As much of Thrift's compact protocol as it takes to look at a header or a footer before the crate does
//! (Apache Thrift, `doc/specs/thrift-compact-protocol.md`).
//!
//! Nothing is allocated and nothing recurses deeper than [`DEEPEST`], whatever the bytes say.

/// A 32-bit integer.
pub const I32: u8 = 5;
/// A struct.
pub const STRUCT: u8 = 12;
/// What follows the last field of a struct.
pub const STOP: u8 = 0;
/// A list.
pub const LIST: u8 = 9;

/// Values nested deeper than this are not skipped: no Parquet structure comes near.
const DEEPEST: usize = 32;

/// The fields of a struct, one after the other.
#[derive(Clone)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    id: i64,
    /// Whether lists may have booleans.
    booleans: bool,
}

impl<'a> Fields<'a> {
    /// The fields of the struct that `bytes` begin with.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, id: 0, booleans: true }
    }

    /// The same where no list may have booleans, but for those that are known to. The crate passes over a list of them as if
    /// they took no bytes: it would count to 2³¹, and go on at the wrong place.
    pub fn without_booleans(self) -> Self {
        Self { booleans: false, ..self }
    }

    /// Bytes that are still to come.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// The fields of the struct that comes next.
    pub fn inner(&self) -> Self {
        Self { id: 0, ..*self }
    }

    /// Goes on behind `inner`, whose [`STOP`] was read.
    pub fn behind(&mut self, inner: &Self) {
        self.bytes = inner.bytes;
    }

    /// Bytes that are still to come.
    pub fn left(&self) -> usize {
        self.bytes.len()
    }

    /// The type and id of the next field.
    pub fn next(&mut self) -> Option<(u8, i64)> {
        let head = self.byte()?;
        if head == STOP {
            return Some((STOP, 0));
        }
        self.id = match head >> 4 {
            0 => self.signed()?,
            step => self.id.wrapping_add(i64::from(step)),
        };
        Some((head & 15, self.id))
    }

    /// A 32-bit integer.
    pub fn i32(&mut self) -> Option<i32> {
        i32::try_from(self.signed()?).ok()
    }

    /// The head of a list: the number and type of its elements.
    pub fn list(&mut self) -> Option<(u64, u8)> {
        let head = self.byte()?;
        let len = if head >> 4 == 15 { self.unsigned()? } else { u64::from(head >> 4) };
        Some((len, head & 15))
    }

    /// Passes over a value of type `kind`.
    pub fn skip(&mut self, kind: u8) -> Option<()> {
        self.skip_within(kind, DEEPEST)
    }

    fn skip_within(&mut self, kind: u8, left: usize) -> Option<()> {
        let left = left.checked_sub(1)?;
        match kind {
            // a boolean field is its type
            1 | 2 => Some(()),
            3 => self.pass(1),
            4..=6 => self.unsigned().map(drop),
            7 => self.pass(8),
            8 => self.unsigned().and_then(|len| self.pass(len)),
            LIST | 10 => {
                let (len, kind) = self.list()?;
                (0..len).try_for_each(|_| self.skip_element(kind, left))
            }
            11 => {
                let len = self.unsigned()?;
                let kinds = if len == 0 { 0 } else { self.byte()? };
                (0..len).try_for_each(|_| {
                    self.skip_element(kinds >> 4, left).and_then(|()| self.skip_element(kinds & 15, left))
                })
            }
            STRUCT => {
                let mut inner = self.inner();
                while let (kind @ 1.., _) = inner.next()? {
                    inner.skip_within(kind, left)?;
                }
                self.behind(&inner);
                Some(())
            }
            13 => self.pass(16),
            _ => None,
        }
    }

    /// Within a list or map a boolean takes a byte.
    fn skip_element(&mut self, kind: u8, left: usize) -> Option<()> {
        match kind {
            1 | 2 if self.booleans => self.pass(1),
            1 | 2 => None,
            _ => self.skip_within(kind, left),
        }
    }

    /// The next `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (found, rest) = self.bytes.split_at_checked(len)?;
        self.bytes = rest;
        Some(found)
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn pass(&mut self, len: u64) -> Option<()> {
        self.bytes = self.bytes.get(usize::try_from(len).ok()?..)?;
        Some(())
    }

    /// A number without sign.
    pub fn unsigned(&mut self) -> Option<u64> {
        let mut value: u64 = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// A number with a sign.
    pub fn signed(&mut self) -> Option<i64> {
        let value = self.unsigned()?;
        Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }
}

/// Looks at all of `footer`: how deep the columns of its schema are nested, counted no further than `most` + 1. `None` where
/// it does not hold together.
///
/// The crate builds a schema by recursion, which a footer of a megabyte could make deeper than any stack. No list of a
/// footer has booleans. Costs a few ns a byte.
pub fn schema_depth(footer: &[u8], most: usize) -> Option<usize> {
    let mut file = Fields::of(footer).without_booleans();
    let mut depth = None;
    loop {
        match file.next()? {
            (STOP, _) => return depth,
            (LIST, 2) => {
                let found = depth_of(&mut file, most)?;
                if found > most {
                    return Some(found);
                }
                depth = Some(found);
            }
            (kind, _) => file.skip(kind)?,
        }
    }
}

/// How deep the schema is nested that comes next in `file`, counted no further than `most` + 1.
fn depth_of(file: &mut Fields<'_>, most: usize) -> Option<usize> {
    let (elements, STRUCT) = file.list()? else { return None };
    // children that are still to come, one entry a group that is open
    let mut open: Vec<i32> = Vec::new();
    let mut deepest = 0;
    for _ in 0..elements {
        let mut element = file.inner();
        let mut children = 0;
        loop {
            match element.next()? {
                (STOP, _) => break,
                (I32, 5) => children = element.i32()?,
                (kind, _) => element.skip(kind)?,
            }
        }
        file.behind(&element);
        if children > 0 {
            open.push(children);
            deepest = deepest.max(open.len());
            if deepest > most {
                break;
            }
            continue;
        }
        while let Some(left) = open.last_mut() {
            *left -= 1;
            if *left > 0 {
                break;
            }
            open.pop();
        }
    }
    Some(deepest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A footer whose schema has a group within a group, `deep` of them, and a leaf.
    fn footer(deep: usize) -> Vec<u8> {
        let group: &[u8] = &[0x35, 0x02, 0x18, 1, b'g', 0x15, 0x02, 0];
        let leaf: &[u8] = &[0x15, 0x04, 0x25, 0x02, 0x18, 1, b'a', 0];
        let elements = u8::try_from(deep + 1).expect("a short list");
        [&[0x15, 0x04, 0x19, 0xfc, elements][..], &group.repeat(deep), leaf, &[0x16, 0x02, 0]].concat()
    }

    #[test]
    fn depth_is_counted_no_further_than_asked() {
        for deep in [0, 1, 7, 100] {
            assert_eq!(schema_depth(&footer(deep), 200), Some(deep));
        }
        assert_eq!(schema_depth(&footer(100), 50), Some(51));
    }

    #[test]
    fn no_bytes_are_read_beyond_the_end_or_without_end() {
        let whole = footer(5);
        for end in 0..whole.len() {
            assert_eq!(schema_depth(&whole[..end], 200), None, "{end}");
        }
        assert_eq!(schema_depth(&vec![0x1c; 1 << 20], 200), None);
        assert_eq!(schema_depth(&[0x19, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], 200), None);
        assert_eq!(Fields::of(&[0xff; 20]).unsigned(), None);
        // a list of 2³¹ - 1 booleans, or one that is no list of a footer
        for list in [&[0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 0x07][..], &[0x19, 0x31, 1, 1, 1], &[0x1b, 0x01, 0x11, 1, 1]]
        {
            let forged = [&whole[..whole.len() - 1], list, &[0]].concat();
            assert_eq!(schema_depth(&forged, 200), None, "{list:?}");
        }
        assert_eq!(schema_depth(&[&whole[..whole.len() - 1], &[0x19, 0x01, 0]].concat(), 200), Some(5));
    }
}
