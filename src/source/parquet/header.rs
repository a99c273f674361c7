//! The header of a page, as the format writes it (Parquet format, `parquet.thrift`, `PageHeader`).
//!
//! A header begins with `type`, `uncompressed_page_size` and `compressed_page_size`, all required; then come a
//! checksum, and one struct by the type of the page. What else there is, statistics above all, is passed over.

use parquet::basic::Encoding;

use super::compact::{Fields, I32, STOP, STRUCT};

/// What a page header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageHead {
    /// Bytes of the header itself.
    pub len: usize,
    /// Bytes that the page takes in the file.
    pub stored: usize,
    /// Bytes that the page takes once decompressed.
    pub whole: usize,
    /// CRC-32 of the page as it is stored.
    pub crc: Option<u32>,
    /// What the page is.
    pub kind: Kind,
}

/// The kinds of pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The values that indices speak of.
    Dictionary {
        /// How many.
        values: usize,
        /// How they are written.
        encoding: Encoding,
    },
    /// Levels and values, compressed together.
    Data {
        /// Values, nulls included.
        values: usize,
        /// How they are written.
        encoding: Encoding,
        /// How definition levels are written.
        definition: Encoding,
        /// How repetition levels are written.
        repetition: Encoding,
    },
    /// Levels, which are never compressed, and values.
    DataV2 {
        /// Values, nulls included.
        values: usize,
        /// Nulls.
        nulls: usize,
        /// Rows.
        rows: usize,
        /// How values are written.
        encoding: Encoding,
        /// Bytes of definition levels.
        definition: usize,
        /// Bytes of repetition levels, which come first.
        repetition: usize,
        /// Whether the values are compressed.
        compressed: bool,
    },
    /// One that no reader needs.
    Index,
}

/// Why there is no header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// The bytes end within it.
    Short,
    /// They are something else.
    Garbage,
    /// What it says cannot be.
    Wrong(String),
}

/// Reads the header that `bytes` begin with.
///
/// # Errors
/// See [`Unread`].
pub fn page_head(bytes: &[u8]) -> Result<PageHead, Unread> {
    let mut fields = Fields::of(bytes);
    let mut sizes = [0; 3];
    for (id, size) in (1..).zip(&mut sizes) {
        *size = match fields.next() {
            Some((I32, found)) if found == id => fields.i32().ok_or(Unread::Garbage)?,
            _ => return Err(Unread::Garbage),
        };
    }
    let size = |n: i32| usize::try_from(n).map_err(|_| Unread::Wrong(format!("size {n} is negative")));
    let (whole, stored) = (size(sizes[1])?, size(sizes[2])?);
    let (mut crc, mut page) = (None, None);
    loop {
        match fields.next().ok_or(Unread::Short)? {
            (STOP, _) => break,
            (I32, 4) => crc = Some(fields.i32().ok_or(Unread::Short)?.cast_unsigned()),
            (STRUCT, id @ (5 | 7 | 8)) => {
                let mut inner = fields.inner();
                page = Some((id, numbers(&mut inner)?));
                fields.behind(&inner);
            }
            (kind, _) => fields.skip(kind).ok_or(Unread::Short)?,
        }
    }
    let len = bytes.len() - fields.left();
    let kind = match (sizes[0], page) {
        (0, Some((5, page))) => page.data()?,
        (2, Some((7, page))) => page.dictionary()?,
        (3, Some((8, page))) => page.data_v2()?,
        (0 | 2 | 3, _) => return Err(Unread::Wrong("its header does not say what is in it".into())),
        _ => Kind::Index,
    };
    Ok(PageHead { len, stored, whole, crc, kind })
}

/// The integers of a page's struct by field id, and its one boolean.
#[derive(Default)]
struct Numbers {
    found: [Option<i32>; 7],
    compressed: Option<bool>,
}

/// Reads a page's struct to its end.
fn numbers(fields: &mut Fields<'_>) -> Result<Numbers, Unread> {
    let mut out = Numbers::default();
    loop {
        match fields.next().ok_or(Unread::Short)? {
            (STOP, _) => return Ok(out),
            (I32, id @ 1..=6) => {
                let place = usize::try_from(id).map_err(|_| Unread::Garbage)?;
                out.found[place] = Some(fields.i32().ok_or(Unread::Short)?);
            }
            // a boolean field is its type
            (kind @ (1 | 2), 7) => out.compressed = Some(kind == 1),
            (kind, _) => fields.skip(kind).ok_or(Unread::Short)?,
        }
    }
}

impl Numbers {
    fn required(&self, id: usize) -> Result<i32, Unread> {
        self.found[id].ok_or_else(|| Unread::Wrong("its header does not say what is in it".into()))
    }

