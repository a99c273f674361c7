"""`Batch` and `Column`: rows in hand."""

from __future__ import annotations

import array
import datetime as dt
import gc
import weakref
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import stream
from stream import Batch, Column, col
from stream.exceptions import ColumnNotFoundError, SchemaError, StreamError


@pytest.fixture
def trips() -> Batch:
    return Batch({"id": [1, 2, 3], "fare": [3.5, None, 12.0], "city": ["Bonn", None, "Ulm"]})


# --------------------------------------------------------------------------------------------------- making one


def test_dtypes_are_found_from_values() -> None:
    batch = Batch(
        {
            "int": [1, None],
            "mixed": [1, 2.5],
            "text": ["a", "b"],
            "bool": [True, None],
            "bytes": [b"a", None],
            "date": [dt.date(2020, 1, 1), None],
            "at": [dt.datetime(2020, 1, 1), None],
            "zoned": [dt.datetime(2020, 1, 1, tzinfo=ZoneInfo("Europe/Berlin")), None],
            "time": [dt.time(1), None],
            "delta": [dt.timedelta(1), None],
            "decimal": [Decimal("1.25"), Decimal(100)],
            "list": [[1], [2.5]],
            "struct": [{"a": 1}, {"b": "x"}],
            "null": [None, None],
        }
    )
    assert batch.schema == {
        "int": "int64",
        "mixed": "float64",
        "text": "string",
        "bool": "bool",
        "bytes": "binary",
        "date": "date32",
        "at": "timestamp[us]",
        "zoned": "timestamp[us, tz=Europe/Berlin]",
        "time": "time64[us]",
        "delta": "duration[us]",
        "decimal": "decimal128(5, 2)",
        "list": "list<float64>",
        "struct": "struct<a: int64, b: string>",
        "null": "null",
    }
    assert batch[1]["struct"] == {"a": None, "b": "x"}


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ([1, "a"], TypeError, "column `x`: expected values of one type, found int and str"),
        ([1, True], TypeError, "int and bool"),
        ([object()], TypeError, "found `object`"),
        ([2**64], ValueError, "no integer dtype holds"),
        ([2**63, -1], ValueError, "no integer dtype holds"),
        ([{1: 2}], TypeError, "keys must be `str`"),
        ({1, 2}, TypeError, "values in order"),
        ([Decimal("NaN")], ValueError, "decimal"),
        ([Decimal(10) ** 80], ValueError, "76"),
        ([dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 1, tzinfo=dt.UTC)], TypeError, "time zone"),
    ],
)
def test_values_of_no_one_dtype_name_the_column(values: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words.replace("(", r"\(")):
        Batch({"x": values})


def test_lists_nested_without_end_are_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(TypeError, match="deep"):
        Batch({"x": endless})


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", ">i4", ">f8", "?"])
def test_numpy_comes_in_with_its_dtype(dtype: str) -> None:
    values = np.array([0, 1, 2, 3, 4, 5], dtype)[::2]
    column = Column(values)
    assert column.to_pylist() == values.tolist()
    back = column.to_numpy(copy=True)
    assert back.dtype == values.dtype.newbyteorder("=")
    assert back.tolist() == values.tolist()


@pytest.mark.parametrize("unit", ["D", "s", "ms", "us", "ns", "h", "W"])
def test_numpy_times_come_in(unit: str) -> None:
    times = np.array(["2020-01-02", "NaT", "1969-12-25"], f"M8[{unit}]")
    assert Column(times).to_pylist() == pa.array(times.astype("M8[us]")).to_pylist() or unit in "DW"
    assert np.array_equal(np.asarray(Column(times)), times, equal_nan=True)
    spans = np.array([1, "NaT", -3], f"m8[{unit}]")
    assert np.array_equal(np.asarray(Column(spans)).astype("m8[s]"), spans.astype("m8[s]"), equal_nan=True)


