"""Records that cannot be read: left out or made null, counted, written, judged; the same however a run is cut."""

from __future__ import annotations

import csv
import gzip
import random

import pytest

import stream
from stream import col
from stream.exceptions import ParseError

WAYS = [
    {},
    {"threads": 1},
    {"threads": 2, "batch_size": 1},
    {"threads": 8, "batch_size": 7},
    {"prefetch": 0},
    {"threads": 2, "memory_limit": "4MiB"},
]
BAD = b'id,n,s\n1,2,x\n2,x,y\n3\n4,5,z,w\n5,6,\xff\n"6\n",7,a"b\n7,"8"9,c\n8,y,\xfe\n9,10,d\n'


def rejects_of(path):
    """Return the rows of a CSV of rejects, by the standard library."""
    with path.open(newline="", encoding="utf-8") as file:
        return [(r["line"], r["column"], r["reason"], r["raw"]) for r in csv.DictReader(file)]


def run(source, tmp_path, way, **options):
    """Return the rows, the rejects and their count."""
    path = tmp_path / "bad.csv"
    with iter(stream.read_csv(source, rejects=path, **options, **way)) as batches:
        rows = [tuple(row.values()) for batch in batches for row in batch.rows()]
        count = batches.stats.rejects
    return rows, rejects_of(path), count


@pytest.mark.parametrize("way", WAYS, ids=str)
class TestOneFile:
    def test_skip(self, tmp_path, way):
        path = tmp_path / "t.csv"
        path.write_bytes(BAD)
        rows, rejects, count = run(path, tmp_path, way, on_error="skip", dtypes={"n": "int64", "id": "string"})
        assert rows == [("1", 2, "x"), ("6\n", 7, 'a"b'), ("9", 10, "d")]
        assert rejects == [
            ("3", "n", "expected an integer, found `x`", "2,x,y"),
            ("4", "", "expected 3 fields, found 1", "3"),
            ("5", "", "expected 3 fields, found 4", "4,5,z,w"),
            ("6", "s", "expected UTF-8, found the byte 0xff", "5,6,\ufffd"),
            ("9", "", "expected a delimiter or a line end behind a closing quote, found more text", '7,"8"9,c'),
            ("10", "s", "expected UTF-8, found the byte 0xfe", "8,y,\ufffd"),
        ]
        assert count == 6

    def test_null(self, tmp_path, way):
        path = tmp_path / "t.csv"
        path.write_bytes(BAD)
        dtypes = {"n": "int64", "id": "string"}
        rows, rejects, count = run(path, tmp_path, way, on_error="null", dtypes=dtypes, null_values=["-"])
        assert rows == [
            ("1", 2, "x"),
            ("2", None, "y"),
            ("5", 6, None),
            ("6\n", 7, 'a"b'),
            ("8", None, None),
            ("9", 10, "d"),
        ]
        assert [(line, column) for line, column, _, _ in rejects] == [
            ("3", "n"),
            ("4", ""),
            ("5", ""),
            ("6", "s"),
            ("9", ""),
            ("10", "n"),
            ("10", "s"),
        ]
        assert count == 7

    def test_only_values_that_the_run_needs_are_judged(self, tmp_path, way):
        path = tmp_path / "t.csv"
        path.write_bytes(BAD)
        bad = tmp_path / "bad.csv"
        s = stream.read_csv(path, on_error="skip", rejects=bad, dtypes={"n": "int64", "id": "string"}, **way)
        assert s.select("id").to_pydict() == {"id": ["1", "2", "6\n", "9"]}
        assert [line for line, *_ in rejects_of(bad)] == ["4", "5", "6", "9", "10"]
        assert s.count() == 4
        assert [line for line, *_ in rejects_of(bad)] == ["4", "5", "6", "9", "10"]

    def test_what_a_filter_drops_is_told_all_the_same(self, tmp_path, way):
        path = tmp_path / "t.csv"
        path.write_bytes(BAD)
        bad = tmp_path / "bad.csv"
        s = stream.read_csv(path, on_error="skip", rejects=bad, dtypes={"n": "int64", "id": "string"}, **way)
        report = s.filter(col("n") > 100).write_csv(tmp_path / "out.csv")
        assert (report.rows_out, report.rejects, len(rejects_of(bad))) == (0, 6, 6)


