"""Inputs by class, with what they hold; and broken ones, all of which are refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import math
import zipfile
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import stream
from stream.exceptions import ParseError, SchemaError, StreamError

ENDS = {"lf": "\n", "crlf": "\r\n", "cr": "\r"}


def read(text, **options):
    """Return the columns of a text."""
    return stream.read_csv(io.BytesIO(text if isinstance(text, bytes) else text.encode()), **options).to_pydict()


class TestLines:
    @pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
    @pytest.mark.parametrize("last", [True, False])
    @pytest.mark.parametrize(
        ("lines", "expected"),
        [
            (["a,b", "1,2", "3,4"], {"a": [1, 3], "b": [2, 4]}),
            (["", "", "a,b", "", "1,2", "", "", "3,4", ""], {"a": [1, 3], "b": [2, 4]}),
            (["a,b", "1,", ",2"], {"a": [1, None], "b": [None, 2]}),
            (['"a","b"', '1,"x"', '2,"y"'], {"a": [1, 2], "b": ["x", "y"]}),
            (["a,b"], {"a": [], "b": []}),
            (["a", "1"], {"a": [1]}),
            (["a,b", ","], {"a": [None], "b": [None]}),
        ],
    )
    def test_ends(self, end, last, lines, expected):
        assert read(end.join(lines) + end * last) == expected

    @pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
    @pytest.mark.parametrize("inner", ENDS.values(), ids=ENDS)
    def test_inside_quotes(self, end, inner):
        text = end.join([f'a,"b{inner}c"', f'1,"x{inner}{inner}y"', f'2,"{inner}"', f'"3",z{end}'])
        assert read(text) == {"a": [1, 2, 3], f"b{inner}c": [f"x{inner}{inner}y", inner, "z"]}

    def test_mixed(self):
        assert read("a,b\r1,2\n3,4\r\n5,6\r") == {"a": [1, 3, 5], "b": [2, 4, 6]}

    @pytest.mark.parametrize("marks", [1, 2])
    @pytest.mark.parametrize(
        ("text", "options", "expected"),
        [
            ("a,b\n1,2\n", {}, {"a": [1], "b": [2]}),
            ('"a,x",b\r\n1,2\r\n', {}, {"a,x": [1], "b": [2]}),
            ("\na,b\n1,2\n", {}, {"a": [1], "b": [2]}),
            ("1,2\n", {"has_header": False}, {"column_0": [1], "column_1": [2]}),
            ("x\na,b\n1,2\n", {"skip_rows": 1}, {"a": [1], "b": [2]}),
            ("#c\na,b\n1,2\n", {"comment_prefix": "#"}, {"a": [1], "b": [2]}),
        ],
    )
    def test_byte_order_marks(self, marks, text, options, expected):
        assert read("\ufeff" * marks + text, **options) == expected

    def test_no_mark_but_text(self):
        assert read("a,b\n\ufeff1,\ufeff\n") == {"a": ["\ufeff1"], "b": ["\ufeff"]}


FIELDS = [
    ('""', ""),
    ('""""', '"'),
    ('""""""', '""'),
    ('"x"', "x"),
    ('"""x"', '"x'),
    ('"x"""', 'x"'),
    ('"x""y"', 'x"y'),
    ('"x""""y"', 'x""y'),
    ('"x,y"', "x,y"),
    ('","', ","),
    ('" x "', " x "),
    (" x ", " x "),
    ("x y", "x y"),
    ('x"y', 'x"y'),
    ('x"y"', 'x"y"'),
    ('x""', 'x""'),
    (' "x"', ' "x"'),
    ("'x'", "'x'"),
    ("5'10\"", "5'10\""),
    ('"x\\"', "x\\"),
    ("x\\n", "x\\n"),
    ('"#x"', "#x"),
    ('"a;b\tc|d"', "a;b\tc|d"),
    ('"say ""hi"", twice"', 'say "hi", twice'),
    ('"' + '""' * 300 + '"', '"' * 300),
    ('"' + "l\n" * 300 + '"', "l\n" * 300),
    ("x" * 100_000, "x" * 100_000),
    *((c, c) for c in [*"éß語한ע😀\U0001d4b3\u200b\u00a0\u2028\x85\x7f\x1c", "e\u0301"]),
    *((c + "y", c + "y") for c in ["\x0b", "\x0c", "\U0010ffff", "\ufffd", "\ufeff"]),
]


