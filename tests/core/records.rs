//! The records of a CSV, held against those of a reference: the seeds of the fuzzer, and texts that are made up.
//!
//! A few on every commit; a million with `make nightly`.

use std::thread;

use super::corpus::seeds;
use super::numbers::Numbers;
use reading::{Choice, Outcome, check};

#[path = "../../fuzz/records.rs"]
mod reading;

/// Texts on every commit, and in a night.
const SOME: u64 = 20_000;
const MANY: u64 = 1_000_000;

/// What came of some texts.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    texts: u64,
    rows: u64,
    good: u64,
    bad: u64,
    by_the_crate: u64,
}

impl Tally {
    fn add(&mut self, outcome: Outcome) {
        self.texts += 1;
        self.rows += outcome.rows as u64;
        self.good += u64::from(outcome.faults == 0 && outcome.rows > 1);
        self.bad += u64::from(outcome.faults > 0);
        self.by_the_crate += u64::from(outcome.by_the_crate);
    }

    fn and(self, other: Self) -> Self {
        Self {
            texts: self.texts + other.texts,
            rows: self.rows + other.rows,
            good: self.good + other.good,
            bad: self.bad + other.bad,
            by_the_crate: self.by_the_crate + other.by_the_crate,
        }
    }

    /// That the texts were worth the while.
    fn is_fair(&self) {
        assert!(self.good * 10 > self.texts * 3 && self.bad * 10 > self.texts * 3, "{self:?}");
        assert!(self.by_the_crate * 10 > self.texts * 2 && self.rows > 5 * self.texts, "{self:?}");
    }
}

/// The texts from number `from` on, every `step`th of them below `end`.
fn texts(from: u64, step: usize, end: u64) -> Tally {
    let mut tally = Tally::default();
    for number in (from..end).step_by(step) {
        tally.add(check(&text(number)));
    }
    tally
}

#[test]
fn seeds_at_every_place_in_pieces_of_every_size() {
    let seeds = seeds("csv");
    assert!(seeds.len() >= 30, "{}", seeds.len());
    let mut tally = Tally::default();
    for (name, seed) in &seeds {
        let Some(([how, sizes], text)) = seed.split_first_chunk() else { panic!("{name}: too short") };
        let outcome = check(seed);
        assert!(outcome.rows + outcome.faults > 0, "{name}");
        for sizes in (0..64).map(|more| sizes & !0x3f | more) {
            tally.add(check(&[&[*how, sizes][..], text].concat()));
        }
        // A record in front moves everything to other places within the words.
        let delimiters = vec![Choice::of([*how, *sizes]).dialect.delimiter; outcome.width - 1];
        for shift in outcome.width..outcome.width + 64 {
            let first = [&vec![b'x'; shift - outcome.width][..], b"x", &delimiters, b"\n"].concat();
            tally.add(check(&[&[*how, *sizes], &first[..], text].concat()));
        }
    }
    assert!(tally.good > 1_000 && tally.bad > 1_000 && tally.by_the_crate > 1_000, "{tally:?}");
}

#[test]
fn some_texts() {
    texts(0, 1, SOME).is_fair();
}

/// `TEXTS` in the environment makes them more.
#[test]
#[ignore = "a million inputs: nightly"]
fn a_million_texts() {
    let more = std::env::var("TEXTS").ok().map(|count| count.parse::<u64>().expect("a number"));
    let end = more.unwrap_or(MANY).max(MANY);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let tally = thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|from| scope.spawn(move || texts(from as u64, threads, end))).collect();
        running.into_iter().map(|one| one.join().expect("no difference")).fold(Tally::default(), Tally::and)
    });
    assert_eq!(tally.texts, end);
    tally.is_fair();
    println!("{tally:?}");
}

