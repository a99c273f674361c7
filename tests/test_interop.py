"""Arrow in, Arrow out: the other libraries take what we give, and we take what they give."""

import ast
import base64
import datetime as dt

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from pyarrow import parquet as pq

import strategies
import stream
from stream import col


@pytest.fixture
def pipe(flights_parquet):
    return (
        stream.read(flights_parquet)
        .filter(col("month") == 2)
        .select("day", "carrier", "tailnum", "air_time", "time_hour")
    )


@pytest.fixture
def expected(flights):
    import pyarrow.compute as pc

    return flights.filter(pc.equal(flights["month"], 2)).select(["day", "carrier", "tailnum", "air_time", "time_hour"])


class TestOut:
    def test_pyarrow(self, pipe, expected):
        table = pa.table(pipe)
        table.validate(full=True)
        assert table.schema.equals(expected.schema)
        assert table.equals(expected)
        assert pa.RecordBatchReader.from_stream(pipe).read_all().equals(expected)
        assert pipe.to_arrow().equals(expected)
        assert pa.schema(pipe).equals(expected.schema)

    def test_polars(self, pipe, expected):
        assert pl.from_arrow(pipe).struct.unnest().equals(pl.from_arrow(expected))
        assert pl.DataFrame(pipe).equals(pl.from_arrow(expected))
        assert pipe.to_polars().equals(pl.from_arrow(expected))

    def test_duckdb(self, pipe, expected):
        row = duckdb.sql("select count(*), sum(air_time), count(distinct carrier) from pipe").fetchall()[0]
        assert row == (24_951, sum(v for v in expected["air_time"].to_pylist() if v is not None), 15)
        assert (
            duckdb.sql("select carrier, count(*) n from pipe group by 1 order by n desc limit 1").fetchall()[0][0]
            == "UA"
        )

    def test_pandas(self, pipe, expected):
        pd.testing.assert_frame_equal(pipe.to_pandas(), expected.to_pandas(), check_dtype=False)

    def test_a_schema_asked_for_is_honoured_or_refused(self, pipe):
        reader = pa.RecordBatchReader.from_stream(pipe, schema=pa.schema(pipe))
        assert reader.read_next_batch().num_rows > 0

    def test_asking_for_a_stream_starts_nothing(self, pipe):
        import watch

        reader = pa.RecordBatchReader.from_stream(pipe)
        assert watch.workers() == []
        reader.read_next_batch()
        reader.close()
        del reader

    def test_an_error_in_a_foreign_loop_is_an_error_there(self, flights_parquet):
        bad = stream.read(flights_parquet).select(x=col("tailnum").cast("int64"))
        with pytest.raises(Exception, match="tailnum"):
            pa.table(bad)
        with pytest.raises(Exception, match="tailnum"):
            pl.from_arrow(bad)

    def test_an_iterator_hands_over_what_is_left(self, pipe, expected):
        batches = pipe.batches(batch_size=1000)
        assert next(batches).num_rows == 1000
        assert pa.table(batches).equals(expected.slice(1000))

    def test_batch_and_column(self, pipe, expected):
        batch = next(iter(pipe.batches(batch_size=100)))
        assert pa.record_batch(batch).equals(expected.slice(0, 100).combine_chunks().to_batches()[0])
        assert pa.array(batch["day"]).to_pylist() == expected["day"][:100].to_pylist()
        assert pl.DataFrame(batch).equals(pl.from_arrow(expected.slice(0, 100)))
        assert pl.Series(batch["carrier"]).to_list() == expected["carrier"][:100].to_pylist()
        assert batch.to_pandas()["day"].tolist() == expected["day"][:100].to_pylist()
        assert duckdb.sql("select sum(day) from batch").fetchall()[0][0] == sum(expected["day"][:100].to_pylist())

    @given(table=strategies.tables())
    def test_every_exported_batch_is_valid(self, table):
        for batch in stream.from_arrow(table).batches(batch_size=7):
            out = pa.record_batch(batch)
            out.validate(full=True)
            for part in (batch[1:3], batch[2:2]):
                pa.record_batch(part).validate(full=True)
                assert pa.record_batch(part).to_pylist() == part.to_pylist()

    def test_text_is_string_in_every_export(self):
        table = pa.table(
            {
                "v": pa.array(["a", "a long text that no view inlines"], pa.string_view()),
                "l": pa.array(["x", None], pa.large_string()),
            }
        )
        out = pa.table(stream.from_arrow(table))
        assert {str(t) for t in out.schema.types} <= {"string", "large_string"}
        assert out["v"].to_pylist() == table["v"].to_pylist()


