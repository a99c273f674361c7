//! What pages in a DELTA encoding announce, looked at before the crate decodes them.
//!
//! The lengths of all values of such a page come first, and the crate makes room for as many as the page says, which is
//! up to 2⁶⁴ in ten bytes: more than there is ends the program, not the run. A value of `DELTA_BYTE_ARRAY` begins with a
//! prefix of the one before, which takes no byte of the page: a small page can stand for gigabytes. So the lengths are
//! counted and added up first (Parquet format, `Encodings.md`, "Delta Encoding"), without keeping any.

use parquet::basic::Encoding;

use super::compact::Fields;

/// Bytes that the crate keeps for a length.
const LENGTH: usize = 4;

/// What it takes at most to decode some values.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// Bytes of what is kept beside the page as long as that is decoded.
    pub beside: usize,
    /// Bytes of text that the values have in common with those before them.
    pub shared: usize,
}

/// What it takes at most to decode `values`, written in `encoding`; `most` are announced by the page's header.
///
/// # Errors
/// Why the page cannot be.
pub fn need(encoding: Encoding, values: &[u8], most: usize) -> Result<Need, String> {
    let is_text = match encoding {
        Encoding::DELTA_BINARY_PACKED => false,
        Encoding::DELTA_LENGTH_BYTE_ARRAY | Encoding::DELTA_BYTE_ARRAY => true,
        _ => return Ok(Need::default()),
    };
    // nothing but nulls
    if values.is_empty() {
        return Ok(Need::default());
    }
    let mut fields = Fields::of(values);
    let head = Head::read(&mut fields, most)?;
    if !is_text {
        return Ok(Need::default());
    }
    let lengths = head.count.saturating_mul(LENGTH);
    if encoding == Encoding::DELTA_LENGTH_BYTE_ARRAY {
        return Ok(Need { beside: lengths, shared: 0 });
    }
    let shared = usize::try_from(head.sum(&mut fields)?).unwrap_or(usize::MAX);
    Head::read(&mut fields, most)?;
    Ok(Need { beside: lengths.saturating_mul(2), shared })
}

/// The head of numbers in `DELTA_BINARY_PACKED`.
pub struct Head {
    /// Numbers of a block.
    block: usize,
    /// Miniblocks of a block.
    pub parts: usize,
    /// Numbers in all.
    pub count: usize,
    /// The first of them.
    pub first: i64,
}

impl Head {
    /// The head of no numbers at all.
    pub const NONE: Self = Self { block: 0, parts: 1, count: 0, first: 0 };

    /// Numbers of a miniblock, a multiple of 32.
    pub fn part(&self) -> usize {
        self.block / self.parts
    }

    /// The head that comes next, of at most `most` numbers.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn read(fields: &mut Fields<'_>, most: usize) -> Result<Self, String> {
        let mut number = || fields.unsigned().and_then(|n| usize::try_from(n).ok()).ok_or_else(ends);
        let (block, parts, count) = (number()?, number()?, number()?);
        let first = fields.signed().ok_or_else(ends)?;
        if count > most {
            return Err(format!("{count} values announced in a page of {most}"));
        }
        if block == 0 || parts == 0 || block % 128 != 0 || block % parts != 0 || (block / parts) % 32 != 0 {
            return Err(format!("blocks of {block} values in {parts} parts announced"));
        }
        Ok(Self { block, parts, count, first })
    }

    /// The sum of the numbers, which are lengths; `fields` stands behind them then.
    fn sum(&self, fields: &mut Fields<'_>) -> Result<u64, String> {
        if self.count == 0 {
            return Ok(0);
        }
        let length = |n: i64| {
            // the crate's numbers have 32 bits and wrap
            #[expect(clippy::cast_possible_truncation, reason = "as the crate does")]
            let n = n as i32;
            u64::try_from(n).map_err(|_| format!("{n} bytes announced for a value"))
        };
        let mut value = self.first;
        let mut sum = length(value)?;
        let mut left = self.count - 1;
        let part = self.part();
        while left > 0 {
            let least = fields.signed().ok_or_else(ends)?;
            let widths = fields.bytes(self.parts).ok_or_else(ends)?;
            for width in widths.iter().map(|width| usize::from(*width)) {
                if left == 0 {
                    // what is not used may have any width and takes no bytes
                    break;
                }
                if width > 32 {
                    return Err(format!("lengths of {width} bits announced"));
                }
                let stored = part.checked_mul(width).map(|bits| bits / 8).ok_or_else(ends)?;
                let packed = fields.bytes(stored).ok_or_else(ends)?;
                let n = part.min(left);
                for at in 0..n {
                    value = value.wrapping_add(least).wrapping_add(bits(packed, at * width, width));
                    sum = sum.saturating_add(length(value)?);
                }
                left -= n;
            }
        }
        Ok(sum)
    }
}