@pytest.mark.parametrize(("written", "value"), FIELDS, ids=range(len(FIELDS)))
def test_a_field_wherever_it_stands(written, value):
    assert read(f"a,b\nk,v\n{written},m\nn,{written}\nl,{written}") == {
        "a": ["k", value, "n", "l"],
        "b": ["v", "m", value, value],
    }
    alone = read(f"a\nk\n{written}\n")
    assert alone == {"a": ["k", value]}
    head = read(f"k,{written}\n1,2\n")
    assert head == {"k": [1], value: [2]}


class TestShapes:
    @pytest.mark.parametrize(
        ("text", "options", "expected"),
        [
            ("a,b,\n1,2,\n", {}, {"a": [1], "b": [2], "": [None]}),
            (",x\n0,1\n", {}, {"": [0], "x": [1]}),
            ("a,a,a\n1,2,3\n", {}, {"a": [1], "a_duplicated_0": [2], "a_duplicated_1": [3]}),
            ("1,2\n3,4\n", {}, {"1": [3], "2": [4]}),
            (" a , b\n1,2\n", {}, {" a ": [1], " b": [2]}),
            ("a\n1\n\n2\n", {}, {"a": [1, None, 2]}),
            ('a\nx\n""\n\n', {}, {"a": ["x", "", None]}),
            ("a,b\n\n1,2\n", {"skip_blank_lines": False}, {"a": [None, 1], "b": [None, 2]}),
            ("x\n", {"has_header": False}, {"column_0": ["x"]}),
            (",\n", {"has_header": False}, {"column_0": [None], "column_1": [None]}),
            ("a,b\n1,2\n", {"new_columns": ["x"]}, {"x": [1], "b": [2]}),
            ("a,b,c\n1,2,3\n", {"columns": ["c", "a"]}, {"c": [3], "a": [1]}),
            ("a;b\n1;x,y\n", {"delimiter": ";"}, {"a": [1], "b": ["x,y"]}),
            ("a\tb\n1\t x\n", {"delimiter": "\t"}, {"a": [1], "b": [" x"]}),
            ("a b\n1 2\n", {"delimiter": " "}, {"a": [1], "b": [2]}),
            ("a\x01b\n1\x01x\n", {"delimiter": "\x01"}, {"a": [1], "b": ["x"]}),
            ("a,b\n'x,''y''',1\n", {"quote_char": "'"}, {"a": ["x,'y'"], "b": [1]}),
            ('a,b\n"x,1\n', {"quote_char": None}, {"a": ['"x'], "b": [1]}),
            ('a,b\n"x\\"\\\\,",1\n', {"escape_char": "\\"}, {"a": ['x"\\,'], "b": [1]}),
            ("#x\na,b\n#1,2,3\n1,#2\n", {"comment_prefix": "#"}, {"a": [1], "b": ["#2"]}),
            ("made by\n\na,b\n1,2\n", {"skip_rows": 2}, {"a": [1], "b": [2]}),
            ("#a,b\n#1,2\n", {}, {"#a": ["#1"], "b": [2]}),
        ],
    )
    def test_each(self, text, options, expected):
        assert read(text, **options) == expected

    def test_wide(self):
        names = [f"c{i}" for i in range(3_000)]
        text = ",".join(names) + "\n" + ",".join(map(str, range(3_000))) + "\n"
        assert read(text) == {name: [i] for i, name in enumerate(names)}