    fn count(&self, id: usize) -> Result<usize, Unread> {
        let found = self.required(id)?;
        usize::try_from(found).map_err(|_| Unread::Wrong(format!("{found} values announced")))
    }

    fn encoding(&self, id: usize) -> Result<Encoding, Unread> {
        Ok(match self.required(id)? {
            0 => Encoding::PLAIN,
            2 => Encoding::PLAIN_DICTIONARY,
            3 => Encoding::RLE,
            #[expect(deprecated, reason = "old files have it")]
            4 => Encoding::BIT_PACKED,
            5 => Encoding::DELTA_BINARY_PACKED,
            6 => Encoding::DELTA_LENGTH_BYTE_ARRAY,
            7 => Encoding::DELTA_BYTE_ARRAY,
            8 => Encoding::RLE_DICTIONARY,
            9 => Encoding::BYTE_STREAM_SPLIT,
            other => return Err(Unread::Wrong(format!("encoding {other}, which the format does not have"))),
        })
    }

    fn data(&self) -> Result<Kind, Unread> {
        Ok(Kind::Data {
            values: self.count(1)?,
            encoding: self.encoding(2)?,
            definition: self.encoding(3)?,
            repetition: self.encoding(4)?,
        })
    }

    fn dictionary(&self) -> Result<Kind, Unread> {
        Ok(Kind::Dictionary { values: self.count(1)?, encoding: self.encoding(2)? })
    }

    fn data_v2(&self) -> Result<Kind, Unread> {
        Ok(Kind::DataV2 {
            values: self.count(1)?,
            nulls: self.count(2)?,
            rows: self.count(3)?,
            encoding: self.encoding(4)?,
            definition: self.count(5)?,
            repetition: self.count(6)?,
            // without the field the page is compressed
            compressed: self.compressed.unwrap_or(true),
        })
    }
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
            2 => 4,
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
    fn every_kind_of_page_is_read_as_written() {
        let data = Kind::Data {
            values: 9,
            encoding: Encoding::RLE_DICTIONARY,
            definition: Encoding::RLE,
            repetition: Encoding::RLE,
        };
        let v2 = Kind::DataV2 {
            values: 40,
            nulls: 1,
            rows: 39,
            encoding: Encoding::DELTA_BINARY_PACKED,
            definition: 7,
            repetition: 6,
            compressed: true,
        };
        let dictionary = Kind::Dictionary { values: 7, encoding: Encoding::PLAIN_DICTIONARY };
        for (number, fields, kind) in [
            (0, &[9, 8, 3, 3][..], data),
            (2, &[7, 2], dictionary),
            (3, &[40, 1, 39, 5, 7, 6], v2),
            (1, &[], Kind::Index),
        ] {
            let bytes = written(number, 1 << 20, 77, fields);
            let head = page_head(&[&bytes[..], &[0x15; 40]].concat()).expect("a header");
            assert_eq!(head, PageHead { len: bytes.len(), stored: 77, whole: 1 << 20, crc: None, kind });
            for end in 0..bytes.len() {
                assert!(matches!(page_head(&bytes[..end]), Err(Unread::Short | Unread::Garbage)), "{end}");
            }
        }
    }

    #[test]
    fn a_checksum_and_what_is_not_known_are_passed() {
        // crc −1; statistics in field 5 of the struct; an unknown string behind it
        let bytes = [
            &[0x15, 0, 0x15, 8, 0x15, 10, 0x15, 1, 0x1c, 0x15, 2, 0x15, 0, 0x15, 6, 0x15, 6][..],
            &[0x1c, 0x18, 2, b'a', b'b', 0, 0, 0x88, 2, b'h', b'i', 0],
        ]
        .concat();
        let head = page_head(&bytes).expect("a header");
        assert_eq!((head.crc, head.len, head.whole, head.stored), (Some(u32::MAX), bytes.len(), 4, 5));
        assert!(matches!(head.kind, Kind::Data { values: 1, .. }));
    }

    #[test]
    fn what_cannot_be_is_told() {
        for (bytes, why) in [
            (written(0, -1, 7, &[1, 0, 3, 3]), "negative"),
            (written(0, 1, i32::MIN, &[1, 0, 3, 3]), "negative"),
            (written(0, 1, 1, &[-1, 0, 3, 3]), "-1 values"),
            (written(0, 1, 1, &[1, 77, 3, 3]), "encoding 77"),
            (written(0, 1, 1, &[1, 0, 3]), "does not say"),
            (written(3, 1, 1, &[]), "does not say"),
        ] {
            assert!(matches!(page_head(&bytes), Err(Unread::Wrong(what)) if what.contains(why)), "{why}");
        }
        assert_eq!(page_head(b"PAR1"), Err(Unread::Garbage));
        assert_eq!(page_head(&[0xff; 400]), Err(Unread::Garbage));
    }
}
