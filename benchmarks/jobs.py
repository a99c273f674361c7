"""The jobs, each in the streaming idiom of every engine. One process runs one of them once:

    python -m benchmarks.jobs JOB ENGINE CSV PARQUET        → one line of JSON

Wall and CPU seconds are those of the job itself; importing the engine comes before. Peak memory is the kernel's
(VmHWM), of the whole process. An engine is told to use two threads, and batches of 65,536 rows where it lets us.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

THREADS = 2
ROWS = 65_536

JOBS: dict[str, dict[str, Callable]] = {}
DOC = {
    "parquet-loop": "Parquet, all 16 columns, a loop over batches that sums one",
    "parquet-filter": "Parquet, 3 columns, a filter that keeps 2 %, a loop",
    "parquet-compute": "Parquet, half the rows, one computed column, a loop",
    "csv-loop": "CSV with types given, a loop over batches that sums one column",
    "csv-to-parquet": "CSV → filter → zstd Parquet",
}


def job(name: str, engine: str):
    def add(function: Callable) -> Callable:
        JOBS.setdefault(name, {})[engine] = function
        return function

    return add


class Inputs:
    """The files of a run, and where it may write."""

    def __init__(self, text: str, binary: str) -> None:
        self.csv, self.parquet = text, binary
        self.out = Path(binary).with_name("bench-out.parquet")


INT = ["l_orderkey", "l_partkey", "l_suppkey", "l_linenumber"]
FLOAT = ["l_quantity", "l_extendedprice", "l_discount", "l_tax"]
DATE = ["l_shipdate", "l_commitdate", "l_receiptdate"]
TEXT = ["l_returnflag", "l_linestatus", "l_shipinstruct", "l_shipmode", "l_comment"]
ORDER = [*INT, *FLOAT, "l_returnflag", "l_linestatus", *DATE, "l_shipinstruct", "l_shipmode", "l_comment"]


def kind(name: str, integer, real, date, text):
    return integer if name in INT else real if name in FLOAT else date if name in DATE else text


# batchstream


@job("parquet-loop", "batchstream")
def _(inputs):
    import stream

    return add_up((b.num_rows, b["l_quantity"].sum()) for b in stream.read(inputs.parquet, threads=THREADS))


@job("parquet-filter", "batchstream")
def _(inputs):
    import stream
    from stream import col

    rows = stream.read(inputs.parquet, threads=THREADS).filter(col("l_quantity") > 49)
    rows = rows.select("l_orderkey", "l_quantity", "l_extendedprice")
    return add_up((b.num_rows, b["l_extendedprice"].sum()) for b in rows)


@job("parquet-compute", "batchstream")
def _(inputs):
    import stream
    from stream import col

    rows = stream.read(inputs.parquet, threads=THREADS).filter(col("l_quantity") > 25)
    rows = rows.with_columns(revenue=col("l_extendedprice") * (1 - col("l_discount")))
    return add_up((b.num_rows, b["revenue"].sum()) for b in rows)


def ours_csv(inputs):
    import stream

    return stream.read_csv(
        inputs.csv, schema={n: kind(n, "int64", "float64", "date32", "string") for n in ORDER}, threads=THREADS
    )


@job("csv-loop", "batchstream")
def _(inputs):
    return add_up((b.num_rows, b["l_quantity"].sum()) for b in ours_csv(inputs))


@job("csv-to-parquet", "batchstream")
def _(inputs):
    from stream import col

    ours_csv(inputs).filter(col("l_quantity") > 25).write_parquet(inputs.out)


# polars


def lazy_csv(inputs):
    import polars as pl

    schema = {n: kind(n, pl.Int64, pl.Float64, pl.Date, pl.String) for n in ORDER}
    return pl.scan_csv(inputs.csv, schema=schema)


def polars_loop(lazy, name):
    return add_up((b.height, b[name].sum()) for b in lazy.collect_batches(chunk_size=ROWS, maintain_order=True))


@job("parquet-loop", "polars")
def _(inputs):
    import polars as pl

    return polars_loop(pl.scan_parquet(inputs.parquet), "l_quantity")


@job("parquet-filter", "polars")
def _(inputs):
    import polars as pl

    lazy = pl.scan_parquet(inputs.parquet).filter(pl.col("l_quantity") > 49)
    return polars_loop(lazy.select("l_orderkey", "l_quantity", "l_extendedprice"), "l_extendedprice")


@job("parquet-compute", "polars")
def _(inputs):
    import polars as pl

    lazy = pl.scan_parquet(inputs.parquet).filter(pl.col("l_quantity") > 25)
    return polars_loop(lazy.with_columns(revenue=pl.col("l_extendedprice") * (1 - pl.col("l_discount"))), "revenue")


@job("csv-loop", "polars")
def _(inputs):
    return polars_loop(lazy_csv(inputs), "l_quantity")


@job("csv-to-parquet", "polars")
def _(inputs):
    import polars as pl

    lazy_csv(inputs).filter(pl.col("l_quantity") > 25).sink_parquet(inputs.out)


# pyarrow


def arrow_sum(batches, name):
    import pyarrow.compute as pc

    return add_up((b.num_rows, pc.sum(b[name]).as_py()) for b in batches)


def arrow_csv(inputs):
    import pyarrow as pa
    from pyarrow import csv

    types = {n: kind(n, pa.int64(), pa.float64(), pa.date32(), pa.string()) for n in ORDER}
    return csv.open_csv(inputs.csv, convert_options=csv.ConvertOptions(column_types=types))


def arrow_parquet(inputs, **options):
    from pyarrow import dataset

    return dataset.dataset(inputs.parquet).to_batches(batch_size=ROWS, **options)


@job("parquet-loop", "pyarrow")
def _(inputs):
    return arrow_sum(arrow_parquet(inputs), "l_quantity")


@job("parquet-filter", "pyarrow")
def _(inputs):
    import pyarrow.compute as pc

    columns = ["l_orderkey", "l_quantity", "l_extendedprice"]
    return arrow_sum(arrow_parquet(inputs, columns=columns, filter=pc.field("l_quantity") > 49), "l_extendedprice")


@job("parquet-compute", "pyarrow")
def _(inputs):
    import pyarrow.compute as pc

    columns = {n: pc.field(n) for n in ORDER} | {
        "revenue": pc.multiply(pc.field("l_extendedprice"), pc.subtract(pc.scalar(1), pc.field("l_discount")))
    }
    return arrow_sum(arrow_parquet(inputs, columns=columns, filter=pc.field("l_quantity") > 25), "revenue")


@job("csv-loop", "pyarrow")
def _(inputs):
    return arrow_sum(arrow_csv(inputs), "l_quantity")


@job("csv-to-parquet", "pyarrow")
def _(inputs):
    import pyarrow.compute as pc
    from pyarrow import parquet

    reader = arrow_csv(inputs)
    with parquet.ParquetWriter(inputs.out, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch.filter(pc.greater(batch["l_quantity"], 25)))


# DuckDB


def duck():
    import duckdb

    return duckdb.connect(config={"threads": THREADS})


def duck_csv(inputs) -> str:
    columns = {n: kind(n, "BIGINT", "DOUBLE", "DATE", "VARCHAR") for n in ORDER}
    return f"read_csv('{inputs.csv}', header=true, columns={columns})"


def duck_loop(query, name):
    return arrow_sum(duck().sql(query).to_arrow_reader(ROWS), name)


@job("parquet-loop", "duckdb")
def _(inputs):
    return duck_loop(f"from '{inputs.parquet}'", "l_quantity")


@job("parquet-filter", "duckdb")
def _(inputs):
    query = f"select l_orderkey, l_quantity, l_extendedprice from '{inputs.parquet}' where l_quantity > 49"
    return duck_loop(query, "l_extendedprice")


@job("parquet-compute", "duckdb")
def _(inputs):
    query = f"select *, l_extendedprice * (1 - l_discount) revenue from '{inputs.parquet}' where l_quantity > 25"
    return duck_loop(query, "revenue")


@job("csv-loop", "duckdb")
def _(inputs):
    return duck_loop(f"from {duck_csv(inputs)}", "l_quantity")


@job("csv-to-parquet", "duckdb")
def _(inputs):
    query = f"from {duck_csv(inputs)} where l_quantity > 25"
    duck().sql(f"copy ({query}) to '{inputs.out}' (format parquet, compression zstd)")


# DataFusion


def fusion():
    from datafusion import SessionConfig, SessionContext

    return SessionContext(SessionConfig({"datafusion.execution.batch_size": str(ROWS)}).with_target_partitions(THREADS))


def fusion_loop(query, inputs, name):
    context = fusion()
    context.register_parquet("t", inputs.parquet)
    return arrow_sum((b.to_pyarrow() for b in context.sql(query).execute_stream()), name)


@job("parquet-loop", "datafusion")
def _(inputs):
    return fusion_loop("select * from t", inputs, "l_quantity")


@job("parquet-filter", "datafusion")
def _(inputs):
    query = "select l_orderkey, l_quantity, l_extendedprice from t where l_quantity > 49"
    return fusion_loop(query, inputs, "l_extendedprice")


@job("parquet-compute", "datafusion")
def _(inputs):
    query = "select *, l_extendedprice * (1 - l_discount) revenue from t where l_quantity > 25"
    return fusion_loop(query, inputs, "revenue")


def add_up(pairs) -> dict:
    """Rows, batches and the sum of a column: what every engine must agree on."""
    rows, batches, total = 0, 0, 0.0
    for size, part in pairs:
        rows, batches, total = rows + size, batches + 1, total + float(part or 0)
    return {"rows": rows, "sum": total, "batches": batches}


def read_back(path: Path) -> dict:
    from pyarrow import parquet

    rows, total = 0, 0.0
    for batch in parquet.ParquetFile(path).iter_batches(columns=["l_quantity"]):
        rows, total = rows + batch.num_rows, total + sum(batch["l_quantity"].to_pylist())
    return {"rows": rows, "sum": total, "batches": 0}


def convert(text: str, binary: str) -> None:
    """The Parquet input, by pyarrow: what most files in the world were written by. Row groups of 512k rows."""
    import pyarrow as pa
    from pyarrow import parquet

    reader = arrow_csv(Inputs(text, binary))
    draft = Path(binary).with_suffix(".draft")
    with parquet.ParquetWriter(draft, reader.schema) as writer:
        held = []
        for batch in reader:
            held.append(batch)
            if sum(b.num_rows for b in held) >= 1 << 19:
                writer.write_table(pa.Table.from_batches(held))
                held = []
        if held:
            writer.write_table(pa.Table.from_batches(held))
    draft.rename(binary)


def peak_mb() -> float:
    if sys.platform == "linux":
        return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    if sys.argv[1] == "convert":
        convert(*sys.argv[2:])
        return
    name, engine, text, binary = sys.argv[1:]
    __import__({"batchstream": "stream"}.get(engine, engine))
    if engine == "pyarrow":
        import pyarrow as pa

        pa.set_cpu_count(THREADS)
    inputs = Inputs(text, binary)
    inputs.out.unlink(missing_ok=True)
    before, begun = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    result = JOBS[name][engine](inputs)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak = peak_mb()
    result = result or read_back(inputs.out)
    inputs.out.unlink(missing_ok=True)
    print(json.dumps({"wall": wall, "cpu": cpu, "peak": peak, **result}))


if __name__ == "__main__":
    main()
