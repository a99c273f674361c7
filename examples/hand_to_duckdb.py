"""Stream into other engines: DuckDB groups, polars and pyarrow take what is left; nothing is copied on the way.

python examples/hand_to_duckdb.py
"""

import duckdb
import polars
import pyarrow

import public
import stream
from stream import col


def main() -> None:
    flights = (
        stream.read(public.flights(), null_values=["NA"], memory_limit="64MiB")
        .drop_nulls("arr_delay")
        .select("carrier", "dest", "arr_delay", gained=col("dep_delay") - col("arr_delay"))
    )

    print("DuckDB pulls the stream batch by batch:")
    query = """
        select carrier, count(*) as flights, round(avg(arr_delay), 1) as mean_delay, round(avg(gained), 1) as mean_gained
        from flights group by carrier order by mean_gained desc limit 5
    """
    print(duckdb.sql(query))

    print("polars takes what a filter leaves, as a whole:")
    late = polars.DataFrame(flights.filter(col("arr_delay") > 600))
    print(late.sort("arr_delay", descending=True).head(3))

    print("pyarrow reads it batch by batch:")
    reader = pyarrow.RecordBatchReader.from_stream(flights)
    print(f"  {sum(batch.num_rows for batch in reader):,} rows, schema: {', '.join(reader.schema.names)}")


if __name__ == "__main__":
    main()