def test_numpy_text_and_objects_come_in() -> None:
    assert Column(np.array(["a", "bc"])).to_pylist() == ["a", "bc"]
    assert Column(np.array(["a", None], object)).to_pylist() == ["a", None]
    assert Column(np.ma.masked_array([1, 2], [False, True])).to_pylist() == [1, None]
    assert Column([np.int8(1), np.int64(2)]).to_pylist() == [1, 2]
    assert Column([np.bool_(True)]).dtype == "bool"
    with pytest.raises(TypeError, match="one dimension"):
        Column(np.zeros((2, 2)))
    with pytest.raises(TypeError, match="complex"):
        Column(np.zeros(2, complex))


def test_buffers_pandas_and_iterables_come_in() -> None:
    assert Column(array.array("h", [1, 2])).dtype == "int16"
    assert Column(memoryview(b"ab")).to_pylist() == [97, 98]
    assert Column(range(3)).to_pylist() == [0, 1, 2]
    assert Column(i for i in range(3)).to_pylist() == [0, 1, 2]
    assert Column(pd.Series([1.5, None])).to_pylist() == [1.5, None]
    assert Column(pd.Series(["a", None])).to_pylist() == ["a", None]
    assert Column(pd.Series([1, None], dtype="Int64")).to_pylist() == [1, None]
    assert Column([pd.NaT, pd.Timestamp(2020, 1, 1)]).to_pylist() == [None, dt.datetime(2020, 1, 1)]
    assert Column([pd.NA, 1]).to_pylist() == [None, 1]
    with pytest.raises(ValueError, match="nanoseconds"):
        Column([pd.Timestamp("2020-01-01T00:00:00.000000001")])


def test_a_scalar_is_repeated_and_lengths_must_agree() -> None:
    batch = Batch({"a": [1, 2], "b": "x", "c": None, "d": Decimal(1)})
    assert batch.to_pylist() == [{"a": a, "b": "x", "c": None, "d": Decimal(1)} for a in (1, 2)]
    assert Batch({"a": 1}).num_rows == 1
    assert Batch({"a": [], "b": 1}).num_rows == 0
    assert Batch({}).num_rows == 0
    with pytest.raises(ValueError, match="`a` 1, `b` 2"):
        Batch({"a": [1], "b": [1, 2]})
    with pytest.raises(TypeError, match="name must be `str`"):
        Batch({1: [1]})


def test_a_schema_casts_and_orders() -> None:
    batch = Batch({"a": ["1", None], "b": [1, 2]}, schema={"b": "float32", "a": int})
    assert batch.schema == {"b": "float32", "a": "int64"}
    assert batch.to_pylist() == [{"b": 1.0, "a": 1}, {"b": 2.0, "a": None}]
    assert Batch({"a": []}, schema=pa.schema([("a", pa.date32())])).schema == {"a": "date32"}
    with pytest.raises(SchemaError, match="`b`"):
        Batch({"a": [1], "b": [2]}, schema={"a": "int8"})
    with pytest.raises(ColumnNotFoundError, match="`c`"):
        Batch({"a": [1]}, schema={"a": "int8", "c": "int8"})
    with pytest.raises(ValueError, match="300"):
        Batch({"a": [300]}, schema={"a": "int8"})


# ------------------------------------------------------------------------------------------------- looking at it


def test_a_batch_is_a_container_of_columns(trips: Batch) -> None:
    assert (trips.num_rows, trips.num_columns, len(trips)) == (3, 3, 3)
    assert trips.column_names == ["id", "fare", "city"]
    assert "fare" in trips
    assert "far" not in trips
    assert 1 not in trips
    assert isinstance(trips["fare"], Column)
    assert trips[0] == trips[-3] == {"id": 1, "fare": 3.5, "city": "Bonn"}
    assert trips[1:].to_pydict() == {"id": [2, 3], "fare": [None, 12.0], "city": [None, "Ulm"]}
    assert trips[::-2]["id"].to_pylist() == [3, 1]
    assert {name: column.to_pylist() for name, column in dict(trips).items()} == trips.to_pydict()
    assert list(trips.rows(tuple)) == [(1, 3.5, "Bonn"), (2, None, None), (3, 12.0, "Ulm")]
    assert list(trips.rows()) == trips.to_pylist()
    assert trips.nbytes > 0
    with pytest.raises(IndexError):
        trips[3]
    with pytest.raises(TypeError, match=r"batch\.rows\(\)"):
        iter(trips)
    with pytest.raises(TypeError, match="bool"):
        trips[True]
    with pytest.raises(TypeError, match="dict or tuple"):
        trips.rows(list)


