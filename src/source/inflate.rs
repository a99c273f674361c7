//! gz and zst, streamed.
//!
//! A compressed file is a chain of members (gzip) or frames (zstd); both are read one after the other as one text.
//! What a decoder must hold to read one is known from its first bytes, and leased ([`Room`]) before it is allocated:
//! a zstd frame may ask for a window of any size. Nothing depends on how large the text gets, so a bomb is only a
//! long text.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::bufread::GzDecoder;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use crate::error::{Error, Result};
use crate::format::Compression;
use crate::memory::{Holder, Lease};

/// The largest window that a zstd frame may ask for: 128 MiB, as the `zstd` program takes without being told.
const WINDOW_LOG: u32 = 27;
/// Compressed bytes read at once.
const INPUT: usize = 64 << 10;
/// What a decoder holds beside its window.
const STATE: usize = INPUT + (192 << 10);

/// The memory of a decoder: counted from the first byte on, leased once there is a run to lease it from.
#[derive(Debug, Clone, Default)]
pub struct Room(Arc<Mutex<(usize, Option<Lease>)>>);

impl Room {
    /// Leases what is held, now and from now on, from `holder`.
    ///
    /// # Errors
    /// [`Error::MemoryLimit`].
    pub fn bind(&self, holder: &Holder) -> Result<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 = Some(holder.lease(state.0)?);
        Ok(())
    }

    fn hold(&self, bytes: usize) -> Result<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lease) = &mut state.1 {
            lease.resize(bytes)?;
        }
        state.0 = bytes;
        Ok(())
    }
}

/// The text that `reader`, called `name` in errors, holds compressed. Errors of this crate travel inside the
/// reader's [`io::Error`]s.
///
/// # Errors
/// [`Error::NotImplemented`] for a compression that is not built, [`Error::MemoryLimit`].
pub fn inflate(
    name: &str,
    compression: Compression,
    reader: Box<dyn Read + Send>,
    room: &Room,
) -> Result<Box<dyn Read + Send>> {
    let input = BufReader::with_capacity(INPUT, reader);
    room.hold(STATE)?;
    match compression {
        Compression::Gzip => Ok(Box::new(Gzip { name: name.to_owned(), member: Some(GzDecoder::new(input)) })),
        Compression::Zstd => {
            let mut decoder = Decoder::new()?;
            decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG))?;
            Ok(Box::new(Zstd { name: name.to_owned(), input, decoder, in_frame: false, room: room.clone() }))
        }
        other => Err(Error::NotImplemented(format!(
            "{name}: is compressed with {}; only gzip and zstd are built",
            other.name()
        ))),
    }
}

/// What went wrong inside a compressed file, as an error of the reader.
fn damaged(name: &str, compression: Compression, what: impl std::fmt::Display) -> io::Error {
    io::Error::other(Error::Format(format!("{name}: damaged {} stream: {what}", compression.name())))
}

/// Whether an error came from the reader below, not from the decoder.
fn from_below(e: &io::Error) -> bool {
    e.raw_os_error().is_some() || e.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Error>)
}

struct Gzip {
    name: String,
    /// The member being read; `None` behind the last.
    member: Option<GzDecoder<BufReader<Box<dyn Read + Send>>>>,
}

impl Read for Gzip {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        while let Some(member) = &mut self.member {
            match member.read(into) {
                Ok(0) => self.next_member()?,
                Ok(n) => return Ok(n),
                Err(e) if from_below(&e) || e.kind() == io::ErrorKind::Interrupted => return Err(e),
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                    return Err(damaged(
                        &self.name,
                        Compression::Gzip,
                        "it ends before its last block; is it truncated?",
                    ));
                }
                Err(e) => return Err(damaged(&self.name, Compression::Gzip, e)),
            }
        }
        Ok(0)
    }
}

impl Gzip {
    /// Goes on behind a member: zeros pad, another member follows, or nothing.
    fn next_member(&mut self) -> io::Result<()> {
        let Some(member) = self.member.take() else { return Ok(()) };
        let mut input = member.into_inner();
        loop {
            let head = input.fill_buf()?;
            match head.iter().position(|b| *b != 0) {
                None if head.is_empty() => return Ok(()),
                None => {
                    let zeros = head.len();
                    input.consume(zeros);
                }
                Some(at) if head[at] == 0x1f => {
                    input.consume(at);
                    self.member = Some(GzDecoder::new(input));
                    return Ok(());
                }
                Some(_) => {
                    return Err(damaged(
                        &self.name,
                        Compression::Gzip,
                        "bytes behind its end that are no further member",
                    ));
                }
            }
        }
    }
}

struct Zstd {
    name: String,
    input: BufReader<Box<dyn Read + Send>>,
    decoder: Decoder<'static>,
    in_frame: bool,
    room: Room,
}

impl Read for Zstd {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.in_frame && !self.begin_frame()? {
                return Ok(0);
            }
            let source = self.input.fill_buf()?;
            let ended = source.is_empty();
            let mut source = InBuffer::around(source);
            let mut target = OutBuffer::around(&mut *into);
            let left = self.decoder.run(&mut source, &mut target);
            let (taken, given) = (source.pos(), target.pos());
            let left = left.map_err(|e| damaged(&self.name, Compression::Zstd, e))?;
            self.input.consume(taken);
            self.in_frame = left != 0;
            if given > 0 {
                return Ok(given);
            }
            if ended && self.in_frame {
                return Err(damaged(&self.name, Compression::Zstd, "it ends inside a frame; is it truncated?"));
            }
        }
    }
}

