"""Convert CSV to Parquet, a filter and a choice of columns on the way; memory stays flat whatever the size.

python examples/csv_to_parquet.py                                   # the demo's flights
python examples/csv_to_parquet.py "logs/*.csv.gz" logs.parquet --where "status >= 500" --select time,url,status
"""

import argparse
import sys
import tempfile
from pathlib import Path

import public
import stream


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument(
        "source", nargs="?", help="a CSV file, a glob, a folder, `-` for stdin (default: the demo's flights)"
    )
    ask.add_argument("target", nargs="?", type=Path, default=Path(tempfile.gettempdir()) / "flights.parquet")
    ask.add_argument("--where", help="a text predicate, as in SQL: \"dep_delay > 60 and carrier in ('AA', 'DL')\"")
    ask.add_argument("--select", help="names of columns, with commas between them")
    ask.add_argument("--null", action="append", default=[""], help="text that means null, beside the empty field")
    ask.add_argument("--memory-limit", default="64MiB")
    asked = ask.parse_args()
    if asked.source is None:
        asked.source, asked.null = public.flights(), ["", "NA"]

    rows = stream.read(asked.source, format="csv", null_values=asked.null, memory_limit=asked.memory_limit)
    if asked.where:
        rows = rows.filter(asked.where)
    if asked.select:
        rows = rows.select(*asked.select.split(","))
    try:
        report = rows.write_parquet(asked.target)
    except stream.exceptions.StreamError as error:
        sys.exit(f"{type(error).__name__}: {error}")  # it names the file, the line, the column and the remedy

    print(rows.schema)
    print(f"{report.rows_in:,} rows read, {report.rows_out:,} written to {asked.target} in {report.seconds:.1f} s")
    print(f"{report.bytes_in / 1e6:.1f} MB of CSV became {asked.target.stat().st_size / 1e6:.1f} MB of Parquet")


if __name__ == "__main__":
    main()
