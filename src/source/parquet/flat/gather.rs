//! The values of a dictionary that indices name, put one behind the other.
//!
//! With AVX2 the highest index is found eight at a time, and four values of eight bytes are stored as one: they go to
//! memory that the nearest cache does not have, and the fewer stores wait for it, the more values are looked up meanwhile.

use super::fixed::Word;

/// Appends those of `values` that `indices` name to `to`.
///
/// # Errors
/// The highest index, where there is no value for it; nothing is appended then.
pub fn gather<W: Word>(values: &[W::Stored], indices: &[u32], to: &mut Vec<W>) -> Result<(), u32> {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { avx2::gather(values, indices, to) };
    }
    portable(values, indices, to)
}

/// Whether there is one of `count` values for each of `indices`.
///
/// # Errors
/// The highest index, where there is not.
pub fn check(indices: &[u32], count: usize) -> Result<(), u32> {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { avx2::check(indices, count) };
    }
    below(indices, count)
}

fn portable<W: Word>(values: &[W::Stored], indices: &[u32], to: &mut Vec<W>) -> Result<(), u32> {
    below(indices, values.len())?;
    to.extend(indices.iter().map(|i| W::read(&values[*i as usize])));
    Ok(())
}

#[inline(always)]
fn below(indices: &[u32], count: usize) -> Result<(), u32> {
    match indices.iter().copied().max() {
        Some(highest) if highest as usize >= count => Err(highest),
        _ => Ok(()),
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{_mm_loadl_epi64, _mm_unpacklo_epi64, _mm256_set_m128i, _mm256_storeu_si256};

    use super::{Word, below};

    #[target_feature(enable = "avx2")]
    pub fn check(indices: &[u32], count: usize) -> Result<(), u32> {
        below(indices, count)
    }

    #[target_feature(enable = "avx2")]
    pub fn gather<W: Word>(values: &[W::Stored], indices: &[u32], to: &mut Vec<W>) -> Result<(), u32> {
        below(indices, values.len())?;
        to.reserve(indices.len());
        let out = &mut to.spare_capacity_mut()[..indices.len()];
        let (fours, rest) = indices.as_chunks::<4>();
        let (whole, last) = out.as_chunks_mut::<4>();
        for (four, out) in fours.iter().zip(whole) {
            if size_of::<W>() == 8 && size_of::<W::Stored>() == 8 {
                // SAFETY: each index is one of a value, which has eight bytes, and `out` has 32.
                unsafe {
                    let [a, b, c, d] = four.map(|i| _mm_loadl_epi64(values.as_ptr().add(i as usize).cast()));
                    let together = _mm256_set_m128i(_mm_unpacklo_epi64(c, d), _mm_unpacklo_epi64(a, b));
                    _mm256_storeu_si256(out.as_mut_ptr().cast(), together);
                }
                continue;
            }
            for (i, out) in four.iter().zip(out) {
                // SAFETY: each index is one of a value.
                out.write(W::read(unsafe { values.get_unchecked(*i as usize) }));
            }
        }
        for (i, out) in rest.iter().zip(last) {
            out.write(W::read(&values[*i as usize]));
        }
        // SAFETY: as many were written, one behind the other from the first spare place on.
        unsafe { to.set_len(to.len() + indices.len()) };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Way<W> = fn(&[<W as Word>::Stored], &[u32], &mut Vec<W>) -> Result<(), u32>;

    fn check<W: Word + std::fmt::Debug>() {
        let bytes: Vec<u8> = (0..700 * size_of::<W>()).map(|i| ((i * 7919) >> 3) as u8).collect();
        // at no border of a word
        let values = W::stored(&bytes[1..]);
        for len in [0, 1, 2, 3, 4, 5, 8, 31, 1024] {
            let mut indices: Vec<u32> = (0..len).map(|i| (i * 7919 + 3) % values.len() as u32).collect();
            for way in [gather::<W> as Way<W>, portable::<W>] {
                let mut to = vec![W::lowest(9)];
                assert_eq!(way(values, &indices, &mut to), Ok(()));
                let expected: Vec<W> = indices.iter().map(|i| W::read(&values[*i as usize])).collect();
                assert_eq!((to[0], &to[1..]), (W::lowest(9), &expected[..]), "{len}");
            }
            for at in 0..len as usize {
                let was = std::mem::replace(&mut indices[at], values.len() as u32 + at as u32 % 2);
                for way in [gather::<W> as Way<W>, portable::<W>] {
                    let mut to = Vec::new();
                    assert_eq!(way(values, &indices, &mut to), Err(indices[at]), "{at} of {len}");
                    assert!(to.is_empty());
                }
                indices[at] = was;
            }
        }
    }

    #[test]
    fn values_are_looked_up_or_the_index_is_told_either_way() {
        check::<u8>();
        check::<u16>();
        check::<u32>();
        check::<u64>();
        check::<u128>();
    }
}
