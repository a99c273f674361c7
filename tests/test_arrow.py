"""Arrow in, Arrow out: pyarrow, polars, DuckDB and pandas take what we give, and we check what they give."""

from __future__ import annotations

import datetime as dt
import gc
from decimal import Decimal
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import stream
from stream import Batch, Column
from stream.exceptions import FormatError, SchemaError, StreamError

if TYPE_CHECKING:
    from collections.abc import Callable

EVERYTHING = {
    "int": [1, None, -3],
    "big": [2**63, 1, None],
    "float": [1.5, None, float("inf")],
    "text": ["a", None, "é𝄞"],
    "bytes": [b"x", None, b""],
    "bool": [True, None, False],
    "date": [dt.date(2020, 2, 29), None, dt.date(1, 1, 1)],
    "at": [dt.datetime(2020, 1, 1, 1, 2, 3, 4), None, dt.datetime(1969, 12, 31, 23, 59, 59, 999999)],
    "utc": [dt.datetime(2020, 1, 1, tzinfo=dt.UTC), None, dt.datetime(2030, 6, 1, tzinfo=dt.UTC)],
    "time": [dt.time(1, 2, 3, 4), None, dt.time(23, 59)],
    "delta": [dt.timedelta(1, 2, 3), None, dt.timedelta(-1)],
    "decimal": [Decimal("1.50"), None, Decimal("-100.01")],
    "list": [[1, 2], None, []],
    "struct": [{"a": 1, "b": ["x"]}, None, {"a": None, "b": []}],
    "null": [None, None, None],
}


@pytest.fixture
def everything() -> Batch:
    return Batch(EVERYTHING)


def test_pyarrow_takes_a_batch_that_is_valid(everything: Batch) -> None:
    batch = pa.record_batch(everything)
    batch.validate(full=True)
    assert batch.to_pydict() == EVERYTHING
    pa.table(everything).validate(full=True)


def test_a_round_trip_changes_nothing(everything: Batch) -> None:
    assert Batch(pa.record_batch(everything)) == everything
    assert Batch(pa.table(everything)) == everything
    assert Batch(pl.from_arrow(everything.to_arrow())).to_pydict() == EVERYTHING


def test_polars_duckdb_and_pandas_take_a_batch(everything: Batch) -> None:
    assert pl.DataFrame(everything)["text"].to_list() == EVERYTHING["text"]
    rows = everything.drop("null").to_arrow()
    assert duckdb.sql("select sum(int) from rows").fetchall() == [(-2,)]
    assert everything.to_pandas()["int"].sum() == -2
    assert pd.DataFrame.from_arrow(everything)["int"].sum() == -2
    assert rows.num_rows == 3


def test_an_export_outlives_its_batch() -> None:
    batch = Batch({"x": list(range(1000))})
    exported = pa.record_batch(batch)
    del batch
    gc.collect()
    assert exported["x"].to_pylist() == list(range(1000))
    exported.validate(full=True)


def test_columns_go_both_ways() -> None:
    column = Column(["a", None], name="x")
    assert pa.array(column).to_pylist() == ["a", None]
    assert Column(pa.chunked_array([["a"], [None]])).to_pylist() == ["a", None]
    assert Column(pl.Series(["a", None])).to_pylist() == ["a", None]
    assert Column(pl.Series(["a", None])).dtype == "string"
    assert column.to_polars().to_list() == ["a", None]
    assert column.to_polars().name == "x"


def test_text_is_announced_as_string_whatever_comes() -> None:
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        batch = Batch(pa.table({"x": pa.array(["a", None, "longer than twelve bytes"], kind)}))
        assert batch.schema == {"x": "string"}
        assert pa.record_batch(batch).schema.field("x").type == pa.string()