/// The `width` bits from bit `at` of `packed` on, which has them.
fn bits(packed: &[u8], at: usize, width: usize) -> i64 {
    let rest = packed.get(at / 8..).unwrap_or_default();
    let word = match rest.first_chunk::<8>() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    (word >> (at % 8) & !(u64::MAX << width)).cast_signed()
}

fn ends() -> String {
    "ends before its values do".to_owned()
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, BinaryArray, RecordBatch};
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;
    use std::sync::Arc;

    use super::*;

    /// The values of the one page of a column of `rows`, as the crate writes them, without levels.
    fn written(rows: &BinaryArray, encoding: Encoding) -> Vec<u8> {
        let batch = RecordBatch::try_from_iter_with_nullable([("b", Arc::new(rows.clone()) as _, false)]);
        let properties = WriterProperties::builder().set_dictionary_enabled(false).set_encoding(encoding).build();
        let mut bytes = Vec::new();
        let batch = batch.expect("one column");
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).expect("a writer");
        writer.write(&batch).expect("rows");
        let (start, len) = writer.close().expect("a footer").row_group(0).column(0).byte_range();
        let page = &Bytes::from(bytes)[start as usize..(start + len) as usize];
        let head = super::super::header::page_head(page).expect("a header");
        page[head.len..].to_vec()
    }

    #[test]
    fn what_a_page_stands_for_is_known_without_decoding_it() {
        for n in [1, 2, 33, 129, 1_000] {
            let rows: BinaryArray = (0..n).map(|i| Some(vec![b'x'; i * 7 % 40 + i / 9])).collect();
            let shared: usize = (1..n).map(|i| rows.value(i).len().min(rows.value(i - 1).len())).sum();
            let bytes = written(&rows, Encoding::DELTA_BYTE_ARRAY);
            assert_eq!(need(Encoding::DELTA_BYTE_ARRAY, &bytes, n), Ok(Need { beside: n * 8, shared }), "{n}");
            assert!(need(Encoding::DELTA_BYTE_ARRAY, &bytes, n - 1).is_err_and(|e| e.contains("announced in a page")));
            let bytes = written(&rows, Encoding::DELTA_LENGTH_BYTE_ARRAY);
            let lengths = Need { beside: n * 4, shared: 0 };
            assert_eq!(need(Encoding::DELTA_LENGTH_BYTE_ARRAY, &bytes, n), Ok(lengths), "{n}");
            assert_eq!(rows.null_count(), 0);
        }
    }

    #[test]
    fn forged_heads_are_told() {
        let head = |count: &[u8]| [&[0x80, 1, 4], count, &[0]].concat();
        let all = [Encoding::DELTA_BINARY_PACKED, Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY];
        for encoding in all {
            assert!(need(encoding, &head(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), 100).is_err());
            assert!(need(encoding, &head(&[101]), 100).is_err());
            for sizes in [&[0x80, 1, 0][..], &[0x80, 1, 5], &[0x80, 1, 8], &[0x90, 1, 4], &[0, 4]] {
                assert!(need(encoding, &[sizes, &[1, 0]].concat(), 100).is_err(), "{sizes:?}");
            }
            assert!(need(encoding, &[0x80], 100).is_err());
            assert_eq!(need(encoding, &[], 100), Ok(Need::default()));
        }
        // a length of −1; widths that are missing; a width beyond 32
        for rest in [&[1, 1][..], &[2, 0, 0], &[2, 0, 0, 33, 0, 0, 0]] {
            assert!(need(Encoding::DELTA_BYTE_ARRAY, &[&[0x80, 1, 4], rest].concat(), 100).is_err(), "{rest:?}");
        }
    }
}