class TestIn:
    ROWS = [{"a": 1, "b": "x"}, {"a": None, "b": None}, {"a": 3, "b": ""}]  # noqa: RUF012

    @pytest.mark.parametrize(
        "make",
        [
            pa.Table.from_pylist,
            lambda rows: pa.RecordBatch.from_pylist(rows),
            lambda rows: pa.Table.from_pylist(rows).to_reader(),
            pl.DataFrame,
            lambda rows: duckdb.sql("select * from (values (1, 'x'), (null, null), (3, '')) t(a, b)"),
            lambda rows: pd.DataFrame(rows).astype({"a": "Int64"}),
            lambda rows: stream.Batch({"a": [1, None, 3], "b": ["x", None, ""]}),
            lambda rows: stream.from_arrow(pa.Table.from_pylist(rows)),
        ],
        ids=["Table", "RecordBatch", "reader", "polars", "duckdb", "pandas", "Batch", "Stream"],
    )
    def test_producers(self, make):
        assert stream.from_arrow(make(self.ROWS)).to_pylist() == self.ROWS

    @pytest.mark.parametrize(
        "back",
        [
            lambda batch: pa.record_batch(batch),
            lambda batch: pa.table(pa.record_batch(batch).to_pydict()),
            lambda batch: pl.DataFrame(batch),
            lambda batch: batch.to_pandas(),
            lambda batch: batch.to_pydict(),
            lambda batch: {"a": batch["a"], "b": batch["b"].to_pylist()},
            lambda batch: {"a": pa.array(batch["a"]), "b": pl.Series(batch["b"])},
        ],
    )
    def test_map_takes_any_batch_like(self, back):
        pipe = stream.from_arrow(pa.table({"a": [1, 2, 3], "b": ["x", "y", "z"]}))
        assert pipe.map(back).to_pydict() == {"a": [1, 2, 3], "b": ["x", "y", "z"]}

    def test_map_refuses_other_things_by_name(self):
        pipe = stream.from_arrow(pa.table({"a": [1]}))
        for wrong in (3, "x", [1, 2], object()):
            with pytest.raises(TypeError, match=type(wrong).__name__):
                pipe.map(lambda batch, wrong=wrong: wrong).to_arrow()

    def test_map_results_that_drift_are_cast_or_refused(self):
        source = stream.concat([stream.from_arrow(pa.table({"a": [k]})) for k in range(3)])

        def mapped(*results, schema=None):
            following = iter(results)
            return source.map(lambda batch: next(following), schema=schema).to_pydict()

        assert mapped({"x": [1]}, {"x": np.array([2], "int8")}, None) == {"x": [1, 2]}
        drifting = [{"x": np.array([1], "int32"), "y": ["a"]}, {"x": [2.5], "y": ["b"]}, None]
        with pytest.raises(stream.exceptions.SchemaError) as error:
            mapped(*drifting)
        text = str(error.value)
        assert "column `x`: expected int32, found float64" in text
        assert "dtypes" not in text
        pasted = ast.literal_eval(text.partition("; pass schema=")[2])
        assert mapped(*drifting, schema=pasted) == {"x": [1.0, 2.5], "y": ["a", "b"]}
        for odd in ({"x": ["three"]}, {"x": [2.5]}, {"z": [3]}):
            with pytest.raises(
                stream.exceptions.SchemaError, match=r"return the columns of its first result each time"
            ):
                mapped({"x": [1]}, odd, None)

    def test_not_arrow_at_all(self):
        for wrong in (3, "x", object(), None):
            with pytest.raises(TypeError, match="__arrow_c_stream__"):
                stream.from_arrow(wrong)

    def test_data_of_ours_outlives_its_source(self):
        column = stream.from_arrow(pa.table({"a": list(range(1000))})).to_arrow()["a"]
        assert column.to_pylist() == list(range(1000))

    def test_numpy_views_keep_their_memory(self):
        view = next(iter(stream.from_arrow(pa.table({"a": list(range(1000))}))))["a"].to_numpy()
        assert view.tolist() == list(range(1000))
        assert not view.flags.writeable
        assert not view.flags.owndata


