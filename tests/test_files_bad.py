"""Damaged and hostile files: a right result or an error of ours, in bounded time and memory; never anything else.

Each sweep runs in one child, so that an abort or a hang is the child's; the child counts what came of each file.
"""

import gzip
import random
import struct

import pyarrow as pa
import pytest
from pyarrow import parquet

import stream
from stream.exceptions import FormatError, ParseError, SchemaError, StreamError
from watch import child

# Reads every file named on stdin's JSON, and reports the outcomes. A wrong kind of exception is reported whole.
SWEEP = """
    import io, json, time
    import stream
    allowed = (stream.exceptions.StreamError, OSError, NotImplementedError)
    counts, wrong, slow = {}, [], 0.0
    folder, kind, cases = sys.argv[1], sys.argv[2], json.loads(open(sys.argv[3]).read())
    whole = open(folder, "rb").read()
    for case in cases:
        data = bytearray(whole[: case.get("cut", len(whole))])
        for at, mask in case.get("flips", ()):
            data[at] ^= mask
        for at, text in case.get("puts", ()):
            data[at : at + len(text) // 2] = bytes.fromhex(text)
        begun = time.perf_counter()
        try:
            pipe = stream.read(io.BytesIO(bytes(data)), format=kind, memory_limit="64MiB", threads=case.get("threads", 1))
            rows = 0
            for batch in pipe:
                rows += batch.num_rows
                batch.to_pylist()
            outcome = "read"
        except allowed as error:
            outcome = type(error).__name__
            if not str(error).strip():
                wrong.append([case, "an empty message"])
        except BaseException as error:
            outcome = "WRONG"
            wrong.append([case, f"{type(error).__name__}: {error}"])
        slow = max(slow, time.perf_counter() - begun)
        counts[outcome] = counts.get(outcome, 0) + 1
    report(counts=counts, wrong=wrong[:5], peak=peak(), slowest=slow)
"""


def sweep(path, kind, cases, tmp_path, timeout=150):
    listing = tmp_path / "cases.json"
    import json

    listing.write_text(json.dumps(cases))
    got = child(SWEEP, path, kind, listing, timeout=timeout)
    assert got["wrong"] == []
    assert sum(got["counts"].values()) == len(cases)
    assert got["peak"] < 64 + 64 + 64, f"MiB: {got}"
    return got["counts"]


def small_table() -> pa.Table:
    n = 200
    return pa.table(
        {
            "id": pa.array(range(n), pa.int64()),
            "price": pa.array([i / 3 if i % 5 else None for i in range(n)], pa.float64()),
            "word": pa.array([f"w{i % 7}" if i % 11 else None for i in range(n)], pa.string()),
            "tags": pa.array([[i, i + 1] if i % 3 else [] for i in range(n)], pa.list_(pa.int32())),
            "at": pa.array([i * 1_000_000 for i in range(n)], pa.timestamp("us")),
        }
    )