def big(seed, rows=6_000):
    """Return a file with many bad records, its good rows, and the lines of the bad ones."""
    rng = random.Random(seed)
    lines, good, bad, line = ["id,n,s"], [], [], 2
    for i in range(rows):
        text = "x" * rng.randrange(60)
        kind = rng.randrange(12)
        record, ends = f"{i},{i * 3},{text}", 1
        if kind == 0:
            record, ends = f'{i},{i * 3},"a\n{text}"', 2
        elif kind == 1:
            record = f"{i},n/a,{text}"
        elif kind == 2:
            record = f"{i},1"
        if kind in (1, 2):
            bad.append(line)
        else:
            good.append((i, i * 3, f"a\n{text}" if kind == 0 else text or None))
        lines.append(record)
        line += ends
    return "\n".join(lines) + "\n", good, bad


@pytest.mark.parametrize("way", [*WAYS, {"threads": 2, "batch_bytes": 2_000}], ids=str)
@pytest.mark.parametrize("kind", ["plain", "gz", "object", "many"])
def test_the_same_however_a_run_is_cut(tmp_path, way, kind):
    text, good, bad = big(3)
    if kind == "many":
        for i in range(3):
            (tmp_path / f"t{i}.csv").write_text(text)
        source, good, bad = tmp_path / "t*.csv", good * 3, bad * 3
    elif kind == "gz":
        source = tmp_path / "t.csv.gz"
        source.write_bytes(gzip.compress(text.encode()))
    else:
        source = tmp_path / "t.csv"
        source.write_text(text)
    if kind == "object":
        with source.open("rb") as file:
            rows, rejects, count = run(file, tmp_path, way, on_error="skip", dtypes={"n": "int64"})
    else:
        rows, rejects, count = run(source, tmp_path, way, on_error="skip", dtypes={"n": "int64"})
    assert rows == good
    assert [int(line) for line, *_ in rejects] == bad
    assert count == len(bad)


class TestTheFile:
    def test_parquet_names_each_file(self, tmp_path):
        for name in "ab":
            (tmp_path / f"{name}.csv").write_text("x,y\n1,2\n3\n")
        bad = tmp_path / "bad.parquet"
        s = stream.read_csv([tmp_path / "a.csv", tmp_path / "b.csv"], on_error="skip", rejects=bad)
        assert s.count() == 2
        assert stream.read(bad).to_pylist() == [
            {
                "file": str(tmp_path / f"{name}.csv"),
                "line": 3,
                "column": None,
                "reason": "expected 2 fields, found 1",
                "raw": "3",
            }
            for name in "ab"
        ]

    def test_it_is_written_anew_by_each_run(self, tmp_path):
        (tmp_path / "a.csv").write_text("x,y\n1,2\n3\n")
        bad = tmp_path / "bad.csv"
        bad.write_text("something else")
        s = stream.read_csv(tmp_path / "a.csv", on_error="skip", rejects=bad)
        assert bad.read_text() == "something else", "nothing runs before it must"
        assert len(s.to_pylist()) == 1
        first = bad.read_text()
        assert first == "file,line,column,reason,raw\n" + f'{tmp_path}/a.csv,3,,"expected 2 fields, found 1",3\n'
        assert len(s.to_pylist()) == 1
        assert bad.read_text() == first
        (tmp_path / "good.csv").write_text("x,y\n1,2\n")
        stream.read_csv(tmp_path / "good.csv", on_error="skip", rejects=bad).to_pylist()
        assert bad.read_text() == "file,line,column,reason,raw\n"

    @pytest.mark.parametrize("threads", [1, 2, 8])
    def test_a_run_that_is_left_early_has_told_what_its_caller_has_seen(self, tmp_path, threads):
        text, _, bad = big(4)
        (tmp_path / "t.csv").write_text(text)
        s = stream.read_csv(
            tmp_path / "t.csv",
            on_error="skip",
            rejects=tmp_path / "bad.csv",
            dtypes={"n": "int64"},
            batch_size=100,
            threads=threads,
        )
        with iter(s) as batches:
            for _ in range(3):
                next(batches)
            told = batches.stats.rejects
        lines = [int(line) for line, *_ in rejects_of(tmp_path / "bad.csv")]
        assert lines == bad[: len(lines)]
        assert len(lines) == told > 30
        assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]

    def test_it_must_be_no_source_and_have_a_format(self, tmp_path):
        path = tmp_path / "t.csv"
        path.write_text("a\n1\n")
        with pytest.raises(ValueError, match="is a file that the stream reads"):
            stream.read_csv(path, on_error="skip", rejects=path).to_pylist()
        with pytest.raises(ValueError, match="must end in"):
            stream.read_csv(path, on_error="skip", rejects=tmp_path / "bad.xyz").to_pylist()
        with pytest.raises(FileNotFoundError):
            stream.read_csv(path, on_error="skip", rejects=tmp_path / "no" / "bad.csv").to_pylist()
        with pytest.raises(ValueError, match="is the file for rejects"):
            stream.read_csv(path, on_error="skip", rejects=tmp_path / "x.csv").write_csv(tmp_path / "x.csv")
        assert path.read_text() == "a\n1\n"
        assert not (tmp_path / "x.csv").exists()

    def test_two_readers_cannot_share_one_but_one_can_stand_twice(self, tmp_path):
        path, bad = tmp_path / "t.csv", tmp_path / "bad.csv"
        path.write_text("a,b\n1,2\n3\n")
        one, two = (stream.read_csv(path, on_error="skip", rejects=bad) for _ in range(2))
        with pytest.raises(ValueError, match="two readers write their rejects"):
            stream.concat([one, two]).to_pylist()
        assert stream.concat([one, one]).count() == 2
        assert [line for line, *_ in rejects_of(bad)] == ["3", "3"]

    def test_a_file_of_nothing_but_rubbish(self, tmp_path):
        path = tmp_path / "t.csv"
        path.write_text("a,b\n" + "x\n" * 300_000)
        for way in ({"threads": 2, "memory_limit": "16MiB"}, {"prefetch": 0}):
            rows, rejects, count = run(path, tmp_path, way, on_error="skip")
            assert (rows, len(rejects), count) == ([], 300_000, 300_000)
            assert rejects[-1][0] == "300001"


