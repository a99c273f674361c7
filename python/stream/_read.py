"""Where streams begin: files, Arrow, several streams one after the other."""

from __future__ import annotations

from stream import _arguments as _a
from stream import _convert
from stream._internal import Plan
from stream._stream import Stream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

_FORMATS = ("parquet", "csv")


def read(source: Any, *, format: str | None = None, **options: Any) -> Stream:
    """Read files in the format that `format`, else the extension, else the first bytes tell.

    Parameters
    ----------
    source
        A path, a glob, a folder (Hive partitions become columns), a list of these, a binary file object, or ``"-"``
        for stdin.
    format
        ``"parquet"`` or ``"csv"``.
    **options
        Those of `read_parquet` or `read_csv`.

    Examples
    --------
    >>> import stream
    >>> for batch in stream.read("big.parquet"):  # doctest: +SKIP
    ...     print(batch.num_rows, batch["fare"].sum())
    """
    if format is not None and format not in _FORMATS:
        if format in ("json", "ndjson", "jsonl", "ipc", "arrow", "feather"):
            raise NotImplementedError(f'`format="{format}"` is not built yet; there are "parquet" and "csv"')
        raise ValueError(f'`format` must be "parquet" or "csv", found `{format}`')
    known = set(_CSV_DEFAULTS) | set(_DEFAULTS)
    for name in options:
        if name not in known:
            import difflib

            close = difflib.get_close_matches(name, sorted(known), 1)
            raise TypeError(f"read() has no option `{name}`" + (f", did you mean `{close[0]}`?" if close else ""))
    return _stream(source, format, options)


def read_parquet(
    source: Any,
    *,
    columns: Sequence[str] | None = None,
    dtypes: Any = None,
    batch_size: int | None = None,
    batch_bytes: int | str | None = None,
    file_column: str | None = None,
    row_index: str | None = None,
    missing_columns: str = "raise",
    extra_columns: str = "raise",
    on_error: str = "raise",
    rejects: Any = None,
    max_errors: float | None = None,
    storage_options: Any = None,
    memory_limit: int | str | None = "auto",
    threads: int | None = None,
    prefetch: int | None = None,
    temp_dir: Any = None,
    max_temp_bytes: int | str | None = None,
) -> Stream:
    """Read Parquet files.

    Parameters
    ----------
    source
        A path, a glob, a folder (Hive partitions become columns), a list of these, a binary file object.
    columns
        The columns to read, in this order; all without it. ``"a.b"`` is field ``b`` of the struct column ``a``, also where
        the structs are in a list or a map: of ``a`` only such fields are read, in the file's order. pyarrow's spelling
        with the file's own groups, ``"a.list.element.b"``, does as well. A map keeps its keys; a column whose own name
        has the dot comes first. Raises `ColumnNotFoundError` for a name or field that is not there.
    dtypes
        Other dtypes for some columns: a dict name → dtype.
    batch_size, batch_bytes
        The most rows (65,536) and bytes (16 MiB) of a batch, whichever comes first.
    file_column
        The name of a column with the path that each row comes from.
    row_index
        The name of a column of row numbers.
    missing_columns
        ``"insert"`` nulls for columns that a later file does not have, or ``"raise"``.
    extra_columns
        ``"ignore"`` or ``"insert"`` columns that only later files have, or ``"raise"``.
    on_error
        ``"skip"`` records that cannot be read, put ``"null"`` for their values, or ``"raise"``.
    rejects
        A file for the records that could not be read.
    max_errors
        How many of those to bear: a count, or a share below 1.
    memory_limit, threads, prefetch, temp_dir, max_temp_bytes
        Run options; see `Stream.options`.

    Examples
    --------
    >>> import stream
    >>> report = stream.from_arrow(stream.Batch({"x": [1, 2], "y": "a"})).write_parquet("rows.parquet")
    >>> stream.read_parquet("rows.parquet", columns=["x"]).to_pylist()
    [{'x': 1}, {'x': 2}]

    >>> trips = stream.Batch({"id": [1, 2], "from": [{"city": "Oslo", "at": 9}, {"city": "Rome", "at": 12}]})
    >>> report = stream.from_arrow(trips).write_parquet("trips.parquet")
    >>> stream.read_parquet("trips.parquet", columns=["from.city"]).to_pylist()
    [{'from': {'city': 'Oslo'}}, {'from': {'city': 'Rome'}}]
    """
    return _stream(source, "parquet", locals())


