"""A folder with one file a month, and a question that reads two of them.

    python examples/hive_folder.py [FOLDER]

`month=1/part.parquet`, `month=2/part.parquet` …: a partition is a column, and a filter on it prunes files
before they are opened.
"""

import sys
import tempfile
from pathlib import Path

import public
import stream
from stream import col


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else scratch) / "flights"
        split(public.flights(), folder)
        ask(folder)


def split(csv: Path, folder: Path) -> None:
    """One pass of the CSV a month: a Stream is a description, so it can be run as often as you like."""
    flights = stream.read(csv, null_values=["NA"]).options(memory_limit="64MiB")
    for month in range(1, 13):
        target = folder / f"month={month}" / "part.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        report = flights.filter(col("month") == month).drop("month").write_parquet(target)
        print(f"month {month:2}: {report.rows_out:6,} flights, {target.stat().st_size / 1e3:4.0f} kB")


def ask(folder: Path) -> None:
    """How long does a flight to Honolulu take in summer?"""
    summer = stream.read(folder).filter(col("month").is_in([7, 8]), col("dest") == "HNL", col("air_time").is_not_null())
    print(summer.explain())

    answer = summer.agg(
        flights=stream.len(),
        shortest=col("air_time").min(),
        mean=col("air_time").mean(),
        longest=col("air_time").max(),
    )
    row = next(iter(answer))[0]
    print(
        f"{row['flights']} flights to Honolulu in July and August: {row['shortest']} to {row['longest']} minutes "
        f"in the air, {row['mean']:.0f} on average"
    )


if __name__ == "__main__":
    main()
