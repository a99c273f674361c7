"""Memory by the kernel's own count (VmHWM of a child), while the input grows and the limit does not."""

import pytest

from watch import child

SIZES = [1, 4, 16]
ROWS = 250_000

MAKE = """
    import numpy as np, pyarrow as pa
    from pyarrow import parquet, csv
    def table(seed, rows):
        random = np.random.default_rng(seed)
        return pa.table({
            "id": np.arange(rows) + seed * rows,
            "price": random.normal(20, 5, rows).round(2),
            "qty": random.integers(1, 100, rows),
            "word": random.choice(np.array([f"word-{i}" for i in range(5000)]), rows),
        })
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Files of 1, 4 and 16 parts, made in a child so that this process stays small."""
    folder = tmp_path_factory.mktemp("growing")
    child(
        MAKE
        + f"""
    for size in {SIZES}:
        with parquet.ParquetWriter(f"{{sys.argv[1]}}/{{size}}.parquet", table(0, 1).schema) as writer, \\
             csv.CSVWriter(f"{{sys.argv[1]}}/{{size}}.csv", table(0, 1).schema) as text:
            for seed in range(size):
                part = table(seed, {ROWS})
                writer.write_table(part)
                text.write_table(part)
    report(done=True)
        """,
        folder,
    )
    return folder


JOBS = {
    "loop over Parquet": ("parquet", "rows = sum(batch.num_rows for batch in source)"),
    "loop over CSV": ("csv", "rows = sum(batch.num_rows for batch in source)"),
    "filter and compute": (
        "parquet",
        'rows = sum(b.num_rows for b in source.filter(col("qty") > 50).with_columns(total=col("price") * col("qty")))',
    ),
    "map": ("parquet", 'rows = sum(b.num_rows for b in source.map(lambda b: {"n": b["qty"], "w": b["word"]}))'),
    "rows": ("parquet", 'rows = sum(1 for _ in source.select("id", "word").rows(as_=tuple))'),
    "aggregate": ("csv", 'rows = source.agg(n=stream.len(), mean=col("price").mean()).to_pydict()["n"][0]'),
    "CSV to Parquet": ("csv", 'rows = source.write_parquet(sys.argv[2] + "/out.parquet").rows_out'),
    "Parquet to CSV": ("parquet", 'rows = source.write_csv(sys.argv[2] + "/out.csv").rows_out'),
}


@pytest.mark.parametrize("job", JOBS)
def test_peak_is_flat(job, inputs, tmp_path):
    kind, code = JOBS[job]
    peaks = {}
    for size in SIZES:
        got = child(
            f"""
            import stream
            from stream import col
            before = peak()
            source = stream.read(sys.argv[1], memory_limit="32MiB", threads=2)
            {code}
            report(rows=rows, grown=peak() - before)
            """,
            inputs / f"{size}.{kind}",
            tmp_path,
        )
        assert got["rows"] > 0
        peaks[size] = got["grown"]
    assert peaks[16] <= 32 + 64, f"MiB beyond the start, limit 32: {peaks}"
    assert peaks[16] <= peaks[1] * 1.5 + 16, f"grows with the input: {peaks}"


def test_held_batches_are_exported_not_leased(inputs):
    """A list of all batches is the caller's own memory: no dead lock, no limit."""
    got = child(
        """
        import stream
        run = iter(stream.read(sys.argv[1], memory_limit="8MiB", threads=2))
        held = list(run)
        stats = run.stats
        report(rows=sum(map(len, held)), exported=stats.exported_bytes, held=stats.held_bytes)
        """,
        inputs / "4.parquet",
    )
    assert got["rows"] == 4 * ROWS
    assert got["exported"] > 8 << 20
    assert got["held"] <= 8 << 20


def test_to_arrow_beyond_the_limit_says_how_far_it_came(inputs):
    got = child(
        """
        import stream
        pipe = stream.read(sys.argv[1], memory_limit="8MiB")
        try:
            pipe.to_arrow()
        except stream.exceptions.MemoryLimitError as error:
            report(says=str(error), kind=isinstance(error, MemoryError))
        report(rows=pipe.options(memory_limit=None).to_arrow().num_rows)
        """,
        inputs / "4.parquet",
    )
    assert got["kind"]
    assert "memory_limit" in got["says"]
    assert got["rows"] == 4 * ROWS


def test_all_memory_is_back_when_a_run_is_over(inputs):
    got = child(
        """
        import stream
        run = iter(stream.read(sys.argv[1], memory_limit="32MiB", threads=2))
        for batch in run:
            pass
        del batch
        stats = run.stats
        report(held=stats.held_bytes, exported=stats.exported_bytes, peak=stats.peak_bytes)
        """,
        inputs / "4.parquet",
    )
    assert (got["held"], got["exported"]) == (0, 0)
    assert 0 < got["peak"] <= 32 << 20


def test_tracemalloc_shows_held_batches_at_the_line_that_took_them():
    got = child(
        """
        import gc, stream, tracemalloc
        s = stream.from_arrow(stream.Batch({"x": range(1_000_000)})).filter("x >= 0")
        list(s)  # not traced
        tracemalloc.start()
        held = []
        for batch in s:  # here
            held.append(batch["x"])
        del batch
        size = sum(column.nbytes for column in held)
        ours = tracemalloc.DomainFilter(True, 0x62617463)
        entries = tracemalloc.take_snapshot().filter_traces([ours]).statistics("lineno")
        at = [(entry.traceback[0].filename, entry.traceback[0].lineno, entry.count) for entry in entries]
        before = sum(entry.size for entry in entries)
        del held[1:]
        after = sum(entry.size for entry in tracemalloc.take_snapshot().filter_traces([ours]).statistics("lineno"))
        batches = len(list(s.map(lambda batch: batch)))
        left = len(tracemalloc.take_snapshot().filter_traces([ours]).traces)
        tracemalloc.stop()
        report(at=at, size=size, before=before, after=after, batches=batches, left=left)
        """
    )
    [(filename, _, count)] = got["at"]
    assert filename == "<string>"
    assert count == got["batches"] > 10
    assert got["size"] <= got["before"] < 1.5 * got["size"]
    assert got["after"] < got["before"] / 10
    assert got["left"] == 1
