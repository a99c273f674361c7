//! Pages as they are stored → pages as they are read.
//!
//! A codec's context and the buffer for stored bytes cost more to make than a small page costs to decompress (a
//! zstd context takes about 160 KiB), so they lie on a desk of the run: who decompresses a page takes a set, and puts it
//! back. There are never more sets than workers.

use std::io::Read;
use std::sync::{Mutex, PoisonError};

use parquet::basic::Compression;

use super::snappy;
use crate::error::{Error, Result};
use crate::memory::{Holder, Lease};

/// Bytes that zstd's decompression context takes, rounded up.
const CONTEXT: usize = 192 << 10;
/// A buffer larger than this is not kept.
const KEPT: usize = 1 << 20;

/// How the pages of a column chunk are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// As they are.
    Plain,
    /// Raw Snappy.
    Snappy,
    /// Gzip members.
    Gzip,
    /// Brotli.
    Brotli,
    /// LZ4, in the framing of Hadoop, in its own, or in none: writers disagree.
    Lz4,
    /// One LZ4 block.
    Lz4Raw,
    /// One Zstandard frame or more.
    Zstd,
}

impl Codec {
    /// The codec that a footer names.
    ///
    /// # Errors
    /// [`Error::Format`] for LZO, which nobody writes any more.
    pub fn of(compression: Compression) -> Result<Self> {
        Ok(match compression {
            Compression::UNCOMPRESSED => Codec::Plain,
            Compression::SNAPPY => Codec::Snappy,
            Compression::GZIP(_) => Codec::Gzip,
            Compression::BROTLI(_) => Codec::Brotli,
            Compression::LZ4 => Codec::Lz4,
            Compression::LZ4_RAW => Codec::Lz4Raw,
            Compression::ZSTD(_) => Codec::Zstd,
            Compression::LZO => return Err(Error::Format("compressed with LZO, which is not supported".into())),
        })
    }
}

/// The tools that lie ready; shared by the columns of a run.
pub struct Desk {
    ready: Mutex<Vec<Tools>>,
    holder: Holder,
}

/// What it takes to decompress a page.
#[derive(Default)]
pub struct Tools {
    /// The page as it is stored.
    pub stored: Vec<u8>,
    zstd: Option<(zstd::bulk::Decompressor<'static>, Lease)>,
}

impl Desk {
    /// A desk with nothing on it; what lies there is held by `holder`.
    pub fn new(holder: Holder) -> Self {
        Self { ready: Mutex::default(), holder }
    }

    /// Does `work` with tools from the desk that can decompress `codec`.
    ///
    /// # Errors
    /// Those of `work`; [`Error::MemoryLimit`] where the run has no room for a context.
    pub fn with<T>(&self, codec: Codec, work: impl FnOnce(&mut Tools) -> Result<T>) -> Result<T> {
        let taken = self.ready.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut tools = taken.unwrap_or_default();
        if codec == Codec::Zstd && tools.zstd.is_none() {
            let lease = self.holder.lease(CONTEXT)?;
            tools.zstd = Some((zstd::bulk::Decompressor::new()?, lease));
        }
        let out = work(&mut tools);
        if tools.stored.capacity() > KEPT {
            tools.stored = Vec::new();
        }
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).push(tools);
        out
    }
}

impl Tools {
    /// Decompresses the first `len` bytes of `stored`, from `at` on, into all of `to`.
    ///
    /// # Errors
    /// [`Error::Format`] for bytes that are no such thing, or that give more or fewer bytes than `to` has.
    pub fn decompress(&mut self, codec: Codec, at: usize, len: usize, to: &mut [u8]) -> Result<()> {
        let from = self.stored.get(at..len).ok_or_else(|| Error::Format("a page is shorter than its levels".into()))?;
        let expected = to.len();
        let found = match codec {
            Codec::Plain if from.len() == expected => {
                to.copy_from_slice(from);
                expected
            }
            Codec::Plain => from.len(),
            Codec::Snappy => {
                let done = snappy::decompress(from, to);
                done.ok_or_else(|| damaged("it is not Snappy, or of another size"))?;
                expected
            }
            Codec::Gzip => fill(flate2::read::MultiGzDecoder::new(from), to)?,
            Codec::Brotli => fill(brotli::Decompressor::new(from, 4096), to)?,
            Codec::Lz4 => lz4(from, to)?,
            Codec::Lz4Raw => lz4_flex::block::decompress_into(from, to).map_err(damaged)?,
            Codec::Zstd => match &mut self.zstd {
                Some((context, _)) => context.decompress_to_buffer(from, to).map_err(damaged)?,
                None => return Err(Error::Format("no context for zstd".into())),
            },
        };
        if found != expected {
            return Err(Error::Format(format!("a page of {expected} bytes announced, found {found}")));
        }
        Ok(())
    }
}

