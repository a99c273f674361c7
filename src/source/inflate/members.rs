//! gzip and bzip2: members, each with a decoder of its own.

use std::io::{self, BufRead, Read};

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;

use super::{Input, Room, STATE, damaged, from_below};
use crate::error::Result;
use crate::format::Compression;

/// What a bzip2 decoder holds: four bytes for each of the 900,000 of its largest block, and tables.
const BZIP2: usize = 4 << 20;

/// A decoder of one member.
pub(super) trait Member: Read + Send + Sized {
    const COMPRESSION: Compression;
    /// The first byte of a member.
    const FIRST: u8;
    /// Whether zeros may stand behind the last member.
    const PADDED: bool;

    fn begin(input: Input) -> Self;
    fn end(self) -> Input;
}

impl Member for GzDecoder<Input> {
    const COMPRESSION: Compression = Compression::Gzip;
    const FIRST: u8 = 0x1f;
    const PADDED: bool = true;

    fn begin(input: Input) -> Self {
        GzDecoder::new(input)
    }

    fn end(self) -> Input {
        self.into_inner()
    }
}

impl Member for BzDecoder<Input> {
    const COMPRESSION: Compression = Compression::Bzip2;
    const FIRST: u8 = b'B';
    const PADDED: bool = false;

    fn begin(input: Input) -> Self {
        BzDecoder::new(input)
    }

    fn end(self) -> Input {
        self.into_inner()
    }
}

/// The members of `input`.
pub(super) fn gzip(name: &str, input: Input) -> Members<GzDecoder<Input>> {
    Members { name: name.to_owned(), member: Some(Member::begin(input)) }
}

/// The members of `input`.
///
/// # Errors
/// [`crate::error::Error::MemoryLimit`].
pub(super) fn bzip2(name: &str, input: Input, room: &Room) -> Result<Members<BzDecoder<Input>>> {
    room.hold(STATE + BZIP2)?;
    Ok(Members { name: name.to_owned(), member: Some(Member::begin(input)) })
}

/// One member after the other.
pub(super) struct Members<M> {
    name: String,
    /// The member being read; `None` behind the last.
    member: Option<M>,
}

impl<M: Member> Read for Members<M> {
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
                    return Err(damaged(&self.name, M::COMPRESSION, "it ends before its last block; is it truncated?"));
                }
                Err(e) => return Err(damaged(&self.name, M::COMPRESSION, e)),
            }
        }
        Ok(0)
    }
}

impl<M: Member> Members<M> {
    /// What follows a member that somebody else read.
    pub(super) fn behind(name: &str, input: Input) -> io::Result<Self> {
        let mut members = Self { name: name.to_owned(), member: None };
        members.follow(input)?;
        Ok(members)
    }

    /// Goes on behind a member.
    fn next_member(&mut self) -> io::Result<()> {
        self.member.take().map_or(Ok(()), |member| self.follow(member.end()))
    }

    /// Zeros pad, another member follows, or nothing.
    fn follow(&mut self, mut input: Input) -> io::Result<()> {
        loop {
            let head = input.fill_buf()?;
            match head.iter().position(|b| *b != 0 || !M::PADDED) {
                None if head.is_empty() => return Ok(()),
                None => {
                    let zeros = head.len();
                    input.consume(zeros);
                }
                Some(at) if head[at] == M::FIRST => {
                    input.consume(at);
                    self.member = Some(M::begin(input));
                    return Ok(());
                }
                Some(_) => {
                    let what = "bytes behind its end that are no further member";
                    return Err(damaged(&self.name, M::COMPRESSION, what));
                }
            }
        }
    }
}
