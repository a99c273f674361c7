//! LZ4 frames.

use std::io::{self, BufRead, Read};

use lz4_flex::frame::FrameDecoder;

use super::{Input, Room, STATE, damaged, from_below};
use crate::format::Compression;

const MAGIC: [u8; 4] = [0x04, 0x22, 0x4d, 0x18];
/// The back-references of a block reach so far.
const REACH: usize = 64 << 10;

/// Frames, one after the other; skippable ones are left out.
pub(super) struct Lz4 {
    name: String,
    decoder: FrameDecoder<Watched>,
    room: Room,
    /// Whether a frame was begun and its end mark not seen.
    in_frame: bool,
}

/// The input, and whether somebody wanted more of it than there is: the decoder takes an input that ends between two
/// blocks for a whole one.
struct Watched {
    input: Input,
    ran_out: bool,
}

impl Read for Watched {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(into)?;
        self.ran_out |= n == 0 && !into.is_empty();
        Ok(n)
    }
}

impl Lz4 {
    /// The text of `input`.
    pub(super) fn new(name: &str, input: Input, room: &Room) -> Self {
        let decoder = FrameDecoder::new(Watched { input, ran_out: false });
        Self { name: name.to_owned(), decoder, room: room.clone(), in_frame: false }
    }

    /// Prepares for the next frame; `false` at the end of the input.
    fn begin_frame(&mut self) -> io::Result<bool> {
        loop {
            let input = &mut self.decoder.get_mut().input;
            let head = input.fill_buf()?;
            match head {
                [] => return Ok(false),
                [0x50..=0x5f, ..] => {
                    let mut skip = [0; 8];
                    input.read_exact(&mut skip).map_err(|_| self.truncated())?;
                    let [_, magic @ .., a, b, c, d] = skip;
                    if magic != [0x2a, 0x4d, 0x18] {
                        return Err(self.damaged("bytes behind its end that are no further frame"));
                    }
                    let len = u64::from(u32::from_le_bytes([a, b, c, d]));
                    if io::copy(&mut self.decoder.get_mut().input.by_ref().take(len), &mut io::sink())? < len {
                        return Err(self.truncated());
                    }
                }
                [first, ..] if *first != MAGIC[0] || (head.len() >= 4 && head[..4] != MAGIC) => {
                    return Err(self.damaged("bytes behind its end that are no further frame"));
                }
                _ => {
                    // A header that the buffer cuts in two is rare; it counts as one that asks for the largest blocks.
                    let block = match head.get(5).map_or(7, |b| b >> 4 & 7) {
                        4 => 64 << 10,
                        5 => 256 << 10,
                        6 => 1 << 20,
                        _ => 4 << 20,
                    };
                    self.room.hold(STATE + 3 * block + REACH).map_err(io::Error::other)?;
                    self.in_frame = true;
                    return Ok(true);
                }
            }
        }
    }

    fn damaged(&self, what: impl std::fmt::Display) -> io::Error {
        damaged(&self.name, Compression::Lz4, what)
    }

    fn truncated(&self) -> io::Error {
        self.damaged("it ends inside a frame; is it truncated?")
    }
}

impl Read for Lz4 {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.in_frame && !self.begin_frame()? {
                return Ok(0);
            }
            match self.decoder.read(into) {
                Ok(0) if self.decoder.get_ref().ran_out => return Err(self.truncated()),
                Ok(0) => self.in_frame = false,
                Ok(n) => return Ok(n),
                Err(e) if from_below(&e) || e.kind() == io::ErrorKind::Interrupted => return Err(e),
                Err(_) if self.decoder.get_ref().ran_out => return Err(self.truncated()),
                Err(e) => return Err(self.damaged(e)),
            }
        }
    }
}
