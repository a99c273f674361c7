//! Numbers as decimal digits, without a loop and almost without a branch.
//!
//! Eight digits are made at once in the bytes of one word (after Paul Khuong, "How to print integers really fast",
//! 2017): halves, then quarters, then single digits, each division by a constant as a product and a shift on all lanes.
//! What leads is shifted out, and whole words are stored: a [`Slot`] is wide enough that what a store writes too much
//! stays in it.

use super::slots::Slot;

/// `0` in each byte of a word.
const ZEROS: u64 = 0x3030_3030_3030_3030;
/// The same for sixteen digits.
const ZEROS_16: u128 = 0x3030_3030_3030_3030_3030_3030_3030_3030;
const TEN_8: u64 = 100_000_000;
pub(super) const TEN_16: u64 = TEN_8 * TEN_8;

/// The digits of a number below 10^8 as a byte each, the first in the lowest.
#[inline(always)]
fn eight(value: u64) -> u64 {
    let fours = (value / 10_000) | (value % 10_000) << 32;
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | (fours - 100 * hundreds) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (twos - 10 * tens) << 8
}

/// The digits of a number below 10^16, likewise.
#[inline(always)]
fn sixteen(value: u64) -> u128 {
    u128::from(eight(value / TEN_8)) | u128::from(eight(value % TEN_8)) << 64
}

/// Exactly eight digits of a number below 10^8.
#[inline(always)]
pub(super) fn eight_digits(value: u64) -> u64 {
    eight(value) | ZEROS
}

#[inline(always)]
fn store(slot: &mut Slot, at: usize, word: u64) {
    slot[at..at + 8].copy_from_slice(&word.to_le_bytes());
}

#[inline(always)]
fn store_16(slot: &mut Slot, at: usize, word: u128) {
    slot[at..at + 16].copy_from_slice(&word.to_le_bytes());
}

/// Puts `value` at the `at`-th byte, which is the first or second; returns where it ends.
#[inline(always)]
fn whole(value: u64, slot: &mut Slot, at: usize) -> usize {
    if value < TEN_8 {
        let digits = eight(value);
        // a lone 0 is a digit too
        let lead = (digits | 1 << 56).trailing_zeros() / 8;
        store(slot, at, (digits | ZEROS) >> (8 * lead));
        return at + 8 - lead as usize;
    }
    if value < TEN_16 {
        let digits = sixteen(value);
        let lead = digits.trailing_zeros() / 8;
        store_16(slot, at, (digits | ZEROS_16) >> (8 * lead));
        return at + 16 - lead as usize;
    }
    let digits = eight(value / TEN_16);
    let lead = digits.trailing_zeros() / 8;
    store(slot, at, (digits | ZEROS) >> (8 * lead));
    let at = at + 8 - lead as usize;
    store_16(slot, at, sixteen(value % TEN_16) | ZEROS_16);
    at + 16
}

/// A number without a sign; returns its length.
#[inline(always)]
pub(super) fn unsigned(value: u64, slot: &mut Slot) -> usize {
    whole(value, slot, 0)
}

/// A number, with a minus where it is negative; returns its length.
#[inline(always)]
pub(super) fn signed(value: i64, slot: &mut Slot) -> usize {
    slot[0] = b'-';
    whole(value.unsigned_abs(), slot, usize::from(value < 0))
}

/// `value` · 10^-`places`, with a digit before the point and one behind it at the least; returns its length. `TRIM`
/// leaves out the zeros at its end.
///
/// `value` is below 10^16; `places` is 1 to 15.
#[inline(always)]
pub(super) fn fixed<const TRIM: bool>(value: u64, places: u32, negative: bool, slot: &mut Slot) -> usize {
    slot[0] = b'-';
    let at = usize::from(negative);
    let kept = |zeros: u32| if TRIM { places.saturating_sub(zeros).max(1) } else { places };
    if value < TEN_8 && places < 8 {
        let digits = eight(value);
        let before = 8 - places;
        let lead = (digits.trailing_zeros() / 8).min(before - 1);
        let kept = kept(digits.leading_zeros() / 8);
        let text = digits | ZEROS;
        store(slot, at, text >> (8 * lead));
        let point = at + (before - lead) as usize;
        store(slot, point, u64::from(b'.') | (text >> (8 * before)) << 8);
        return point + 1 + kept as usize;
    }
    let digits = sixteen(value);
    let before = 16 - places;
    let lead = (digits.trailing_zeros() / 8).min(before - 1);
    let kept = kept(digits.leading_zeros() / 8);
    let text = digits | ZEROS_16;
    store_16(slot, at, text >> (8 * lead));
    let point = at + (before - lead) as usize;
    store_16(slot, point, u128::from(b'.') | (text >> (8 * before)) << 8);
    point + 1 + kept as usize
}

/// Appends the digits of `value`.
pub(super) fn integer(value: u64, out: &mut Vec<u8>) {
    let mut slot = Slot::default();
    let end = unsigned(value, &mut slot);
    out.extend_from_slice(&slot[..end]);
}

#[cfg(test)]
mod tests {
    use super::super::slots::SLOT;
    use super::*;

    fn text(write: impl Fn(&mut Slot) -> usize) -> String {
        // what was in the slot before must not matter
        let mut slot = [b'#'; SLOT];
        let end = write(&mut slot);
        String::from_utf8(slot[..end].to_vec()).expect("ASCII")
    }

    /// Numbers of every length: all small ones, the neighbours of powers of 10 and 2, random ones.
    fn numbers() -> impl Iterator<Item = u64> {
        let tens = (0..20).map(|e| 10u64.pow(e));
        let twos = (0..64).map(|e| 1u64 << e);
        let near = tens.chain(twos).flat_map(|n| [n.wrapping_sub(1), n, n.wrapping_add(1)]);
        let mut seed = 1u64;
        let random = (0..200_000).map(move |i| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed ^ seed >> 29) >> (i % 64)
        });
        (0..100_000).chain(near).chain(random).chain([u64::MAX])
    }

    #[test]
    fn integers_are_as_the_standard_library_writes_them() {
        for n in numbers() {
            assert_eq!(text(|s| unsigned(n, s)), n.to_string());
            for n in [n.cast_signed(), n.cast_signed().wrapping_neg()] {
                assert_eq!(text(|s| signed(n, s)), n.to_string());
            }
        }
    }

    #[test]
    fn the_point_goes_where_it_is_asked_for() {
        for n in numbers().map(|n| n % TEN_16) {
            for places in 1..=15u32 {
                let scale = 10u64.pow(places);
                let want = format!("{}.{:0width$}", n / scale, n % scale, width = places as usize);
                assert_eq!(text(|s| fixed::<false>(n, places, false, s)), want);
                assert_eq!(text(|s| fixed::<false>(n, places, true, s)), format!("-{want}"));
                let trimmed = want.trim_end_matches('0');
                let trimmed = if trimmed.ends_with('.') { format!("{trimmed}0") } else { trimmed.to_owned() };
                assert_eq!(text(|s| fixed::<true>(n, places, false, s)), trimmed);
                assert_eq!(text(|s| fixed::<true>(n, places, true, s)), format!("-{trimmed}"));
            }
        }
    }
}