class TestMaxErrors:
    @pytest.mark.parametrize("way", WAYS, ids=str)
    def test_a_count(self, tmp_path, way):
        text, good, bad = big(5)
        (tmp_path / "t.csv").write_text(text)
        options = {"on_error": "skip", "dtypes": {"n": "int64"}, "rejects": tmp_path / "bad.csv"} | way
        assert stream.read_csv(tmp_path / "t.csv", max_errors=len(bad), **options).count() > len(good)
        s = stream.read_csv(tmp_path / "t.csv", max_errors=10, **options)
        with pytest.raises(ParseError, match=r"11 rejects in [0-9]+ records are more than max_errors=10") as e:
            s.to_pydict()
        assert (e.value.line, e.value.path) == (bad[10], str(tmp_path / "t.csv"))
        assert [int(line) for line, *_ in rejects_of(tmp_path / "bad.csv")] == bad[:11]

    @pytest.mark.parametrize("way", WAYS, ids=str)
    def test_a_share(self, tmp_path, way):
        text, _, bad = big(6)
        (tmp_path / "t.csv").write_text(text)
        options = {"on_error": "null", "dtypes": {"n": "int64"}} | way
        share = len(bad) / 6_000
        assert stream.read_csv(tmp_path / "t.csv", max_errors=share + 0.05, **options).select("n").to_pydict()
        with pytest.raises(ParseError, match=r"rejects in 1000 records are more than max_errors=0.01"):
            stream.read_csv(tmp_path / "t.csv", max_errors=0.01, **options).to_pydict()

    def test_a_share_at_the_end_keeps_a_sink_from_its_target(self, tmp_path):
        (tmp_path / "t.csv").write_text("a,b\n1,2\n3\n4,5\n")
        s = stream.read_csv(tmp_path / "t.csv", on_error="skip", max_errors=0.3)
        with pytest.raises(ParseError, match=r"1 rejects in 3 records are more than max_errors=0.3"):
            s.write_parquet(tmp_path / "out.parquet")
        assert not (tmp_path / "out.parquet").exists()
        assert stream.read_csv(tmp_path / "t.csv", on_error="skip", max_errors=0.4).count() == 2

    @pytest.mark.parametrize("wrong", [1.5, -1, "2", True, float("nan")])
    def test_what_it_takes(self, tmp_path, wrong):
        (tmp_path / "t.csv").write_text("a\n1\n")
        with pytest.raises(ValueError, match="max_errors"):
            stream.read_csv(tmp_path / "t.csv", on_error="skip", max_errors=wrong)

    @pytest.mark.parametrize("option", [{"max_errors": 1}, {"rejects": "bad.csv"}])
    def test_it_needs_on_error(self, tmp_path, option):
        (tmp_path / "t.csv").write_text("a\n1\n")
        with pytest.raises(ValueError, match="needs on_error"):
            stream.read_csv(tmp_path / "t.csv", **option)


def test_a_quote_that_is_not_closed_takes_the_rest(tmp_path):
    (tmp_path / "t.csv").write_text('a,b\n1,2\n3,"4\n5,6\n')
    rows, rejects, _ = run(tmp_path / "t.csv", tmp_path, {}, on_error="skip")
    assert rows == [(1, 2)]
    assert rejects == [("3", "", "the quote that opens here is never closed", '3,"4\n5,6')]
