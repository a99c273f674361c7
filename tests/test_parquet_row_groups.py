"""Row groups of every size: small ones make one batch together, and nothing else about them changes."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import stream
from stream import col, exceptions

ROWS = 20_000


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(11)
    return pa.table(
        {
            "id": np.arange(ROWS),
            "some": pa.array(random.integers(0, 50, ROWS), mask=random.random(ROWS) < 0.2),
            "text": pa.array([f"word {i % 77}" for i in range(ROWS)]),
            "list": pa.array([[i] * (i % 4) for i in range(ROWS)]),
        }
    )


def written(folder, rows, size, **options):
    path = folder / f"{size}.parquet"
    parquet.write_table(rows, path, row_group_size=size, **options)
    return path


@pytest.mark.parametrize("size", [1, 7, 100, 999, 20_000])
def test_rows_are_the_same_for_every_row_group_and_setting(tmp_path, rows, size):
    few = rows.slice(0, 2_000) if size < 10 else rows
    path = written(tmp_path, few, size)
    for threads in (1, 2, 5):
        for options in ({}, {"batch_size": 33}, {"batch_bytes": 5_000}, {"memory_limit": "8MiB"}, {"prefetch": 0}):
            pipe = stream.read_parquet(path, threads=threads, **options)
            assert pipe.to_arrow().equals(few.cast(pa.schema(pipe.schema))), (threads, options)
            kept = pipe.filter(col("some") > 25).to_arrow()
            assert kept["id"].to_pylist() == few.filter(pa.compute.field("some") > 25)["id"].to_pylist()


def test_small_row_groups_make_one_batch_and_large_ones_do_not(tmp_path, rows):
    def sizes(size, **options):
        return [batch.num_rows for batch in stream.read_parquet(written(tmp_path, rows, size), **options)]

    # the first ones come soon
    assert sizes(100)[:4] == [100, 100, 200, 300]
    assert len(sizes(100)) < 20
    assert sizes(100, batch_size=250) == [100, 100] + [200] * 99
    assert sizes(100, batch_size=99) == [99, 1] * 200
    assert sizes(7_000, batch_size=8_000) == [7_000, 7_000, 6_000]
    assert 100 < max(sizes(100, batch_bytes=20_000)) < 2_000
    assert sum(sizes(100, columns=[])) == ROWS


def test_a_limit_ends_within_them(tmp_path, rows):
    path = written(tmp_path, rows, 100)
    for n in (1, 100, 101, 12_345):
        assert stream.read_parquet(path).head(n).to_arrow()["id"].to_pylist() == list(range(n))


def test_row_groups_that_are_ruled_out_may_lie_between(tmp_path, rows):
    path = written(tmp_path, rows, 100)
    pipe = stream.read_parquet(path).filter(col("id").is_between(150, 250) | (col("id") >= 19_950))
    assert pipe.to_arrow()["id"].to_pylist() == [*range(150, 251), *range(19_950, ROWS)]


def test_a_dictionary_column_is_one_in_every_batch(tmp_path, rows):
    words = rows.set_column(2, "text", rows["text"].dictionary_encode())
    pipe = stream.read_parquet(written(tmp_path, words, 100))
    assert "dictionary" in str(pipe.schema["text"])
    assert pipe.to_arrow()["text"].cast("string").to_pylist() == rows["text"].to_pylist()


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_damage_in_one_comes_behind_the_rows_of_all_before(tmp_path, rows, threads):
    path = written(tmp_path, rows.select(["id"]), 100, compression="none", use_dictionary=False)
    column = parquet.ParquetFile(path).metadata.row_group(37).column(0)
    content = bytearray(path.read_bytes())
    content[column.data_page_offset : column.data_page_offset + 20] = b"\xff" * 20
    path.write_bytes(content)
    seen = []
    with pytest.raises(exceptions.FormatError, match="row group 37: column `id`"):
        for batch in stream.read_parquet(path, threads=threads):
            seen += batch["id"].to_pylist()
    assert seen == list(range(3_700))