class TestTrim:
    @pytest.mark.parametrize(
        ("row", "expected"),
        [
            (' "a, b" ,c', ["a, b", "c"]),
            ('x,\t "y"', ["x", "y"]),
            ('  "l1\nl2","  z "  ', ["l1\nl2", "  z "]),
            (' "a ""b""" , c "d" ', ['a "b"', 'c "d"']),
            (' "" , ', ["", None]),
            ("  x  y ,z\x0c", ["x  y", "z"]),
        ],
    )
    def test_blanks_around_quotes(self, row, expected):
        for end in ENDS.values():
            text = end.join(['a , "b"', row, "m,n", ""])
            found = read(text, trim=True)
            assert found == {"a": [expected[0], "m"], "b": [expected[1], "n"]}

    def test_a_delimiter_is_no_blank(self):
        assert read('a\tb\tc\n\t"x"\t\n', delimiter="\t", trim=True) == {"a": [None], "b": ["x"], "c": [None]}

    def test_what_is_broken_stays_broken(self):
        for text in ['a,b\n "x" y,1\n', 'a,b\n "x,1\n']:
            with pytest.raises(ParseError, match=":2: "):
                read(text, trim=True)


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


HUGE = 2**64
TYPES = [
    ("int64", ["0", "-1", "-0"], [0, -1, 0]),
    ("int64", ["9223372036854775807", "-9223372036854775808"], [2**63 - 1, -(2**63)]),
    ("int64", [" 1", "2 ", '"3"', ""], [1, 2, 3, None]),
    ("int64", ["", "", "7"], [None, None, 7]),
    ("uint64", ["9223372036854775808", "18446744073709551615", "0"], [2**63, 2**64 - 1, 0]),
    ("string", [str(HUGE), "1"], [str(HUGE), "1"]),
    ("string", ["9223372036854775808", "-1"], ["9223372036854775808", "-1"]),
    ("string", ["007", "8"], ["007", "8"]),
    ("string", ["+4930123", "1"], ["+4930123", "1"]),
    ("string", ["1_000", "2"], ["1_000", "2"]),
    ("string", ["0x10", "0"], ["0x10", "0"]),
    ("string", ["$1", "50%"], ["$1", "50%"]),
    ("string", ['"1,000"', "2"], ["1,000", "2"]),
    ("string", ["1.2.3", "1"], ["1.2.3", "1"]),
    ("string", ["1e", "--1"], ["1e", "--1"]),
    ("float64", ["1", "2.5"], [1.0, 2.5]),
    ("float64", [".5", "5.", "-.5", "+1.5", "00.5"], [0.5, 5.0, -0.5, 1.5, 0.5]),
    ("float64", ["1e5", "1E-5", "-1.5e+10"], [1e5, 1e-5, -1.5e10]),
    ("float64", ["1.7976931348623157e308", "5e-324", "1e400"], [1.7976931348623157e308, 5e-324, math.inf]),
    ("float64", ["0.1234567890123456789", f"{HUGE}.5", str(HUGE)], [0.1234567890123456789, float(HUGE), float(HUGE)]),
    *(
        ("float64", ["1.5", sign + word], [1.5, -math.inf if sign == "-" else math.inf])
        for word in ["inf", "Inf", "INF", "infinity", "Infinity", "INFINITY"]
        for sign in ["", "-", "+"]
    ),
    ("bool", ["true", "FALSE", "True", ""], [True, False, True, None]),
    ("string", ["true", "1"], ["true", "1"]),
    ("string", ["yes", "no"], ["yes", "no"]),
    ("string", ["t", "F"], ["t", "F"]),
    ("int64", ["1", "0"], [1, 0]),
    ("date32", ["2024-02-29", "0001-01-01", "9999-12-31", ""], [date(2024, 2, 29), date.min, date.max, None]),
    *(
        ("string", [d, "2024-01-02"], [d, "2024-01-02"])
        for d in ["2023-02-29", "0000-01-01", "10000-01-01", "2024-1-2"]
    ),
    ("string", ["20240102x", "01/02/2024"], ["20240102x", "01/02/2024"]),
    ("int64", ["20240102", "20240103"], [20240102, 20240103]),
    *(
        ("timestamp[us]", [f"2024-01-02{between}03:04:05{fraction}"], [datetime(2024, 1, 2, 3, 4, 5, micros)])
        for between in "T "
        for fraction, micros in [
            ("", 0),
            (".1", 100_000),
            (".123", 123_000),
            (".123456", 123_456),
            (".123456000", 123_456),
        ]
    ),
    (
        "timestamp[us]",
        ["2024-01-02 03:04", "9999-12-31T23:59:59"],
        [datetime(2024, 1, 2, 3, 4), datetime(9999, 12, 31, 23, 59, 59)],
    ),
    ("string", ["2016-12-31 23:59:60"], ["2016-12-31 23:59:60"]),
    ("string", ["2024-01-02 24:00:00"], ["2024-01-02 24:00:00"]),
    *(
        ("timestamp[us, tz=UTC]", [f"2024-01-02T03:04:05{zone}", ""], [utc(2024, 1, 2, hour, minute, 5), None])
        for zone, hour, minute in [("Z", 3, 4), ("+00:00", 3, 4), ("+01:00", 2, 4), ("-0530", 8, 34), ("+01", 2, 4)]
    ),
    ("string", ["2024-01-02 03:04:05", "2024-01-02 03:04:05Z"], ["2024-01-02 03:04:05", "2024-01-02 03:04:05Z"]),
    ("string", ["2024-01-02", "2024-01-02 03:04:05"], ["2024-01-02", "2024-01-02 03:04:05"]),
    ("string", ["2300-01-01 00:00:00.123456789", ""], ["2300-01-01 00:00:00.123456789", None]),
    ("time64[us]", ["03:04:05", "23:59", "00:00:00.5"], [time(3, 4, 5), time(23, 59), time(0, 0, 0, 500_000)]),
    ("string", ["24:00:00", "3pm"], ["24:00:00", "3pm"]),
    ("string", ["", ""], [None, None]),
    *(
        ("string", ["1", word, "3"], ["1", word, "3"])
        for word in ["NA", "N/A", "null", "NULL", "None", "-", "?", "\\N", "."]
    ),
]


