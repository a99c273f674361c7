//! Raw Snappy, decompressed (format: `google/snappy`, `format_description.txt`).
//!
//! In the bulk of a page every load and store is of eight or sixteen bytes, whatever is asked for; what is written
//! beyond is overwritten by what follows. Near the end elements are taken to the byte.
//!
//! Columns of numbers in a row compress to an alternation of a literal byte and seven bytes from eight back. Read from
//! memory, such a copy meets bytes that the last stores have not yet put there, and waits for them; so as long as copies
//! come from just there, the last eight bytes are kept in a register.

/// What may be read and written beyond an element in the bulk of a page.
const SLACK: usize = 32;

/// Decompresses all of `from` into all of `to`; `None` where `from` is no such thing, or not of that size.
pub fn decompress(from: &[u8], to: &mut [u8]) -> Option<()> {
    let (length, mut at) = length(from)?;
    if length != to.len() {
        return None;
    }
    // two numbers that stay in registers: what is called takes and returns them
    let mut filled = 0;
    while let Some(stored) = ahead(from, at)
        && filled + SLACK <= to.len()
    {
        let [tag, first, second, ..] = *stored;
        let kind = tag & 3;
        if kind == 0 && tag < 16 << 2 {
            to.get_mut(filled..)?.first_chunk_mut::<16>()?.copy_from_slice(&stored[1..17]);
            let n = usize::from(tag >> 2) + 1;
            (at, filled) = (at + 1 + n, filled + n);
            continue;
        }
        let (n, offset, len) = if kind == 1 {
            (usize::from(tag >> 2 & 7) + 4, usize::from(tag >> 5) << 8 | usize::from(first), 2)
        } else if kind == 2 {
            (usize::from(tag >> 2) + 1, usize::from(u16::from_le_bytes([first, second])), 3)
        } else {
            (at, filled) = element(from, to, at, filled)?;
            continue;
        };
        if offset >= 16 && n <= 16 {
            let found: [u8; 16] = *to.get(filled.checked_sub(offset)?..)?.first_chunk()?;
            to.get_mut(filled..)?.first_chunk_mut::<16>()?.copy_from_slice(&found);
            (at, filled) = (at + len, filled + n);
        } else if offset == 8 && n <= SLACK {
            (at, filled) = near(from, to, at, filled)?;
        } else {
            (at, filled) = (at + len, repeat(to, filled, offset, n)?);
        }
    }
    while at < from.len() {
        (at, filled) = element(from, to, at, filled)?;
    }
    (filled == to.len()).then_some(())
}

#[inline(always)]
fn ahead(from: &[u8], at: usize) -> Option<&[u8; SLACK]> {
    from.get(at..)?.first_chunk()
}

/// The length that `from` begins with, and where it ends.
fn length(from: &[u8]) -> Option<(usize, usize)> {
    let mut length = 0_u64;
    for (at, shift) in (0..35).step_by(7).enumerate() {
        let byte = *from.get(at)?;
        length |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some((usize::try_from(length).ok()?, at + 1));
        }
    }
    None
}

/// Elements as long as they are copies from eight back and short literals: the last eight bytes stay in a register, the
/// newest the highest. There is one such copy at least.
#[inline(never)]
fn near(from: &[u8], to: &mut [u8], mut at: usize, mut filled: usize) -> Option<(usize, usize)> {
    let mut last = u64::from_le_bytes(*to.get(filled.checked_sub(8)?..)?.first_chunk()?);
    while let Some(stored) = ahead(from, at)
        && let Some(into) = to.get_mut(filled..).and_then(|rest| rest.first_chunk_mut::<SLACK>())
    {
        let [tag, first, second, ..] = *stored;
        let kind = tag & 3;
        if kind == 0 && tag < 8 << 2 {
            let mut low = [0; 8];
            low.copy_from_slice(&stored[1..9]);
            into[..8].copy_from_slice(&low);
            let n = usize::from(tag >> 2) + 1;
            let both = u128::from(u64::from_le_bytes(low)) << 64 | u128::from(last);
            #[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
            {
                last = (both >> (8 * n)) as u64;
            }
            (at, filled) = (at + 1 + n, filled + n);
            continue;
        }
        let (n, len) = match kind {
            1 if tag < 1 << 5 && first == 8 => ((tag >> 2 & 7) + 4, 2),
            2 if first == 8 && second == 0 && tag < 32 << 2 => ((tag >> 2) + 1, 3),
            _ => break,
        };
        let bytes = last.to_le_bytes();
        into[..8].copy_from_slice(&bytes);
        if n > 8 {
            into[8..16].copy_from_slice(&bytes);
            into[16..24].copy_from_slice(&bytes);
            into[24..].copy_from_slice(&bytes);
        }
        last = last.rotate_right(8 * (u32::from(n) % 8));
        (at, filled) = (at + len, filled + usize::from(n));
    }
    Some((at, filled))
}