def test_a_consumer_may_ask_for_another_layout() -> None:
    batch = Batch({"x": ["a", None]})
    asked = pa.schema([("x", pa.string_view())])
    assert pa.record_batch(batch, schema=asked).schema == asked
    with pytest.raises(SchemaError, match="columns `y`"):
        batch.__arrow_c_array__(pa.schema([("y", pa.string())]).__arrow_c_schema__())


def test_a_dictionary_column_stays_one() -> None:
    source = pa.array(["b", "a", "b", None]).dictionary_encode()
    batch = Batch(pa.table({"x": source}))
    assert batch.schema == {"x": "dictionary<int32, string>"}
    assert batch["x"].to_pylist() == ["b", "a", "b", None]
    assert pa.record_batch(batch)["x"].equals(source)


def test_slices_come_in_right() -> None:
    table = pa.table(
        {"x": list(range(100)), "t": [str(i) for i in range(100)], "l": [[i] * (i % 3) for i in range(100)]}
    )
    for start, length in ((0, 0), (3, 5), (63, 37), (99, 1)):
        part = table.slice(start, length)
        assert Batch(part).to_pylist() == part.to_pylist()
    nested = pa.record_batch({"s": pa.array([{"t": str(i)} for i in range(10)])}).slice(4, 3)
    assert Batch(nested).to_pylist() == nested.to_pylist()


def test_what_is_no_producer_is_named() -> None:
    with pytest.raises(TypeError, match="found `int`"):
        Batch(5)
    with pytest.raises(TypeError, match="Arrow array of"):
        Batch(pa.array([1, 2]))


def test_a_capsule_is_consumed_once() -> None:
    class Twice:
        capsule = pa.table({"x": [1]}).__arrow_c_stream__()

        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return self.capsule

    producer = Twice()
    assert Batch(producer).num_rows == 1
    with pytest.raises(StreamError, match="consumed already"):
        Batch(producer)


def test_a_producers_exception_comes_out() -> None:
    class Broken:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        Batch(Broken())

    def batches() -> object:
        yield pa.record_batch({"x": [1]})
        raise KeyError("half way")

    reader = pa.RecordBatchReader.from_batches(pa.schema([("x", pa.int64())]), batches())
    with pytest.raises(StreamError, match="half way"):
        Batch(reader)


@pytest.mark.parametrize("wrong", ["text", 5, object()])
def test_a_producer_that_gives_no_capsule(wrong: object) -> None:
    class Broken:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return wrong

    with pytest.raises(TypeError, match="capsule"):
        Batch(Broken())


def _broken(offsets: list[int], make: Callable[[pa.Buffer], pa.Array]) -> pa.Array:
    """An array that was fine when pyarrow looked at it."""
    buffer = np.zeros(len(offsets), np.int32)
    array = make(pa.py_buffer(buffer))
    buffer[:] = offsets
    return array


def _text(offsets: list[int], data: bytes) -> pa.Array:
    rows = len(offsets) - 1
    return _broken(offsets, lambda b: pa.Array.from_buffers(pa.string(), rows, [None, b, pa.py_buffer(data)]))


def _keys(keys: list[int]) -> pa.Array:
    kind = pa.dictionary(pa.int32(), pa.string())
    return _broken(keys, lambda b: pa.DictionaryArray.from_buffers(kind, len(keys), [None, b], pa.array(["a"])))


def _lists(offsets: list[int]) -> pa.Array:
    kind = pa.list_(pa.int64())
    return _broken(offsets, lambda b: pa.Array.from_buffers(kind, 1, [None, b], children=[pa.array([1])]))


@pytest.mark.parametrize(
    "array",
    [
        _text([0, 5, 2], b"abcde"),
        _text([-4, 0, 2], b"abcde"),
        _text([0, 1, 2], "é".encode()),
        _text([0, 1, 2], b"\xff\xfe"),
        _keys([0, 9]),
        _keys([-1, 0]),
        _lists([0, 9]),
        _lists([-1, 1]),
    ],
    ids=[
        "offsets fall",
        "offsets negative",
        "half a character",
        "not UTF-8",
        "key beyond",
        "key negative",
        "list beyond",
        "list negative",
    ],
)
def test_malformed_data_is_an_error(array: pa.Array) -> None:
    with pytest.raises(FormatError, match="malformed"):
        Column(array)
    with pytest.raises(FormatError, match="malformed"):
        Batch({"x": array})