@pytest.fixture(scope="module", params=["none", "snappy", "zstd", "gzip", "brotli", "lz4"])
def packed(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / f"{request.param}.parquet"
    parquet.write_table(small_table(), path, compression=request.param, row_group_size=90, write_page_checksum=True)
    return path


class TestParquet:
    def test_truncated_at_every_byte(self, tmp_path):
        path = tmp_path / "whole.parquet"
        parquet.write_table(small_table(), path, row_group_size=90)
        size = path.stat().st_size
        counts = sweep(path, "parquet", [{"cut": cut} for cut in range(size)], tmp_path)
        assert "read" not in counts
        assert counts.get("FormatError", 0) == size

    def test_random_bits_flipped(self, packed, tmp_path):
        size, chance = packed.stat().st_size, random.Random(7)
        cases = [
            {
                "flips": [
                    [chance.randrange(4, size), 1 << chance.randrange(8)] for _ in range(chance.choice([1, 1, 3, 20]))
                ]
            }
            for _ in range(600)
        ]
        sweep(packed, "parquet", cases, tmp_path)

    def test_random_bits_flipped_in_the_footer(self, tmp_path):
        """The footer's sizes and counts are what a reader allocates by."""
        path = tmp_path / "whole.parquet"
        parquet.write_table(small_table(), path, row_group_size=90)
        size = path.stat().st_size
        footer = struct.unpack("<I", path.read_bytes()[-8:-4])[0]
        chance = random.Random(8)
        cases = [{"flips": [[size - 8 - chance.randrange(footer), 1 << chance.randrange(8)]]} for _ in range(1500)]
        sweep(path, "parquet", cases, tmp_path)

    @pytest.mark.parametrize("length", [0, 1, 7, 2**31 - 1, 2**32 - 1])
    def test_forged_footer_length(self, length, tmp_path):
        path = tmp_path / "forged.parquet"
        parquet.write_table(small_table(), path)
        raw = path.read_bytes()
        path.write_bytes(raw[:-8] + struct.pack("<I", length) + raw[-4:])
        with pytest.raises(FormatError, match=r"forged\.parquet"):
            stream.read(path).to_arrow()

    @pytest.mark.parametrize(
        "raw", [b"", b"P", b"PAR1", b"PAR1PAR1", b"PAR1" + b"\0" * 4 + b"PAR1", b"id,price\n1,2\n" * 9]
    )
    def test_not_parquet_at_all(self, raw, tmp_path):
        path = tmp_path / "not.parquet"
        path.write_bytes(raw)
        with pytest.raises(FormatError, match=r"not\.parquet"):
            stream.read(path).to_arrow()

    def test_damage_in_the_middle_does_not_hurt_the_rows_before(self, tmp_path):
        """Rows come out in order up to the damage, with any number of threads, and then the error."""
        path = tmp_path / "middle.parquet"
        table = pa.table({"n": pa.array(range(90_000), pa.int64())})
        parquet.write_table(table, path, row_group_size=10_000, compression="zstd", use_dictionary=False)
        chunk = parquet.ParquetFile(path).metadata.row_group(5).column(0)
        raw = bytearray(path.read_bytes())
        start = chunk.data_page_offset
        raw[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
        path.write_bytes(raw)
        for threads in (1, 2, 8):
            seen = []
            with pytest.raises(FormatError, match=r"middle\.parquet"):
                for batch in stream.read(path, threads=threads):
                    seen += batch["n"].to_pylist()
            assert seen == list(range(50_000))

    def test_a_page_that_ends_within_a_value(self, tmp_path):
        """Byte streams are of one length; a page of 159 bytes for 40 int32s is damage."""
        path = tmp_path / "split.parquet"
        schema = pa.schema([pa.field("n", pa.int32(), nullable=False)])
        parquet.write_table(
            pa.table({"n": range(40)}, schema=schema),
            path,
            use_dictionary=False,
            column_encoding={"n": "BYTE_STREAM_SPLIT"},
            compression="none",
        )
        sizes = b"\x15\xc0\x02\x15\xc0\x02"
        raw = path.read_bytes()
        assert raw.count(sizes) == 1
        path.write_bytes(raw.replace(sizes, b"\x15\xbe\x02\x15\xbe\x02"))
        got = child(
            """
            import stream
            try:
                stream.read(sys.argv[1]).to_arrow()
            except stream.exceptions.FormatError as error:
                report(says=str(error))
            """,
            path,
        )
        assert "split.parquet" in got["says"]
        assert "expected 4 streams of bytes of one length, found 159 bytes" in got["says"]

    def test_a_schema_nested_without_end(self, tmp_path):
        """A footer of a megabyte must not be a stack overflow."""
        group, leaf = b"\x35\x02\x18\x01g\x15\x02\x00", b"\x15\x04\x25\x02\x18\x01a\x00"
        deep = 100_000
        length = bytes([(deep + 1) & 127 | 128, (deep + 1) >> 7 & 127 | 128, (deep + 1) >> 14])
        footer = b"\x15\x04\x19\xfc" + length + group * deep + leaf + b"\x16\x00\x19\x0c\x00"
        path = tmp_path / "deep.parquet"
        path.write_bytes(b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1")
        assert sweep(path, "parquet", [{}], tmp_path) == {"FormatError": 1}

    def test_files_that_differ_name_the_file(self, tmp_path):
        parquet.write_table(pa.table({"a": [1], "b": ["x"]}), tmp_path / "1.parquet")
        parquet.write_table(pa.table({"a": ["x"], "b": ["x"]}), tmp_path / "2.parquet")
        with pytest.raises(SchemaError, match=r"2\.parquet"):
            stream.read(tmp_path).to_arrow()


CSV = (
    b'id,name,price,day\n1,"Ann ""A"" Lee",1.5,2024-01-01\n2,"two\nlines",,2024-01-02\n3,Zo\xc3\xab,3e2,2024-02-29\n'
    * 1
)


class TestCsv:
    def test_truncated_at_every_byte(self, tmp_path):
        path = tmp_path / "whole.csv"
        path.write_bytes(CSV + b'4,"x, y",4,2024-03-01\n' * 20)
        cases = [{"cut": cut, "threads": 1 + cut % 2} for cut in range(path.stat().st_size)]
        counts = sweep(path, "csv", cases, tmp_path)
        assert counts["read"] > 0
        assert set(counts) <= {"read", "ParseError", "FormatError", "SchemaError"}

    def test_random_bits_flipped(self, tmp_path):
        path = tmp_path / "whole.csv"
        path.write_bytes(CSV + b'4,"x, y",4,2024-03-01\n' * 200)
        size, chance = path.stat().st_size, random.Random(9)
        cases = [
            {"flips": [[chance.randrange(size), 1 << chance.randrange(8)] for _ in range(chance.choice([1, 5]))]}
            for _ in range(600)
        ]
        sweep(path, "csv", cases, tmp_path)

    @pytest.mark.parametrize(
        ("raw", "line", "says"),
        [
            (b"a,b\n1,2\n3\n", 3, "2"),
            (b"a,b\n1,2\n3,4,5\n", 3, "3"),
            (b"a,b\n1,2\n3,4\n5,6,7\n", 4, "3"),
            (b'a,b\n1,"2\n', 2, "quote"),
            (b"a,b\n1,\xff\xfe\n", 2, "UTF-8"),
            (b"\n\na,\xe9\n", 3, "UTF-8"),
            ("a,b\n1,2\n".encode("utf-16")[:-1], 2, "UTF-16"),
            ("a,b\n1,2\n".encode("utf-16-le"), 1, "UTF-16"),
            (b'\n\na,"b\n1,2\n', 3, "quote"),
        ],
    )
    def test_a_bad_record_says_where(self, raw, line, says, tmp_path):
        path = tmp_path / "bad.csv"
        path.write_bytes(raw)
        with pytest.raises(ParseError, match=says) as caught:
            stream.read(path).to_arrow()
        assert caught.value.line == line
        assert caught.value.path == str(path)
        assert f"bad.csv:{line}" in str(caught.value)

    def test_a_value_that_does_not_fit_says_everything(self, tmp_path):
        path = tmp_path / "sales.csv"
        path.write_text("id,qty\n" + "".join(f"{i},{i}\n" for i in range(10_410)) + "1,n/a\n2,3\n")
        with pytest.raises(ParseError, match=r"column `qty`: expected an integer, found `n/a`") as caught:
            stream.read(path, schema={"id": "int64", "qty": "int64"}).to_arrow()
        error = caught.value
        assert (error.line, error.column, error.value) == (10_412, "qty", "n/a")
        assert "null_values" in str(error)
        assert "dtypes" in str(error)

    @pytest.mark.parametrize("raw", [b"", b"\n", b"\n\n\n", b"\xef\xbb\xbf", b"a", b"a,b", b"a,b\n", b"a,b\r\n"])
    def test_next_to_nothing(self, raw, tmp_path):
        path = tmp_path / "little.csv"
        path.write_bytes(raw)
        try:
            assert stream.read(path).to_arrow().num_rows == 0
        except StreamError as error:
            assert "little.csv" in str(error)

    def test_a_million_columns_or_one_endless_field_stay_bounded(self, tmp_path):
        """What a hostile file makes a reader hold is leased first, so the limit ends it."""
        wide, long = tmp_path / "wide.csv", tmp_path / "long.csv"
        with wide.open("wb") as out:
            out.write(b",".join(b"c%d" % i for i in range(100_000)) + b"\n" + b"1," * 99_999 + b"1\n")
        with long.open("wb") as out:
            out.write(b'a\n"')
            for _ in range(300):
                out.write(b"x" * (1 << 20))
        got = child(
            """
            import stream
            for name in sys.argv[1:]:
                try:
                    for batch in stream.read(name, memory_limit="64MiB"):
                        pass
                    report(**{Path(name).stem: "read"})
                except stream.exceptions.StreamError as error:
                    report(**{Path(name).stem: type(error).__name__})
            report(peak=peak())
            """,
            wide,
            long,
        )
        assert got["long"] in ("MemoryLimitError", "ParseError")
        assert got["peak"] < 64 + 64 + 64


class TestCompressed:
    def test_truncated_gzip(self, tmp_path):
        whole = gzip.compress(b"a,b\n" + b"1,2\n" * 50_000)
        for cut in (5, 18, 30, len(whole) // 2, len(whole) - 9, len(whole) - 1):
            path = tmp_path / f"{cut}.csv.gz"
            path.write_bytes(whole[:cut])
            with pytest.raises(StreamError, match=rf"{cut}\.csv\.gz"):
                stream.read(path).to_arrow()

    def test_damaged_gzip(self, tmp_path):
        path = tmp_path / "damaged.csv.gz"
        whole = bytearray(gzip.compress(bytes(f"a,b\n{list(range(20_000))}\n".replace(", ", "\n1,"), "ascii")))
        whole[len(whole) // 2] ^= 0x55
        path.write_bytes(whole)
        with pytest.raises(StreamError, match=r"damaged\.csv\.gz"):
            stream.read(path).to_arrow()

    def test_a_bomb_stays_bounded(self, tmp_path):
        """A megabyte that inflates to a gigabyte of one line is an error at the limit, not a gigabyte."""
        path = tmp_path / "bomb.csv.gz"
        with gzip.open(path, "wb", compresslevel=9) as out:
            out.write(b"a\n")
            for _ in range(512):
                out.write(b"0" * (1 << 20))
        got = child(
            """
            import stream
            try:
                stream.read(sys.argv[1], memory_limit="32MiB").to_arrow()
            except stream.exceptions.StreamError as error:
                report(kind=type(error).__name__, peak=peak())
            """,
            path,
        )
        assert got["kind"] in ("MemoryLimitError", "ParseError")
        assert got["peak"] < 32 + 64 + 64

    def test_members_one_after_the_other_are_one_file(self, tmp_path):
        path = tmp_path / "two.csv.gz"
        path.write_bytes(gzip.compress(b"a\n1\n") + gzip.compress(b"2\n3\n"))
        assert stream.read(path).to_pydict() == {"a": [1, 2, 3]}


class TestPaths:
    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"none\.parquet"):
            stream.read(tmp_path / "none.parquet")

    def test_glob_without_match(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            stream.read(tmp_path / "*.parquet")

    def test_empty_list(self):
        with pytest.raises(ValueError, match="empty"):
            stream.read([])

    def test_text_file_object(self, tmp_path):
        path = tmp_path / "x.csv"
        path.write_text("a\n1\n")
        with path.open() as text, pytest.raises(TypeError, match="rb"):
            stream.read_csv(text)

    def test_a_folder_where_a_file_is_expected(self, tmp_path):
        (tmp_path / "dir.parquet").mkdir()
        with pytest.raises((OSError, StreamError)):
            stream.read(tmp_path / "dir.parquet").to_arrow()

    def test_unknown_format(self, tmp_path):
        (tmp_path / "x.unknown").write_bytes(b"\0\1\2\3")
        with pytest.raises((StreamError, ValueError), match="format"):
            stream.read(tmp_path / "x.unknown").to_arrow()

    @pytest.mark.parametrize(
        "later",
        [{"storage_options": {}}, {"row_index": "i", "on_error": "skip"}],
    )
    def test_what_is_not_built_yet_says_so(self, later, tmp_path):
        path = tmp_path / "x.csv"
        path.write_text("a\n1\n")
        try:
            stream.read_csv(path, **later).to_arrow()
        except NotImplementedError as error:
            assert next(iter(later)) in str(error)
