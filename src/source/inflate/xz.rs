//! xz streams, by liblzma, whose memory grows only by what is leased.
//!
//! The decoder is told a limit; it stops in front of a block that needs more, and goes on when the limit was raised,
//! which costs a lease.

use std::io::{self, BufRead, Read};

use liblzma::stream::{Action, CONCATENATED, Error as LzmaError, Status, Stream};

use super::{Input, LARGEST_WINDOW, Room, STATE, damaged};
use crate::error::{Error, Result};
use crate::format::Compression;

/// The first limit, for windows up to nearly a MiB; each further one is twice as high.
const FIRST_LIMIT: u64 = 1 << 20;
/// The last: the largest window and what a decoder holds beside it.
const LAST_LIMIT: u64 = LARGEST_WINDOW + (1 << 20);

pub(super) struct Xz {
    name: String,
    input: Input,
    decoder: Stream,
    room: Room,
    /// What the decoder may hold, as leased.
    limit: u64,
    ended: bool,
}

impl Xz {
    /// The text of `input`.
    ///
    /// # Errors
    /// [`Error::MemoryLimit`].
    pub(super) fn new(name: &str, input: Input, room: &Room) -> Result<Self> {
        room.hold(STATE + usize::try_from(FIRST_LIMIT).unwrap_or(usize::MAX))?;
        let decoder = Stream::new_stream_decoder(FIRST_LIMIT, CONCATENATED)
            .map_err(|e| Error::MemoryLimit(format!("{name}: an xz decoder cannot be made: {e}")))?;
        Ok(Self { name: name.to_owned(), input, decoder, room: room.clone(), limit: FIRST_LIMIT, ended: false })
    }

    /// Raises the decoder's limit, as far as it may go.
    fn raise(&mut self) -> io::Result<()> {
        if self.limit >= LAST_LIMIT {
            return Err(self.damaged(format_args!(
                "a block asks for a window of more than {} MiB; compress it with a smaller one",
                LARGEST_WINDOW >> 20
            )));
        }
        let limit = (2 * self.limit).min(LAST_LIMIT);
        self.room.hold(STATE + usize::try_from(limit).unwrap_or(usize::MAX / 2)).map_err(io::Error::other)?;
        self.limit = limit;
        match self.decoder.set_memlimit(limit) {
            // Still too low for the block, and not in force: the next call says so again.
            Ok(()) | Err(LzmaError::MemLimit) => Ok(()),
            Err(e) => Err(self.damaged(e)),
        }
    }

    fn damaged(&self, what: impl std::fmt::Display) -> io::Error {
        damaged(&self.name, Compression::Xz, what)
    }
}

impl Read for Xz {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while !into.is_empty() && !self.ended {
            let source = self.input.fill_buf()?;
            let at_end = source.is_empty();
            let action = if at_end { Action::Finish } else { Action::Run };
            let (taken, given) = (self.decoder.total_in(), self.decoder.total_out());
            let status = self.decoder.process(source, into, action);
            let taken = usize::try_from(self.decoder.total_in() - taken).unwrap_or_default();
            let given = usize::try_from(self.decoder.total_out() - given).unwrap_or_default();
            self.input.consume(taken);
            match status {
                Ok(Status::StreamEnd) => self.ended = true,
                Ok(_) if given > 0 || taken > 0 => {}
                Ok(_) if at_end => return Err(self.damaged("it ends before its last block; is it truncated?")),
                Ok(_) => {}
                Err(LzmaError::MemLimit) => self.raise()?,
                Err(e) => return Err(self.damaged(e)),
            }
            if given > 0 {
                return Ok(given);
            }
        }
        Ok(0)
    }
}
