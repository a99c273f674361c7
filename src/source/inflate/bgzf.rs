//! BGZF: gzip whose members say how long they are, so that all cores can inflate them.
//!
//! The format is that of the SAM specification (section 4.1), written by `bgzip`: each member has an extra field `BC` with
//! the member's length, and holds at most 64 KiB of text. Some members are read, one after the other, and then inflated
//! together, by this thread and by others that live no longer than that. What is no such member is `members`' to read.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::{Mutex, PoisonError};
use std::thread;

use flate2::bufread::GzDecoder;
use flate2::{Decompress, FlushDecompress, Status};

use super::members::Members;
use super::{INPUT, Input, Room, STATE, damaged};
use crate::format::Compression;

/// Most bytes of text in a member.
const TEXT: usize = 64 << 10;
/// Members that a thread inflates before all are waited for.
const EACH: usize = 6;
/// Bytes of a member's header in front of its extra fields.
const HEADER: usize = 12;
/// Bytes behind a member's text: its checksum and its length.
const TRAILER: usize = 8;

/// What the members that are inflated together take, packed and as text.
fn needed(crew: usize) -> usize {
    2 * TEXT * EACH * crew
}

/// A reader of BGZF.
pub(super) struct Bgzf {
    name: String,
    /// The members; `None` behind the last of ours.
    input: Option<Input>,
    /// Threads that inflate, this one counted.
    crew: usize,
    packed: Vec<u8>,
    text: Vec<u8>,
    /// How much of `text` was read.
    read: usize,
    /// Why there is nothing behind `text`.
    failed: Option<io::Error>,
    /// What follows our members.
    rest: Option<Members<GzDecoder<Input>>>,
}

/// A member that was read.
struct Block {
    /// Where its deflated text stands in `packed`.
    from: usize,
    to: usize,
    /// Its text: how long it is, and its checksum.
    len: usize,
    crc: u32,
}

/// A member's text to be made: which member it is, and where the text goes.
type Job<'a> = (usize, &'a Block, &'a mut [u8]);

impl Bgzf {
    /// A reader of `input`, if that begins as BGZF does and there is room for what `crew` threads inflate at once.
    ///
    /// # Errors
    /// `input` itself.
    pub(super) fn open(name: &str, mut input: Input, room: &Room, crew: usize) -> Result<Self, Input> {
        let begins = |head: &[u8]| {
            let extra = HEADER + usize::from(u16::from_le_bytes([*head.get(10)?, *head.get(11)?]));
            length(head.get(..HEADER)?, head.get(HEADER..extra)?)
        };
        let is_ours = input.fill_buf().ok().and_then(begins).is_some();
        if crew < 2 || !is_ours || room.hold(STATE + needed(crew)).is_err() {
            return Err(input);
        }
        Ok(Self {
            name: name.to_owned(),
            input: Some(input),
            crew,
            packed: Vec::new(),
            text: Vec::new(),
            read: 0,
            failed: None,
            rest: None,
        })
    }

    /// Makes the next text; false at the end of our members.
    fn more(&mut self) -> io::Result<bool> {
        let blocks = if self.failed.is_none() { self.blocks() } else { Vec::new() };
        if blocks.is_empty()
            && let Some(failed) = self.failed.take()
        {
            self.input = None;
            return Err(failed);
        }
        let total = blocks.iter().map(|block| block.len).sum();
        self.read = 0;
        self.text.clear();
        self.text.resize(total, 0);
        let mut jobs: Vec<Job<'_>> = Vec::with_capacity(blocks.len());
        let mut room = self.text.as_mut_slice();
        for (i, block) in blocks.iter().enumerate() {
            let (text, behind) = room.split_at_mut(block.len);
            jobs.push((i, block, text));
            room = behind;
        }
        // What is damaged stands in front of what cannot be read.
        if let Some((bad, why)) = inflate(&self.packed, jobs, self.crew) {
            // What stands in front of the damage is given first.
            self.text.truncate(blocks[..bad].iter().map(|block| block.len).sum());
            self.failed = Some(damaged(&self.name, Compression::Gzip, why));
        }
        Ok(!blocks.is_empty())
    }

    /// Reads the next members, some for each thread, up to one that cannot be read.
    fn blocks(&mut self) -> Vec<Block> {
        self.packed.clear();
        let mut blocks = Vec::new();
        while blocks.len() < EACH * self.crew {
            match self.block() {
                Ok(Some(block)) => blocks.push(block),
                Ok(None) => break,
                Err(e) => {
                    self.failed = Some(e);
                    break;
                }
            }
        }
        blocks
    }