def test_deep_types_are_refused() -> None:
    kind = pa.int64()
    for _ in range(100):
        kind = pa.list_(kind)
    with pytest.raises(FormatError, match="nested"):
        Batch(pa.schema([("x", kind)]).empty_table())


def test_a_batch_without_columns_keeps_its_rows() -> None:
    table = pa.table({"x": [1, 2, 3]}).select([])
    assert Batch(table.to_batches()[0]).num_rows == 3


def test_pandas_index_stays_outside() -> None:
    frame = pd.DataFrame({"x": [1, 2]}, index=["a", "b"])
    assert Batch(frame).to_pydict() == {"x": [1, 2]}


def test_types_that_few_have() -> None:
    interval = pa.array([pa.MonthDayNano([1, 2, 3])])
    assert Column(interval).to_pylist() == [(1, 2, 3)]
    pairs = pa.array([[("a", 1), ("b", None)], None], pa.map_(pa.string(), pa.int64()))
    assert Column(pairs).to_pylist() == [[("a", 1), ("b", None)], None]
    fixed = pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int64(), 2))
    assert Column(fixed).to_pylist() == [[1, 2], None, [3, 4]]
    runs = pa.RunEndEncodedArray.from_arrays([2, 3], ["a", None])
    assert Column(runs).to_pylist() == ["a", "a", None]
    half = pa.array([1.5, None], pa.float16())
    assert Column(half).to_pylist() == [1.5, None]
    union = pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])])
    assert Column(union).to_pylist() == [1, "b"]
    views = pa.array([[1], None, [2, 3]], pa.list_view(pa.int64()))
    assert Column(views).to_pylist() == [[1], None, [2, 3]]


def test_a_large_batch_of_another_layout_comes_in_slices() -> None:
    rows = 200_000
    source = pa.table({"x": pa.array([str(i) for i in range(rows)], pa.large_string()), "i": range(rows)})
    batches = list(stream.from_arrow(source))
    assert max(batch.num_rows for batch in batches) <= 65_536
    assert pa.concat_tables(pa.table(b) for b in batches)["x"].to_pylist() == source["x"].to_pylist()


def test_foreign_loops_run_python_stages() -> None:
    """A consumer's own thread, attached or not, pulls through functions of ours without a deadlock."""
    source = stream.from_arrow(pa.table({"x": list(range(100_000))})).rebatch(1000)
    doubled = source.map(lambda batch: {"x": batch["x"] * 2}, schema={"x": "int64"})
    total = 2 * sum(range(100_000))
    assert pl.DataFrame(doubled)["x"].sum() == total
    assert duckdb.sql("select sum(x) from doubled").fetchall() == [(total,)]
    assert pa.table(doubled)["x"].to_numpy().sum() == total
    assert pd.DataFrame.from_arrow(doubled)["x"].sum() == total


def test_a_stage_that_raises_ends_a_foreign_loop_with_its_words() -> None:
    def boom(batch: Batch) -> Batch:
        raise ValueError("no such fare")

    broken = stream.from_arrow(pa.table({"x": [1]})).map(boom, schema={"x": "int64"})
    for consume in (pa.table, pl.DataFrame, lambda s: duckdb.sql("from s").fetchall()):
        with pytest.raises(Exception, match="no such fare"):
            consume(broken)


def test_a_stream_asked_for_and_not_pulled_leaves_nothing() -> None:
    calls = []
    source = stream.from_arrow(pa.table({"x": [1]})).inspect(calls.append)
    for _ in range(100):
        source.__arrow_c_stream__()
    assert calls == []
