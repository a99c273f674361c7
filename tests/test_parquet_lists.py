"""Long lists, lists of a fixed size (embeddings), and lists whose lengths are nothing like the average."""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

import stream

ROWS = 6_000


def floats(n: int) -> pa.Array:
    return pa.array(np.arange(n, dtype="float32") / 7)


def fixed(size: int, *, nulls: bool) -> pa.Array:
    mask = np.arange(ROWS) % 5 == 2 if nulls else np.zeros(ROWS, dtype=bool)
    values = floats(ROWS * size)
    return pa.FixedSizeListArray.from_arrays(values, size, mask=pa.array(mask))


def skewed() -> pa.Array:
    """Short lists, then, a tenth of the rows, ones that are a thousand times as long, then short ones again."""
    lengths = np.where((np.arange(ROWS) > 4_000) & (np.arange(ROWS) < 4_600), 2_000, 2)
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype("int32")
    return pa.ListArray.from_arrays(pa.array(ends), pa.array(np.arange(ends[-1]) % 1_000))


COLUMNS = {
    "embeddings": fixed(300, nulls=False),
    "embeddings with nulls": fixed(300, nulls=True),
    "points": fixed(2, nulls=True),
    "lists of points": pa.ListArray.from_arrays(
        pa.array(np.arange(0, ROWS + 1, 3, dtype="int32")), fixed(2, nulls=True)
    ),
    "long lists": pa.ListArray.from_arrays(pa.array(np.arange(ROWS + 1, dtype="int32") * 500), floats(ROWS * 500)),
    "skewed": skewed(),
}
WAYS = {
    "plain": {"use_dictionary": False},
    "dictionary": {"data_page_size": 20_000, "row_group_size": 2_500},
    "second version": {"data_page_version": "2.0", "compression": "zstd", "write_page_index": True},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", COLUMNS)
def test_rows_are_the_same(tmp_path, name, way):
    path = tmp_path / "x.parquet"
    column = COLUMNS[name]
    expected = pa.table({"i": np.arange(len(column)), "x": column})
    parquet.write_table(expected, path, **WAYS[way])
    sizes = []
    for threads in (1, 2, 4):
        for options in ({}, {"batch_size": 700}, {"memory_limit": "64MiB"}):
            assert stream.read_parquet(path, threads=threads, **options).to_arrow().equals(expected), (threads, options)
        sizes.append([batch.num_rows for batch in stream.read_parquet(path, threads=threads)])
    assert sizes[0] == sizes[1] == sizes[2]


def test_others_files_and_ours(tmp_path):
    theirs, ours = tmp_path / "theirs.parquet", tmp_path / "ours.parquet"
    frame = pl.DataFrame({"a": [[1, 2], None, [3, None]], "b": [[["x", "y"]], [["z", None]], None]})
    frame = frame.cast({"a": pl.Array(pl.Int16, 2), "b": pl.List(pl.Array(pl.String, 2))})
    frame.write_parquet(theirs)
    pipe = stream.read_parquet(theirs)
    assert pipe.to_pylist() == frame.to_dicts()
    pipe.write_parquet(ours)
    assert stream.read_parquet(ours).to_pylist() == frame.to_dicts()
    assert pl.read_parquet(ours).to_dicts() == frame.to_dicts()