def test_a_missing_column_names_the_nearest(trips: Batch) -> None:
    with pytest.raises(ColumnNotFoundError, match="column `far` not found, did you mean `fare`") as caught:
        trips["far"]
    assert isinstance(caught.value, KeyError)


def test_batches_compare_by_value(trips: Batch) -> None:
    assert trips == Batch(trips.to_pydict())
    assert trips != trips[1:]
    assert trips != trips.rename({"id": "key"})
    assert trips != 5
    with pytest.raises(TypeError):
        hash(trips)


def test_repr_is_a_table_that_fits(trips: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    assert repr(trips) == (
        "3 rows, 3 columns\n"
        "┌───────┬─────────┬────────┐\n"
        "│ id    │ fare    │ city   │\n"
        "│ int64 │ float64 │ string │\n"
        "├───────┼─────────┼────────┤\n"
        "│     1 │     3.5 │ Bonn   │\n"
        "│     2 │    null │ null   │\n"
        "│     3 │    12.0 │ Ulm    │\n"
        "└───────┴─────────┴────────┘"
    )
    monkeypatch.setenv("COLUMNS", "60")
    wide = Batch({f"column_{i}": ["x" * 100, "日本語\n\x1b[31m"] * 10 for i in range(30)})
    lines = repr(wide).splitlines()
    assert "not shown" in lines[0]
    assert lines[-1] == "… 10 more rows"
    assert "\x1b" not in repr(wide)
    assert max(len(line) for line in lines[1:] if "日" not in line) <= 60
    assert repr(Batch({})) == "0 rows, 0 columns"


def test_html_escapes() -> None:
    html = Batch({"<b>": ["<script>"]})._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "&lt;b&gt;" in html


# ------------------------------------------------------------------------------------------------------- verbs


def test_filter_takes_expressions_texts_and_masks(trips: Batch) -> None:
    assert trips.filter(col("fare") > 4)["id"].to_pylist() == [3]
    assert trips.filter("fare > 4 or id = 2")["id"].to_pylist() == [2, 3]
    assert trips.filter(trips["fare"] > 4)["id"].to_pylist() == [3]
    assert trips.filter([True, None, False])["id"].to_pylist() == [1]
    assert trips.filter(np.array([True, True, False]), col("fare") > 0)["id"].to_pylist() == [1]
    assert trips.filter() == trips
    with pytest.raises(ValueError, match="3 values"):
        trips.filter([True])
    with pytest.raises(TypeError, match="booleans"):
        trips.filter([1, 2, 3])
    with pytest.raises(ColumnNotFoundError, match="did you mean `fare`"):
        trips.filter(col("far") > 1)


def test_select_and_with_columns(trips: Batch) -> None:
    assert trips.select("city", double=col("fare") * 2).to_pydict() == {
        "city": ["Bonn", None, "Ulm"],
        "double": [7.0, None, 24.0],
    }
    more = trips.with_columns(
        id=col("id") + 1, rate=trips["fare"].to_numpy(nulls=0).clip(0, 10), one=1, flag=[True, False, True]
    )
    assert more.to_pydict() == {
        "id": [2, 3, 4],
        "fare": [3.5, None, 12.0],
        "city": ["Bonn", None, "Ulm"],
        "rate": [3.5, 0.0, 10.0],
        "one": [1, 1, 1],
        "flag": [True, False, True],
    }
    assert trips.select(trips["fare"] * 2, "id").column_names == ["fare", "id"]
    with pytest.raises(SchemaError, match="`id`"):
        trips.select("id", col("fare").alias("id"))
    with pytest.raises(ValueError, match="2 values"):
        trips.with_columns(x=[1, 2])


def test_rename_drop_cast_slice(trips: Batch) -> None:
    assert trips.rename({"id": "key"}).column_names == ["key", "fare", "city"]
    assert trips.rename(str.upper).column_names == ["ID", "FARE", "CITY"]
    with pytest.raises(SchemaError, match="two columns"):
        trips.rename({"id": "fare"})
    with pytest.raises(ColumnNotFoundError):
        trips.rename({"x": "y"})
    assert trips.drop("id", "city").column_names == ["fare"]
    assert trips.drop("id", "fare", "city").num_rows == 3
    with pytest.raises(ColumnNotFoundError):
        trips.drop("ids")
    assert trips.cast({"id": "string"})["id"].to_pylist() == ["1", "2", "3"]
    assert trips.slice(1)["id"].to_pylist() == [2, 3]
    assert trips.slice(-1, 5)["id"].to_pylist() == [3]
    assert trips.head(1)["id"].to_pylist() == [1]


# ------------------------------------------------------------------------------------------------------ columns


def test_a_column_is_a_sequence(trips: Batch) -> None:
    fare = trips["fare"]
    assert (len(fare), fare[0], fare[-1], fare.null_count, fare.name) == (3, 3.5, 12.0, 1, "fare")
    assert fare.dtype == "float64"
    assert fare[1:].to_pylist() == [None, 12.0]
    assert fare[::-1].to_pylist() == list(fare)[::-1]
    assert 3.5 in fare
    assert 4.0 not in fare
    with pytest.raises(IndexError):
        fare[3]
    with pytest.raises(TypeError, match="`&`, `|`, `~`".replace("|", r"\|")):
        bool(fare)
    with pytest.raises(TypeError):
        hash(fare)


def test_operators_are_those_of_expressions() -> None:
    a, b = Column([1, 2, None], name="a"), Column([10.0, 0.0, 1.0], name="b")
    assert (a + b).to_pylist() == [11.0, 2.0, None]
    assert (a + 1).to_pylist() == (1 + a).to_pylist() == [2, 3, None]
    assert (10 - a).to_pylist() == [9, 8, None]
    assert (a / b).to_pylist()[0] == 0.1
    assert (a // 2).to_pylist() == [0, 1, None]
    assert (a % 2).to_pylist() == [1, 0, None]
    assert (-a).to_pylist() == [-1, -2, None]
    assert (a == 1).to_pylist() == [True, False, None]
    assert (a != b).to_pylist() == [True, True, None]
    assert ((a > 0) & ~(a > 1)).to_pylist() == [True, False, None]
    assert (a + a).to_pylist() == [2, 4, None]
    assert (a + np.array([1, 2, 3])).to_pylist() == [2, 4, None]
    assert (a > 1).name == "a"
    with pytest.raises(ValueError, match="do not go together"):
        a + Column([1])
    with pytest.raises(StreamError, match="overflow"):
        Column([2**63 - 1], name="x") + 1


def test_methods_are_those_of_expressions() -> None:
    x = Column([1.25, None, -2.0], name="x")
    assert x.is_null().to_pylist() == [False, True, False]
    assert x.is_not_null().to_pylist() == [True, False, True]
    assert x.fill_null(0).to_pylist() == [1.25, 0.0, -2.0]
    assert x.abs().to_pylist() == [1.25, None, 2.0]
    assert x.round(1).to_pylist()[2] == -2.0
    assert x.floor().to_pylist() == [1.0, None, -2.0]
    assert x.clip(0, 1).to_pylist() == [1.0, None, 0.0]
    assert x.is_in([-2, 5]).to_pylist() == [False, None, True]
    assert x.is_between(0, 2).to_pylist() == [True, None, False]
    assert x.cast("string").dtype == "string"
    assert x.alias("y").name == "y"
    assert Column(["Ab", None]).str.to_uppercase().to_pylist() == ["AB", None]
    assert Column([dt.date(2024, 2, 29)]).dt.year().to_pylist() == [2024]
    assert "to_uppercase" in dir(Column(["a"]).str)
    with pytest.raises(AttributeError):
        _ = Column(["a"]).str.nonsense


def test_aggregates_at_once() -> None:
    x = Column([3, None, 1])
    assert (x.sum(), x.min(), x.max(), x.mean()) == (4, 1, 3, 2.0)
    empty = Column([], dtype="int64")
    assert (empty.sum(), empty.min(), empty.max(), empty.mean()) == (0, None, None, None)
    assert Column([1.5, 2.5]).sum() == 4.0
    assert Column([2**63, 1]).sum() == 2**63 + 1
    with pytest.raises(StreamError, match="overflow"):
        Column([2**63 - 1, 1]).sum()
    assert Column(["b", "a"]).min() == "a"
    assert Column([True, False]).any() is True


def test_every_method_of_expr_is_one_of_column() -> None:
    elsewhere = {"len", "approx_n_unique", "approx_quantile"}
    for name in dir(stream.Expr):
        if not name.startswith("_") and name not in elsewhere:
            assert hasattr(Column, name), name


# -------------------------------------------------------------------------------------------------------- NumPy


def test_to_numpy_is_a_read_only_view_that_keeps_the_memory() -> None:
    batch = Batch({"x": np.arange(1000)})
    view = batch["x"].to_numpy()
    assert not view.flags.writeable
    assert not view.flags.owndata
    again = batch["x"][10:20].to_numpy()
    assert again.ctypes.data == view.ctypes.data + 80
    del batch
    gc.collect()
    assert view.sum() == 499500
    for dtype in ("float32", "timestamp[ms]", "duration[s]", "uint8"):
        assert not Column([1, 2], dtype="int64").cast(dtype).to_numpy().flags.owndata, dtype


def test_to_numpy_names_the_argument_that_allows_the_copy() -> None:
    x = Column([1, None], name="x")
    with pytest.raises(ValueError, match="nulls="):
        x.to_numpy()
    assert x.to_numpy(nulls=0).tolist() == [1, 0]
    filled = x.to_numpy(nulls=float("nan"))
    assert filled.dtype == "f8"
    assert np.isnan(filled[1])
    with pytest.raises(ValueError, match="copy=True"):
        Column(["a"]).to_numpy()
    assert Column(["a", None]).to_numpy(copy=True).tolist() == ["a", None]
    assert Column([True, False]).to_numpy(copy=True).tolist() == [True, False]
    with pytest.raises(ValueError, match="nulls="):
        Column([True, None]).to_numpy(copy=True)
    assert Column([True, None]).to_numpy(nulls=False).tolist() == [True, False]
    days = Column([dt.date(2020, 1, 1)])
    with pytest.raises(ValueError, match="copy=True"):
        days.to_numpy()
    assert days.to_numpy(copy=True).dtype == "M8[D]"
    mine = Column([1, 2]).to_numpy(writable=True)
    mine[0] = 5
    assert mine.tolist() == [5, 2]


def test_asarray_copies_where_it_must() -> None:
    assert np.asarray(Column([1.5, None]))[0] == 1.5
    assert np.isnan(np.asarray(Column([1.5, None]))[1])
    assert np.asarray(Column([True, False])).dtype == bool
    assert np.asarray(Column(["a", None])).tolist() == ["a", None]
    assert np.isnat(np.asarray(Column([dt.datetime(2020, 1, 1), None]))[1])
    assert np.isnat(np.asarray(Column([dt.date(2020, 1, 1), None]))[1])
    assert np.asarray(Column([1, 2]), dtype="f4").dtype == "f4"
    assert np.add(Column([1, 2]), 1).tolist() == [2, 3]
    with pytest.raises(ValueError, match="nulls="):
        np.asarray(Column([1, None]))
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(Column(["a"]), copy=False)


# ------------------------------------------------------------------------------------------------------- values


def test_a_time_zone_comes_out_as_one() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    # the hour that happens twice
    times = [dt.datetime(2024, 10, 27, 2, 30, fold=fold, tzinfo=berlin) for fold in (0, 1)]
    back = Column(times).to_pylist()
    assert [t.utcoffset() for t in back] == [dt.timedelta(hours=2), dt.timedelta(hours=1)]
    assert back[0].tzinfo is berlin
    fixed = Column(pa.array([0], pa.timestamp("s", "+05:30"))).to_pylist()
    assert fixed[0].utcoffset() == dt.timedelta(hours=5, minutes=30)


def test_what_datetime_cannot_hold_is_an_error_with_the_cast() -> None:
    fine = Column(pa.array([1_000], pa.timestamp("ns")), name="t")
    assert fine.to_pylist() == [dt.datetime(1970, 1, 1, 0, 0, 0, 1)]
    with pytest.raises(ValueError, match=r"column `t`.*timestamp\[us\]"):
        Column(pa.array([1], pa.timestamp("ns")), name="t").to_pylist()
    with pytest.raises(ValueError, match="years 1 to 9999"):
        Column(pa.array([10**6 * 86400 * 366 * 12], pa.timestamp("s")))[0]
    with pytest.raises(ValueError, match="years 1 to 9999"):
        Column(pa.array([2**31 - 1], pa.int32()).cast(pa.date32())).to_pylist()


VALUES = st.one_of(
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)),
    st.lists(st.none() | st.floats(allow_nan=False)),
    st.lists(st.none() | st.text(st.characters(exclude_categories=("Cs",)))),
    st.lists(st.none() | st.binary()),
    st.lists(st.none() | st.booleans()),
    st.lists(st.none() | st.dates()),
    st.lists(st.none() | st.datetimes()),
    st.lists(st.none() | st.datetimes(timezones=st.just(dt.UTC))),
    st.lists(st.none() | st.times()),
    st.lists(st.none() | st.timedeltas(dt.timedelta(-(10**8)), dt.timedelta(10**8))),
    st.lists(
        st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**30), max_value=10**30)
    ),
    st.lists(st.none() | st.lists(st.none() | st.integers(-5, 5))),
)


