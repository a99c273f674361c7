//! The head of a page, rewritten: Thrift's compact protocol, as far as the encoder's own headers need it.
//!
//! A page header begins with three 32-bit integers, fields 1 to 3: the kind of page, its size before and after
//! compression. The checksum would be field 4. Then comes one struct, field 5, 7 or 8 by the kind of page, which stays
//! as it is; only the distance to the field before it is part of its first byte.

/// The first byte of an integer field that follows the field before it.
const NEXT_INT: u8 = 0x15;
const DICTIONARY: u32 = 2;
const MAX_VARINT: usize = 5;

/// A page header of the encoder's, taken apart.
pub(super) struct PageHead<'a> {
    kind: u32,
    /// Bytes of the body before compression.
    pub(super) plain: usize,
    /// The distance of the struct's field from field 3, and its type.
    distance: u8,
    struct_type: u8,
    rest: &'a [u8],
}

impl<'a> PageHead<'a> {
    /// Takes `header` apart; `None` if it is no page header, or one that has a checksum already.
    pub(super) fn read(header: &'a [u8]) -> Option<Self> {
        let mut at = 0;
        let mut int = || {
            if *header.get(at)? != NEXT_INT {
                return None;
            }
            at += 1;
            let mut value = 0u32;
            for i in 0..MAX_VARINT {
                let byte = *header.get(at)?;
                at += 1;
                value |= u32::from(byte & 0x7f) << (7 * i);
                if byte & 0x80 == 0 {
                    // sizes and kinds are not negative, so zigzag doubles them
                    return Some(value >> 1);
                }
            }
            None
        };
        let (kind, plain, _) = (int()?, int()?, int()?);
        let first = *header.get(at)?;
        let (distance, struct_type) = (first >> 4, first & 0x0f);
        if distance < 2 {
            return None;
        }
        Some(Self { kind, plain: plain as usize, distance, struct_type, rest: header.get(at + 1..)? })
    }

    pub(super) fn is_dictionary(&self) -> bool {
        self.kind == DICTIONARY
    }

    /// The header of the same page with a body of `stored` bytes, whose checksum is `crc`.
    pub(super) fn write(&self, stored: usize, crc: Option<u32>, out: &mut Vec<u8>) {
        let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX) << 1;
        for value in [self.kind << 1, size(self.plain), size(stored)] {
            out.push(NEXT_INT);
            varint(value, out);
        }
        let mut distance = self.distance;
        if let Some(crc) = crc {
            let signed = crc.cast_signed();
            out.push(NEXT_INT);
            varint(((signed << 1) ^ (signed >> 31)).cast_unsigned(), out);
            distance -= 1;
        }
        out.push(distance << 4 | self.struct_type);
        out.extend_from_slice(self.rest);
    }
}

fn varint(mut value: u32, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A data page header: 300 bytes, stored as 200, then a struct of one integer.
    const HEADER: [u8; 12] = [0x15, 0, 0x15, 0xd8, 0x04, 0x15, 0x90, 0x03, 0x2c, 0x15, 2, 0];

    fn written(stored: usize, crc: Option<u32>) -> Vec<u8> {
        let mut out = Vec::new();
        PageHead::read(&HEADER).expect("a header").write(stored, crc, &mut out);
        out
    }

    #[test]
    fn without_a_checksum_it_comes_out_as_it_was() {
        let head = PageHead::read(&HEADER).expect("a header");
        assert_eq!((head.plain, head.is_dictionary()), (300, false));
        assert_eq!(written(200, None), HEADER);
    }

    #[test]
    fn the_checksum_is_field_four_and_the_struct_moves_nearer() {
        let out = written(5, Some(1));
        assert_eq!(out, [0x15, 0, 0x15, 0xd8, 0x04, 0x15, 10, 0x15, 2, 0x1c, 0x15, 2, 0]);
        assert_eq!(written(5, Some(u32::MAX))[7..9], [0x15, 1], "as -1, signed");
        assert_eq!(written(5, Some(0x8000_0000))[7..13], [0x15, 0xff, 0xff, 0xff, 0xff, 0x0f]);
        assert!(PageHead::read(&out).is_none(), "never twice");
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for len in 0..9 {
            assert!(PageHead::read(&HEADER[..len]).is_none(), "{len} bytes");
        }
        assert!(PageHead::read(&[0x15, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_none());
    }
}
