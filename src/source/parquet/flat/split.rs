//! Values written as streams of their bytes: all first bytes, then all second ones (Parquet format, `Encodings.md`,
//! "Byte Stream Split (BYTE_STREAM_SPLIT = 9)").
//!
//! They are put together a block at a time, in a buffer that the nearest cache has, and are PLAIN values from there on.
//! Where a value has two, four, eight or sixteen bytes, sixteen of them are at once: the bytes of two registers,
//! taken in turns, as often as a value's bytes can be halved, are those of whole values in their order.

use bytes::Bytes;

use super::column::short;
use crate::error::{Error, Result};

/// Bytes of a block, where a value has not more.
const BLOCK: usize = 8 << 10;
/// Values that are put together at once.
const GROUP: usize = 16;

/// The values of a page, read once from front to back. Holds the page and a block.
pub struct Split {
    bytes: Bytes,
    width: usize,
    /// How many values there are, and how many of them were passed.
    count: usize,
    at: usize,
    block: Vec<u8>,
}

impl Split {
    /// Values of `width` bytes each, which is not 0.
    ///
    /// # Errors
    /// Streams that differ in length.
    pub fn new(bytes: Bytes, width: usize) -> Result<Self> {
        if !bytes.len().is_multiple_of(width) {
            return Err(Error::Format(format!(
                "expected {width} streams of bytes of one length, found {} bytes",
                bytes.len()
            )));
        }
        let count = bytes.len() / width;
        Ok(Self { bytes, width, count, at: 0, block: vec![0; (BLOCK / width).max(1) * width] })
    }

    /// The next values, at least one and at most `most`, which is not 0: how many, and their bytes.
    ///
    /// # Errors
    /// A page that ends before.
    pub fn next(&mut self, most: usize) -> Result<(usize, &[u8])> {
        let count = most.min(self.block.len() / self.width).min(self.count - self.at);
        if count == 0 {
            return Err(short());
        }
        let values = &mut self.block[..count * self.width];
        join(&self.bytes[self.at..], self.count, self.width, values);
        self.at += count;
        Ok((count, values))
    }

    /// Leaves out `count` values.
    ///
    /// # Errors
    /// A page that ends before.
    pub fn skip(&mut self, count: usize) -> Result<()> {
        if count > self.count - self.at {
            return Err(short());
        }
        self.at += count;
        Ok(())
    }
}

/// Fills `values`, `width` bytes each, from streams, each of which begins `stride` bytes behind the one before.
fn join(streams: &[u8], stride: usize, width: usize, values: &mut [u8]) {
    let done = groups(streams, stride, width, values);
    let rest = &mut values[done * width..];
    for stream in 0..width {
        let bytes = streams.get(stream * stride + done..).unwrap_or_default();
        for (value, byte) in rest.chunks_exact_mut(width).zip(bytes) {
            value[stream] = *byte;
        }
    }
}

/// As `join`, for the first values; how many these are.
#[cfg(target_arch = "x86_64")]
fn groups(streams: &[u8], stride: usize, width: usize, values: &mut [u8]) -> usize {
    // SAFETY: every processor of this kind has SSE2.
    unsafe {
        match width {
            2 => sse2::groups::<2>(streams, stride, values),
            4 => sse2::groups::<4>(streams, stride, values),
            8 => sse2::groups::<8>(streams, stride, values),
            16 => sse2::groups::<16>(streams, stride, values),
            _ => 0,
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn groups(_: &[u8], _: usize, _: usize, _: &mut [u8]) -> usize {
    0
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{_mm_loadu_si128, _mm_storeu_si128, _mm_unpackhi_epi8, _mm_unpacklo_epi8};

    use super::GROUP;

    #[target_feature(enable = "sse2")]
    pub fn groups<const W: usize>(streams: &[u8], stride: usize, values: &mut [u8]) -> usize {
        let mut done = 0;
        for group in values.chunks_exact_mut(GROUP * W) {
            let mut bytes: [_; W] = std::array::from_fn(|stream| {
                let found: &[u8] = &streams[stream * stride + done..][..GROUP];
                // SAFETY: these are sixteen bytes.
                unsafe { _mm_loadu_si128(found.as_ptr().cast()) }
            });
            for _ in 0..W.ilog2() {
                let before = bytes;
                for i in 0..W / 2 {
                    bytes[2 * i] = _mm_unpacklo_epi8(before[i], before[W / 2 + i]);
                    bytes[2 * i + 1] = _mm_unpackhi_epi8(before[i], before[W / 2 + i]);
                }
            }
            for (value, to) in bytes.into_iter().zip(group.chunks_exact_mut(GROUP)) {
                // SAFETY: these are sixteen bytes.
                unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), value) };
            }
            done += GROUP;
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` values, byte by byte, and their streams.
    fn written(count: usize, width: usize) -> (Vec<u8>, Vec<u8>) {
        let values: Vec<u8> = (0..count * width).map(|i| ((i * 7919) >> 3) as u8).collect();
        let streams = (0..width).flat_map(|stream| values.iter().skip(stream).step_by(width).copied()).collect();
        (values, streams)
    }

    #[test]
    fn every_width_and_step_gives_what_was_written() {
        for width in (1..=33).chain([300, 9000]) {
            for count in [0, 1, 15, 16, 17, 100, 1000, 5000].into_iter().filter(|n| n * width < 1 << 20) {
                let (values, streams) = written(count, width);
                for step in [1, 16, 37, 9000] {
                    for passed in [0, 1, 16].into_iter().filter(|n| *n <= count) {
                        let mut split = Split::new(streams.clone().into(), width).expect("streams");
                        split.skip(passed).expect("as many");
                        let mut found = Vec::new();
                        while found.len() < values.len() - passed * width {
                            let (count, some) = split.next(step).expect("more values");
                            assert_eq!(some.len(), count * width);
                            found.extend_from_slice(some);
                        }
                        assert!(found == values[passed * width..], "{width} {count} {step} {passed}");
                        assert!(split.next(1).is_err() && split.skip(1).is_err(), "nothing is left");
                    }
                }
            }
        }
    }

    #[test]
    fn streams_of_several_lengths_are_told() {
        for (length, width) in [(7, 8), (9, 8), (1, 2), (13, 4), (40, 12)] {
            let e = Split::new(vec![0; length].into(), width).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(e.contains(&format!("expected {width} streams")) && e.contains(&format!("{length} bytes")), "{e}");
        }
    }
}
