"""Where an error says that something stands: one bad cell, at a random place of a file in a random dialect."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import re

import pytest

import stream
from stream.exceptions import ParseError

PACK = {
    "": lambda text: text,
    ".gz": lambda text: gzip.compress(text[: len(text) // 2]) + gzip.compress(text[len(text) // 2 :]),
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
KINDS = ["value", "short", "long", "encoding", "stray", "unclosed"]


def lines_in(text):
    """Return how many lines end in bytes."""
    return len(re.findall(rb"\r\n|\r|\n", text))


class File:
    """A random file with one bad record, and where that is."""

    def __init__(self, seed, kind):
        rng = random.Random(f"{seed} {kind}")
        self.delimiter = rng.choice([",", ";", "\t", "|"])
        self.quote = rng.choice(['"', "'"])
        self.escape = rng.choice([None, None, "\\"])
        self.end = rng.choice(["\n", "\r\n", "\r"])
        self.comment = rng.choice([None, "#", "//"])
        self.skip = rng.choice([0, 0, 2])
        self.extension = rng.choice([*PACK, ""])
        self.header = rng.random() < 0.8
        self.rng = rng
        columns = rng.randrange(2, 5)
        self.names = [f"c{i}" if self.header else f"column_{i}" for i in range(columns)]
        rows = rng.choice([3, 40, 3_000])
        bad = rng.randrange(0 if self.header else 1, rows)
        text = b"\xef\xbb\xbf" if rng.random() < 0.3 else b""
        for _ in range(self.skip):
            text += f'anything, "at{self.delimiter} all{self.end}'.encode()
        if self.header:
            text += self.between() + (self.delimiter.join(self.names) + self.end).encode()
        for row in range(rows):
            text += self.between()
            cells = [str(row), *(self.cell() for _ in self.names[1:])]
            if row == bad:
                self.offset, self.line = len(text), 1 + lines_in(text)
                text += self.broken(kind, cells)
            else:
                text += (self.delimiter.join(cells) + self.end).encode()
        self.text = text

    def between(self):
        lines = []
        while self.rng.random() < 0.1:
            lines.append(self.comment + f" no {self.quote} record" if self.comment and self.rng.random() < 0.5 else "")
        return "".join(line + self.end for line in lines).encode()

    def cell(self):
        text = "".join(
            self.rng.choice(["a", "é", " ", "1", "#", "\n", "\r\n", "\r", self.quote, self.delimiter, "\\"])
            for _ in range(self.rng.randrange(5))
        )
        if not self.escape:
            inner = text.replace(self.quote, 2 * self.quote)
        else:
            inner = text.replace("\\", "\\\\").replace(self.quote, "\\" + self.quote)
        return f"{self.quote}{inner}{self.quote}" if self.rng.random() < 0.5 or text.strip("aé 1") else text + "x"

    def broken(self, kind, cells):
        """Return the bytes of the bad record."""
        self.column = self.value = None
        whole = self.delimiter.join(cells) + self.end
        if kind == "value":
            self.column, self.value = self.names[0], "no number"
            return self.delimiter.join(["no number", *cells[1:]]).encode() + self.end.encode()
        if kind == "short":
            return (cells[0] + self.end).encode()
        if kind == "long":
            return (cells[0] + self.delimiter + whole).encode()
        if kind == "encoding":
            self.column = self.names[-1]
            return self.delimiter.join([*cells[:-1], "x"]).encode() + b"\xff" + self.end.encode()
        if kind == "stray":
            return self.delimiter.join([f"{self.quote}1{self.quote}2", *cells[1:]]).encode() + self.end.encode()
        # The rest of the file is a single field, with no quote that could close it.
        record = self.delimiter.join([*cells[:-1], ""]).encode()
        self.line += lines_in(record)
        self.offset += len(record)
        return record + self.quote.encode()

    def options(self):
        names = dict.fromkeys(self.names, "string") | {self.names[0]: "int64"}
        return {
            "schema": names,
            "has_header": self.header,
            "delimiter": self.delimiter,
            "quote_char": self.quote,
            "escape_char": self.escape,
            "comment_prefix": self.comment,
            "skip_rows": self.skip,
        }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(40))
def test_a_bad_record_is_where_it_is(tmp_path, seed, kind):
    file = File(seed, kind)
    if kind == "unclosed":
        start = file.text.index(file.quote.encode(), file.offset)
        file.text = file.text[: start + 1] + file.text[start + 1 :].replace(file.quote.encode(), b"")
        if file.escape:
            file.text = file.text[: start + 1] + file.text[start + 1 :].replace(b"\\", b"")
    path = tmp_path / f"t.csv{file.extension}"
    path.write_bytes(PACK[file.extension](file.text))
    rng = random.Random(seed)
    for way in (
        {},
        {"threads": 1, "batch_size": rng.randrange(1, 50)},
        {"threads": 3, "batch_bytes": rng.randrange(100, 5_000)},
        {"prefetch": 0, "memory_limit": "32MiB"},
    ):
        with pytest.raises(ParseError) as e:
            stream.read_csv(path, **file.options(), **way).to_pydict()
        error = e.value
        assert (error.path, error.line, error.offset) == (str(path), file.line, file.offset), way
        assert error.column == file.column
        if file.value:
            assert error.value == file.value
        assert str(error).startswith(f"{path}:{file.line}: ")


@pytest.mark.parametrize("seed", range(10))
def test_inference_says_the_same(tmp_path, seed):
    file = File(seed, "short")
    path = tmp_path / f"t.csv{file.extension}"
    path.write_bytes(PACK[file.extension](file.text))
    options = {k: v for k, v in file.options().items() if k != "schema"}
    with pytest.raises(ParseError) as e:
        stream.read_csv(path, **options).to_pydict()
    assert (e.value.line, e.value.offset) == (file.line, file.offset)
