"""The ten worst delays of a year, from a CSV file of any size: filter in Rust, keep ten rows in Python.

python examples/worst_delays.py [flights.csv]
"""

import heapq
import sys

import public
import stream
from stream import coalesce, col, lit


def main() -> None:
    source = sys.argv[1] if len(sys.argv) > 1 else public.flights()
    late = (
        stream.read(source, null_values=["NA"])
        .filter(col("dep_delay") > 300, col("dest").is_not_null())
        .select(
            "carrier",
            "flight",
            "origin",
            "dest",
            day=col("time_hour").dt.date(),
            hours=(col("dep_delay") / 60).round(1),
            made_up=coalesce(col("dep_delay") - col("arr_delay"), lit(0)),
        )
    )

    worst, seen = [], 0
    with late.rows(as_=tuple) as rows:  # tuples are made in Rust; ten of them stay
        for row in rows:
            seen += 1
            heapq.heappush(worst, (row[5], row))
            if len(worst) > 10:
                heapq.heappop(worst)

    print(f"{seen} departures were more than five hours late; the worst:")
    for hours, (carrier, flight, origin, dest, day, _, made_up) in sorted(worst, reverse=True):
        print(
            f"  {day}  {carrier:2} {flight:4}  {origin} → {dest}  {hours:5.1f} h  ({made_up:+d} min made up in the air)"
        )


if __name__ == "__main__":
    main()