@pytest.mark.parametrize(("dtype", "texts", "values"), TYPES, ids=[f"{t[0]} {t[1]}"[:60] for t in TYPES])
def test_what_a_column_is_taken_for(dtype, texts, values):
    text = "k,v\n" + "".join(f"{i},{t}\n" for i, t in enumerate(texts))
    s = stream.read_csv(io.BytesIO(text.encode()))
    assert str(s.schema["v"]) == dtype
    found = s.to_pydict()["v"]
    assert found == values
    assert [type(v) for v in found] == [type(v) for v in values]


def test_nan_in_any_spelling():
    for word in ["nan", "NaN", "NAN", "-nan", "+NaN"]:
        first, second = read(f"k,v\n0,{word}\n1,2\n")["v"]
        assert math.isnan(first)
        assert second == 2.0


VALUES = [text for _, texts, _ in TYPES for text in texts]


@pytest.mark.parametrize("way", [{}, {"trim": True}, {"thousands": "_"}, {"true_values": ["1", "yes"]}], ids=str)
def test_what_was_looked_at_can_be_read(way):
    """A type that was taken for a column of a file that was read as a whole holds all of it."""
    for i, one in enumerate(VALUES):
        for other in VALUES[i % 7 :: 7]:
            text = f"k,v\n0,{one}\n1,{other}\n"
            assert stream.read_csv(io.BytesIO(text.encode()), **way).select("v").to_arrow().num_rows == 2, text


