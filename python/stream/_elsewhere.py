"""Names that other libraries have for what is called otherwise here, so that a slip is told the right one."""

NAMES = {
    "DataFrame": "Batch",
    "LazyFrame": "Stream",
    "RecordBatch": "Batch",
    "Series": "Column",
    "Table": "Batch",
    "concat_batches": "concat",
    "count": "stream.len() for rows, col(…).count() for values",
    "dataset": "read",
    "from_pandas": "from_arrow or Batch",
    "from_polars": "from_arrow",
    "open_csv": "read_csv",
    "read_table": "read_parquet",
    "scan": "read",
    "scan_csv": "read_csv",
    "scan_parquet": "read_parquet",
    "sink_csv": "Stream.write_csv",
    "sink_parquet": "Stream.write_parquet",
    "write_csv": "Stream.write_csv",
    "write_parquet": "Stream.write_parquet",
}
"""Of a module."""

METHODS = {
    "agg_batches": "agg",
    "apply": "map",
    "assign": "with_columns",
    "astype": "cast",
    "collect": "to_arrow(), to_polars(), to_pandas() or a `for` loop",
    "collect_schema": "schema",
    "drop_na": "drop_nulls",
    "dropna": "drop_nulls",
    "fetch": "head",
    "fillna": "fill_null",
    "height": "count()",
    "iter_batches": "batches",
    "iter_rows": "rows",
    "iter_slices": "batches",
    "lazy": "the Stream itself, which is lazy",
    "map_batches": "map",
    "num_rows": "count()",
    "query": "filter",
    "scan_csv": "stream.read_csv",
    "scan_parquet": "stream.read_parquet",
    "sink_csv": "write_csv",
    "sink_parquet": "write_parquet",
    "slice": "skip(n).head(n)",
    "to_batches": "batches",
    "to_csv": "write_csv",
    "to_dict": "to_pydict",
    "to_dicts": "to_pylist",
    "to_parquet": "write_parquet",
    "to_table": "to_arrow",
    "where": "filter",
    "with_column": "with_columns",
    "with_row_count": "with_row_index",
}
"""Of a stream."""


def instead(owner: str, name: str, elsewhere: dict[str, str]) -> str:
    """Return what to tell about a name that `owner` does not have.

    >>> instead("a Stream", "collect_schema", METHODS)
    'a Stream has no `collect_schema`; use `schema`'
    """
    if name not in elsewhere:
        return f"{owner} has no attribute `{name}`"
    ours = elsewhere[name]
    return f"{owner} has no `{name}`; use {ours if ' ' in ours else f'`{ours}`'}"