    /// Reads the next member; `None` if it is none of ours.
    fn block(&mut self) -> io::Result<Option<Block>> {
        let Some(input) = &mut self.input else { return Ok(None) };
        let mut head = Vec::new();
        take(input, HEADER, &mut head)?;
        let mut long = None;
        if let [0x1f, 0x8b, 8, 4, .., low, high] = head[..]
            && head.len() == HEADER
        {
            let extra = usize::from(u16::from_le_bytes([low, high]));
            take(input, extra, &mut head)?;
            long = length(&head[..HEADER], &head[HEADER..]).map(|long| (long, HEADER + extra));
        }
        let Some((long, before)) = long else {
            if let Some(input) = self.input.take() {
                let rest: Box<dyn Read + Send> = Box::new(Cursor::new(head).chain(input));
                self.rest = Some(Members::behind(&self.name, BufReader::with_capacity(INPUT, rest))?);
            }
            return Ok(None);
        };
        let from = self.packed.len();
        let wanted = long.saturating_sub(before);
        let found = take(input, wanted, &mut self.packed)?;
        let body = &self.packed[from..];
        let (Some(trailer), true) = (body.last_chunk::<TRAILER>(), found == wanted) else {
            let what = "it ends before its last block; is it truncated?";
            return Err(damaged(&self.name, Compression::Gzip, what));
        };
        let [c0, c1, c2, c3, l0, l1, l2, l3] = *trailer;
        let len = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if len > TEXT {
            let what = format!("a block of {len} bytes, expected {TEXT} at most");
            return Err(damaged(&self.name, Compression::Gzip, what));
        }
        let to = self.packed.len() - TRAILER;
        Ok(Some(Block { from, to, len, crc: u32::from_le_bytes([c0, c1, c2, c3]) }))
    }
}

impl Read for Bgzf {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            let left = &self.text[self.read..];
            if !left.is_empty() {
                let n = left.len().min(into.len());
                into[..n].copy_from_slice(&left[..n]);
                self.read += n;
                return Ok(n);
            }
            if !self.more()? {
                return self.rest.as_mut().map_or(Ok(0), |rest| rest.read(into));
            }
        }
    }
}

/// The whole length of the member with this header and these extra fields, if they say it.
fn length(header: &[u8], extra: &[u8]) -> Option<usize> {
    if !matches!(header, [0x1f, 0x8b, 8, 4, ..]) {
        return None;
    }
    let mut rest = extra;
    while let [a, b, low, high, behind @ ..] = rest {
        let (field, behind) = behind.split_at_checked(usize::from(u16::from_le_bytes([*low, *high])))?;
        if let (b"BC", [low, high]) = ([*a, *b].as_slice(), field) {
            return Some(usize::from(u16::from_le_bytes([*low, *high])) + 1);
        }
        rest = behind;
    }
    None
}

/// Appends the next `wanted` bytes, or as many as there are; how many.
fn take(input: &mut Input, wanted: usize, to: &mut Vec<u8>) -> io::Result<usize> {
    input.by_ref().take(wanted as u64).read_to_end(to)
}

