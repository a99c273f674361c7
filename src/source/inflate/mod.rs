//! gz, zst, bz2, xz and lz4, streamed.
//!
//! | file | |
//! |---|---|
//! | `bgzf` | gzip of many small members, inflated by all cores |
//! | `members` | gzip and bzip2: members, each with a decoder of its own |
//! | `zstandard` | zstd frames |
//! | `xz` | xz streams, by liblzma |
//! | `lz4` | LZ4 frames |
//!
//! A compressed file is a chain of members, frames or streams, which are read one after the other as one text. What
//! a decoder must hold to read one is known from its first bytes, and leased ([`Room`]) before it is allocated: a zstd
//! frame or an xz stream may ask for a window of any size. Nothing depends on how large the text gets, so a bomb is
//! only a long text.

mod bgzf;
mod lz4;
mod members;
mod xz;
mod zstandard;

use std::io::{self, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::format::Compression;
use crate::memory::{Holder, Lease};

/// The largest window that a frame or stream may ask for: 128 MiB, as the `zstd` program takes without being told;
/// `xz -9` asks for 64.
const LARGEST_WINDOW: u64 = 1 << 27;
/// Compressed bytes read at once.
const INPUT: usize = 64 << 10;
/// What a decoder holds beside its window.
const STATE: usize = INPUT + (192 << 10);

/// A reader of compressed bytes.
type Input = BufReader<Box<dyn Read + Send>>;

/// The memory of a decoder: counted from the first byte on, leased once there is a run to lease it from.
#[derive(Debug, Clone, Default)]
pub struct Room(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    /// Of the decoder.
    bytes: usize,
    /// Of whoever stands behind it.
    beside: usize,
    lease: Option<Lease>,
}

impl Room {
    /// Leases what is held, now and from now on, from `holder`.
    ///
    /// # Errors
    /// [`Error::MemoryLimit`].
    pub fn bind(&self, holder: &Holder) -> Result<()> {
        let mut held = self.held();
        held.lease = Some(holder.lease(held.bytes + held.beside)?);
        Ok(())
    }

    /// Counts `bytes` that are held beside the decoder's.
    ///
    /// # Errors
    /// [`Error::MemoryLimit`].
    pub fn beside(&self, bytes: usize) -> Result<()> {
        let decoder = self.held().bytes;
        self.resize(decoder, bytes)
    }

    fn hold(&self, bytes: usize) -> Result<()> {
        let beside = self.held().beside;
        self.resize(bytes, beside)
    }

    fn resize(&self, bytes: usize, beside: usize) -> Result<()> {
        let mut held = self.held();
        if let Some(lease) = &mut held.lease {
            lease.resize(bytes.saturating_add(beside))?;
        }
        (held.bytes, held.beside) = (bytes, beside);
        Ok(())
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The text that `reader`, called `name` in errors, holds compressed. Errors of this crate travel inside the
/// reader's [`io::Error`]s. Where the format allows it, `crew` threads inflate at once, which needs more of it to be read.
///
/// # Errors
/// [`Error::MemoryLimit`].
pub fn inflate(
    name: &str,
    compression: Compression,
    reader: Box<dyn Read + Send>,
    room: &Room,
    crew: usize,
) -> Result<Box<dyn Read + Send>> {
    let input = BufReader::with_capacity(INPUT, reader);
    room.hold(STATE)?;
    Ok(match compression {
        Compression::Gzip => match bgzf::Bgzf::open(name, input, room, crew) {
            Ok(ours) => Box::new(ours),
            Err(input) => Box::new(members::gzip(name, input)),
        },
        Compression::Zstd => Box::new(zstandard::Zstd::new(name, input, room)?),
        Compression::Bzip2 => Box::new(members::bzip2(name, input, room)?),
        Compression::Xz => Box::new(xz::Xz::new(name, input, room)?),
        Compression::Lz4 => Box::new(lz4::Lz4::new(name, input, room)),
    })
}

/// What went wrong inside a compressed file, as an error of the reader.
fn damaged(name: &str, compression: Compression, what: impl std::fmt::Display) -> io::Error {
    io::Error::other(Error::Format(format!("{name}: damaged {} stream: {what}", compression.name())))
}

/// Whether an error came from the reader below, not from the decoder.
fn from_below(e: &io::Error) -> bool {
    e.raw_os_error().is_some() || e.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Error>)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryPool;
    use std::io::{Cursor, Write};

    fn gz(text: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(text).expect("memory");
        out.finish().expect("memory")
    }

    fn zst(text: &[u8]) -> Vec<u8> {
        let mut out = zstd::Encoder::new(Vec::new(), 1).expect("memory");
        out.include_checksum(true).expect("known");
        out.write_all(text).expect("memory");
        out.finish().expect("memory")
    }

    fn bz2(text: &[u8]) -> Vec<u8> {
        let mut out = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::fast());
        out.write_all(text).expect("memory");
        out.finish().expect("memory")
    }

    fn xz(text: &[u8]) -> Vec<u8> {
        let mut out = liblzma::write::XzEncoder::new(Vec::new(), 1);
        out.write_all(text).expect("memory");
        out.finish().expect("memory")
    }

    fn lz4(text: &[u8]) -> Vec<u8> {
        let info = lz4_flex::frame::FrameInfo::new().content_checksum(true);
        let mut out = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
        out.write_all(text).expect("memory");
        out.finish().expect("memory")
    }

    fn all(bytes: Vec<u8>) -> Result<Vec<u8>> {
        let compression = Compression::of_magic(&bytes).expect("compressed");
        let mut reader = inflate("a.csv.gz", compression, Box::new(Cursor::new(bytes)), &Room::default(), 1)?;
        let mut out = Vec::new();
        reader.read_to_end(&mut out).map_err(|e| e.downcast::<Error>().expect("ours"))?;
        Ok(out)
    }

    #[test]
    fn members_and_frames_follow_each_other() {
        let long = b"0123456789".repeat(50_000);
        for pack in [gz, zst, bz2, xz, lz4] {
            assert_eq!(all(pack(b"a,b\n")).expect("one"), b"a,b\n");
            assert_eq!(all(pack(b"")).expect("empty"), b"");
            let parts = [pack(b"a,"), pack(b""), pack(&long), pack(b"b\n")].concat();
            assert_eq!(all(parts).expect("four"), [b"a,".as_slice(), &long, b"b\n"].concat());
        }
        assert_eq!(all([gz(b"a"), vec![0; 100]].concat()).expect("padded"), b"a");
        assert_eq!(all([xz(b"a"), vec![0; 100]].concat()).expect("padded"), b"a");
        let skip = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
        assert_eq!(all([&skip, zst(b"x").as_slice()].concat()).expect("skipped"), b"x");
        assert_eq!(all([lz4(b"x").as_slice(), &skip, &lz4(b"y")].concat()).expect("skipped"), b"xy");
    }

    #[test]
    fn every_truncation_is_an_error_that_names_the_file() {
        let text: Vec<u8> = (0..2_000_u32).flat_map(|i| (i.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()).collect();
        for pack in [gz, zst, bz2, xz, lz4] {
            let whole = pack(&text);
            for len in (10..whole.len()).step_by(97).chain([whole.len() - 1]) {
                let e = all(whole[..len].to_vec()).expect_err("truncated");
                assert!(matches!(&e, Error::Format(m) if m.starts_with("a.csv.gz: damaged")), "{len}: {e}");
            }
        }
    }

    #[test]
    fn trailing_garbage_and_flipped_bits_are_errors() {
        for pack in [gz, zst, bz2, xz, lz4] {
            let garbage = all([pack(b"a"), b"garbage".to_vec()].concat());
            assert!(matches!(garbage, Err(Error::Format(_))), "{garbage:?}");
            let mut bytes = pack(&b"some text ".repeat(100));
            let at = bytes.len() / 2;
            bytes[at] ^= 1;
            assert!(matches!(all(bytes), Err(Error::Format(_))), "what it holds is checked");
        }
    }

    #[test]
    fn a_bomb_is_a_long_text() {
        for pack in [gz, zst, bz2, xz, lz4] {
            let bytes = pack(&vec![0; 16 << 20]);
            let compression = Compression::of_magic(&bytes).expect("compressed");
            let pool = MemoryPool::new(Some(13 << 20));
            let room = Room::default();
            room.bind(&pool.holder("csv", None)).expect("nothing yet");
            let mut reader = inflate("a", compression, Box::new(Cursor::new(bytes)), &room, 1).expect("room");
            assert_eq!(io::copy(&mut reader, &mut io::sink()).expect("bounded"), 16 << 20);
            drop((reader, room));
            assert_eq!(pool.held(), 0);
        }
    }

    #[test]
    fn a_window_is_leased_and_a_forged_one_refused() {
        let pool = MemoryPool::new(Some(1 << 20));
        let room = Room::default();
        room.bind(&pool.holder("csv", None)).expect("nothing yet");
        // Magic, no content size, a window of 2^(10 + 13) bytes.
        let forged = |log: u8| [0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3, 1, 0, 0].to_vec();
        let read = |bytes: Vec<u8>, room: &Room| {
            let mut reader = inflate("a.zst", Compression::Zstd, Box::new(Cursor::new(bytes)), room, 1)?;
            reader.read(&mut [0; 9]).map_err(|e| e.downcast::<Error>().expect("ours"))
        };
        assert!(matches!(read(forged(23), &room), Err(Error::MemoryLimit(_))));
        assert!(matches!(read(forged(31), &Room::default()), Err(Error::Format(m)) if m.contains("2048 MiB")));
        assert_eq!(read(forged(20), &Room::default()).expect("an empty frame"), 0);
        let pool = MemoryPool::new(Some(8 << 20));
        let room = Room::default();
        room.bind(&pool.holder("csv", None)).expect("nothing yet");
        let mut options = liblzma::stream::LzmaOptions::new_preset(0).expect("a preset");
        options.dict_size(64 << 20);
        let mut filters = liblzma::stream::Filters::new();
        filters.lzma2(&options);
        let stream = liblzma::stream::Stream::new_stream_encoder(&filters, liblzma::stream::Check::Crc32);
        let mut out = liblzma::write::XzEncoder::new_stream(Vec::new(), stream.expect("an encoder"));
        out.write_all(b"text").expect("memory");
        let bytes = out.finish().expect("memory");
        let mut reader = inflate("a.xz", Compression::Xz, Box::new(Cursor::new(bytes)), &room, 1).expect("room");
        let e = reader.read(&mut [0; 9]).expect_err("64 MiB").downcast::<Error>().expect("ours");
        assert!(matches!(e, Error::MemoryLimit(_)), "{e}");
    }
}
