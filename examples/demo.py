"""The tour: real CSV in, filter, map, Parquet out, and a loop over it, in less memory than the file takes.

    make demo            # or: python examples/demo.py [--limit 32MiB] [--scale 0.4]

Every figure is measured in this process while you watch. Peak memory is the kernel's own (VmHWM): Python,
NumPy and everything else included.
"""

import argparse
import os
import platform
import resource
import sys
import time
from pathlib import Path

import numpy as np

import public
import stream
from stream import col


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument("--limit", default="32MiB", help="memory_limit of every run (default: 32MiB)")
    ask.add_argument("--scale", type=float, default=0.4, help="size of the TPC-H file; 1 is 760 MB (default: 0.4)")
    asked = ask.parse_args()

    print(f"batchstream {stream.__version__}, Python {platform.python_version()}, {os.cpu_count()} CPUs")
    print(f"peak memory so far: {peak_mb():.0f} MB (Python, NumPy and batchstream, just imported)")

    delays(public.flights(), asked.limit)
    revenue(public.lineitem(asked.scale), asked.limit)
    early_exit()


def delays(csv: Path, limit: str) -> None:
    """Which airline is late most often? A CSV file, one filter, one loop."""
    title(f"1. {csv.name}: every flight that left New York City in 2013, {megabytes(csv)}")

    flights = stream.read(csv, null_values=["NA"], memory_limit=limit)
    print("   the schema, from the head, middle and tail of the file; nothing else has been read yet:")
    print("   " + ", ".join(f"{name} {dtype}" for name, dtype in list(flights.schema.items())[:6]) + ", …")

    with Clock() as took:
        total, late = {}, {}
        for batch in flights.select("carrier", late=col("arr_delay") > 60):
            for carrier, is_late in zip(batch["carrier"], batch["late"], strict=True):
                total[carrier] = total.get(carrier, 0) + 1
                late[carrier] = late.get(carrier, 0) + bool(is_late)
    worst = sorted(total, key=lambda c: late[c] / total[c], reverse=True)[:5]
    print("   more than an hour late: " + ", ".join(f"{c} {late[c] / total[c]:.1%}" for c in worst))
    took.report(sum(total.values()), csv)


def revenue(csv: Path, limit: str) -> None:
    """CSV → filter → NumPy → Parquet → loop, on a file several times the memory limit."""
    title(f"2. {csv.name}: TPC-H order lines, {megabytes(csv)}, with memory_limit={limit!r}")

    def with_revenue(batch):
        """A function of yours, on the thread of the loop: NumPy views of a batch, without a copy."""
        price, discount = batch["l_extendedprice"].to_numpy(), batch["l_discount"].to_numpy()
        return batch.with_columns(revenue=np.round(price * (1 - discount), 2))

    shipped = (
        stream.read(csv, memory_limit=limit)
        .filter("l_shipdate >= '1995-01-01' and l_returnflag <> 'R'")
        .select("l_orderkey", "l_shipdate", "l_shipmode", "l_quantity", "l_extendedprice", "l_discount")
        .map(with_revenue)
    )
    print("   the plan, before anything runs:")
    print("   " + shipped.explain().rstrip().replace("\n", "\n   "))

    target = csv.with_suffix(".parquet")
    with Clock() as took:
        report = shipped.write_parquet(target)
    print(f"   wrote {target.name}: {report.rows_out:,} rows, {megabytes(target)} (all of it, or nothing)")
    took.report(report.rows_in, csv)

    title(f"3. {target.name}: read back, batch by batch")
    with Clock() as took:
        rows, dearest, by_mode = 0, 0.0, {}
        for batch in stream.read(target, memory_limit=limit):
            rows += batch.num_rows
            dearest = max(dearest, batch["revenue"].max())
            for mode, value in zip(*np.unique_counts(np.asarray(batch["l_shipmode"].to_pylist())), strict=True):
                by_mode[str(mode)] = by_mode.get(str(mode), 0) + int(value)
    print(f"   dearest line: {dearest:,.2f}; lines by ship mode: {by_mode}")
    took.report(rows, target)


def early_exit() -> None:
    """A loop that has seen enough."""
    title("4. a `break`: the rest is never read, and nothing is left behind")
    flights = stream.read(public.flights(), null_values=["NA"])
    with Clock() as took:
        for batch in flights.filter(col("dep_delay") > 900):
            row = batch[0]
            print(
                f"   the first flight more than 15 hours late: {row['carrier']} {row['flight']} to {row['dest']}, "
                f"{row['dep_delay'] / 60:.1f} hours, on {row['year']}-{row['month']:02}-{row['day']:02}"
            )
            break
    print(f"   {took.seconds:.2f} s; threads of the run that are left: {len(workers())}")


def workers() -> list[str]:
    """Our threads that live now, by name."""
    if sys.platform != "linux":
        return []
    names = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    return [name for name in names if name.startswith("batchstream")]


class Clock:
    """Seconds of a `with` block, and a line about it."""

    def __enter__(self):
        self.begun = time.perf_counter()
        return self

    def __exit__(self, *_):
        self.seconds = time.perf_counter() - self.begun

    def report(self, rows: int, file: Path) -> None:
        print(
            f"   → {rows:,} rows in {self.seconds:.2f} s ({rows / self.seconds / 1e6:.1f} million a second); "
            f"file {megabytes(file)}, peak memory of the process {peak_mb():.0f} MB"
        )


def title(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}")


def megabytes(file: Path) -> str:
    return f"{file.stat().st_size / 1e6:.0f} MB"


def peak_mb() -> float:
    """The most memory that this process ever held, in MB."""
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