def read_csv(
    source: Any,
    *,
    columns: Sequence[str] | None = None,
    schema: Any = None,
    infer_schema_length: int | None = 10_000,
    has_header: bool | str = True,
    new_columns: Sequence[str] | None = None,
    delimiter: str = ",",
    quote_char: str | None = '"',
    escape_char: str | None = None,
    comment_prefix: str | None = None,
    skip_rows: int = 0,
    skip_blank_lines: bool = True,
    null_values: Any = None,
    encoding: str = "utf-8",
    trim: bool = False,
    try_parse_dates: bool = True,
    datetime_formats: Sequence[str] | None = None,
    decimal: str = ".",
    thousands: str | None = None,
    true_values: Sequence[str] | None = None,
    false_values: Sequence[str] | None = None,
    dtypes: Any = None,
    batch_size: int | None = None,
    batch_bytes: int | str | None = None,
    file_column: str | None = None,
    row_index: str | None = None,
    missing_columns: str = "raise",
    extra_columns: str = "raise",
    on_error: str = "raise",
    rejects: Any = None,
    max_errors: float | None = None,
    storage_options: Any = None,
    memory_limit: int | str | None = "auto",
    threads: int | None = None,
    prefetch: int | None = None,
    temp_dir: Any = None,
    max_temp_bytes: int | str | None = None,
) -> Stream:
    r"""Read CSV files, plain or compressed (gz, zst, bz2, xz, lz4, as their first bytes tell).

    A record must have as many fields as the first one, quotes must close, and nothing may stand between a closing quote
    and the next delimiter (``"a"b``); a quote inside a field that does not begin with one is text. Lines end with
    ``\n``, ``\r\n`` or ``\r``. What breaks these rules, is no text in the encoding, or does not fit its column is a
    `ParseError` with line and column, unless `on_error` says otherwise. Names that come twice get ``_duplicated_0``.

    Parameters
    ----------
    source
        A path, a glob, a folder (Hive partitions become columns), a list of these, a binary file object, ``"-"`` for
        stdin.
    columns
        The columns to read, in this order; all without it.
    schema
        Names and dtypes of all columns; nothing is inferred then, and a pipe is not read before the first batch.
    infer_schema_length
        Records from which dtypes are inferred, from the head, middle and end of a plain file; None: all of them.
    has_header
        Whether the first record names the columns. ``"auto"`` finds out, as `explain` shows: words over numbers, dates
        or truth values are names; where nothing tells, `FormatError`.
    new_columns
        Other names for the columns, in their order.
    delimiter
        Between fields: one ASCII character. ``"auto"`` takes the only one of ``, ; \t |`` that splits each of the first
        records into the same number of fields, more than one, as `explain` shows; else `FormatError`.
    quote_char, escape_char, comment_prefix
        The dialect; None where it has none.
    skip_rows
        Lines to skip at the start.
    skip_blank_lines
        Whether blank lines are none. In a file of one column they are records in any case, whose value is null.
    null_values
        Texts that mean null: a text, a list, or a dict by column. By default an empty unquoted field. An empty field
        of a column that is no text is null in any case.
    encoding
        Of the file, by a name that Python or the WHATWG's standard has for it: ``"latin-1"`` is ISO-8859-1 as in
        Python, ``"windows-1252"`` its own; ``"utf-16"`` asks the byte order mark, which also tells UTF-16 from UTF-8.
        Errors give offsets in the UTF-8 text.
    trim
        Whether blanks around fields go; those around quotes too, so that `` "a, b" `` is one field.
    try_parse_dates
        Whether dates and timestamps are inferred.
    datetime_formats
        Formats to try for them, as ``strftime`` writes them.
    decimal, thousands
        The marks in numbers.
    true_values, false_values
        Texts that mean these.
    dtypes
        Other dtypes for some columns: a dict name → dtype.
    on_error
        ``"raise"`` at the first record or value that cannot be read. ``"skip"`` leaves such records out. ``"null"``
        makes such values null, and leaves out only records whose fields cannot be told apart or are too few or too
        many. Structure is checked in every record, values in the columns that the run needs. `Stats.rejects` counts:
        records with ``"skip"``, values and records with ``"null"``.
    rejects
        A file, ``.parquet`` or ``.csv``, for what `on_error` kept from the result: ``file, line, column, reason, raw``
        (at most 64 KiB of the record). Each run writes it anew; it is complete when the run ends, and when you leave
        the loop early it has what stood before the batches that you took.
    max_errors
        The most rejects: a count, or a share of the records (a float below 1), judged from 1,000 records on and at the
        end. More are a `ParseError`.
    batch_size, batch_bytes, file_column, row_index, missing_columns, extra_columns
        As in `read_parquet`.
    memory_limit, threads, prefetch, temp_dir, max_temp_bytes
        Run options; see `Stream.options`.

    Examples
    --------
    >>> import io, stream
    >>> text = io.BytesIO(b"id;price\n1;2,5\n2;\n")
    >>> stream.read_csv(text, delimiter=";", decimal=",").to_pylist()
    [{'id': 1, 'price': 2.5}, {'id': 2, 'price': None}]

    >>> text = io.BytesIO(b"id,price\n1,2.5\n2,n/a\n3\n")
    >>> s = stream.read_csv(text, dtypes={"price": "float64"}, on_error="skip", rejects="bad.csv")
    >>> s.to_pylist()
    [{'id': 1, 'price': 2.5}]
    >>> stream.read_csv("bad.csv").select("line", "column", "reason").to_pylist()[0]
    {'line': 3, 'column': 'price', 'reason': 'expected a number, found `n/a`'}

    >>> s = stream.read_csv(io.BytesIO(b"a|b\n1|x\n"), delimiter="auto")
    >>> [line.strip() for line in s.explain().splitlines() if "delimiter" in line]
    ['delimiter: `|`, found in 2 records']
    """
    return _stream(source, "csv", locals())