class TestOptionsOfValues:
    @pytest.mark.parametrize(
        ("text", "options", "expected"),
        [
            ("a,b\nNA,x\n1,NA\n", {"null_values": ["NA"]}, {"a": [None, 1], "b": ["x", None]}),
            ("a,b\n-,-\n1,x\n", {"null_values": {"a": "-"}}, {"a": [None, 1], "b": ["-", "x"]}),
            ('a,b\n1,"NA"\n2,NA\n', {"null_values": ["NA", ""]}, {"a": [1, 2], "b": ["NA", None]}),
            ("a;b\n1,5;x\n", {"delimiter": ";", "decimal": ","}, {"a": [1.5], "b": ["x"]}),
            ("a;b\n-1.234,5;x\n", {"delimiter": ";", "decimal": ",", "thousands": "."}, {"a": [-1234.5], "b": ["x"]}),
            ('a,b\n"1,000",x\n2,y\n', {"thousands": ","}, {"a": [1000, 2], "b": ["x", "y"]}),
            ("a\nyes\nno\n", {"true_values": ["yes"], "false_values": ["no"]}, {"a": [True, False]}),
            ("a,b\n01.02.2024,1\n", {"datetime_formats": ["%d.%m.%Y"]}, {"a": [date(2024, 2, 1)], "b": [1]}),
            ("a\n2024-01-02\n", {"try_parse_dates": False}, {"a": ["2024-01-02"]}),
            ("a,b\n007,1\n", {"dtypes": {"a": "int64", "b": "string"}}, {"a": [7], "b": ["1"]}),
            ("a\n1.10\n", {"dtypes": {"a": "decimal128(5,2)"}}, {"a": [Decimal("1.10")]}),
            ("a,b\n1,2\n", {"schema": {"x": "float64", "y": "string"}}, {"x": [1.0], "y": ["2"]}),
        ],
    )
    def test_each(self, text, options, expected):
        assert read(text, **options) == expected

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"])
    def test_encodings(self, encoding):
        text = '"a","ü"\r\n1,"é\r\n""x"""\r\n'.encode(encoding)
        assert read(text, encoding=encoding) == {"a": [1], "ü": ['é\r\n"x"']}


PLAIN = "id,name,qty\n" + "".join(f"{i},n{i},{i * 2}\n" for i in range(50))


def with_line(at, line):
    lines = PLAIN.splitlines()
    lines[at] = line
    return "\n".join(lines) + "\n"


def zipped(data):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("t.csv", data)
    return file.getvalue()


def parquet():
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": [1, 2]}), sink)
    return sink.getvalue().to_pybytes()