class TestNumpy:
    def batch(self):
        return stream.Batch({
            "i": [1, 2, 3], "n": [1, None, 3], "f": [0.5, None, 2.5], "s": ["a", "b", None],
            "b": [True, False, True], "t": [dt.datetime(2024, 1, k) for k in (1, 2, 3)],
        })  # fmt: skip

    def test_views(self):
        batch = self.batch()
        assert batch["i"].to_numpy().dtype == "int64"
        assert batch["t"].to_numpy().dtype == "datetime64[us]"
        with pytest.raises(ValueError, match="read-only"):
            batch["i"].to_numpy()[0] = 9

    def test_what_has_no_view_names_the_argument(self):
        batch = self.batch()
        for name, argument in (("n", "nulls="), ("f", "nulls="), ("s", "copy=True"), ("b", "copy=True")):
            with pytest.raises((ValueError, TypeError), match=argument):
                batch[name].to_numpy()
        assert batch["n"].to_numpy(nulls=0).tolist() == [1, 0, 3]
        assert np.isnan(batch["f"].to_numpy(nulls=float("nan"))[1])
        assert batch["s"].to_numpy(copy=True).tolist() == ["a", "b", None]
        assert batch["b"].to_numpy(copy=True).tolist() == [True, False, True]
        writable = batch["i"].to_numpy(writable=True)
        writable[0] = 9
        assert batch["i"].to_pylist() == [1, 2, 3]

    def test_asarray(self):
        batch = self.batch()
        assert np.asarray(batch["i"]).tolist() == [1, 2, 3]
        assert np.asarray(batch["b"]).tolist() == [True, False, True]
        with pytest.raises((ValueError, TypeError)):
            np.asarray(batch["n"])
        assert np.asarray(batch["i"], dtype="float32").dtype == "float32"

    def test_a_dict_of_arrays_is_a_batch(self):
        batch = stream.Batch(
            {
                "x": np.arange(3),
                "y": np.array([1.5, 2.5, np.nan], "float32"),
                "z": np.array([True, False, True]),
                "k": 7,
            }
        )
        assert batch.schema == {"x": "int64", "y": "float32", "z": "bool", "k": "int64"}
        assert batch["k"].to_pylist() == [7, 7, 7]
        assert stream.Batch({"w": np.arange(10)[::3]})["w"].to_pylist() == [0, 3, 6, 9]
        assert stream.Batch({"w": np.arange(6).astype(">i4")})["w"].to_pylist() == [0, 1, 2, 3, 4, 5]
        assert stream.Batch({"w": np.array(["2024-01-01"], "datetime64[us]")})["w"].to_pylist() == [
            dt.datetime(2024, 1, 1)
        ]
        with pytest.raises((ValueError, stream.exceptions.SchemaError)):
            stream.Batch({"x": [1, 2], "y": [1]})