_DEFAULTS: dict[str, Any] = {
    "columns": None,
    "dtypes": None,
    "batch_size": None,
    "batch_bytes": None,
    "file_column": None,
    "row_index": None,
    "missing_columns": "raise",
    "extra_columns": "raise",
    "on_error": "raise",
    "rejects": None,
    "max_errors": None,
    "storage_options": None,
    "memory_limit": "auto",
    "threads": None,
    "prefetch": None,
    "temp_dir": None,
    "max_temp_bytes": None,
}
_CSV_DEFAULTS: dict[str, Any] = {
    "schema": None,
    "infer_schema_length": 10_000,
    "has_header": True,
    "new_columns": None,
    "delimiter": ",",
    "quote_char": '"',
    "escape_char": None,
    "comment_prefix": None,
    "skip_rows": 0,
    "skip_blank_lines": True,
    "null_values": None,
    "encoding": "utf-8",
    "trim": False,
    "try_parse_dates": True,
    "datetime_formats": None,
    "decimal": ".",
    "thousands": None,
    "true_values": None,
    "false_values": None,
}
_RUN = ("memory_limit", "threads", "prefetch", "temp_dir", "max_temp_bytes")
_CHOICES = {
    "missing_columns": ("raise", "insert"),
    "extra_columns": ("raise", "ignore", "insert"),
    "on_error": ("raise", "skip", "null"),
}


def _stream(source: Any, kind: str | None, arguments: dict[str, Any]) -> Stream:
    """Begin a stream with the arguments that differ from their defaults, made plain for Rust."""
    defaults = _DEFAULTS | _CSV_DEFAULTS
    given = {name: value for name, value in arguments.items() if name != "source" and value is not defaults[name]}
    run = {name: given.pop(name) for name in _RUN if name in given}
    if given.pop("storage_options", None) is not None:
        raise NotImplementedError("`storage_options` is not built yet; only local files are read")
    options = {name: _plain(name, value) for name, value in given.items() if value != defaults[name]}
    return _begun(_sources(source), kind, options | run_options(**run))


def _begun(source: Any, kind: str | None, options: dict[str, Any]) -> Stream:
    return Stream._from(Plan.read(source, kind, options), _begun, source, kind, options)


def run_options(
    *,
    memory_limit: Any = "auto",
    threads: Any = None,
    prefetch: Any = None,
    temp_dir: Any = None,
    max_temp_bytes: Any = None,
    batch_size: Any = None,
    batch_bytes: Any = None,
) -> dict[str, Any]:
    """Return the run options that were given, made plain for Rust."""
    options: dict[str, Any] = {}
    if memory_limit != "auto":
        options["memory_limit"] = _convert.size("memory_limit", memory_limit)
    if threads is not None:
        options["threads"] = _a.count("threads", threads, 1)
    if prefetch is not None:
        options["prefetch"] = _a.count("prefetch", prefetch)
    if temp_dir is not None:
        options["temp_dir"] = _convert.path(temp_dir)
    if max_temp_bytes is not None:
        options["max_temp_bytes"] = _convert.size("max_temp_bytes", max_temp_bytes)
    if batch_size is not None:
        options["batch_size"] = _a.count("batch_size", batch_size, 1)
    if batch_bytes is not None:
        options["batch_bytes"] = _convert.size("batch_bytes", batch_bytes)
    return options


def _plain(name: str, value: Any) -> Any:
    """Check an option and return it as Rust takes it."""
    if name in _CHOICES and value not in _CHOICES[name]:
        choices = ", ".join(f'"{choice}"' for choice in _CHOICES[name])
        raise ValueError(f"`{name}` must be one of {choices}, found `{value}`")
    make = _MAKE.get(name)
    return value if make is None else make(name, value)