NO_TEXT = [b"\xff", b"\xc3", b"\xc3(", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf5\x80\x80\x80", b"\x80", b"\xf0\x9f\x98"]
BROKEN = {
    **{
        f"{what} at {at}": with_line(at, line)
        for at in (1, 25, 50)
        for what, line in {
            "short": "1,x",
            "long": "1,x,2,3",
            "one": "1",
            "semicolons": "1;x;2",
            "words": "the end",
        }.items()
    },
    "a footer": PLAIN + "Total: 50\n",
    "a title": "Report\n" + PLAIN,
    "two tables": PLAIN + "\nx,y\n1,2\n",
    "more names than fields": "a,b,c\n1,2\n",
    "fewer names than fields": "a,b\n1,2,3\n",
    **{
        f"stray {i} {where}": text.format(field)
        for i, field in enumerate(['"x"y', '"x" ', '"x""y', '"" ""', '""x', '"a"b"c"'])
        for where, text in {"last": "a,b\n1,{}\n2,z\n", "first": "a,b\n{},1\n", "header": "a,{}\n1,2\n"}.items()
    },
    **{f"open {i}": text for i, text in enumerate(['a,b\n1,"x\n', 'a,"b\n1,2\n', '"', 'a,b\n1,"', 'a,b\n1,"x""\n'])},
    **{f"no text {b!r}": b"a,b\n1," + b + b"\n" for b in NO_TEXT},
    **{f"no text in quotes {b!r}": b'a,b\n1,"' + b + b'"\n' for b in NO_TEXT},
    **{f"no text in a name {b!r}": b"a," + b + b"\n1,2\n" for b in NO_TEXT},
    **{name: PLAIN.encode(name) for name in ["utf-16-le", "utf-16-be", "utf-32"]},
    "half a character": PLAIN.encode("utf-16")[:-1],
    "two encodings": "a,b\n1,é\n".encode() + "2,ü\n".encode("latin-1"),
    "a zero byte": "a,b\n1,x\0y\n",
    "a hole": PLAIN[:200] + "\0" * 1000 + PLAIN[200:],
    "a zero byte in a name": "a\0,b\n1,2\n",
    "nothing": "",
    "empty lines": "\n\r\n\n",
    "a mark": "\ufeff",
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10",
    "zip": zipped(PLAIN),
    "parquet": parquet(),
    "elf": b"\x7fELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0>\0",
    "pdf": b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /A, /B >>\n",
    "html": "<html><head><title>Error, 404</title></head>\n<body></body>\n</html>\n",
    "json": '{"a": 1, "b": 2}\n{"a": 2, "b": [3, 4]}\n',
    "too many names": ",".join("a" * 100_001),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_refused(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    for way in ({}, {"threads": 1, "batch_size": 3}):
        with pytest.raises(StreamError):
            stream.read_csv(path, **way).to_arrow()


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        *(("int64", t) for t in ["x", "1.5", "9223372036854775808", "1e5", "1_000", "0x10", " ", "--1", "1 2", "True"]),
        *(("int8", t) for t in ["128", "-129"]),
        *(("uint8", t) for t in ["256", "-1"]),
        *(("float64", t) for t in ["x", '"1,5"', "1.2.3", "1e", "$1", "50%", "1 2"]),
        *(("bool", t) for t in ["maybe", "2", "yes", "t"]),
        *(("date32", t) for t in ["2023-02-29", "2024-13-01", "2024-01-01x", "20240101", "2024-01-01 00:00:00"]),
        *(
            ("timestamp[us]", t)
            for t in ["2024-01-01 25:00:00", "2024-01-01T00:00:00Z", "now", "2024-01-01 00:00:00.1234567"]
        ),
        *(("timestamp[ns]", t) for t in ["2300-01-01 00:00:00"]),
        *(("time64[us]", t) for t in ["25:00:00", "3pm"]),
        *(("decimal128(5,2)", t) for t in ["1234.5", "1.234", "x"]),
    ],
)
def test_a_value_of_another_type_is_refused(dtype, text):
    for rows in (0, 5_000):
        whole = "a,v\n" + "1,\n" * rows + f"1,{text}\n2,\n"
        for options in ({"dtypes": {"v": dtype}}, {"schema": {"a": "int64", "v": dtype}, "threads": 1}):
            with pytest.raises(ParseError) as e:
                read(whole, **options)
            assert (e.value.line, e.value.column, e.value.value) == (rows + 2, "v", text.strip('"'))


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ("1", "x"),
        ("1", "1.5"),
        ("1", str(HUGE)),
        ("1.5", "x"),
        ("2024-01-01", "x"),
        ("2024-01-01", "2024-01-01 00:00:00"),
        ("2024-01-01 00:00:00", "2024-01-01 00:00:00Z"),
        ("true", "yes"),
        ("03:04:05", "late"),
        ("18446744073709551615", "-1"),
    ],
)
@pytest.mark.parametrize("rows", [60, 30_000])
def test_a_type_that_changes_behind_the_sample_is_refused(first, later, rows):
    text = "k,v\n" + f"1,{first}\n" * rows + f"1,{later}\n" + f"1,{first}\n" * rows
    with pytest.raises(ParseError) as e:
        read(text, infer_schema_length=10)
    assert (e.value.line, e.value.column, e.value.value) == (rows + 2, "v", later)


PACKED = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}


@pytest.mark.parametrize("extension", PACKED)
def test_what_is_left_of_a_compressed_file_is_refused(tmp_path, extension):
    path = tmp_path / ("t.csv" + extension)
    whole = PACKED[extension](PLAIN.encode())
    for end in [*range(1, 30), *range(30, len(whole) - 9, 29), *range(len(whole) - 9, len(whole))]:
        path.write_bytes(whole[:end])
        with pytest.raises(StreamError):
            stream.read_csv(path).to_arrow()
    path.write_bytes(whole + b"more")
    with pytest.raises(StreamError):
        stream.read_csv(path).to_arrow()


@pytest.mark.parametrize(
    "names", [["id", "name"], ["id", "name", "qty", "more"], ["name", "id", "qty"], ["id", "qty", "amount"]]
)
def test_a_schema_of_other_columns_is_refused(names):
    with pytest.raises(SchemaError, match="header"):
        read(PLAIN, schema=dict.fromkeys(names, "string"))
