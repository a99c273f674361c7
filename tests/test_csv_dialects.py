"""Ways to write a CSV file: compression, encodings, dialects; what cannot be told is refused."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import io
import lzma
from decimal import Decimal

import pyarrow as pa
import pytest

import stream
from stream.exceptions import FormatError, ParseError, StreamError

TEXT = "id,name\n" + "".join(f"{i},n{i}é\n" for i in range(5_000))
ROWS = {"id": list(range(5_000)), "name": [f"n{i}é" for i in range(5_000)]}


def pack(codec, text):
    """Compress bytes as a file of two members or frames."""
    half = len(text) // 2
    if codec in ("lz4", "zstd"):
        out = b""
        for part in (text[:half], text[half:]):
            sink = pa.BufferOutputStream()
            with pa.CompressedOutputStream(sink, codec) as stream_:
                stream_.write(part)
            out += sink.getvalue().to_pybytes()
        return out
    make = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[codec]
    return make(text[:half]) + make(text[half:])


CODECS = ["gz", "bz2", "xz", "lz4", "zstd"]


@pytest.mark.parametrize("codec", CODECS)
class TestCompression:
    def test_by_its_first_bytes_whatever_it_is_called(self, tmp_path, codec):
        path = tmp_path / "t.csv"
        path.write_bytes(pack(codec, TEXT.encode()))
        assert stream.read(path).to_pydict() == ROWS
        assert stream.read_csv(io.BytesIO(path.read_bytes())).count() == 5_000
        assert "inflated: " in stream.read(path).explain() or stream.read(path).count()

    def test_every_truncation_is_told(self, tmp_path, codec):
        whole = pack(codec, TEXT.encode())
        path = tmp_path / "t.csv"
        for end in (len(whole) - 1, len(whole) * 3 // 4, len(whole) // 4):
            path.write_bytes(whole[:end])
            with pytest.raises((FormatError, ParseError), match=r"t\.csv"):
                stream.read_csv(path, schema={"id": "int64", "name": "string"}).to_pydict()

    def test_flipped_bits_are_told(self, tmp_path, codec):
        whole = bytearray(pack(codec, TEXT.encode()))
        path = tmp_path / "t.csv"
        told, flips = 0, range(20, len(whole), 997)
        for at in flips:
            broken = bytearray(whole)
            broken[at] ^= 16
            path.write_bytes(broken)
            try:
                # LZ4 frames have no checksum unless their writer asks for one
                assert stream.read_csv(path).count() or codec == "lz4"
            except StreamError:
                told += 1
        assert told > len(flips) / 2 or codec == "lz4"

    def test_a_bomb_is_a_long_text(self, tmp_path, codec):
        path = tmp_path / "t.csv"
        path.write_bytes(pack(codec, b"a\n" + b"1\n" * 3_000_000))
        assert stream.read_csv(path, memory_limit="24MiB").count() == 3_000_000


class TestEncodings:
    @pytest.mark.parametrize(
        ("name", "python"),
        [
            ("latin-1", "latin-1"),
            ("iso-8859-1", "latin-1"),
            ("windows-1252", "cp1252"),
            ("cp1252", "cp1252"),
            ("utf-16", "utf-16"),
            ("utf-16le", "utf-16-le"),
            ("utf_16_be", "utf-16-be"),
            ("utf-8", "utf-8-sig"),
            ("utf-8", "utf-16"),
            ("iso-8859-15", "iso-8859-15"),
            ("cp1250", "cp1250"),
            ("macintosh", "mac-roman"),
        ],
    )
    @pytest.mark.parametrize("compressed", [False, True])
    def test_of_python_and_the_web(self, tmp_path, name, python, compressed):
        path = tmp_path / "t.csv"
        text = TEXT.encode(python)
        path.write_bytes(gzip.compress(text) if compressed else text)
        for way in ({}, {"threads": 1, "batch_size": 17}, {"prefetch": 0}):
            assert stream.read_csv(path, encoding=name, **way).to_pydict() == ROWS
        assert stream.read_csv(path, encoding=name, schema={"id": "int32", "name": "string"}).to_pydict() == ROWS

    @pytest.mark.parametrize("name", ["shift_jis", "euc-jp", "gb18030", "big5", "euc-kr"])
    def test_of_the_east(self, tmp_path, name):
        words = ["語", "本", "大", "中", "一"] if name != "euc-kr" else ["가", "나", "다", "라", "마"]
        text = "番" if name != "euc-kr" else "번"
        rows = {text: [words[i % 5] * (i % 7) + "x" for i in range(3_000)]}
        (tmp_path / "t.csv").write_bytes("\n".join([text, *rows[text], ""]).encode(name))
        assert stream.read_csv(tmp_path / "t.csv", encoding=name).to_pydict() == rows

    def test_what_is_no_text_has_a_place(self, tmp_path):
        path, bad = tmp_path / "t.csv", tmp_path / "bad.csv"
        path.write_bytes(b"a,b\n1,x\n2,\x82\n3,\x82\xa0\n")
        with pytest.raises(
            ParseError, match=r"t\.csv:3: column `b`: expected Shift_JIS, found bytes that are none"
        ) as e:
            stream.read_csv(path, encoding="shift_jis").to_pydict()
        assert (e.value.line, e.value.column) == (3, "b")
        s = stream.read_csv(path, encoding="shift_jis", on_error="null", rejects=bad)
        assert s.to_pydict() == {"a": [1, 2, 3], "b": ["x", None, "あ"]}
        with pytest.raises(ParseError, match="expected ASCII"):
            stream.read_csv(path, encoding="ascii").to_pydict()
        with pytest.raises(ParseError, match=r"0x82; pass the encoding"):
            stream.read_csv(path).to_pydict()

    def test_lines_are_those_of_the_text(self, tmp_path):
        path = tmp_path / "t.csv"
        path.write_bytes('a,b\n1,"x\ny"\n2,z\nq,é\n'.encode("utf-16"))
        with pytest.raises(ParseError) as e:
            stream.read_csv(path, dtypes={"a": "int64"}).to_pydict()
        assert (e.value.line, e.value.value) == (5, "q")

    def test_unknown(self, tmp_path):
        (tmp_path / "t.csv").write_text("a\n1\n")
        with pytest.raises(ValueError, match="`encoding`: expected one like"):
            stream.read_csv(tmp_path / "t.csv", encoding="cp437")


class TestAuto:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
    def test_a_delimiter(self, delimiter):
        text = delimiter.join(["a", "b"]) + "\n" + delimiter.join(["1", '"x,;\t|"']) + "\n"
        s = stream.read_csv(io.BytesIO(text.encode()), delimiter="auto")
        assert s.to_pydict() == {"a": [1], "b": ["x,;\t|"]}
        shown = delimiter.encode("unicode_escape").decode()
        assert f"delimiter: `{shown}`, found in 2 records" in s.explain()

    def test_with_a_schema(self):
        text = io.BytesIO(b"a;b\n1;2\n")
        assert stream.read_csv(text, delimiter="auto", schema={"x": "int8", "y": "int8"}).to_pydict() == {
            "x": [1],
            "y": [2],
        }

    @pytest.mark.parametrize("text", [b"a\n1\n", b"a b\n1 2\n", b"a,b;c\n1,2;3\n", b"a,b\n1,2\n3\n"])
    def test_a_delimiter_in_doubt(self, text):
        with pytest.raises(FormatError, match=r'delimiter="auto".*pass'):
            stream.read_csv(io.BytesIO(text), delimiter="auto")

    def test_a_header(self):
        s = stream.read_csv(io.BytesIO(b"a,b\n1,x\n"), has_header="auto")
        assert s.to_pydict() == {"a": [1], "b": ["x"]}
        assert "header: found one" in s.explain()
        s = stream.read_csv(io.BytesIO(b"1,x\n2,y\n"), has_header="auto", delimiter="auto")
        assert s.to_pydict() == {"column_0": [1, 2], "column_1": ["x", "y"]}
        assert "header: found none" in s.explain()

    @pytest.mark.parametrize("text", [b"a,b\nx,y\n", b"a,b\n", b"a,1\n2,3\n"])
    def test_a_header_in_doubt(self, text):
        with pytest.raises(FormatError, match="pass has_header"):
            stream.read_csv(io.BytesIO(text), has_header="auto")


COLUMNS = {
    "null": pa.array([None, None, None], pa.null()),
    "bool": pa.array([True, False, None]),
    "int8": pa.array([-128, 127, None], pa.int8()),
    "uint64": pa.array([0, 2**64 - 1, None], pa.uint64()),
    "float16": pa.array([1.5, -0.0, None], pa.float32()).cast(pa.float16()),
    "float32": pa.array([0.1, -3.4e38, None], pa.float32()),
    "float64": pa.array([0.1, 5e-324, float("inf")]),
    "decimal128": pa.array([Decimal("12.34"), Decimal("-0.01"), None], pa.decimal128(12, 2)),
    "decimal256": pa.array([Decimal("9" * 60), Decimal(-1), None], pa.decimal256(70, 4)),
    "negative scale": pa.array([Decimal(1200), Decimal(-100), None], pa.decimal128(5, -2)),
    "string": pa.array(["", None, 'a"b,c\nd\r\n\u00e9 \0']),
    "date32": pa.array([dt.date(2024, 2, 29), dt.date(1, 1, 1), None]),
    "date32 far": pa.array([-800_000, 4_000_000, None], pa.int32()).cast(pa.date32()),
    "date64": pa.array([0, -86_400_000, None], pa.int64()).cast(pa.date64()),
    "time32[s]": pa.array([0, 86_399, None], pa.time32("s")),
    "time32[ms]": pa.array([1, 86_399_999, None], pa.time32("ms")),
    "time64[us]": pa.array([1, 86_399_999_999, None], pa.time64("us")),
    "time64[ns]": pa.array([1, 86_399_999_999_999, None], pa.time64("ns")),
    **{
        f"timestamp[{unit}]": pa.array([0, -(10**11), None], pa.int64()).cast(pa.timestamp(unit))
        for unit in ("s", "ms", "us", "ns")
    },
    "utc": pa.array([1, -1, None], pa.timestamp("us", "UTC")),
    "berlin": pa.array([1_729_989_000, 1_729_992_600, -5_364_659_192], pa.timestamp("s", "Europe/Berlin")),
    **{
        f"duration[{unit}]": pa.array([1, -(2**63), 2**63 - 1], pa.int64()).cast(pa.duration(unit))
        for unit in ("s", "ms", "us", "ns")
    },
    "dictionary": pa.array(["a", None, ""]).dictionary_encode(),
    "dictionary of ints": pa.array([7, None, 7]).dictionary_encode(),
}


class TestRoundTrip:
    """What write_csv writes, read_csv reads with the same schema."""

    @pytest.mark.parametrize("name", list(COLUMNS))
    @pytest.mark.parametrize("null_value", ["", "NA"])
    def test_each_type(self, tmp_path, name, null_value):
        column = COLUMNS[name]
        table = pa.table({"i": [1, 2, 3], "x": column})
        path = tmp_path / "t.csv"
        stream.from_arrow(table).write_csv(path, null_value=null_value)
        options = {} if null_value == "" else {"null_values": [null_value]}
        again = pa.table(stream.read_csv(path, schema=table.schema, **options))
        assert again.column("x").type == column.type
        assert again.column("x").combine_chunks().equals(table.column("x").combine_chunks()), again.column("x")

    def test_bytes_are_refused(self, tmp_path):
        with pytest.raises(TypeError, match="bytes are not text"):
            stream.from_arrow(pa.table({"x": [b"a"]})).write_csv(tmp_path / "t.csv")