@given(VALUES, st.data())
def test_values_come_back_as_they_were(values: list[object], data: st.DataObject) -> None:
    column = Column(values)
    assert column.to_pylist() == values
    assert pa.array(column).to_pylist() == values
    start = data.draw(st.integers(0, len(values)))
    stop = data.draw(st.integers(start, len(values)))
    part = column[start:stop]
    assert part.to_pylist() == values[start:stop]
    assert part.null_count == sum(v is None for v in values[start:stop])
    pa.array(part).validate(full=True)


def test_conversions_to_other_libraries(trips: Batch) -> None:
    assert trips.to_polars().equals(pl.DataFrame(trips.to_pydict()))
    assert trips.to_pandas()["id"].tolist() == [1, 2, 3]
    assert trips["fare"].to_pandas().name == "fare"
    assert trips["fare"].to_polars().sum() == 15.5
    assert trips.to_arrow().schema.names == ["id", "fare", "city"]


def test_batches_can_be_weakly_referenced(trips: Batch) -> None:
    assert weakref.ref(trips)() is trips


def test_values_that_python_has_no_type_for_are_shown_as_text(capsys):
    batch = Batch(
        pa.table(
            {
                "ns": pa.array([1, None], pa.timestamp("ns")),
                "far": pa.array([10_000_000, 0], pa.date32()),
                "span": pa.array([1, -1], pa.duration("ns")),
            }
        )
    )
    assert "1970-01-01 00:00:00.000000001" in repr(batch)
    assert "1970-01-01 00:00:00.000000001" in batch._repr_html_()
    assert "29349-01-26" in repr(batch["far"])
    assert repr(batch["span"])
    stream.from_arrow(batch).show()
    assert "1970-01-01 00:00:00.000000001" in capsys.readouterr().out