impl Zstd {
    /// Prepares for the next frame; `false` at the end of the input.
    fn begin_frame(&mut self) -> io::Result<bool> {
        let head = self.input.fill_buf()?;
        if head.is_empty() {
            return Ok(false);
        }
        // A header that the buffer cuts in two is rare; it counts as one that asks for the usual window.
        let window = window(head).unwrap_or(8 << 20);
        if window > 1 << WINDOW_LOG {
            return Err(damaged(
                &self.name,
                Compression::Zstd,
                format_args!(
                    "a frame asks for a window of {} MiB, expected at most {} MiB; compress it without --long or --ultra",
                    window >> 20,
                    (1_u64 << WINDOW_LOG) >> 20
                ),
            ));
        }
        // The window is a ring buffer with room for one more block.
        self.room.hold(STATE + usize::try_from(window).unwrap_or(usize::MAX / 2)).map_err(io::Error::other)?;
        self.decoder.reinit()?;
        self.in_frame = true;
        Ok(true)
    }
}

/// The bytes of window that a frame asks for (RFC 8878, 3.1.1.1); 0 for a frame to be skipped.
fn window(head: &[u8]) -> Option<u64> {
    if let [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] = head {
        return Some(0);
    }
    let descriptor = *head.get(4)?;
    if descriptor & 0x20 == 0 {
        let byte = u64::from(*head.get(5)?);
        let base = 1_u64 << (10 + (byte >> 3));
        return Some(base + base / 8 * (byte & 7));
    }
    // A single segment: the window is the content.
    let at = 5 + [0, 1, 2, 4][usize::from(descriptor & 3)];
    let bytes = head.get(at..at + [1, 2, 4, 8][usize::from(descriptor >> 6)])?;
    let size = bytes.iter().rev().fold(0_u64, |size, b| size << 8 | u64::from(*b));
    Some(if bytes.len() == 2 { size + 256 } else { size })
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
        zstd::encode_all(text, 1).expect("memory")
    }

    fn all(bytes: Vec<u8>) -> Result<Vec<u8>> {
        let compression = Compression::of_magic(&bytes).expect("compressed");
        let mut reader = inflate("a.csv.gz", compression, Box::new(Cursor::new(bytes)), &Room::default())?;
        let mut out = Vec::new();
        reader.read_to_end(&mut out).map_err(|e| e.downcast::<Error>().expect("ours"))?;
        Ok(out)
    }

    #[test]
    fn members_and_frames_follow_each_other() {
        let long = b"0123456789".repeat(50_000);
        for pack in [gz, zst] {
            assert_eq!(all(pack(b"a,b\n")).expect("one"), b"a,b\n");
            assert_eq!(all(pack(b"")).expect("empty"), b"");
            let parts = [pack(b"a,"), pack(b""), pack(&long), pack(b"b\n")].concat();
            assert_eq!(all(parts).expect("four"), [b"a,".as_slice(), &long, b"b\n"].concat());
        }
        assert_eq!(all([gz(b"a"), vec![0; 100]].concat()).expect("padded"), b"a");
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3], zst(b"x").as_slice()].concat();
        assert_eq!(all(skippable).expect("skipped"), b"x");
    }

    #[test]
    fn every_truncation_is_an_error_that_names_the_file() {
        let text: Vec<u8> = (0..2_000_u32).flat_map(|i| (i.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()).collect();
        for pack in [gz, zst] {
            let whole = pack(&text);
            for len in (10..whole.len()).step_by(97).chain([whole.len() - 1]) {
                let e = all(whole[..len].to_vec()).expect_err("truncated");
                assert!(matches!(&e, Error::Format(m) if m.starts_with("a.csv.gz: damaged")), "{len}: {e}");
            }
        }
    }

    #[test]
    fn trailing_garbage_and_flipped_bits_are_errors() {
        assert!(matches!(all([gz(b"a"), b"garbage".to_vec()].concat()), Err(Error::Format(_))));
        assert!(matches!(all([zst(b"a"), b"garbage".to_vec()].concat()), Err(Error::Format(_))));
        let mut bytes = gz(&b"some text ".repeat(100));
        let at = bytes.len() - 6;
        bytes[at] ^= 1;
        assert!(matches!(all(bytes), Err(Error::Format(_))), "the checksum is checked");
    }

    #[test]
    fn a_window_is_leased_and_a_forged_one_refused() {
        let pool = MemoryPool::new(Some(1 << 20));
        let room = Room::default();
        room.bind(&pool.holder("csv", None)).expect("nothing yet");
        // Magic, no content size, a window of 2^(10 + 13) bytes.
        let forged = |log: u8| [0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3, 1, 0, 0].to_vec();
        let read = |bytes: Vec<u8>, room: &Room| {
            let mut reader = inflate("a.zst", Compression::Zstd, Box::new(Cursor::new(bytes)), room)?;
            reader.read(&mut [0; 9]).map_err(|e| e.downcast::<Error>().expect("ours"))
        };
        assert!(matches!(read(forged(23), &room), Err(Error::MemoryLimit(_))));
        assert!(matches!(read(forged(31), &Room::default()), Err(Error::Format(m)) if m.contains("2048 MiB")));
        assert_eq!(read(forged(20), &Room::default()).expect("an empty frame"), 0);
    }

    #[test]
    fn windows_by_the_book() {
        assert_eq!(window(&[0x28, 0xb5, 0x2f, 0xfd, 0, 0x09]), Some(2048 + 256));
        assert_eq!(window(&[0x28, 0xb5, 0x2f, 0xfd, 0x20, 77]), Some(77));
        assert_eq!(window(&[0x28, 0xb5, 0x2f, 0xfd, 0x60, 1, 0]), Some(257));
        assert_eq!(window(&[0x28]), None);
    }
}
