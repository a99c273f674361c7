"""`Stream`: a description of rows.

Longer than other files, as one class is one file and most of it is the docstrings of its verbs; a verb's work is
elsewhere.
"""

from __future__ import annotations

from stream import _arguments as _a
from stream import _callback, _convert
from stream._batch import Batch, as_tuples
from stream._expr import Expr, lit
from stream._internal import RawBatch, schema_pairs
from stream._run import Batches, Rows, Watched, progress_of
from stream._write import by_extension, checked_mode, given, listed, unbuilt, written

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn, ParamSpec, TypeAlias

    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from stream import _internal
    from stream._dtypes import Schema
    from stream._report import Report

    P = ParamSpec("P")
    _Verbs: TypeAlias = tuple[tuple[str, tuple[Any, ...]], ...]


class Stream:
    """A description of rows: where they come from and what happens to them. Nothing runs until it is consumed.

    Made by `read`, `read_parquet`, `read_csv`, `from_arrow` and `concat`. Immutable; every verb returns another one;
    each ``for`` over it is a run of its own.

    Examples
    --------
    >>> import stream
    >>> from stream import col
    >>> trips = stream.from_arrow(stream.Batch({"id": [1, 2, 3], "fare": [3.5, 20.0, 12.0]}))
    >>> cheap = trips.filter(col("fare") < 15).select("id", double=col("fare") * 2)
    >>> cheap.to_pylist()
    [{'id': 1, 'double': 7.0}, {'id': 3, 'double': 24.0}]
    """

    __slots__ = ("__weakref__", "_made_by", "_plan")

    _plan: _internal.Plan
    _made_by: tuple[Callable[..., Stream], tuple[Any, ...], _Verbs]
    """What a pickle repeats: the source, then the verbs of the plan."""

    def __init__(self) -> None:
        raise TypeError("a Stream is made by stream.read(), read_parquet(), read_csv(), from_arrow() or concat()")

    @classmethod
    def _from(cls, plan: _internal.Plan, maker: Callable[..., Stream], *args: Any) -> Stream:
        """Dress `plan`, which ``maker(*args)`` would make again."""
        made = object.__new__(cls)
        made._plan = plan
        made._made_by = (maker, args, ())
        return made

    def _then(self, verb: Callable[P, _internal.Plan], *args: P.args, **kwargs: P.kwargs) -> Stream:
        """Return the stream with one verb of its plan more."""
        made = object.__new__(Stream)
        made._plan = verb(*args, **kwargs)
        maker, made_of, verbs = self._made_by
        made._made_by = (maker, made_of, (*verbs, (verb.__name__, args)))
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, self._made_by

    def __getattr__(self, name: str) -> Any:
        from stream._elsewhere import METHODS, instead

        raise AttributeError(instead("a Stream", name, METHODS))

    # -------------------------------------------------------------------------------------------- what it is

    @property
    def schema(self) -> Schema:
        """Names and dtypes of the rows that come out, in column order."""
        from stream._dtypes import Schema

        return Schema(self._plan.schema())

    @property
    def columns(self) -> list[str]:
        """The column names."""
        return [name for name, _ in self._plan.schema()]

    def explain(self) -> str:
        """Return the plan as text: what was pushed into the source, what streams.

        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3], "y": ["a", None, "c"]}))
        >>> print(s.filter("x > 1").explain())  # doctest: +SKIP
        """
        return self._plan.explain()

    def __repr__(self) -> str:
        return self._plan.describe()

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(self._plan.describe())}</pre>"

    def __len__(self) -> int:
        raise TypeError("a Stream does not know its length; s.count() runs it and counts the rows")

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, key: object) -> NoReturn:
        raise TypeError(
            "a Stream is not indexed: use select() for columns, filter(), head() and skip() for rows, or a `for` loop"
        )

    # ---------------------------------------------------------------------------------------- streaming verbs

    def filter(self, *predicates: Any) -> Stream:
        """Keep the rows where every predicate is true; null drops the row.

        Parameters
        ----------
        *predicates
            Expressions; text predicates (``"fare < 10 and tip is not null"``); or one function that takes a `Batch`
            and returns a mask.

        Examples
        --------
        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, None, 4]}))
        >>> s.filter("x > 1").filter(lambda batch: batch["x"] != 2).to_pylist()
        [{'x': 4}]
        """
        functions = [p for p in predicates if callable(p) and not isinstance(p, Expr)]
        exprs = _a.predicates("filter", [p for p in predicates if p not in functions] if functions else predicates)
        kept = self._then(self._plan.filter, _a.raw_exprs(exprs)) if exprs else self
        for fn in functions:
            kept = kept._then(kept._plan.filter_map, _callback.Mask(fn))
        return kept

    def filter_rows(self, fn: Callable[[dict[str, Any]], Any]) -> Stream:
        """Keep the rows for which a function of a row (a dict) returns something true.

        >>> import stream
        >>> stream.from_arrow(stream.Batch({"x": [1, 2]})).filter_rows(lambda row: row["x"] > 1).to_pylist()
        [{'x': 2}]
        """
        _a.function("filter_rows", fn)

        return self._then(self._plan.filter_map, _callback.RowMask(fn))

    def select(self, *exprs: Any, **named: Any) -> Stream:
        """Keep and make columns: names and expressions in their order, then named ones.

        >>> import stream
        >>> from stream import col
        >>> s = stream.from_arrow(stream.Batch({"tip": [1.0, 3.0], "fare": [4.0, 6.0]}))
        >>> s.select("tip", rate=col("tip") / col("fare")).to_pylist()
        [{'tip': 1.0, 'rate': 0.25}, {'tip': 3.0, 'rate': 0.5}]
        """
        return self._then(self._plan.select, _a.raw_exprs(_a.columns("select", exprs, named)))

    def with_columns(self, *exprs: Any, **named: Any) -> Stream:
        """Add columns, or replace those of the same name.

        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3], "y": ["a", None, "c"]}))
        >>> s.with_columns(double=stream.col("x") * 2).columns
        ['x', 'y', 'double']
        """
        return self._then(self._plan.with_columns, _a.raw_exprs(_a.columns("with_columns", exprs, named)))

    def rename(self, names: dict[str, str] | Callable[[str], str]) -> Stream:
        """Give columns other names: a dict old → new, or a function of the name.

        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3], "y": ["a", None, "c"]}))
        >>> s.rename({"x": "id"}).columns, s.rename(str.upper).columns
        (['id', 'y'], ['X', 'Y'])
        """
        if callable(names):
            return self._then(self._plan.rename_with, names)
        return self._then(self._plan.rename, _a.pairs("rename", names))

    def drop(self, *names: str) -> Stream:
        """Leave columns out.

        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3], "y": ["a", None, "c"]}))
        >>> s.drop("y").to_pylist()
        [{'x': 1}, {'x': 2}, {'x': 3}]
        """
        return self._then(self._plan.drop, _a.names("drop", names))

    def cast(self, dtypes: Any) -> Stream:
        """Give columns other dtypes: a dict name → dtype. A value that does not fit raises.

        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3], "y": ["a", None, "c"]}))
        >>> s.cast({"x": "float32"}).to_pydict()["x"]
        [1.0, 2.0, 3.0]
        """
        return self._then(self._plan.cast, schema_pairs(dtypes))

    def fill_null(self, value: Any) -> Stream:
        """Replace nulls: by one value in the columns whose type holds it, or by a dict name → value.

        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, None], "y": ["a", None]}))
        >>> s.fill_null(0).to_pylist(), s.fill_null({"y": "?"}).to_pylist()
        ([{'x': 1, 'y': 'a'}, {'x': 0, 'y': None}], [{'x': 1, 'y': 'a'}, {'x': None, 'y': '?'}])
        """

        def literal(value: Any) -> Expr:
            return value if isinstance(value, Expr) else lit(value)

        if isinstance(value, dict):
            pairs = [(name, literal(own)._raw) for name, own in _a.pairs("fill_null", value)]
            return self._then(self._plan.fill_null_columns, pairs)
        return self._then(self._plan.fill_null, literal(value)._raw)

    def drop_nulls(self, *names: str) -> Stream:
        """Drop the rows with a null in one of the columns; without names, in any column.

        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3], "y": ["a", None, "c"]}))
        >>> s.drop_nulls("y").to_pydict()["x"]
        [1, 3]
        """
        return self._then(self._plan.drop_nulls, _a.names("drop_nulls", names))

    def head(self, n: int = 5) -> Stream:
        """Keep the first `n` rows; reads no further than they reach.

        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3], "y": ["a", None, "c"]}))
        >>> s.head(1).to_pylist()
        [{'x': 1, 'y': 'a'}]
        """
        return self._then(self._plan.head, _a.count("n", n))

    def limit(self, n: int = 5) -> Stream:
        """Keep the first `n` rows: `head` by its name in SQL.

        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3], "y": ["a", None, "c"]}))
        >>> s.limit(1).count()
        1
        """
        return self.head(n)

    def skip(self, n: int) -> Stream:
        """Leave the first `n` rows out.

        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3], "y": ["a", None, "c"]}))
        >>> s.skip(2).to_pylist()
        [{'x': 3, 'y': 'c'}]
        """
        return self._then(self._plan.skip, _a.count("n", n))

    def with_row_index(self, name: str = "index", offset: int = 0) -> Stream:
        """Put a column of row numbers, from 0, before the others.

        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3], "y": ["a", None, "c"]}))
        >>> s.with_row_index("row").select("row", "x").head(2).to_pylist()
        [{'row': 0, 'x': 1}, {'row': 1, 'x': 2}]
        """
        _a.not_built(offset=(offset, 0))
        return self._then(self._plan.with_row_index, *_a.names("with_row_index", [name]))

    def rebatch(self, batch_size: int, drop_last: bool = False) -> Stream:
        """Cut batches of exactly `batch_size` rows; the last may be shorter, or is dropped.

        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3], "y": ["a", None, "c"]}))
        >>> [batch.num_rows for batch in s.rebatch(2)]
        [2, 1]
        """
        return self._then(self._plan.rebatch, _a.count("batch_size", batch_size, 1), bool(drop_last))

    def agg(self, *exprs: Any, **named: Any) -> Stream:
        """Aggregate all rows to one.

        >>> import stream
        >>> from stream import col
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3]}))
        >>> s.agg(total=col("x").sum(), rows=stream.len()).to_pylist()
        [{'total': 6, 'rows': 3}]
        """
        return self._then(self._plan.agg, _a.raw_exprs(_a.columns("agg", exprs, named)))

    def map(
        self,
        fn: Callable[[Batch], Any],
        *,
        schema: Any = None,
        concurrency: int = 1,
        executor: Any = "threads",
        ordered: bool = True,
    ) -> Stream:
        """Call a function on every batch, on the thread that consumes, one batch at a time and never ahead.

        Parameters
        ----------
        fn
            Takes a `Batch`; returns a `Batch`, an Arrow producer, a dict of columns, a pandas or polars DataFrame, or
            None to drop the batch.
        schema
            What it returns: a dict or list of (name, dtype), or an Arrow schema. Without it the first result decides.

        Examples
        --------
        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2]}))
        >>> s.map(lambda batch: {"double": batch["x"] * 2}).to_pylist()
        [{'double': 2}, {'double': 4}]
        """
        _a.function("map", fn)
        _a.not_built(concurrency=(concurrency, 1), executor=(executor, "threads"), ordered=(ordered, True))

        return self._then(self._plan.map, _callback.Mapped(fn), schema)

    def inspect(self, fn: Callable[[Batch], object]) -> Stream:
        """Call a function on every batch that passes; what it returns is ignored.

        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3], "y": ["a", None, "c"]}))
        >>> s.inspect(lambda batch: print(batch.num_rows, "rows")).count()
        3 rows
        3
        """
        _a.function("inspect", fn)

        return self._then(self._plan.inspect, _callback.Inspected(fn))

    def pipe(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return ``fn(self, *args, **kwargs)``, so that own verbs chain like these.

        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3], "y": ["a", None, "c"]}))
        >>> def largest(s, least):
        ...     return s.filter(stream.col("x") >= least)
        >>> s.pipe(largest, 3).to_pydict()["x"]
        [3]
        """
        _a.function("pipe", fn)
        return fn(self, *args, **kwargs)

    def options(
        self,
        *,
        memory_limit: int | str | None = "auto",
        threads: int | None = None,
        prefetch: int | None = None,
        temp_dir: Any = None,
        max_temp_bytes: int | str | None = None,
        batch_size: int | None = None,
        batch_bytes: int | str | None = None,
    ) -> Stream:
        """Set run options for the whole chain; what is not given stays.

        Parameters
        ----------
        memory_limit
            The byte budget of a run: int, ``"256MiB"``, None for no limit.
        threads
            Worker threads.
        prefetch
            Batches made ahead of the consumer; 0 works only inside ``next``.
        temp_dir
            Where to spill.
        max_temp_bytes
            The most bytes to spill.
        batch_size, batch_bytes
            The most rows and bytes of a batch, as a reader takes them.

        Examples
        --------
        >>> import stream
        >>> stream.from_arrow(stream.Batch({"x": [1, 2, 3]})).options(memory_limit="64MiB", threads=1).count()
        3
        """
        from stream._read import run_options

        given = run_options(
            memory_limit=memory_limit,
            threads=threads,
            prefetch=prefetch,
            temp_dir=temp_dir,
            max_temp_bytes=max_temp_bytes,
            batch_size=batch_size,
            batch_bytes=batch_bytes,
        )
        return self._then(self._plan.options, given)

    # ----------------------------------------------------------------------------------------------- consuming

    def __iter__(self) -> Batches:
        """Begin a run; nothing is read before the first ``next``."""
        return Batches._of(self._plan.run())

    def batches(
        self,
        batch_size: int | None = None,
        batch_bytes: int | str | None = None,
        drop_last: bool = False,
        progress: Any = False,
    ) -> Batches:
        """Begin a run whose batches have exactly `batch_size` rows (the last may be shorter, or is dropped).

        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": range(10)}))
        >>> [batch.num_rows for batch in s.batches(4)]
        [4, 4, 2]
        """
        rows = None if batch_size is None else _a.count("batch_size", batch_size, 1)
        size = _convert.size("batch_bytes", batch_bytes)
        if drop_last and rows is None:
            raise ValueError("drop_last=True needs a `batch_size`")
        run = self._plan.run(batch_size=rows, batch_bytes=size, drop_last=bool(drop_last))
        shown = progress_of(progress)
        return Batches._of(run) if shown is None else Watched.by(shown, run)

    def rows(self, as_: type = dict) -> Rows:
        """Begin a run that gives rows: dicts, or with ``as_=tuple`` tuples.

        >>> import stream
        >>> list(stream.from_arrow(stream.Batch({"x": [1, 2]})).rows(tuple))
        [(1,), (2,)]
        """
        return Rows(Batches._of(self._plan.run()), as_tuples(as_))

    def count(self) -> int:
        """Return the number of rows; from metadata where that is exact.

        >>> import stream
        >>> stream.from_arrow(stream.Batch({"x": [1, 2, 3]})).count()
        3
        """
        return self._plan.count()

    def to_arrow(self) -> pa.Table:
        """Return everything as a ``pyarrow.Table``; refused beyond `memory_limit`.

        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3], "y": ["a", None, "c"]}))
        >>> s.to_arrow().num_rows
        3
        """
        import pyarrow

        run, raws = self._gathered("to_arrow")
        return pyarrow.Table.from_batches(
            [pyarrow.record_batch(raw) for raw in raws], schema=pyarrow.schema(Batches._of(run))
        )

    def to_pandas(self) -> pd.DataFrame:
        """Return everything as a ``pandas.DataFrame``; refused beyond `memory_limit` of Arrow bytes.

        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3], "y": ["a", None, "c"]}))
        >>> s.to_pandas().shape
        (3, 2)
        """
        return self.to_arrow().to_pandas()

    def to_polars(self) -> pl.DataFrame:
        """Return everything as a ``polars.DataFrame``; refused beyond `memory_limit` of Arrow bytes.

        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3], "y": ["a", None, "c"]}))
        >>> s.to_polars().shape
        (3, 2)
        """
        import polars

        run, raws = self._gathered("to_polars")
        return polars.concat(
            [polars.DataFrame(raw) for raw in raws] or [polars.DataFrame(RawBatch.empty(Batches._of(run)))]
        )

    def to_pylist(self) -> list[dict[str, Any]]:
        """Return everything as a list of dicts.

        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3], "y": ["a", None, "c"]}))
        >>> s.head(2).to_pylist()
        [{'x': 1, 'y': 'a'}, {'x': 2, 'y': None}]
        """
        _, raws = self._gathered("to_pylist")
        return [row for raw in raws for row in raw.to_rows(0, raw.num_rows, False)]

    def to_pydict(self) -> dict[str, list[Any]]:
        """Return everything as lists of values by column name.

        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3], "y": ["a", None, "c"]}))
        >>> s.to_pydict()
        {'x': [1, 2, 3], 'y': ['a', None, 'c']}
        """
        run, raws = self._gathered("to_pydict")
        whole: dict[str, list[Any]] = {name: [] for name, _ in run.schema()}
        for raw in raws:
            for name, values in raw.to_pydict().items():
                whole[name] += values
        return whole

    def _gathered(self, verb: str) -> tuple[_internal.Run, list[RawBatch]]:
        """All batches of a run, counted against its memory limit."""
        run = self._plan.run()
        raws: list[RawBatch] = []
        size = 0
        while (raw := run.next()) is not None:
            raws.append(raw)
            size += raw.nbytes
            if run.memory_limit is not None and size > run.memory_limit:
                from stream._report import size_text
                from stream.exceptions import MemoryLimitError

                run.close()
                raise MemoryLimitError(
                    f"{verb} has gathered {size_text(size)}, memory_limit is {size_text(run.memory_limit)}; pass "
                    f"memory_limit=None (no limit): s.options(memory_limit=None).{verb}(), or iterate over batches"
                )
        return run, raws

    def show(self, n: int = 10) -> None:
        """Print the first `n` rows.

        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3], "y": ["a", None, "c"]}))
        >>> s.show(1)
        1 row, 2 columns
        ┌───────┬────────┐
        │ x     │ y      │
        │ int64 │ string │
        ├───────┼────────┤
        │     1 │ a      │
        └───────┴────────┘
        """
        run, raws = self.head(n)._gathered("show")
        shown = RawBatch.joined(raws) if raws else RawBatch.empty(Batches._of(run))
        from stream._display import text_of, values_of

        title, names, dtypes, _, _ = Batch._of(shown)._shown(0)
        print(text_of(title, names, dtypes, [values_of(raw) for raw in shown.columns()], 0))  # noqa: T201

    def __arrow_c_schema__(self) -> object:
        """Return the schema by Arrow's PyCapsule interface."""
        return self._plan.arrow_schema()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return a run by Arrow's PyCapsule interface; no work starts before its first batch is asked for.

        >>> import pyarrow, stream
        >>> pyarrow.table(stream.from_arrow(stream.Batch({"x": [1, 2]}))).num_rows
        2
        """
        return self._plan.arrow_stream(requested_schema)

    # --------------------------------------------------------------------------------------------------- sinks

    def write_parquet(
        self,
        path: Any,
        *,
        compression: str | None = "zstd",
        compression_level: int | None = None,
        row_group_size: int | None = None,
        row_group_bytes: int | str | None = None,
        statistics: bool = True,
        bloom_filters: Any = (),
        dictionary: Any = True,
        page_checksums: bool = True,
        sorted_by: Any = None,
        mode: str = "overwrite",
        progress: Any = False,
        **later: Any,
    ) -> Report:
        """Write all rows to a Parquet file: the target is the old file or the whole new one, whatever happens.

        Parameters
        ----------
        path
            The target: a path, a binary file object, or ``"-"`` for stdout (these two are not atomic).
        compression
            ``"zstd"``, ``"snappy"``, ``"lz4"``, ``"gzip"``, ``"brotli"`` or ``"none"``.
        compression_level
            For zstd (1 to 22; 1 by default), gzip (0 to 9; 6) and brotli (0 to 11; 1).
        row_group_size, row_group_bytes
            Rows, and bytes before encoding, of a row group; the one that is given alone decides. By default 262,144
            rows or 64 MiB, whichever comes first. Memory does not grow with them: encoded pages that it has no room
            for wait in ``temp_dir``.
        statistics
            Smallest and largest values and counts of nulls, of row groups and of pages.
        bloom_filters
            The columns that get one: for looking up single values that statistics cannot rule out.
        dictionary
            True: columns whose values repeat, by a sample of each row group. False: none. Names: these columns.
        page_checksums
            A CRC-32 in each page, so that readers notice damage.
        sorted_by
            The columns that the rows are sorted by, ascending, nulls first. It is checked, and noted in the file.
        mode
            ``"overwrite"``, or ``"error"`` if the target exists.
        progress
            True for a line on stderr, or a function of `Stats`.

        Returns
        -------
        Report

        Examples
        --------
        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3], "y": ["a", None, "c"]}))
        >>> report = s.write_parquet("rows.parquet")
        >>> report.rows_out, stream.read("rows.parquet").count()
        (3, 3)
        """
        unbuilt("write_parquet", later)
        options = given(
            compression=(compression, "zstd"),
            compression_level=(compression_level, None),
            row_group_size=(row_group_size, None),
            row_group_bytes=(_convert.size("row_group_bytes", row_group_bytes), None),
            statistics=(statistics, True),
            bloom_filters=(listed(bloom_filters), []),
            dictionary=(dictionary if isinstance(dictionary, bool) else listed(dictionary), True),
            page_checksums=(page_checksums, True),
            sorted_by=(listed(sorted_by), []),
            mode=(checked_mode(mode), "overwrite"),
        )
        return written(self._plan.write_parquet, path, options, progress)

    def write_csv(
        self,
        path: Any,
        *,
        delimiter: str = ",",
        quote_char: str = '"',
        null_value: str = "",
        header: bool = True,
        compression: str | None = None,
        mode: str = "overwrite",
        progress: Any = False,
        **later: Any,
    ) -> Report:
        """Write all rows to a CSV file: the target is the old file or the whole new one, whatever happens.

        Parameters
        ----------
        path
            The target: a path, a binary file object, or ``"-"`` for stdout (these two are not atomic).
        null_value
            What stands for null; an empty text is written quoted, so that both come back as they were.
        compression
            ``"gzip"``, ``"zstd"`` or ``"none"``; by extension without it.
        mode
            ``"overwrite"``, or ``"error"`` if the target exists.
        progress
            True for a line on stderr, or a function of `Stats`.

        Returns
        -------
        Report

        Examples
        --------
        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3], "y": ["a", None, "c"]}))
        >>> report = s.write_csv("rows.csv")
        >>> from pathlib import Path
        >>> print(Path("rows.csv").read_text(), end="")
        x,y
        1,a
        2,
        3,c
        """
        unbuilt("write_csv", later)
        options = given(
            delimiter=(delimiter, ","),
            quote_char=(quote_char, '"'),
            null_value=(null_value, ""),
            header=(header, True),
            compression=(compression, None),
            mode=(checked_mode(mode), "overwrite"),
        )
        return written(self._plan.write_csv, path, options, progress)

    def write(self, path: Any, **options: Any) -> Report:
        """Write all rows in the format that the extension says; options are those of its ``write_*``.

        >>> import stream
        >>> s = stream.from_arrow(stream.Batch({"x": [1, 2, 3], "y": ["a", None, "c"]}))
        >>> s.write("rows.csv.gz").rows_out
        3
        """
        kind, implied = by_extension(path)
        return (self.write_parquet if kind == "parquet" else self.write_csv)(path, **implied | options)


def _remade(maker: Callable[..., Stream], args: tuple[Any, ...], verbs: _Verbs) -> Stream:
    """Make a pickled stream anew."""
    made = maker(*args)
    for verb, values in verbs:
        made = made._then(getattr(made._plan, verb), *values)
    return made
