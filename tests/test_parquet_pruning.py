"""What the Parquet reader leaves out, and that the answer is the same without leaving anything out."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import stream
from stream import col

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 20_000


def plain(s: stream.Stream) -> stream.Stream:
    """Return the same stream, whose source is told nothing of what is wanted."""
    return s._then(s._plan.without_pushdown)


def made(seed: int, rows: int = ROWS) -> pa.Table:
    """Columns in and out of order, with nulls, NaN and few or many values."""
    r = random.Random(seed)

    def some(values: list[Any]) -> list[Any]:
        return [None if r.random() < 0.05 else v for v in values]

    floats = [r.choice([float("nan"), -0.0, 0.0, 1.5]) if r.random() < 0.2 else i / 7 for i in range(rows)]
    texts = [f"{r.choice('abc')}{i // 500:04}" for i in range(rows)]
    return pa.table(
        {
            "id": pa.array(range(rows), pa.int64()),
            "near": pa.array(some([i // 10 + r.randrange(50) for i in range(rows)]), pa.int32()),
            "far": pa.array([r.randrange(0, 1000, 2) for _ in range(rows)], pa.int16()),
            "unsigned": pa.array([2**32 - 1 - i * 2 for i in range(rows)], pa.uint32()),
            "real": pa.array(some(floats), pa.float64()),
            "text": pa.array(some(texts), pa.string()),
            "few": pa.array(some([f"kind {i * 7 % 10 + i // 5000 * 10}" for i in range(rows)]), pa.string()),
            "code": pa.array([f"c{i // 3000}" for i in range(rows)]).dictionary_encode(),
            "day": pa.array([dt.date(2020, 1, 1) + dt.timedelta(days=i // 50) for i in range(rows)], pa.date32()),
            "at": pa.array([i * 1_000_000 for i in range(rows)], pa.timestamp("us")),
            "money": pa.array(some([Decimal(i) / 4 for i in range(rows)]), pa.decimal128(12, 2)),
            "flag": pa.array([i % 4000 < 2000 for i in range(rows)], pa.bool_()),
            "list": pa.array([[i, None] if i % 3 else None for i in range(rows)], pa.list_(pa.int64())),
        }
    )


def figures(s: stream.Stream) -> tuple[pa.Table, dict[str, int]]:
    run = iter(s)
    batches = [pa.record_batch(batch) for batch in run]
    stage = next(stage for stage in run.stats.stages if stage.name == "parquet reader")
    names = ("row_groups", "row_groups_pruned", "pages_pruned", "rows_pruned", "bytes_pruned", "rows_in", "files")
    schema = pa.schema(s)
    return pa.Table.from_batches(batches, schema), {name: getattr(stage, name) for name in names}


def same(a: pa.Table, b: pa.Table) -> None:
    """NaN is equal to NaN, and a dictionary to its values."""
    assert a.num_rows == b.num_rows
    assert a.to_pylist() == b.to_pylist() or repr(a.to_pylist()) == repr(b.to_pylist())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pruning")
    table = made(1)
    common: dict[str, Any] = {"row_group_size": 7000, "write_page_index": True, "data_page_size": 4096}
    pq.write_table(table, path / "indexed.parquet", **common)
    pq.write_table(table, path / "plain.parquet", use_dictionary=False, compression="zstd", **common)
    pq.write_table(table, path / "second.parquet", data_page_version="2.0", **common)
    pq.write_table(table, path / "bare.parquet", row_group_size=3000, write_statistics=False)
    return path


FILES = ("indexed", "plain", "second", "bare")

PREDICATES: list[tuple[str, pc.Expression | None]] = [
    ("id between 9000 and 9100", (pc.field("id") >= 9000) & (pc.field("id") <= 9100)),
    ("id < 50 or id > 19900", (pc.field("id") < 50) | (pc.field("id") > 19900)),
    ("near = 700", pc.field("near") == 700),
    ("near is null and id < 3000", pc.field("near").is_null() & (pc.field("id") < 3000)),
    ("far = 501", pc.field("far") == 501),
    ("far in (100, 501) and near < 300", pc.field("far").isin([100, 501]) & (pc.field("near") < 300)),
    ("unsigned = 4294960001", pc.field("unsigned") == 4294960001),
    ("text like 'b0012%'", pc.starts_with(pc.field("text"), "b0012")),
    ("few = 'kind 11'", pc.field("few") == "kind 11"),
    ("few = 'kind 01'", pc.field("few") == "kind 01"),
    ("code = 'c2'", pc.field("code") == "c2"),
    ("day >= '2020-06-01' and day < '2020-06-08'", None),
    ("at between '1970-01-01 01:00' and '1970-01-01 01:10'", None),
    ("money = 1000.25", None),
    ("money > 4990 and flag", None),
    ("real > 100 and real < 120", None),
    ("real > 2000", None),
    ("flag and id > 8000 and id < 12500", None),
    ("not flag and text is null", None),
]


@pytest.mark.parametrize("name", FILES)
def test_the_same_rows_with_pushdown_and_without(folder: Path, name: str) -> None:
    source = stream.read(folder / f"{name}.parquet", threads=2)
    dataset = ds.dataset(folder / f"{name}.parquet")
    for text, by_pyarrow in PREDICATES:
        s = source.filter(text)
        found = pa.table(s)
        same(found, pa.table(plain(s)))
        assert s.count() == plain(s).count() == found.num_rows, text
        if by_pyarrow is not None:
            same(found, dataset.to_table(filter=by_pyarrow))
        narrow = s.select("list", "text", n=col("id") + 1)
        same(pa.table(narrow), pa.table(plain(narrow)))


@pytest.mark.parametrize("seed", range(4))
def test_random_predicates_over_random_files(tmp_path: Path, seed: int) -> None:
    r = random.Random(seed)
    table = made(seed + 10, rows=6000)
    path = tmp_path / "x.parquet"
    pq.write_table(
        table,
        path,
        row_group_size=r.choice([700, 2500, 6000]),
        write_page_index=True,
        data_page_size=r.choice([512, 4096]),
        use_dictionary=r.choice([True, False]),
        write_statistics=r.choice([True, True, False]),
        data_page_version=r.choice(["1.0", "2.0"]),
    )

    def one() -> stream.Expr:
        name = r.choice(["id", "near", "far", "real", "text", "few", "code", "flag"])
        value = table[name][r.randrange(len(table))].as_py()
        if name == "flag":
            return col("flag")
        if value is None or value != value or r.random() < 0.1:
            return col(name).is_null()
        kind = r.randrange(6)
        if kind == 0:
            return col(name) == value
        if kind == 1:
            return col(name).is_in([value, table[name][0].as_py(), None])
        if kind == 2 and isinstance(value, str):
            return col(name).str.starts_with(value[:4])
        return col(name) < value if kind % 2 else col(name) >= value

    def any_of(depth: int) -> stream.Expr:
        if depth == 0:
            return one()
        a, b = any_of(depth - 1), any_of(depth - 1)
        return r.choice([a & b, a | b, a & ~b])

    for _ in range(25):
        s = stream.read(path).filter(any_of(r.randrange(3)))
        expected = pa.table(plain(s))
        for threads, batch_size in ((1, 65_536), (3, 333)):
            same(pa.table(s.options(threads=threads, memory_limit="64MiB")), expected)
            run = s.batches(batch_size)
            assert sum(len(batch) for batch in run) == expected.num_rows


def test_the_page_index_leaves_out_rows(folder: Path) -> None:
    for name in ("indexed", "plain", "second"):
        source = stream.read(folder / f"{name}.parquet")
        found, counted = figures(source.filter((col("id") >= 9000) & (col("id") <= 9100)))
        assert found["id"].to_pylist() == list(range(9000, 9101))
        assert counted["row_groups_pruned"] == 2
        assert counted["rows_pruned"] > ROWS - 5000
        assert counted["pages_pruned"] > 5
        assert counted["bytes_pruned"] > 0
        assert counted["rows_in"] == ROWS - counted["rows_pruned"]
        assert "pruned by statistics, page index" in source.filter(col("id") == 5).explain()
    found, counted = figures(stream.read(folder / "bare.parquet").filter(col("id") > 19_990))
    assert (found.num_rows, counted["pages_pruned"], counted["rows_pruned"]) == (9, 0, 0)


def test_row_indexes_and_skips_do_not_move(folder: Path) -> None:
    source = stream.read(folder / "indexed.parquet", row_index="n")
    s = source.filter((col("id") >= 9000) & (col("id") <= 9100))
    assert pa.table(s)["n"].to_pylist() == list(range(9000, 9101))
    s = stream.read(folder / "indexed.parquet").filter(col("id") >= 9000).with_row_index("n").skip(3).head(2)
    assert [(row["n"], row["id"]) for row in s.rows()] == [(3, 9003), (4, 9004)]


def test_a_dictionary_rules_out_row_groups(folder: Path) -> None:
    s = stream.read(folder / "indexed.parquet").filter(col("few") == "kind 12x")
    found, counted = figures(s)
    assert (found.num_rows, counted["row_groups_pruned"]) == (0, 3)
    assert "dictionary" in s.explain()
    # without statistics nothing else could tell
    s = stream.read(folder / "bare.parquet").filter(col("few").str.ends_with(" 25"))
    found, counted = figures(s)
    same(found, pa.table(plain(s)))
    assert counted["row_groups_pruned"] >= 4
    assert counted["bytes_pruned"] > 0
    assert s.count() == found.num_rows


def test_bloom_filters_of_another_writer(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "duck.parquet"
    duckdb.sql(
        f"""copy (select (i * 7919 % 20000) * 2 as long, ((i * 7919 % 20000) * 2)::int as word,
                         'v' || (i * 7919 % 20000) * 2 as text, i as id from range(20000) t(i))
            to '{path}' (format parquet, row_group_size 4096, dictionary_size_limit 100000)"""
    )
    source = stream.read(path)
    filtered = any(
        "bloom filter" in source.filter(predicate).explain()
        for predicate in (col("long") == 2001, col("word") == 2001, col("text") == "v2001")
    )
    for there, missing in (("long = 2000", "long = 2001"), ("word = 2000", "word = 2001")):
        assert source.filter(there).count() == plain(source.filter(there)).count() == 1
        found, counted = figures(source.filter(missing))
        assert found.num_rows == 0
        assert counted["row_groups_pruned"] >= (4 if filtered else 0)
    assert source.filter("text = 'v2000'").count() == 1
    assert source.filter("text = 'v2001'").count() == 0


def test_a_head_behind_a_filter_ends_the_run(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    table = pa.table({"id": range(200_000), "x": [i % 10 for i in range(200_000)]})
    pq.write_table(table, path, row_group_size=2000)
    s = stream.read(path, threads=2, prefetch=2).filter(col("x") == 3).head(5)
    run = iter(s)
    rows = [row for batch in run for row in batch["id"].to_pylist()]
    assert rows == [3, 13, 23, 33, 43]
    # the batch with the last row, and what two workers had taken up by then
    assert run.stats.rows_in <= 12 * 2000
    same(pa.table(s), pa.table(plain(s)))


def test_a_partition_filter_opens_no_other_file(tmp_path: Path) -> None:
    for year in range(8):
        for month in range(8):
            path = tmp_path / f"year={2010 + year}" / f"month={month}"
            path.mkdir(parents=True)
            pq.write_table(pa.table({"id": [year, month], "x": [1, 2]}), path / "part.parquet")
    source = stream.read(tmp_path)
    s = source.filter(col("year") == 2013)
    run = iter(s)
    rows = sum(len(batch) for batch in run)
    assert (rows, run.stats.files) == (16, 8)
    assert "8 of 64 files" in s.explain()
    # a file that is not opened may be anything
    for path in tmp_path.glob("year=2010/month=[1-7]/*.parquet"):
        path.write_bytes(b"not Parquet")
    same(pa.table(s), pa.table(source.filter((col("year") > 2012) & (col("year") < 2014))))
    assert s.filter(col("x") == 2).count() == 8