/// What a decompressor says of bytes that it cannot read: nothing was read from a file here.
fn damaged(error: impl std::fmt::Display) -> Error {
    Error::Format(format!("a page cannot be decompressed: {error}"))
}

/// Reads all of `to`, and looks whether anything follows; how many bytes there were.
fn fill(mut from: impl Read, to: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < to.len() {
        match from.read(&mut to[filled..]).map_err(damaged)? {
            0 => return Ok(filled),
            n => filled += n,
        }
    }
    Ok(filled + from.read(&mut [0]).map_err(damaged)?)
}

/// LZ4 as it comes: Hadoop's framing is the one that the format meant; some writers wrote frames, some bare blocks.
fn lz4(from: &[u8], to: &mut [u8]) -> Result<usize> {
    if let Some(found) = lz4_of_hadoop(from, to) {
        return Ok(found);
    }
    match fill(lz4_flex::frame::FrameDecoder::new(from), to) {
        Ok(found) if found == to.len() => Ok(found),
        _ => lz4_flex::block::decompress_into(from, to).map_err(damaged),
    }
}

/// Blocks, each behind its sizes, decompressed and stored, as big-endian 32-bit numbers; `None` where it is not that.
fn lz4_of_hadoop(mut from: &[u8], to: &mut [u8]) -> Option<usize> {
    let mut filled = 0_usize;
    while !from.is_empty() {
        let (whole, rest) = from.split_first_chunk::<4>()?;
        let (stored, rest) = rest.split_first_chunk::<4>()?;
        let whole = usize::try_from(u32::from_be_bytes(*whole)).ok()?;
        let stored = usize::try_from(u32::from_be_bytes(*stored)).ok()?;
        let (block, rest) = rest.split_at_checked(stored)?;
        let into = to.get_mut(filled..filled.checked_add(whole)?)?;
        let found = lz4_flex::block::decompress_into(block, into).ok()?;
        if found != whole {
            return None;
        }
        filled += whole;
        from = rest;
    }
    Some(filled)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::memory::MemoryPool;

    fn text() -> Vec<u8> {
        (0..20_000_u32).flat_map(|i| (i % 97).to_le_bytes()).collect()
    }

    fn hadoop(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for block in bytes.chunks(30_000) {
            let stored = lz4_flex::block::compress(block);
            out.extend((block.len() as u32).to_be_bytes());
            out.extend((stored.len() as u32).to_be_bytes());
            out.extend(stored);
        }
        out
    }

    fn stored(codec: Codec, bytes: &[u8]) -> Vec<Vec<u8>> {
        let gzip = |bytes: &[u8]| {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(bytes).expect("memory");
            out.finish().expect("memory")
        };
        let half = bytes.len() / 2;
        match codec {
            Codec::Plain => vec![bytes.to_vec()],
            Codec::Snappy => vec![snap::raw::Encoder::new().compress_vec(bytes).expect("memory")],
            Codec::Gzip => vec![gzip(bytes), [gzip(&bytes[..half]), gzip(&bytes[half..])].concat()],
            Codec::Brotli => {
                let mut out = Vec::new();
                brotli::CompressorWriter::new(&mut out, 4096, 1, 20).write_all(bytes).expect("memory");
                vec![out]
            }
            Codec::Lz4 => {
                let mut frame = lz4_flex::frame::FrameEncoder::new(Vec::new());
                frame.write_all(bytes).expect("memory");
                vec![hadoop(bytes), frame.finish().expect("memory"), lz4_flex::block::compress(bytes)]
            }
            Codec::Lz4Raw => vec![lz4_flex::block::compress(bytes)],
            Codec::Zstd => vec![zstd::bulk::compress(bytes, 1).expect("memory")],
        }
    }

    #[test]
    fn every_codec_gives_back_what_was_stored_and_tells_damage() {
        let desk = Desk::new(MemoryPool::new(None).holder("pages", None));
        let text = text();
        for codec in [Codec::Plain, Codec::Snappy, Codec::Gzip, Codec::Brotli, Codec::Lz4, Codec::Lz4Raw, Codec::Zstd] {
            for stored in stored(codec, &text) {
                let read = |stored: &[u8], size: usize| {
                    desk.with(codec, |tools| {
                        tools.stored = stored.to_vec();
                        let mut out = vec![7; size];
                        tools.decompress(codec, 0, stored.len(), &mut out).map(|()| out)
                    })
                };
                assert_eq!(read(&stored, text.len()).expect("reads"), text, "{codec:?}");
                for size in [0, 1, text.len() - 1, text.len() + 1] {
                    let e = read(&stored, size).expect_err("another size");
                    assert!(matches!(e, Error::Format(_)), "{codec:?} {size}: {e:?}");
                }
                for cut in (0..stored.len()).step_by(stored.len() / 50 + 1) {
                    let e = read(&stored[..cut], text.len()).expect_err("cut off");
                    assert!(matches!(e, Error::Format(_)), "{codec:?} {cut}: {e:?}");
                }
            }
        }
    }
}
