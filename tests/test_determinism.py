"""The same run gives the same bytes, whatever threads and timing do."""

import hashlib
import threading

import pyarrow as pa
import pytest

import strategies
import stream
from stream import col


@pytest.fixture
def jitter():
    """Two threads that burn the processor in fits, so that workers meet in ever other order."""
    stop = threading.Event()

    def burn(seed: int) -> None:
        while not stop.is_set():
            sum(range((seed := seed * 48_271 % 2_147_483_647) % 40_000))

    threads = [threading.Thread(target=burn, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    yield
    stop.set()
    for thread in threads:
        thread.join()


def digest(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("source", ["csv", "parquet"])
def test_twenty_runs_write_the_same_file(source, flights_csv, flights_parquet, tmp_path, jitter):
    path = flights_csv if source == "csv" else flights_parquet
    pipe = (
        stream.read(path, **({"null_values": ["NA"]} if source == "csv" else {}))
        .filter((col("distance") > 500) & col("arr_delay").is_not_null())
        .with_columns(speed=col("distance") / col("air_time") * 60)
        .options(threads=8, batch_size=1_000, memory_limit="16MiB")
    )
    found = set()
    for k in range(20 if source == "parquet" else 4):
        target = tmp_path / f"{k}.parquet"
        pipe.write_parquet(target)
        found.add(digest(target))
        target.unlink()
    assert len(found) == 1


def test_rows_and_order_do_not_depend_on_how_a_run_is_set(flights_parquet):
    pipe = (
        stream.read(flights_parquet).filter(col("dep_delay") > 30).select("flight", "tailnum", x=col("distance") * 1.1)
    )
    expected = pipe.options(threads=1, prefetch=0).to_arrow().combine_chunks()
    assert expected.num_rows > 40_000
    for run in strategies.all_runs():
        if run["batch_size"] >= 1000:
            size = run.pop("batch_size")
            got = pa.Table.from_batches(map(pa.record_batch, pipe.options(**run).batches(size)))
            assert got.combine_chunks().equals(expected), run


def test_float_sums_do_not_depend_on_threads(flights_parquet, jitter):
    pipe = stream.read(flights_parquet, batch_size=777).agg(
        x=(col("distance") / 7).sum(), m=(col("air_time") / 3).mean()
    )
    found = {tuple(pipe.options(threads=threads).to_pylist()[0].values()) for threads in (1, 2, 3, 8) for _ in range(3)}
    assert len(found) == 1


def test_the_first_error_in_order_is_raised(tmp_path, jitter):
    path = tmp_path / "bad.csv"
    lines = ["n", *map(str, range(60_000))]
    lines[41_000], lines[52_000] = "bad-first", "bad-later"
    path.write_text("\n".join(lines) + "\n")
    for threads in (1, 2, 8):
        for _ in range(5):
            with pytest.raises(stream.exceptions.ParseError) as caught:
                stream.read(path, schema={"n": "int64"}, threads=threads, batch_size=500).to_arrow()
            assert (caught.value.line, caught.value.column, caught.value.value) == (41_001, "n", "bad-first")
