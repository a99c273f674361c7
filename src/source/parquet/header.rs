//! The head of a page header, read before the crate allocates by it.
//!
//! A `PageHeader` begins with `type`, `uncompressed_page_size` and `compressed_page_size`, all required; then come a
//! checksum, and one struct by the type of the page.

use super::compact::{Fields, I32, STRUCT};

/// What the first bytes of a page header say.
#[derive(Debug, PartialEq, Eq)]
pub struct PageHead {
    /// Whether the page is a dictionary.
    pub dictionary: bool,
    /// Bytes that the page takes once decompressed.
    pub uncompressed: i32,
    /// Bytes that the page takes in the file.
    pub compressed: i32,
    /// Values, nulls included, and how they are encoded, where the header begins as every known writer's does.
    pub values: Option<(i32, i32)>,
}

const DICTIONARY_PAGE: i32 = 2;

/// Reads the head of a page header from its first bytes.
pub fn page_head(bytes: &[u8]) -> Option<PageHead> {
    let mut fields = Fields::of(bytes);
    let kind = required(&mut fields, 1)?;
    let uncompressed = required(&mut fields, 2)?;
    let compressed = required(&mut fields, 3)?;
    Some(PageHead { dictionary: kind == DICTIONARY_PAGE, uncompressed, compressed, values: values(&mut fields) })
}

/// The number of values and their encoding, from the struct of the page's type.
fn values(fields: &mut Fields<'_>) -> Option<(i32, i32)> {
    loop {
        match fields.next()? {
            (I32, 4) => fields.i32().map(drop)?,
            (STRUCT, page @ (5 | 7 | 8)) => {
                // `encoding` comes second in a v1 or dictionary page, fourth in a v2 one
                let place = if page == 8 { 4 } else { 2 };
                let mut inner = fields.inner();
                let count = required(&mut inner, 1)?;
                for skipped in 2..place {
                    required(&mut inner, skipped)?;
                }
                return Some((count, required(&mut inner, place)?));
            }
            _ => return None,
        }
    }
}

/// The integer of field `id`, if that is the next one.
fn required(fields: &mut Fields<'_>, id: i64) -> Option<i32> {
    (fields.next()? == (I32, id)).then(|| fields.i32())?
}

/// A header as the compact protocol writes it: the three sizes, and then a page's struct with these fields.
#[cfg(test)]
pub fn written(kind: i32, uncompressed: i32, compressed: i32, page: &[i32]) -> Vec<u8> {
    let number = |value: i32, out: &mut Vec<u8>| {
        let mut zigzag = ((value << 1) ^ (value >> 31)).cast_unsigned();
        while zigzag >= 0x80 {
            out.push(zigzag.to_le_bytes()[0] | 0x80);
            zigzag >>= 7;
        }
        out.push(zigzag.to_le_bytes()[0]);
    };
    let mut out = Vec::new();
    let numbers = |values: &[i32], out: &mut Vec<u8>| {
        for value in values {
            out.push(0x10 | I32);
            number(*value, out);
        }
    };
    numbers(&[kind, uncompressed, compressed], &mut out);
    if !page.is_empty() {
        // the struct's field id, 5, 7 or 8, as a step from 3
        let step = match kind {
            DICTIONARY_PAGE => 4,
            3 => 5,
            _ => 2,
        };
        out.push(step << 4 | STRUCT);
        numbers(page, &mut out);
        out.push(0);
    }
    out.push(0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_written() {
        for (kind, whole, stored) in [(0, 1 << 20, 77), (2, 0, 0), (3, i32::MAX, i32::MAX), (0, -1, i32::MIN)] {
            let found = page_head(&written(kind, whole, stored, &[])).expect("a header");
            let head = PageHead { dictionary: kind == 2, uncompressed: whole, compressed: stored, values: None };
            assert_eq!(found, head);
        }
        assert_eq!(page_head(b"PAR1"), None);
        assert_eq!(page_head(&[0x15, 0x80]), None);
    }

    #[test]
    fn values_are_found_in_every_kind_of_page() {
        for (kind, fields, found) in
            [(0, &[9, 8, 3, 3][..], (9, 8)), (2, &[7, 2], (7, 2)), (3, &[40, 1, 39, 5, 0, 6], (40, 5))]
        {
            assert_eq!(page_head(&written(kind, 10, 10, fields)).expect("a header").values, Some(found));
        }
    }
}
