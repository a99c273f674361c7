//! Zstandard frames.

use std::io::{self, BufRead, Read};

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::{Input, LARGEST_WINDOW, Room, STATE, damaged};
use crate::format::Compression;

pub(super) struct Zstd {
    name: String,
    input: Input,
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
    /// The text of `input`.
    ///
    /// # Errors
    /// zstd's, which has none in practice.
    pub(super) fn new(name: &str, input: Input, room: &Room) -> io::Result<Self> {
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(LARGEST_WINDOW.ilog2()))?;
        Ok(Self { name: name.to_owned(), input, decoder, in_frame: false, room: room.clone() })
    }

    /// Prepares for the next frame; `false` at the end of the input.
    fn begin_frame(&mut self) -> io::Result<bool> {
        let head = self.input.fill_buf()?;
        if head.is_empty() {
            return Ok(false);
        }
        // A header that the buffer cuts in two is rare; it counts as one that asks for the usual window.
        let window = window(head).unwrap_or(8 << 20);
        if window > LARGEST_WINDOW {
            return Err(damaged(
                &self.name,
                Compression::Zstd,
                format_args!(
                    "a frame asks for a window of {} MiB, expected at most {} MiB; compress it without --long or --ultra",
                    window >> 20,
                    LARGEST_WINDOW >> 20
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

    #[test]
    fn windows_by_the_book() {
        assert_eq!(window(&[0x28, 0xb5, 0x2f, 0xfd, 0, 0x09]), Some(2048 + 256));
        assert_eq!(window(&[0x28, 0xb5, 0x2f, 0xfd, 0x20, 77]), Some(77));
        assert_eq!(window(&[0x28, 0xb5, 0x2f, 0xfd, 0x60, 1, 0]), Some(257));
        assert_eq!(window(&[0x28]), None);
    }
}
