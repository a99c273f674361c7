"""Rows that take far more than their file's footer says: few bits of a dictionary can stand for gigabytes."""

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import parquet

import stream
from stream import col
from watch import child

ROWS = 30_000
LENGTHS = [0, 3, 50_000, 70_000]
VALUES = [chr(97 + i) * n for i, n in enumerate(LENGTHS)]


@pytest.fixture(scope="module")
def repeated(tmp_path_factory):
    """900 MB of text in a few KiB, by a writer that leaves out how long values are; and what each row is."""
    path = str(tmp_path_factory.mktemp("wide") / "repeated.parquet")
    words = pa.table({"kind": np.arange(len(VALUES)), "text": VALUES})  # noqa: F841
    duckdb.sql(f"""
        copy (select i, text, [text] as texts, i % 7 as rest
              from (select range as i, (range * 7919 % 13 % 4)::bigint as kind from range({ROWS})) join words using (kind)
              order by i) to '{path}' (format parquet, row_group_size 100000)
    """)
    group = parquet.ParquetFile(path).metadata.row_group(0)
    assert group.num_rows == ROWS
    assert group.column(1).total_uncompressed_size < ROWS * 10, "a row looks narrow"
    kinds = np.arange(ROWS, dtype=np.int64) * 7919 % 13 % 4
    return path, kinds


def lengths(column):
    """The lengths of text, each value checked to be the one that is so long."""
    found = column.to_arrow()
    assert set(found.unique().to_pylist()) <= set(VALUES)
    return pc.binary_length(found).to_numpy()


@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("limit", ["24MiB", "256MiB"])
def test_text_of_a_dictionary_is_read_in_windows_that_fit(repeated, threads, limit):
    path, kinds = repeated
    pipe = stream.read_parquet(path, columns=["i", "text"], threads=threads, memory_limit=limit)
    seen, widest, ids = [], 0, []
    for batch in pipe:
        seen.append(lengths(batch["text"]))
        ids.append(batch["i"].to_numpy())
        widest = max(widest, batch.nbytes)
    assert np.array_equal(np.concatenate(seen), np.array(LENGTHS)[kinds])
    assert np.array_equal(np.concatenate(ids), np.arange(ROWS))
    assert widest <= 16 << 20


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("pushed", [True, False])
def test_so_it_is_behind_a_predicate_on_another_column_or_on_itself(repeated, threads, pushed):
    path, kinds = repeated
    pipe = stream.read_parquet(path, columns=["i", "text", "rest"], threads=threads, memory_limit="64MiB")
    for predicate, keep in [
        (col("rest") != 3, np.arange(ROWS) % 7 != 3),
        (col("text") > "c", kinds >= 2),
        (col("i") >= ROWS - 100, np.arange(ROWS) >= ROWS - 100),
    ]:
        run = pipe.filter(predicate) if pushed else pipe.filter(lambda b, p=predicate: b.select(ok=p)["ok"].to_arrow())
        found = [(batch["i"].to_numpy(), lengths(batch["text"])) for batch in run]
        assert np.array_equal(np.concatenate([i for i, _ in found]), np.arange(ROWS)[keep])
        assert np.array_equal(np.concatenate([n for _, n in found]), np.array(LENGTHS)[kinds][keep])


def test_so_are_lists_of_it(repeated):
    path, kinds = repeated
    rows = 0
    for batch in stream.read_parquet(path, columns=["texts", "i"], memory_limit="128MiB"):
        flat = batch["texts"].to_arrow().flatten()
        expected = np.array(LENGTHS)[kinds[rows : rows + batch.num_rows]]
        assert np.array_equal(pc.binary_length(flat).to_numpy(), expected)
        rows += batch.num_rows
    assert rows == ROWS


def test_batches_are_the_same_for_any_number_of_threads(repeated):
    path, _ = repeated
    sizes = [
        [b.num_rows for b in stream.read_parquet(path, columns=["i", "text"], threads=threads, memory_limit="64MiB")]
        for threads in (1, 2, 5)
    ]
    assert sizes[0] == sizes[1] == sizes[2]


def test_a_few_wide_rows_among_narrow_ones(tmp_path):
    """An average says nothing of these; behind them windows are as large as in front of them."""
    text = ["x"] * 200_000
    for i in [5, 70_000, 70_001, 70_002, 199_999]:
        text[i] = "y" * (12 << 20)
    path = tmp_path / "few.parquet"
    parquet.write_table(pa.table({"t": text, "i": np.arange(len(text))}), path, use_dictionary=False)
    sizes, at = [], 0
    for batch in stream.read_parquet(path, memory_limit="192MiB"):
        assert batch["t"].to_pylist() == text[at : at + batch.num_rows]
        at += batch.num_rows
        sizes.append(batch.num_rows)
    assert at == len(text)
    assert len(sizes) < 300


def test_memory_is_that_of_a_window_not_of_the_text(repeated):
    path, _ = repeated
    found = child(
        """
    import stream
    before = peak()
    total = sum(b.nbytes for b in stream.read_parquet(sys.argv[1], columns=["text"]))
    report(total=total, grown=peak() - before)
        """,
        path,
    )
    assert found["total"] > 700 << 20
    assert found["grown"] < 64