/// Does the jobs; the first that failed, and why.
fn inflate(packed: &[u8], jobs: Vec<Job<'_>>, crew: usize) -> Option<(usize, String)> {
    let others = crew.min(jobs.len()).saturating_sub(1);
    let (jobs, failed) = (Mutex::new(jobs.into_iter()), Mutex::new(None));
    let work = || {
        let mut decoder = Decompress::new(false);
        loop {
            let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((i, block, text)) = job else { return };
            if let Err(why) = member(&mut decoder, &packed[block.from..block.to], block.crc, text) {
                let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                *failed = failed.take().into_iter().chain([(i, why)]).min();
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..others {
            // Without another thread this one does all of it.
            let _ = thread::Builder::new().name("batchstream-gz".to_owned()).spawn_scoped(scope, work);
        }
        work();
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Inflates a member's text, which fills `text`.
fn member(decoder: &mut Decompress, packed: &[u8], crc: u32, text: &mut [u8]) -> Result<(), String> {
    decoder.reset(false);
    let status = decoder.decompress(packed, text, FlushDecompress::Finish).map_err(|e| e.to_string())?;
    let whole = status == Status::StreamEnd
        && decoder.total_out() == text.len() as u64
        && decoder.total_in() == packed.len() as u64;
    if !whole {
        return Err("a block is not as long as it says".to_owned());
    }
    if crc32fast::hash(text) != crc {
        return Err("corrupt gzip stream does not have a matching checksum".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::error::Error;
    use crate::memory::MemoryPool;

    fn block(text: &[u8]) -> Vec<u8> {
        let mut body = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        body.write_all(text).expect("memory");
        let body = body.finish().expect("memory");
        let mut out = vec![0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 10, 0, b'X', b'Y', 0, 0, b'B', b'C', 2, 0];
        let long = u16::try_from(out.len() + 2 + body.len() + TRAILER - 1).expect("short");
        out.extend(long.to_le_bytes());
        out.extend(body);
        out.extend(crc32fast::hash(text).to_le_bytes());
        out.extend(u32::try_from(text.len()).expect("short").to_le_bytes());
        out
    }

    fn gz(text: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(text).expect("memory");
        out.finish().expect("memory")
    }

    fn text(bytes: usize) -> Vec<u8> {
        (0..).flat_map(|i: u32| format!("{i},{}\n", i.wrapping_mul(2_654_435_761)).into_bytes()).take(bytes).collect()
    }

    fn packed(text: &[u8], each: usize) -> Vec<u8> {
        text.chunks(each).flat_map(block).chain(block(b"")).collect()
    }

    fn reader(bytes: Vec<u8>, crew: usize) -> Bgzf {
        let input: Input = BufReader::with_capacity(INPUT, Box::new(Cursor::new(bytes)));
        Bgzf::open("a.csv.gz", input, &Room::default(), crew).ok().expect("begins as BGZF does")
    }

    /// What comes before the end or an error, and the error.
    fn all(bytes: Vec<u8>, crew: usize) -> (Vec<u8>, Option<Error>) {
        let mut out = Vec::new();
        let e = reader(bytes, crew).read_to_end(&mut out).err();
        (out, e.map(|e| e.downcast::<Error>().expect("ours")))
    }

    #[test]
    fn the_text_is_the_same_for_every_crew() {
        for (bytes, each) in [(1_000_000, 65_280), (1_000_000, TEXT), (5_000, 100), (1, 1)] {
            let text = text(bytes);
            for crew in [2, 3, 8] {
                let (out, e) = all(packed(&text, each), crew);
                assert!(e.is_none() && out == text, "{bytes} {each} {crew}: {e:?}");
            }
        }
    }

    #[test]
    fn other_members_and_zeros_may_follow() {
        let text = text(300_000);
        let ours = packed(&text, 50_000);
        for (behind, expected) in [(gz(b"more\n"), b"more\n".as_slice()), (vec![0; 40], b""), (gz(b""), b"")] {
            let (out, e) = all([ours.clone(), behind].concat(), 2);
            assert!(e.is_none() && out == [&text, expected].concat(), "{e:?}");
        }
        let (out, e) = all([ours.clone(), gz(b"x"), ours.clone()].concat(), 2);
        assert!(e.is_none() && out == [&text[..], b"x", &text].concat(), "{e:?}");
        let (out, e) = all([ours, b"garbage".to_vec()].concat(), 2);
        assert!(out == text && matches!(e, Some(Error::Format(_))), "{e:?}");
    }

    #[test]
    fn what_stands_before_damage_is_given_and_the_rest_is_an_error() {
        let text = text(400_000);
        let whole = packed(&text, 30_000);
        for at in (30..whole.len() - 28).step_by(331) {
            let (out, e) = all(whole[..at].to_vec(), 3);
            assert!(text.starts_with(&out), "{at}");
            assert!(
                matches!(&e, Some(Error::Format(m)) if m.starts_with("a.csv.gz: damaged")) || out == text,
                "{at} {e:?}"
            );
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            let (out, e) = all(flipped, 3);
            // A header's time, system and name of a field may be anything.
            assert!(out == text || e.is_some() && text.starts_with(&out), "{at} {e:?}");
        }
    }

    #[test]
    fn without_room_or_others_it_is_gzip_like_any_other() {
        let pool = MemoryPool::new(Some(STATE + 1000));
        let (tight, free) = (Room::default(), Room::default());
        tight.hold(STATE).expect("room");
        tight.bind(&pool.holder("csv reader", None)).expect("room");
        for (room, crew, bytes) in [(&tight, 2, block(b"a")), (&free, 1, block(b"a")), (&free, 2, gz(b"a"))] {
            let input: Input = BufReader::with_capacity(INPUT, Box::new(Cursor::new(bytes)));
            assert!(Bgzf::open("a.csv.gz", input, room, crew).is_err());
        }
    }
}
