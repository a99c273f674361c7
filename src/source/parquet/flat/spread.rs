//! Values that are written one behind the other, because nulls take no room in a page, move to their rows.
//!
//! From back to front, as they move towards the end, a word of validity at a time. With AVX2 four or eight rows at a time:
//! their bits name the permutation that brings each value to its row.

use super::levels::Places;

/// Moves the last `valid` of `out`'s values to their places, from back to front. Under a null stands the value in front
/// of it.
pub fn spread<T: Copy + Default>(out: &mut Vec<T>, valid: usize, places: Places<'_>) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("popcnt") {
        // SAFETY: the processor has both.
        return each_word(out, valid, places, |tail, row, left, bits| unsafe { avx2::word(tail, row, left, bits) });
    }
    each_word(out, valid, places, portable);
}

/// As `spread`; `some` moves the values of the 64 rows from one on, whose bits it is given, the last of which is the one
/// in front of the given position; more than 64 values lie in front of that.
fn each_word<T: Copy + Default>(
    out: &mut Vec<T>,
    valid: usize,
    places: Places<'_>,
    some: impl Fn(&mut [T], usize, usize, u64),
) {
    let first = out.len() - valid;
    let in_front = first.checked_sub(1).map(|i| out[i]).unwrap_or_default();
    out.resize(first + places.rows, T::default());
    let tail = &mut out[first..];
    // values of the rows in front of `row`; where these are as many, they are in their places
    let (mut left, mut row) = (valid, places.rows);
    while left < row {
        let start = (row - 1) / 64 * 64;
        let rows = row - start;
        let mut bits = places.word(start / 64) << (64 - rows);
        if rows == 64 && bits == u64::MAX {
            tail.copy_within(left - 64..left, start);
            left -= 64;
        } else if rows == 64 && left > 64 {
            some(tail, start, left, bits);
            left -= bits.count_ones() as usize;
        } else {
            for row in (start..row).rev() {
                tail[row] = left.checked_sub(1).map_or(in_front, |i| tail[i]);
                left -= (bits >> 63) as usize;
                bits <<= 1;
            }
        }
        row = start;
    }
}

fn portable<T: Copy>(tail: &mut [T], start: usize, mut left: usize, mut bits: u64) {
    // no branch on the bits: the next value stands in each row until a lower one takes the place
    for row in (start..start + 64).rev() {
        tail[row] = tail[left - 1];
        left -= (bits >> 63) as usize;
        bits <<= 1;
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{_mm256_loadu_si256, _mm256_permutevar8x32_epi32, _mm256_storeu_si256};

    /// For the bits of some rows: which of the values from the last one in front of them on comes to which row, by parts of
    /// four bytes. Where every row has a value, they are counted from the first of these on.
    static FOURS: [[u32; 8]; 16] = orders::<16>(2);
    static EIGHTS: [[u32; 8]; 256] = orders::<256>(1);

    #[expect(clippy::cast_possible_truncation, reason = "at most 8")]
    const fn orders<const N: usize>(parts: usize) -> [[u32; 8]; N] {
        let mut orders = [[0; 8]; N];
        let mut bits = 0;
        while bits < N {
            let (mut row, mut value) = (0, 0);
            while row < 8 / parts {
                value += (bits >> row & 1) as u32;
                let mut part = 0;
                while part < parts {
                    let from = value - (bits + 1 == N) as u32;
                    orders[bits][row * parts + part] = from * parts as u32 + part as u32;
                    part += 1;
                }
                row += 1;
            }
            bits += 1;
        }
        orders
    }

    #[target_feature(enable = "avx2,popcnt")]
    pub fn word<T: Copy>(tail: &mut [T], start: usize, left: usize, bits: u64) {
        match size_of::<T>() {
            4 => orders_of::<T, 8, 256>(tail, start, left, bits, &EIGHTS),
            8 => orders_of::<T, 4, 16>(tail, start, left, bits, &FOURS),
            _ => super::portable(tail, start, left, bits),
        }
    }

    /// `ROWS` values of `T` are 32 bytes, and `orders` has one for each of their bits.
    #[target_feature(enable = "avx2,popcnt")]
    fn orders_of<T: Copy, const ROWS: usize, const N: usize>(
        tail: &mut [T],
        start: usize,
        mut left: usize,
        mut bits: u64,
        orders: &[[u32; 8]; N],
    ) {
        for row in (start..start + 64).step_by(ROWS).rev() {
            let mine = usize::from((bits >> (64 - ROWS)).to_le_bytes()[0]);
            bits <<= ROWS;
            left -= mine.count_ones() as usize;
            let from = left - usize::from(mine + 1 != N);
            let found = &tail[from..from + ROWS];
            // SAFETY: the values and the order have 32 bytes each, and so have the rows.
            let moved = unsafe {
                let order = _mm256_loadu_si256(orders[mine].as_ptr().cast());
                _mm256_permutevar8x32_epi32(_mm256_loadu_si256(found.as_ptr().cast()), order)
            };
            let rows = &mut tail[row..row + ROWS];
            // SAFETY: as above.
            unsafe { _mm256_storeu_si256(rows.as_mut_ptr().cast(), moved) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::levels::Validity;
    use super::*;

    /// Row by row: the values behind `in_front`, each null with the one in front of it.
    fn expected<T: Copy + Default>(before: &[T], values: &[T], valid: &[bool]) -> Vec<T> {
        let (mut out, mut next) = (before.to_vec(), values.iter());
        for valid in valid {
            let last = out.last().copied().unwrap_or_default();
            out.push(if *valid { *next.next().expect("a value for each") } else { last });
        }
        out
    }

    fn check<T: Copy + Default + PartialEq + std::fmt::Debug>(of: impl Fn(usize) -> T) {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        for rows in [1, 5, 63, 64, 65, 128, 200, 1000] {
            for share in [0, 1, 30, 128, 250, 255] {
                for before in [0, 1, 3, 70] {
                    let mut validity = Validity::default();
                    validity.append(before, true);
                    let mut valid = Vec::new();
                    for row in 0..rows {
                        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
                        // some stretches without a null
                        valid.push(row / 64 % 3 == 2 || (state >> 56) < share);
                        validity.push(u64::from(valid[row]), 1);
                    }
                    let Some(places) = validity.last(rows) else { continue };
                    let values: Vec<T> = (0..valid.iter().filter(|v| **v).count()).map(|i| of(i + 100)).collect();
                    let old: Vec<T> = (0..before).map(&of).collect();
                    let wanted = expected(&old, &values, &valid);
                    let ways: [fn(&mut Vec<T>, usize, Places<'_>); 2] =
                        [spread, |out, valid, places| each_word(out, valid, places, portable)];
                    for way in ways {
                        let mut out = [&old[..], &values].concat();
                        way(&mut out, values.len(), places);
                        assert_eq!(out, wanted, "{rows} rows, {share}/256 valid, {before} before");
                    }
                }
            }
        }
    }

    #[test]
    fn values_come_to_their_rows_either_way() {
        check(|i| i as u32);
        check(|i| i as i32);
        check(|i| i as u64 | 7 << 40);
        check(|i| i as u16);
    }
}
