"""One column or two, which all workers decode together: rows are set apart, pages read by whoever needs them first."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import stream
from stream import col, exceptions
from watch import Nothing

ROWS = 300_000


def columns():
    random = np.random.default_rng(5)
    gaps = random.random(ROWS) < 0.3
    numbers = random.integers(0, 1 << 40, ROWS)
    words = np.array([f"word {i}" * (i % 5) for i in range(30_000)])
    return {
        "plain": pa.array(numbers),
        "nulls": pa.array(numbers, mask=gaps),
        "few": pa.array(random.integers(0, 7, ROWS), mask=gaps),
        "runs": pa.array(np.arange(ROWS) // 5_000),
        "text": pa.array(words[random.integers(0, len(words), ROWS)].tolist(), mask=gaps),
        "flags": pa.array(random.random(ROWS) < 0.1),
        "small": pa.array(random.integers(-9, 9, ROWS).astype("int8")),
        "lists": pa.array([[i] * (i % 3) for i in range(ROWS)]),
    }


COLUMNS = columns()
WAYS = {
    "dictionary": {},
    "plain": {"use_dictionary": False},
    "second version, small pages": {"data_page_version": "2.0", "data_page_size": 5_000, "compression": "zstd"},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", COLUMNS)
def test_rows_are_the_same_for_any_number_of_workers(tmp_path, name, way):
    path = tmp_path / "x.parquet"
    expected = pa.table({"x": COLUMNS[name]})
    parquet.write_table(expected, path, row_group_size=ROWS - 1_000, **WAYS[way])
    sizes = []
    for threads in (1, 2, 5):
        for options in ({}, {"batch_size": 4_099}, {"memory_limit": "24MiB"}):
            pipe = stream.read_parquet(path, threads=threads, **options)
            assert pipe.to_arrow().equals(expected), (threads, options)
        sizes.append([batch.num_rows for batch in stream.read_parquet(path, threads=threads)])
    assert sizes[0] == sizes[1] == sizes[2]
    assert max(sizes[0]) <= 65_536


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_so_they_are_behind_a_predicate(tmp_path, threads):
    path = tmp_path / "x.parquet"
    table = pa.table({"a": COLUMNS["few"], "b": COLUMNS["text"]})
    parquet.write_table(table, path, data_page_size=20_000)
    for number in (3, 100):
        found = stream.read_parquet(path, threads=threads).filter(col("a") == number).to_arrow()
        assert found.equals(table.filter(pa.compute.field("a") == number))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_damage_is_told_with_all_rows_before_it(tmp_path, threads):
    path = tmp_path / "x.parquet"
    expected = pa.table({"x": COLUMNS["plain"]})
    options = {"use_dictionary": False, "compression": "none", "write_page_checksum": True}
    parquet.write_table(expected, path, data_page_size=100_000, **options)
    content = bytearray(path.read_bytes())
    content[len(content) * 2 // 3] ^= 4
    path.write_bytes(content)
    seen, texts = [], set()
    for _ in range(3):
        rows = 0
        with pytest.raises(exceptions.FormatError, match=r"column `x`: page at byte .* checksum") as e:
            for batch in stream.read_parquet(path, threads=threads, batch_size=10_000):
                assert batch["x"].to_arrow().equals(expected["x"].chunk(0).slice(rows, batch.num_rows))
                rows += batch.num_rows
        seen.append(rows)
        texts.add(str(e.value))
    assert len(texts) == 1
    assert seen[0] == seen[1] == seen[2] > 0


def test_a_loop_that_is_left_leaves_nothing(tmp_path):
    path = tmp_path / "x.parquet"
    parquet.write_table(pa.table({"x": COLUMNS["text"]}), path, data_page_size=20_000)
    with Nothing():
        for taken in range(40):
            for i, _ in enumerate(stream.read_parquet(path, threads=3, batch_size=5_000)):
                if i == taken % 5:
                    break