/// Text number `number`: a choice of dialect and sizes, and records, good ones for the most part or hardly any.
fn text(number: u64) -> Vec<u8> {
    let mut numbers = Numbers::new((number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    numbers.next();
    let how = numbers.next().to_le_bytes()[3];
    let mut sizes = numbers.next().to_le_bytes()[3];
    if !numbers.once_in(64) {
        // Threads take longer to start than most texts to read.
        sizes &= !0x40;
    }
    // Some of what seldom goes together with records that are good.
    let how = if numbers.once_in(2) { how & 0x3f } else { how };
    let mut maker = Maker { dialect: Choice::of([how, sizes]).dialect, numbers, text: vec![how, sizes] };
    maker.make();
    maker.text
}

/// Makes a text.
struct Maker {
    dialect: batchstream::format::CsvDialect,
    numbers: Numbers,
    text: Vec<u8>,
}

impl Maker {
    fn make(&mut self) {
        if self.numbers.once_in(32) {
            self.text.extend_from_slice("\u{feff}".as_bytes());
        }
        if self.numbers.once_in(5) {
            for _ in 0..self.numbers.below(120) {
                self.scrap();
            }
            return;
        }
        let width = 1 + self.numbers.below(5);
        let records = if self.numbers.once_in(40) { self.numbers.below(200) } else { self.numbers.below(16) };
        // Once in how many fields something is there that should not be.
        let noise = self.numbers.of(&[usize::MAX, usize::MAX, 80, 20, 5]);
        let kinds = self.numbers.of(&[4, 8, 12]);
        let ends = 1 + self.numbers.below(4);
        for _ in 0..records {
            if self.numbers.once_in(12) {
                self.line_that_is_none();
            }
            for at in 0..width {
                if at > 0 {
                    self.text.push(self.dialect.delimiter);
                }
                self.field(kinds);
                if self.numbers.once_in(noise) {
                    self.scrap();
                }
            }
            let end: &[u8] = [b"\n".as_slice(), b"\r\n", b"\n", b"\r"][self.numbers.below(ends)];
            self.text.extend_from_slice(end);
        }
        if self.numbers.once_in(3) {
            let left = self.text.len() - self.numbers.below(4).min(self.text.len() - 2);
            self.text.truncate(left);
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.text.extend_from_slice(bytes);
    }

    /// Letters of which nobody thinks anything.
    fn plain(&mut self, most: usize) {
        let len = 1 + self.numbers.below(most);
        let letter = self.numbers.of(b"abcdefgh");
        self.text.resize(self.text.len() + len, letter);
    }

    /// About as many as the reader looks at together, or twice as many.
    fn stretch(&mut self) {
        let least = self.numbers.of(&[20, 56, 120]);
        let len = least + self.numbers.below(20);
        self.text.resize(self.text.len() + len, b'p');
    }

    /// A comment or an empty line.
    fn line_that_is_none(&mut self) {
        if let Some(prefix) = self.dialect.comment.clone()
            && self.numbers.once_in(2)
        {
            self.put(&prefix);
            for _ in 0..self.numbers.below(6) {
                match self.numbers.below(4) {
                    0 => self.stretch(),
                    1 => self.put(b"\""),
                    2 => self.put(b"\xff,"),
                    _ => self.plain(9),
                }
            }
        }
        let end: &[u8] = self.numbers.of(&[b"\n", b"\r\n", b"\r"]);
        self.put(end);
    }

    /// One that is as it should be; the first of the kinds are the plainer ones.
    fn field(&mut self, kinds: usize) {
        let quote = self.dialect.quote;
        match (self.numbers.below(kinds), quote) {
            (0, _) => {}
            (1 | 2, _) => self.plain(4),
            (3, _) => self.plain(12),
            (4, Some(quote)) => self.put(&[quote, quote]),
            (5 | 6, Some(quote)) => {
                self.put(&[quote]);
                self.plain(30);
                self.put(&[quote]);
            }
            (7 | 8, Some(quote)) => {
                self.put(&[quote]);
                for _ in 0..self.numbers.below(9) {
                    self.inside(quote);
                }
                self.put(&[quote]);
                if self.dialect.trim && self.numbers.once_in(2) {
                    self.put(b" ");
                }
            }
            (9, _) => self.stretch(),
            (10, _) => self.put("é字😀".as_bytes()),
            _ if self.dialect.delimiter != b' ' => {
                self.put(b" ");
                self.plain(5);
                self.put(b"  ");
            }
            _ => self.plain(20),
        }
    }

    /// A part of what stands in quotes.
    fn inside(&mut self, quote: u8) {
        match self.numbers.below(10) {
            0 => self.put(&[quote, quote]),
            1 => self.put(&[self.dialect.delimiter]),
            2 => self.put(b"\n"),
            3 => self.put(b"\r\n"),
            4 => self.put(b"\r"),
            5 => self.put(b"\0"),
            6 => self.stretch(),
            7 if self.dialect.escape.is_some() => {
                let after = self.numbers.of(&[quote, b'\\', b'n', b'\n', b'\r', self.dialect.delimiter]);
                self.put(&[b'\\', after]);
            }
            7 => self.put(b"#"),
            _ => self.plain(9),
        }
    }

    /// Anything.
    fn scrap(&mut self) {
        let (delimiter, quote) = (self.dialect.delimiter, self.dialect.quote.unwrap_or(b'"'));
        match self.numbers.below(24) {
            0..4 => self.put(&[quote]),
            4 => self.put(&[quote, quote]),
            5..8 => self.put(&[delimiter]),
            8 => self.put(&[delimiter, quote]),
            9 => self.put(&[quote, delimiter]),
            10..12 => self.put(b"\n"),
            12 => self.put(b"\r\n"),
            13 => self.put(b"\r"),
            14 => self.put(b"\\"),
            15 => self.put(b"#"),
            16 => self.put(b" "),
            17 => self.put(b"\n#a"),
            18 => self.stretch(),
            19 => {
                let byte = self.numbers.of(b"\0\xff\xc3\x0b\xef\t/a");
                self.put(&[byte]);
            }
            _ => self.plain(6),
        }
    }
}