def of_many_types() -> dict[str, pa.Array]:
    """Columns whose type a Parquet file alone does not tell, or tells in several ways."""
    numbers = pa.array([1, None, 3, 1], pa.int64())
    columns = {
        f"{unit} in {zone}": numbers.cast(pa.timestamp(unit, zone))
        for unit in ("s", "ms", "us", "ns")
        for zone in (None, "UTC", "Europe/Berlin", "+02:00")
    }
    for values in (
        pa.array(["a", "b"]),
        pa.array(["a", "b"], pa.large_string()),
        pa.array([b"a", b"b"]),
        pa.array([1, 2], pa.int64()),
        pa.array([1, 2], pa.int8()),
        pa.array([True, False]),
        pa.array([1.5, 2.5]),
        pa.array([1, 2]).cast(pa.decimal128(30, 2)),
        pa.array([b"abc", b"def"], pa.binary(3)),
        pa.array([1, 2]).cast(pa.timestamp("ns", "UTC")),
    ):
        columns[f"dictionary of {values.type}"] = pa.DictionaryArray.from_arrays(pa.array([0, None, 1, 0]), values)
    columns["day in ms"] = pa.array([dt.date(2024, 1, 1), None, None, dt.date(1969, 1, 1)], pa.date64())
    columns["duration"] = numbers.cast(pa.duration("ms"))
    columns["wide"] = numbers.cast(pa.decimal256(60, 2))
    columns["uuid"] = pa.ExtensionArray.from_storage(
        pa.uuid(), pa.array([b"0" * 16, None, b"1" * 16, b"2" * 16]).cast(pa.binary(16))
    )
    columns["json"] = pa.ExtensionArray.from_storage(pa.json_(), pa.array(["{}", None, "[1]", "2"]))
    columns["list"] = pa.array([[1, None], [], None, [3]], pa.large_list(pa.int32()))
    columns["pair"] = pa.array([[1, 2], [3, None], [None, 4], [5, 6]], pa.list_(pa.int32(), 2))
    columns["struct"] = pa.array(
        [{"at": 1, "n": None}, None, {"at": 2, "n": 3}, {"at": None, "n": 4}],
        pa.struct({"at": pa.timestamp("s", "Europe/Berlin"), "n": pa.uint8()}),
    )
    return columns


class TestTypesOfFiles:
    """A Parquet file has the types and values here that it has in pyarrow, with its Arrow schema and without."""

    @staticmethod
    def plain(dtype: pa.DataType) -> str:
        return str(dtype).replace("large_string", "string").replace("large_binary", "binary")

    @pytest.mark.parametrize("advice", [True, False])
    @pytest.mark.parametrize("version", ["1.0", "2.6"])
    @pytest.mark.parametrize("name", of_many_types())
    def test_as_in_pyarrow(self, name, version, advice, tmp_path):
        path = tmp_path / "x.parquet"
        table = pa.table({"x": of_many_types()[name]})
        try:
            pq.write_table(table, path, version=version, store_schema=advice)
        except pa.ArrowInvalid:
            pytest.skip("this version of the format has no nanoseconds")
        found, expected = pa.table(stream.read(path)), pq.read_table(path)
        found.validate(full=True)
        assert self.plain(found["x"].type) == self.plain(expected["x"].type)
        assert found["x"].to_pylist() == expected["x"].to_pylist()

    @pytest.mark.parametrize(
        "advised",
        [pa.string(), pa.float64(), pa.int8(), pa.list_(pa.int64()), pa.time64("ns"), pa.struct({"a": pa.int64()})],
    )
    def test_advice_that_contradicts_the_file_is_not_taken(self, advised, tmp_path):
        path = tmp_path / "x.parquet"
        schema = pa.schema([("x", advised)])
        advice = {"ARROW:schema": base64.b64encode(schema.serialize().to_pybytes())}
        table = pa.table({"x": [1, None, 3]}).replace_schema_metadata(advice)
        pq.write_table(table, path, store_schema=False)
        assert stream.read(path).schema == {"x": "int64"}
        assert stream.read(path).to_pydict() == {"x": [1, None, 3]}

    def test_an_interval_keeps_its_months(self, tmp_path):
        path = tmp_path / "x.parquet"
        duckdb.sql(f"copy (select interval 14 months + interval 3 days as x) to '{path}' (format parquet)")
        table = pa.table(stream.read(path))
        assert table.schema.field("x").type == pa.binary(12)
        assert table["x"].to_pylist() == [np.array([14, 3, 0], "<u4").tobytes()]
