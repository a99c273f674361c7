"""Expressions: against a plain-Python oracle, against polars, and what they refuse."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stream
from stream import Batch, Expr, coalesce, col, concat_str, from_epoch, lit, when
from stream.exceptions import ColumnNotFoundError, ParseError, SchemaError, StreamError


def values(batch: Batch, expr: Expr) -> list[Any]:
    """The values of one expression."""
    return batch.select(expr.alias("answer"))["answer"].to_pylist()


# ------------------------------------------------------------------------------------------------------ an oracle

OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
small = st.one_of(st.none(), st.integers(-9, 9))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(small, small), max_size=9), st.sampled_from(list(OPERATORS)))
def test_integers_compute_as_python_does(rows: list[tuple[Any, Any]], op: str) -> None:
    if op in ("//", "%"):
        rows = [(a, b) for a, b in rows if b != 0]
    batch = Batch({"a": [a for a, _ in rows], "b": [b for _, b in rows]}, {"a": "int64", "b": "int32"})
    expected = [None if a is None or b is None else OPERATORS[op](a, b) for a, b in rows]
    assert values(batch, OPERATORS[op](col("a"), col("b"))) == expected


truth = st.sampled_from([True, False, None])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(truth, truth), max_size=9))
def test_logic_is_three_valued(rows: list[tuple[Any, Any]]) -> None:
    def both(a: Any, b: Any) -> Any:
        return False if a is False or b is False else None if a is None or b is None else True

    def flip(a: Any) -> Any:
        return None if a is None else not a

    batch = Batch({"a": [a for a, _ in rows], "b": [b for _, b in rows]}, {"a": bool, "b": bool})
    a, b = col("a"), col("b")
    assert values(batch, a & b) == [both(x, y) for x, y in rows]
    assert values(batch, a | b) == [flip(both(flip(x), flip(y))) for x, y in rows]
    assert values(batch, ~a) == [flip(x) for x, _ in rows]
    kept = batch.filter(a | b).num_rows
    assert kept == sum(x is True or y is True for x, y in rows)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=6)), max_size=9), st.integers(-7, 7), st.integers(0, 7))
def test_text_slices_as_python_does(texts: list[str | None], offset: int, length: int) -> None:
    batch = Batch({"s": texts}, {"s": str})

    def sliced(text: str) -> str:
        start = offset if offset >= 0 else len(text) + offset
        return text[max(start, 0) : max(start + length, 0)]

    assert values(batch, col("s").str.slice(offset, length)) == [None if t is None else sliced(t) for t in texts]
    assert values(batch, col("s").str.len_chars()) == [None if t is None else len(t) for t in texts]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)), min_size=1, max_size=9))
def test_calendar_as_python_does(stamps: list[datetime]) -> None:
    batch = Batch({"t": stamps})
    at = col("t").dt
    for expr, expected in [
        (at.year(), [t.year for t in stamps]),
        (at.month(), [t.month for t in stamps]),
        (at.day(), [t.day for t in stamps]),
        (at.hour(), [t.hour for t in stamps]),
        (at.second(), [t.second for t in stamps]),
        (at.microsecond(), [t.microsecond for t in stamps]),
        (at.weekday(), [t.isoweekday() for t in stamps]),
        (at.week(), [t.isocalendar().week for t in stamps]),
        (at.ordinal_day(), [t.timetuple().tm_yday for t in stamps]),
        (at.date(), [t.date() for t in stamps]),
        (at.truncate("1mo"), [datetime(t.year, t.month, 1) for t in stamps]),
        (at.strftime("%Y-%m-%d %H:%M:%S"), [f"{t.year:04}-{t:%m-%d %H:%M:%S}" for t in stamps]),
        (col("t").cast(str).str.to_datetime(), stamps),
    ]:
        assert values(batch, expr) == expected


# --------------------------------------------------------------------------------------------------------- polars

AS_POLARS = [
    'c("u8") + 100',
    'c("u8") + 300',
    'c("u8") - (-1)',
    'c("i8") + 200',
    'c("u32") + c("i32")',
    'c("f32") + c("i64")',
    'c("f32") + c("i16")',
    'c("f32") + 1.5',
    'c("f32") * c("f")',
    'c("i8") / 2',
    'c("f32") / 2',
    'c("i8") // 2',
    'c("i8") % -4',
    'c("f") // 1',
    'c("i8") & c("i64")',
    '~c("i8")',
    'c("s") + "x"',
    'c("u8") == 300',
    'c("f") == float("nan")',
    'c("f") > 1e300',
    'c("d") - c("d2")',
    'c("t") - c("d")',
    'c("t") + c("du")',
    'c("d") + c("du")',
    'c("d") - c("du")',
    'c("du") * 1.5',
    'c("du") / 2',
    'c("du") / c("du")',
    'c("dec") + c("i64").cast(I8)',
    'c("dec") == 1.25',
    '-c("i8")',
    'c("f").round()',
    'c("dec").round(1)',
    'c("dec").floor()',
    'c("f").sign()',
    'c("i8").sqrt()',
    'c("f32").log(2)',
    'c("i8").exp()',
    'c("i8") ** 2',
    'c("i8") ** 0.5',
    'c("f32") ** 2',
    'c("i8").clip(0, 1)',
    'c("f").clip(0, 1)',
    'c("i8").fill_null(0.5)',
    'c("i8").fill_null(300)',
    'c("i8").is_between(1, 3)',
    'c("i8").is_in([1, 300])',
    'c("s").str.to_uppercase()',
    'c("s").str.slice(-2)',
    'c("s").str.slice(1, 1)',
    'c("s").str.split(",")',
    'c("s").str.replace("a", "[$0]")',
    'c("s").str.replace_all("[ab]", "<$0>")',
    'c("s").str.extract(r"(a)(.)", 2)',
    'c("s").str.contains("^a")',
    'c("s").str.strip_chars("a")',
    'c("s").str.len_bytes()',
    'c("t").dt.quarter()',
    'c("t").dt.millisecond()',
    'c("t").dt.nanosecond()',
    'c("t").dt.truncate("1w")',
    'c("t").dt.truncate("2w")',
    'c("t").dt.truncate("5mo")',
    'c("t").dt.truncate("3y")',
    'c("t").dt.truncate("7h")',
    'c("t").dt.truncate("1h30m")',
    'c("d").dt.truncate("1q")',
    'c("tz").dt.truncate("1d")',
    'c("tz").dt.hour()',
    'c("tz").dt.strftime("%Y/%m %z %Z")',
    'c("t").dt.epoch("s")',
    'c("d").dt.epoch("d")',
    'c("t").cast(STR)',
    'c("tz").cast(STR)',
    'c("f").cast(STR)',
    'c("t").cast(DATE)',
    'c("f").cast(I64, strict=False)',
    'c("s").cast(I64, strict=False)',
]
POLARS_AGGREGATES = [
    'c("i64").sum()',
    'c("f").mean()',
    'c("f32").mean()',
    'c("dec").sum()',
    'c("du").sum()',
    'c("du").mean()',
    'c("t").mean()',
    'c("d").mean()',
    'c("d").max()',
    'c("s").min()',
    'c("b").min()',
    'c("b").any()',
    'c("b").all()',
    'c("i8").std()',
    'c("f32").var()',
    'c("i8").median()',
    'c("t").median()',
    'c("i8").quantile(0.25)',
    'c("i8").quantile(0.3, "linear")',
    'c("i8").quantile(0.3, "midpoint")',
    'c("f").first()',
    'c("f").last()',
    'c("i8").sum() / c("i8").count()',
]


def frame() -> Any:
    pl = pytest.importorskip("polars")
    return pl.DataFrame(
        {
            "u8": pl.Series([44, 255 - 100, None], dtype=pl.UInt8),
            "i8": pl.Series([1, -7, None], dtype=pl.Int8),
            "i16": pl.Series([1, 2, None], dtype=pl.Int16),
            "i32": pl.Series([1, 2, None], dtype=pl.Int32),
            "i64": [1, 2, None],
            "u32": pl.Series([1, 2, None], dtype=pl.UInt32),
            "f32": pl.Series([1, 2.5, None], dtype=pl.Float32),
            "f": [1.5, math.nan, None],
            "b": [True, False, None],
            "s": ["a,b", "aß", None],
            "d": [date(2024, 1, 31), date(1969, 12, 31), None],
            "d2": [date(2023, 3, 1), date(1970, 1, 1), None],
            "t": [datetime(2024, 1, 31, 12, 34, 56, 789123), datetime(1969, 12, 31, 1, 1, 1), None],
            "du": [timedelta(days=1), timedelta(seconds=-5), None],
            "dec": [Decimal("1.25"), Decimal("-3.50"), None],
        }
    ).with_columns(tz=pl.col("t").dt.replace_time_zone("Europe/Berlin"))


@pytest.mark.parametrize("text", AS_POLARS + POLARS_AGGREGATES)
def test_as_polars_does(text: str) -> None:
    pl = pytest.importorskip("polars")
    theirs = frame()
    names = {"I8": pl.Int8, "I64": pl.Int64, "STR": pl.String, "DATE": pl.Date}
    expected = theirs.select(eval(text, {**names, "c": pl.col})).to_series()
    names = {"I8": "int8", "I64": int, "STR": str, "DATE": date}
    expr = eval(text, {**names, "c": col}).alias("answer")
    ours = stream.from_arrow(theirs)
    ours = ours.agg(expr) if text in POLARS_AGGREGATES else ours.select(expr)
    column = Batch(ours.to_arrow())["answer"]
    assert repr(column.to_pylist()) == repr(expected.to_list())
    if not text.startswith('c("dec")'):
        # polars has one precision for decimals, and lists with large offsets
        assert str(column.dtype) == str(Batch({"x": expected.to_arrow()}).schema["x"]).replace("large_list", "list")


# ---------------------------------------------------------------------------------------------------- what we say

ROWS = {"id": [1, 2, None], "name": ["Ada", "Bob", None], "day": [date(2024, 1, 31), None, date(2024, 2, 1)]}


def test_strings_are_columns_or_text() -> None:
    batch = Batch(ROWS)
    assert values(batch, coalesce("name", lit("?"))) == ["Ada", "Bob", "?"]
    assert values(batch, concat_str("name", "id", separator="-")) == ["Ada-1", "Bob-2", None]
    assert values(batch, when(col("id") > 1).then("name").otherwise("id")) == ["id", "name", "id"]
    assert values(batch, col("name") == "name") == [False, False, None]
    assert values(batch, "<" + col("name") + ">") == ["<Ada>", "<Bob>", None]
    assert values(batch, col("day") >= "2024-02-01") == [False, None, True]
    assert values(Batch({"n": [0, 86_400]}), from_epoch("n")) == [datetime(1970, 1, 1), datetime(1970, 1, 2)]


def test_when_evaluates_only_the_rows_it_takes() -> None:
    batch = Batch({"a": [10, 20, 30], "b": [2, 0, 5]})
    safe = when(col("b") != 0).then(col("a") // col("b")).when(col("a") > 25).then(-1)
    assert values(batch, safe) == [5, None, 6]
    assert values(batch, safe.otherwise(0.5)) == [5.0, 0.5, 6.0]
    assert values(batch, (col("b") != 0) & (col("a") // col("b") > 5)) == [False, False, True]
    with pytest.raises(StreamError, match=r"20 // 0 divides an integer by zero"):
        values(batch, col("a") // col("b"))


def test_constants_of_every_kind() -> None:
    batch = Batch({"x": [1]})
    for value in [
        None,
        True,
        7,
        2**64 - 1,
        1.5,
        "text",
        b"bytes",
        date(2024, 1, 31),
        datetime(2024, 1, 31, 12, 0, 0, 1),
        timedelta(days=-1, microseconds=5),
        Decimal("-12.50"),
    ]:
        assert values(batch, lit(value)) == [value]
    with pytest.raises(ValueError, match="more than 64 bits"):
        lit(2**64)
    with pytest.raises(TypeError, match="found `object`"):
        lit(object())


def test_an_expression_is_not_a_value() -> None:
    for misuse in [
        lambda: bool(col("a") == 1),
        lambda: 1 < col("a") < 3,
        lambda: not col("a"),
        lambda: list(col("a")),
        lambda: 1 in col("a"),
        lambda: {col("a")},
        lambda: col(5),  # type: ignore[arg-type]
        lambda: Expr(),
        lambda: col("a").is_in("abc"),
        lambda: when("a"),
        lambda: when(),
    ]:
        with pytest.raises(TypeError):
            misuse()
    for later in [lambda: col("a").approx_n_unique(), lambda: col("a").approx_quantile(0.5)]:
        with pytest.raises(NotImplementedError, match="approx"):
            later()


@pytest.mark.parametrize(
    ("expr", "error", "message"),
    [
        (col("nmae"), ColumnNotFoundError, "column `nmae` not found, did you mean `name`?"),
        (col("name") + 1, SchemaError, "string does not go with int64"),
        (col("name") > col("day"), SchemaError, ".str.to_date()"),
        (col("day") == "31.1.2024", SchemaError, "reads as date32, found `31.1.2024`"),
        (col("id").str.len_chars(), SchemaError, "expected string, found int64"),
        (col("name").dt.year(), SchemaError, "read it with .str.to_datetime()"),
        (col("id").sum(), SchemaError, '.agg(col("id").sum())'),
        (col("name").cast(int), ParseError, "column `name`: cannot cast `Ada` to int64; strict=False makes it null"),
        (col("id") + (2**63 - 1), StreamError, "1 + 9223372036854775807 overflows int64"),
        (col("name").str.contains("("), ValueError, "is no regular expression"),
        (col("id") & (col("id") > 1), SchemaError, "put each comparison in parentheses"),
    ],
)
def test_errors_say_what_to_do(expr: Expr, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        Batch(ROWS).select(expr)
    assert message in str(raised.value)


def test_a_failed_cast_names_column_and_value() -> None:
    with pytest.raises(ParseError) as raised:
        Batch({"n": ["7", "n/a"]}).select(col("n").cast(int))
    assert (raised.value.column, raised.value.value) == ("n", "n/a")


def test_text_predicates_are_expressions() -> None:
    batch = Batch(ROWS)
    assert batch.filter("id < 2 or name like 'B%'").num_rows == 2
    assert batch.filter("day between '2024-01-01' and '2024-01-31' and name is not null").num_rows == 1
    assert batch.filter('"id" in (2, 3) and not id = 3').num_rows == 1
    with pytest.raises(ValueError, match=r"column 12: the function `upper` is not part of a text predicate") as raised:
        batch.filter("id = 1 and upper(name) = 'X'")
    assert str(raised.value).splitlines()[-1].endswith("^")
    with pytest.raises(ColumnNotFoundError):
        batch.filter("idd = 1")


def test_shown_as_typed() -> None:
    expr = (col("a") + 1 > 2) & ~col("b").is_in(["x"]) | col("c").str.contains("y", literal=True)
    assert str(expr) == '(col("a") + 1 > 2) & ~col("b").is_in(["x"]) | col("c").str.contains("y", True)'
    assert repr(col("a")) == '<Expr col("a")>'


def test_large_expressions_are_refused_or_done() -> None:
    chain = col("x") == 0
    for i in range(1, 900):
        chain = chain | (col("x") == i)
    assert values(Batch({"x": [5, -5]}), chain) == [True, False]
    doubled = col("x")
    with pytest.raises(ValueError, match="parts"):
        for _ in range(64):
            doubled = doubled + doubled
    nested = col("x")
    with pytest.raises(ValueError, match="nests deeper"):
        for _ in range(5_000):
            nested = -nested


def test_aggregates_of_nothing() -> None:
    nothing = stream.from_arrow(Batch({"x": [None, None]}, {"x": "int32"}))
    row = nothing.agg(
        sum=col("x").sum(),
        mean=col("x").mean(),
        min=col("x").min(),
        count=col("x").count(),
        rows=stream.len(),
        different=col("x").n_unique(),
    )
    assert row.to_pylist() == [{"sum": 0, "mean": None, "min": None, "count": 0, "rows": 2, "different": 1}]
    assert row.schema == {
        "sum": "int64",
        "mean": "float64",
        "min": "int32",
        "count": "int64",
        "rows": "int64",
        "different": "int64",
    }