def _texts(name: str, value: Any) -> list[str]:
    if isinstance(value, str):
        raise TypeError(f'`{name}` takes a list, found the text `{value}`; write ["{value}"]')
    return _a.names(f"`{name}`", value)


def _nulls(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return [value]
    return dict(value) if hasattr(value, "items") else _a.names(f"`{name}`", value)


def _at_least_one(name: str, value: Any) -> int | None:
    return None if value is None else _a.count(name, value, 1)


def _errors(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise ValueError(f"`{name}` takes a count (int) or a share (float below 1), found `{value!r}`")
    return value


_MAKE: dict[str, Callable[[str, Any], Any]] = {
    "dtypes": lambda name, value: dict(_a.pairs(f"`{name}`", value)),
    "columns": _texts,
    "new_columns": _texts,
    "datetime_formats": _texts,
    "true_values": _texts,
    "false_values": _texts,
    "null_values": _nulls,
    "batch_size": _at_least_one,
    "infer_schema_length": _at_least_one,
    "skip_rows": _a.count,
    "batch_bytes": _convert.size,
    "rejects": lambda _, value: _convert.path(value),
    "max_errors": _errors,
}


def _sources(source: Any) -> Any:
    """Return a list of texts, or the binary file object itself."""
    if _convert.binary_file(source, "rb"):
        return source
    if isinstance(source, (str, bytes)) or hasattr(source, "__fspath__"):
        return [_local(source)]
    if isinstance(source, dict) or not hasattr(source, "__iter__"):
        raise TypeError(
            f'a source is a path, a glob, a folder, a list of these, a binary file object or "-", found '
            f"`{_convert.kind_of(source)}`" + ("; use from_arrow() for Arrow data" if _convert.is_arrow(source) else "")
        )
    sources = list(source)
    if not sources:
        raise ValueError("the list of sources is empty")
    for one in sources:
        if hasattr(one, "read"):
            raise NotImplementedError("a list of file objects is not built yet; concat() one stream of each")
    return [_local(one) for one in sources]


def _local(source: Any) -> str:
    """Return the text of a path; a URL is none."""
    text = _convert.path(source)
    scheme, sep, _ = text.partition("://")
    if sep and scheme.isalnum() and isinstance(source, str):
        raise NotImplementedError(f"reading `{scheme}://` is not built yet; only local files are read")
    return text


def from_arrow(obj: Any) -> Stream:
    """Stream the batches of any Arrow producer: ``__arrow_c_stream__`` or ``__arrow_c_array__``. Pulled lazily.

    >>> import pyarrow, stream
    >>> stream.from_arrow(pyarrow.table({"x": [1, 2]})).to_pylist()
    [{'x': 1}, {'x': 2}]
    """
    if not _convert.is_arrow(obj):
        raise TypeError(
            f"from_arrow takes an object with `__arrow_c_stream__` or `__arrow_c_array__` (pyarrow, polars, DuckDB, "
            f"pandas, …), found `{_convert.kind_of(obj)}`"
        )
    return Stream._from(Plan.from_arrow(obj), from_arrow, obj)


def concat(streams: Iterable[Stream]) -> Stream:
    """Put streams of one schema one after the other.

    >>> import stream
    >>> one = stream.from_arrow(stream.Batch({"x": [1]}))
    >>> two = stream.from_arrow(stream.Batch({"x": [2]}))
    >>> stream.concat([one, two]).to_pydict()
    {'x': [1, 2]}
    """
    parts = [streams] if isinstance(streams, Stream) else list(streams)
    for part in parts:
        if not isinstance(part, Stream):
            raise TypeError(f"concat takes Streams, found `{_convert.kind_of(part)}`")
    if not parts:
        raise ValueError("concat needs at least one Stream")
    return Stream._from(Plan.concat([part._plan for part in parts]), concat, parts)


def memory() -> dict[str, int]:
    """Return bytes of this process: what the extension holds now and at most, and the resident set.

    Keys: ``live`` and ``peak`` (allocated by the extension), ``kept`` (freed blocks that it keeps for reuse), ``rss``
    and ``peak_rss`` (of the whole process; 0 where the system does not tell).

    >>> import stream
    >>> sorted(stream.memory())
    ['kept', 'live', 'peak', 'peak_rss', 'rss']
    """
    from stream._internal import memory

    figures = dict(memory())
    figures |= {"rss": 0, "peak_rss": 0}
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:
            for line in status:
                key = {"VmRSS": "rss", "VmHWM": "peak_rss"}.get(line.partition(":")[0])
                if key is not None:
                    figures[key] = int(line.split()[1]) << 10
    except OSError:
        import sys

        if sys.platform != "win32":
            import resource

            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            figures["peak_rss"] = peak if sys.platform == "darwin" else peak << 10
    return figures
