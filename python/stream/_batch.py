"""`Batch`: rows in hand."""

from __future__ import annotations

from stream._column import Column
from stream._convert import batch as to_raw
from stream._convert import column, is_array, kind_of
from stream._internal import RawBatch, schema_pairs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, NoReturn

    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from stream._dtypes import Schema


class Batch:
    """Rows in hand: an Arrow record batch, immutable, sharing its memory with what is taken from it.

    Iterating a stream yields these. They can also be made, from a dict of columns (lists, NumPy arrays, Arrow
    arrays, Series, `Column`; a scalar is repeated) or from any Arrow producer.

    Parameters
    ----------
    data
        The rows.
    schema
        What to cast the columns to: a dict or list of (name, dtype), or an Arrow schema; it fixes their order.

    Examples
    --------
    >>> from stream import Batch, col
    >>> batch = Batch({"id": [1, 2, 3], "fare": [3.5, None, 12.0], "city": "Berlin"})
    >>> batch.num_rows, batch.column_names
    (3, ['id', 'fare', 'city'])
    >>> batch["fare"].sum(), batch[0]
    (15.5, {'id': 1, 'fare': 3.5, 'city': 'Berlin'})
    >>> batch.filter(col("fare") < 10).to_pylist()
    [{'id': 1, 'fare': 3.5, 'city': 'Berlin'}]
    """

    __slots__ = ("__weakref__", "_raw_batch")

    _raw_batch: RawBatch

    def __init__(self, data: Any, schema: Any = None) -> None:
        raw = to_raw(data, "Batch takes")
        if schema is not None:
            wanted = schema_pairs(schema)
            known = {name for name, _ in wanted}
            extra = [name for name in raw.names() if name not in known]
            if extra:
                from stream.exceptions import SchemaError

                raise SchemaError(f"columns that the schema does not have: {', '.join(f'`{n}`' for n in extra)}")
            columns = [(name, raw.column(name)) for name, _ in wanted]
            raw = RawBatch.from_columns(columns, raw.num_rows).cast(wanted)
        self._raw_batch = raw

    @classmethod
    def _of(cls, raw: RawBatch) -> Batch:
        made = object.__new__(cls)
        made._raw_batch = raw
        return made

    @property
    def num_rows(self) -> int:
        """How many rows it has."""
        return self._raw_batch.num_rows

    @property
    def num_columns(self) -> int:
        """How many columns it has."""
        return self._raw_batch.num_columns

    @property
    def schema(self) -> Schema:
        """Names and dtypes, in column order."""
        from stream._dtypes import Schema

        return Schema(self._raw_batch.schema())

    @property
    def column_names(self) -> list[str]:
        """The names of its columns, in order."""
        return self._raw_batch.names()

    @property
    def nbytes(self) -> int:
        """Bytes of its rows."""
        return self._raw_batch.nbytes

    # ------------------------------------------------------------------------------------ a container of columns

    def __len__(self) -> int:
        return self._raw_batch.num_rows

    def __bool__(self) -> bool:
        return self._raw_batch.num_rows > 0

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._raw_batch.has(name)

    def __getitem__(self, key: Any) -> Any:
        """Return a column by name, a row (a dict) by position, or some rows by a slice."""
        if isinstance(key, str):
            return Column._of(self._raw_batch.column(key))
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step == 1:
                return Batch._of(self._raw_batch.slice(start, max(0, stop - start)))
            return Batch._of(self._raw_batch.take(list(range(start, stop, step))))
        if hasattr(key, "__index__") and not isinstance(key, bool):
            row, rows = key.__index__(), len(self)
            if not -rows <= row < rows:
                raise IndexError(f"row {row} of a batch that has {rows}")
            found: dict[str, Any] = self._raw_batch.to_rows(row % rows, row % rows + 1, False)[0]
            return found
        raise TypeError(f"a Batch takes a column's name, a row's position or a slice, found `{kind_of(key)}`")

    def __iter__(self) -> NoReturn:
        raise TypeError("a Batch is not iterated as such: use batch.rows() for rows, batch.column_names for columns")

    def keys(self) -> list[str]:
        """Return the column names, so that ``dict(batch)`` gives columns by name.

        >>> from stream import Batch
        >>> batch = Batch({"x": [1, 2, 3], "y": ["a", None, "c"]})
        >>> batch.keys(), list(dict(batch))
        (['x', 'y'], ['x', 'y'])
        """
        return self._raw_batch.names()

    def __eq__(self, other: object) -> bool:
        """Whether names, dtypes and values are the same."""
        if not isinstance(other, Batch):
            return NotImplemented
        return self._raw_batch.equals(other._raw_batch)

    __hash__ = None  # type: ignore[assignment]

    def rows(self, as_: type = dict) -> Iterator[Any]:
        """Iterate the rows, as dicts or (``as_=tuple``) as tuples.

        >>> from stream import Batch
        >>> list(Batch({"x": [1, 2]}).rows())
        [{'x': 1}, {'x': 2}]
        """
        tuples = as_tuples(as_)
        return (
            row for start in range(0, len(self), 1024) for row in self._raw_batch.to_rows(start, start + 1024, tuples)
        )

    def __repr__(self) -> str:
        from stream._display import text_of

        return text_of(*self._shown(10))

    def _repr_html_(self) -> str:
        from stream._display import html_of

        return html_of(*self._shown(20))

    def _shown(self, rows: int) -> tuple[str, list[str], list[str], list[list[Any]], int]:
        """Return what `stream._display` lays out."""
        from stream._display import values_of

        shown = self._raw_batch.slice(0, rows)
        title = f"{_counted(self.num_rows, 'row')}, {_counted(self.num_columns, 'column')}"
        dtypes = [str(dtype) for _, dtype in self._raw_batch.schema()]
        columns = [values_of(raw) for raw in shown.columns()]
        return title, self.column_names, dtypes, columns, self.num_rows - shown.num_rows

    # ------------------------------------------------------------------------------------------------ out of here

    def to_pylist(self) -> list[dict[str, Any]]:
        """Return the rows as a list of dicts.

        >>> from stream import Batch
        >>> batch = Batch({"x": [1, 2, 3], "y": ["a", None, "c"]})
        >>> batch.to_pylist()[1]
        {'x': 2, 'y': None}
        """
        rows: list[dict[str, Any]] = self._raw_batch.to_rows(0, len(self), False)
        return rows

    def to_pydict(self) -> dict[str, list[Any]]:
        """Return lists of values by column name.

        >>> from stream import Batch
        >>> batch = Batch({"x": [1, 2, 3], "y": ["a", None, "c"]})
        >>> batch.to_pydict()
        {'x': [1, 2, 3], 'y': ['a', None, 'c']}
        """
        return self._raw_batch.to_pydict()

    def to_arrow(self) -> pa.RecordBatch:
        """Return a ``pyarrow.RecordBatch`` on the same memory.

        >>> from stream import Batch
        >>> batch = Batch({"x": [1, 2, 3], "y": ["a", None, "c"]})
        >>> batch.to_arrow().num_rows
        3
        """
        import pyarrow

        return pyarrow.record_batch(self)

    def to_pandas(self) -> pd.DataFrame:
        """Return a ``pandas.DataFrame``.

        >>> from stream import Batch
        >>> batch = Batch({"x": [1, 2, 3], "y": ["a", None, "c"]})
        >>> batch.to_pandas().shape
        (3, 2)
        """
        return self.to_arrow().to_pandas()

    def to_polars(self) -> pl.DataFrame:
        """Return a ``polars.DataFrame``.

        >>> from stream import Batch
        >>> batch = Batch({"x": [1, 2, 3], "y": ["a", None, "c"]})
        >>> batch.to_polars().shape
        (3, 2)
        """
        import polars

        return polars.DataFrame(self)

    def __arrow_c_schema__(self) -> object:
        """Return the schema by Arrow's PyCapsule interface."""
        return self._raw_batch.__arrow_c_schema__()

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        """Return the rows by Arrow's PyCapsule interface, without a copy."""
        return self._raw_batch.__arrow_c_array__(requested_schema)

    # ------------------------------------------------------------------------------------- verbs, done at once

    def filter(self, *predicates: Any) -> Batch:
        """Return the rows where every predicate is true: expressions, text predicates or masks.

        >>> from stream import Batch
        >>> batch = Batch({"x": [1, 2, None]})
        >>> batch.filter("x > 1").to_pylist(), batch.filter([True, False, False]).to_pylist()
        ([{'x': 2}], [{'x': 1}])
        """
        from stream import _arguments

        raw = self._raw_batch
        masks = [mask for mask in predicates if is_mask(mask)]
        exprs = _arguments.predicates("filter", [p for p in predicates if not is_mask(p)])
        if masks:
            whole = Column(masks[0])
            for mask in masks[1:]:
                whole = whole & Column(mask)
            raw = raw.filter_mask(whole._raw_column)
        return Batch._of(raw.filter(_arguments.raw_exprs(exprs)) if exprs else raw)

    def select(self, *exprs: Any, **named: Any) -> Batch:
        """Return columns by name, expression or, where named, also values.

        >>> from stream import Batch
        >>> batch = Batch({"x": [1, 2, 3], "y": ["a", None, "c"]})
        >>> from stream import col
        >>> batch.select("y", double=col("x") * 2, row=range(3)).to_pylist()[2]
        {'y': 'c', 'double': 6, 'row': 2}
        """
        return Batch._of(RawBatch.from_columns(self._made("select", exprs, named), len(self)))

    def with_columns(self, *exprs: Any, **named: Any) -> Batch:
        """Return all columns and further or replaced ones; a column may be given as values.

        >>> from stream import Batch, col
        >>> batch = Batch({"x": [1, 2]})
        >>> batch.with_columns(y=col("x") * 2, z=[True, False]).to_pydict()
        {'x': [1, 2], 'y': [2, 4], 'z': [True, False]}
        """
        made = dict(self._made("with_columns", exprs, named))
        columns = [(raw.name, made.pop(raw.name, raw)) for raw in self._raw_batch.columns()]
        return Batch._of(RawBatch.from_columns([*columns, *made.items()], len(self)))

    def _made(self, verb: str, exprs: tuple[Any, ...], named: dict[str, Any]) -> list[tuple[str, Any]]:
        """Evaluate the arguments of ``select``: expressions together, values as they are."""
        from stream import _arguments
        from stream.exceptions import SchemaError

        values = {name: value for name, value in named.items() if is_array(value) and not isinstance(value, str)}
        rest = _arguments.columns(
            verb,
            [arg for arg in exprs if not isinstance(arg, Column)],
            {name: value for name, value in named.items() if name not in values},
        )
        evaluated = iter(self._raw_batch.eval(_arguments.raw_exprs(rest)))
        made: list[tuple[str, Any]] = []
        for arg in _arguments._flat(exprs):
            raw = arg._raw_column if isinstance(arg, Column) else next(evaluated)
            made.append((raw.name, raw))
        made += ((name, column(name, values[name]) if name in values else next(evaluated)) for name in named)
        for i, (name, raw) in enumerate(made):
            if any(name == known for known, _ in made[:i]):
                raise SchemaError(f"{verb} makes two columns named `{name}`; name one: {name}_2=…")
            if len(raw) != len(self):
                raise ValueError(f"column `{name}` has {len(raw)} values, the batch has {len(self)} rows")
        return made

    def rename(self, names: dict[str, str] | Callable[[str], str]) -> Batch:
        """Return the rows under new column names: a dict old → new, or a function.

        >>> from stream import Batch
        >>> batch = Batch({"x": [1, 2, 3], "y": ["a", None, "c"]})
        >>> batch.rename({"x": "id"}).column_names
        ['id', 'y']
        """
        from stream import _arguments

        if callable(names):
            return Batch._of(self._raw_batch.rename([(name, names(name)) for name in self.column_names]))
        return Batch._of(self._raw_batch.rename(_arguments.pairs("rename", names)))

    def drop(self, *names: str) -> Batch:
        """Return the rows without some columns.

        >>> from stream import Batch
        >>> batch = Batch({"x": [1, 2, 3], "y": ["a", None, "c"]})
        >>> batch.drop("y").column_names
        ['x']
        """
        from stream import _arguments

        return Batch._of(self._raw_batch.drop(_arguments.names("drop", names)))

    def cast(self, dtypes: Any) -> Batch:
        """Return the rows with some columns as other types: a dict name → dtype; what does not fit raises.

        >>> from stream import Batch
        >>> batch = Batch({"x": [1, 2, 3], "y": ["a", None, "c"]})
        >>> batch.cast({"x": "string"})["x"].to_pylist()
        ['1', '2', '3']
        """
        return Batch._of(self._raw_batch.cast(schema_pairs(dtypes)))

    def slice(self, offset: int, length: int | None = None) -> Batch:
        """Return at most `length` rows from `offset` on (from the end if negative), without a copy.

        >>> from stream import Batch
        >>> batch = Batch({"x": [1, 2, 3], "y": ["a", None, "c"]})
        >>> batch.slice(1, 1).to_pylist(), batch.slice(-1).num_rows
        ([{'x': 2, 'y': None}], 1)
        """
        rows = len(self)
        start = max(0, offset + rows) if offset < 0 else min(offset, rows)
        return Batch._of(self._raw_batch.slice(start, rows - start if length is None else max(0, length)))

    def head(self, n: int = 5) -> Batch:
        """Return the first `n` rows.

        >>> from stream import Batch
        >>> batch = Batch({"x": [1, 2, 3], "y": ["a", None, "c"]})
        >>> batch.head(2)["x"].to_pylist()
        [1, 2]
        """
        return self.slice(0, n)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def is_mask(value: object) -> bool:
    """Whether an argument of ``filter`` is a mask: values in a row, not expressions in a list."""
    from stream._expr import Expr

    if isinstance(value, (list, tuple)):
        return not any(isinstance(item, (Expr, str)) for item in value)
    return is_array(value)


def as_tuples(as_: object) -> bool:
    """Whether rows are asked for as tuples."""
    if as_ is tuple or as_ is dict:
        return as_ is tuple
    raise TypeError(f"`as_` must be dict or tuple, found `{as_!r}`")