/// The next element, to the byte.
#[inline(never)]
fn element(from: &[u8], to: &mut [u8], at: usize, filled: usize) -> Option<(usize, usize)> {
    let tag = *from.get(at)?;
    let number = |bytes: usize| -> Option<usize> {
        let mut out = [0; 8];
        out[..bytes].copy_from_slice(from.get(at + 1..at + 1 + bytes)?);
        usize::try_from(u64::from_le_bytes(out)).ok()
    };
    let (bytes, n) = match tag & 3 {
        0 => {
            let short = usize::from(tag >> 2);
            let bytes = short.saturating_sub(59);
            let n = if bytes == 0 { short } else { number(bytes)? } + 1;
            let (start, end) = (at + 1 + bytes, filled.checked_add(n)?);
            to.get_mut(filled..end)?.copy_from_slice(from.get(start..start.checked_add(n)?)?);
            return Some((start + n, end));
        }
        1 => (1, usize::from(tag >> 2 & 7) + 4),
        2 => (2, usize::from(tag >> 2) + 1),
        _ => (4, usize::from(tag >> 2) + 1),
    };
    let high = if bytes == 1 { usize::from(tag >> 5) << 8 } else { 0 };
    Some((at + 1 + bytes, repeat(to, filled, high | number(bytes)?, n)?))
}

/// `n` bytes from `offset` back, which may overlap with what they become; how much is filled then.
#[inline(never)]
fn repeat(to: &mut [u8], mut filled: usize, offset: usize, n: usize) -> Option<usize> {
    let start = filled.checked_sub(offset).filter(|_| offset > 0)?;
    let end = filled + n;
    if end > to.len() {
        return None;
    }
    while filled < end {
        // what is there is whole periods, so twice as much can be copied each time
        let some = (filled - start).min(end - filled);
        to.copy_within(start..start + some, filled);
        filled += some;
    }
    Some(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random (Marsaglia's xorshift).
    struct Random(u64);

    impl Random {
        fn next(&mut self, below: u64) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % below) as usize
        }
    }

    /// Bytes of some shape: numbers that grow, runs, text, noise.
    fn shaped(random: &mut Random) -> Vec<u8> {
        let n = random.next(3000) as u64;
        let step = [1, 7, 1_000_000, 123_456_789_012][random.next(4)];
        match random.next(5) {
            0 => (0..n).flat_map(|i| (i * step + random.next(5) as u64).to_le_bytes()).collect(),
            1 => (0..n).flat_map(|i| ((i * step) as u32).to_le_bytes()).collect(),
            2 => {
                let period = random.next(20) as u64 + 1;
                (0..n * 3).map(|i| (i % period * 17) as u8).collect()
            }
            3 => (0..n).map(|_| b"abcdeeeeee "[random.next(11)]).collect(),
            _ => (0..n).map(|_| random.next(256) as u8).collect(),
        }
    }

    #[test]
    fn what_was_compressed_comes_back() {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        for _ in 0..1_500 {
            let whole: Vec<u8> = (0..random.next(4)).flat_map(|_| shaped(&mut random)).collect();
            let stored = snap::raw::Encoder::new().compress_vec(&whole).expect("memory");
            let mut found = vec![0xAA; whole.len()];
            decompress(&stored, &mut found).expect("as it was written");
            assert_eq!(found, whole);
            for size in [0, whole.len() / 2, whole.len() + 1] {
                assert!(size == whole.len() || decompress(&stored, &mut vec![0; size]).is_none());
            }
        }
    }

    /// Elements that no encoder writes, and damage: what the crate makes of them is what we make of them.
    #[test]
    fn the_same_as_the_crate_for_any_bytes() {
        let mut random = Random(77_777);
        let (mut sound, mut damaged) = (0, 0);
        for _ in 0..30_000 {
            let mut elements = Vec::new();
            let mut size = 0;
            for _ in 0..random.next(40) {
                let n = random.next(64) + 1;
                let back = [1, 2, 3, 7, 8, 9, 15, 16, 17, 300][random.next(10)].min(size + random.next(50) / 49).max(1);
                match random.next(4) {
                    0 if n <= 60 => {
                        elements.push((n as u8 - 1) << 2);
                        elements.extend((0..n).map(|_| random.next(256) as u8));
                        size += n;
                    }
                    1 => {
                        let n = n % 8 + 4;
                        elements.extend([1 | (n as u8 - 4) << 2 | (back >> 8 << 5) as u8, back as u8]);
                        size += n;
                    }
                    2 => {
                        elements.push(2 | (n as u8 - 1) << 2);
                        elements.extend((back as u16).to_le_bytes());
                        size += n;
                    }
                    _ => {
                        elements.push(3 | (n as u8 - 1) << 2);
                        elements.extend((back as u32).to_le_bytes());
                        size += n;
                    }
                }
            }
            let mut stored = vec![size as u8 & 0x7f | 0x80, (size >> 7) as u8 & 0x7f];
            stored.extend(elements);
            if random.next(4) == 0 {
                let at = random.next(stored.len() as u64);
                stored[at] ^= 1 << random.next(8);
            }
            let expected = snap::raw::Decoder::new().decompress_vec(&stored).ok();
            let len = expected.as_ref().map_or(size, Vec::len);
            let mut found = vec![0; len];
            let found = decompress(&stored, &mut found).map(|()| found);
            assert_eq!(found, expected, "{stored:?}");
            *if found.is_some() { &mut sound } else { &mut damaged } += 1;
        }
        assert!(sound > 5_000 && damaged > 5_000, "{sound} sound, {damaged} damaged");
    }
}
