"""What pickles, and comes back as it was: streams with their functions, expressions, batches, columns."""

import copy
import datetime as dt
import decimal
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pyarrow as pa
import pytest

import stream
from stream import Batch, col, lit, when

BATCH = Batch({"id": [1, 2, None, 4], "fare": [3.5, None, 99.0, 12.0], "city": ["Köln", "", None, "Rom"]})

EXPRESSIONS = [
    col("id") + 1 > lit(2),
    ~(col("id").is_null() | (col("fare") < 4)) & col("city").is_in(["Rom", "", None]),
    -col("id") // 2 % 3 ** col("id"),
    when(col("id") > 1).then("city").when(col("id").is_null()).then(lit("x")).otherwise(None).alias("which"),
    when(col("id") > 1).then(col("id")),
    col("fare").cast("decimal128(12, 2)", strict=False).fill_null(decimal.Decimal("1.50")),
    stream.coalesce("city", lit(b"raw").cast(str)),
    stream.concat_str("city", "id", separator="-", ignore_nulls=True),
    col("city").str.replace_all("[aeiou]", "*").str.slice(-2),
    lit(dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)).dt.truncate("1d").alias("day"),
    lit(dt.timedelta(days=1)) + dt.date(2024, 1, 31),
    lit(2**63),
    col("id").is_between(1, 2, closed="left"),
    col("fare").is_in([3.5, 99.0]),
]
AGGREGATES = [col("id").sum(), col("fare").std(ddof=0), col("id").quantile(0.25, "linear"), stream.len()]


def doubled(batch):
    return batch.with_columns(id=batch["id"] * 2)


def odd(row):
    return row["id"] is None or row["id"] % 2 == 1


def again(value):
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("expr", EXPRESSIONS, ids=str)
def test_expression(expr):
    back = again(expr)
    assert str(back) == str(expr)
    made = BATCH.select(expr)
    assert BATCH.select(back).to_arrow().equals(made.to_arrow())


@pytest.mark.parametrize("expr", AGGREGATES, ids=str)
def test_aggregate(expr):
    s = stream.from_arrow(BATCH)
    assert s.agg(again(expr)).to_pylist() == s.agg(expr).to_pylist()


def test_long_chain_nests_nothing():
    expr = col("id")
    for n in range(900):
        expr = expr + n
    assert again(expr)._raw.output_name() == "id"


def test_batch_and_column():
    assert again(BATCH) == BATCH
    assert again(BATCH[1:3]).to_pylist() == BATCH[1:3].to_pylist()
    assert again(BATCH.select()).num_columns == 0
    assert again(BATCH["city"]).to_pylist() == ["Köln", "", None, "Rom"]
    assert again(BATCH["city"]).name == "city"
    assert copy.deepcopy(BATCH["id"][1:]).to_pylist() == [2, None, 4]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["a", "b", "a", None]).dictionary_encode(),
        pa.array([[1, 2], [], None]),
        pa.array([{"x": 1}, None]),
        pa.array(["long enough to leave the view", None], pa.string_view()),
        pa.array([1000, None], pa.timestamp("ns", "Europe/Berlin")),
        pa.array([decimal.Decimal("1.23"), None], pa.decimal128(20, 2)),
        pa.nulls(3),
    ],
    ids=lambda a: str(a.type),
)
def test_types(column):
    batch = Batch(pa.table({"x": column}))
    back = again(batch)
    assert back.schema == batch.schema
    assert back.to_pylist() == batch.to_pylist()
    assert again(batch["x"]).to_pylist() == batch["x"].to_pylist()


def test_stream(flights_csv):
    s = (
        stream.read_csv(flights_csv, null_values=["NA"], dtypes={"distance": "float32"}, batch_size=5000)
        .filter("dep_delay > 60", col("origin") != "EWR")
        .with_row_index("n")
        .rename({"carrier": "airline"})
        .rename(str.upper)
        .skip(10)
        .head(500)
        .options(memory_limit="64MiB")
    )
    back = again(s)
    assert back.explain() == s.explain()
    assert back.to_arrow().equals(s.to_arrow())
    both = again(stream.concat([s, back]).fill_null({"DEST": "?"}).rebatch(300))
    assert both.count() == 1000


def test_functions():
    s = stream.from_arrow(BATCH).map(doubled, schema=BATCH.schema).filter_rows(odd).inspect(len)
    assert again(s).to_pylist() == s.to_pylist() == [{"id": None, "fare": 99.0, "city": None}]
    assert "map doubled" in again(s).explain()


def test_the_function_that_does_not_pickle_is_named():
    s = stream.from_arrow(BATCH).map(doubled).filter(lambda batch: batch["id"] > 1)
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(s)


def test_one_shot_sources_do_not_pickle():
    reader = pa.RecordBatchReader.from_batches(pa.schema([("x", pa.int64())]), iter([]))
    with pytest.raises(TypeError, match="pickl"):
        pickle.dumps(stream.from_arrow(reader))


def test_in_another_process(flights_parquet):
    s = stream.read(flights_parquet).filter(col("distance") > 1000)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(stream.Stream.count, s).result() == s.count()


def test_a_run_does_not_pickle():
    with pytest.raises(TypeError, match="Batches"):
        pickle.dumps(iter(stream.from_arrow(BATCH)))
