"""`Column`: one column of a batch."""

from __future__ import annotations

from stream._convert import column as to_raw
from stream._convert import is_array, kind_of
from stream._internal import RawBatch, RawColumn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    import numpy as np
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from stream._expr import Expr
    from stream._internal import DType


class Column:
    """One column of a batch: a sequence of Python values, with the operators and methods of `Expr` done at once.

    It shares the memory of its batch. Made by ``batch["name"]``, or from values:

    Parameters
    ----------
    values
        A list, a NumPy array, an Arrow array, a pandas or polars Series, a buffer.
    dtype
        What to cast them to; found from the values without it.
    name
        Its name.

    Examples
    --------
    >>> from stream import Column
    >>> fare = Column([3.5, None, 12.0], name="fare")
    >>> (fare > 10).to_pylist(), fare.sum(), fare[-1]
    ([False, None, True], 15.5, 12.0)
    """

    __slots__ = ("__weakref__", "_raw_column")
    __hash__ = None  # type: ignore[assignment]

    _raw_column: RawColumn

    def __init__(self, values: Any, dtype: Any = None, *, name: str = "") -> None:
        self._raw_column = to_raw(name, values)
        if dtype is not None:
            self._raw_column = self.cast(dtype)._raw_column

    @classmethod
    def _of(cls, raw: RawColumn) -> Column:
        made = object.__new__(cls)
        made._raw_column = raw
        return made

    @property
    def name(self) -> str:
        """The column's name."""
        return self._raw_column.name

    @property
    def dtype(self) -> DType:
        """The type of its values; equals its name: ``column.dtype == "int64"``."""
        return self._raw_column.dtype

    @property
    def null_count(self) -> int:
        """How many values are null."""
        return self._raw_column.null_count

    @property
    def nbytes(self) -> int:
        """Bytes of its rows."""
        return self._raw_column.nbytes

    # ------------------------------------------------------------------------------------- a sequence of values

    def __len__(self) -> int:
        return len(self._raw_column)

    def __getitem__(self, at: Any) -> Any:
        """Return the value at a position, from the end if negative, or a slice as a `Column`."""
        if isinstance(at, slice):
            start, stop, step = at.indices(len(self))
            if step == 1:
                return Column._of(self._raw_column.slice(start, max(0, stop - start)))
            return Column._of(self._raw_column.take(list(range(start, stop, step))))
        if not hasattr(at, "__index__"):
            raise TypeError(f"a Column takes a position or a slice, found `{kind_of(at)}`")
        row = at.__index__()
        rows = len(self)
        if not -rows <= row < rows:
            raise IndexError(f"row {row} of column `{self.name}`, which has {rows}")
        return self._raw_column.get(row % rows)

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(self), 4096):
            yield from self._raw_column.slice(start, 4096).to_pylist()

    def __contains__(self, value: object) -> bool:
        return any(value is own or value == own for own in self)

    def __bool__(self) -> bool:
        raise TypeError(
            "a Column is neither true nor false; use `&`, `|`, `~` to combine conditions, "
            "or `.any()`, `.all()`, `len(column)`"
        )

    def __repr__(self) -> str:
        from stream._display import text_of

        shown = self._raw_column.slice(0, 10)
        rows = f"{len(self):,} value{'' if len(self) == 1 else 's'}"
        return text_of(rows, [self.name], [str(self.dtype)], [shown.to_pylist()], len(self) - len(shown))

    def _repr_html_(self) -> str:
        from stream._display import html_of

        shown = self._raw_column.slice(0, 10)
        title = f"{len(self):,} values"
        return html_of(title, [self.name], [str(self.dtype)], [shown.to_pylist()], len(self) - len(shown))

    # ------------------------------------------------------------------------------------------ out of here

    def to_pylist(self) -> list[Any]:
        """Return the values as Python objects; null is ``None``.

        >>> from stream import Column
        >>> Column(["a", None]).to_pylist()
        ['a', None]
        """
        return self._raw_column.to_pylist()

    def to_numpy(self, *, nulls: Any = None, copy: bool = False, writable: bool = False) -> np.ndarray[Any, Any]:
        """Return a NumPy array: a read-only view on the Arrow buffer, unless an argument allows a copy.

        Parameters
        ----------
        nulls
            What nulls become: a copy. An integer column filled with ``float("nan")`` becomes float64.
        copy
            Allow types that NumPy has no view for: booleans, dates, and as objects text, decimals, lists.
        writable
            Return a copy to write in.

        Raises
        ------
        ValueError
            Where it cannot be done without a copy that no argument allows; the message names the argument.

        Examples
        --------
        >>> from stream import Column
        >>> Column([1, 2, 3]).to_numpy()
        array([1, 2, 3])
        >>> Column([1, None, 3]).to_numpy(nulls=0)
        array([1, 0, 3])
        """
        import numpy

        raw = self._raw_column
        has_nulls = raw.null_count > 0
        view = raw.view()
        if has_nulls and nulls is None and not (view is None and self._as_objects):
            raise ValueError(
                f"column `{self.name}` has {raw.null_count:,} nulls, which a NumPy array of `{self.dtype}` cannot "
                "hold; pass nulls=0 or nulls=float('nan') (a copy with them filled), or drop_nulls() first"
            )
        if view is not None:
            array: np.ndarray[Any, Any] = numpy.asarray(view)
            if has_nulls:
                return self._filled(array, nulls)
            return array.copy() if writable else array
        if not (copy or writable or nulls is not None):
            raise ValueError(f"column `{self.name}` is `{self.dtype}`, which NumPy has no view for; pass copy=True")
        array = self._copied()
        return self._filled(array, nulls) if has_nulls and nulls is not None else array

    @property
    def _as_objects(self) -> bool:
        """Whether NumPy holds the values as Python objects, among which ``None`` has a place."""
        return str(self.dtype) not in ("bool", "date32")

    def _copied(self) -> np.ndarray[Any, Any]:
        """Copy a type without a view; nulls as whatever stands there, or ``None`` among objects."""
        import numpy

        truth = self._raw_column.truth()
        if truth is not None:
            return numpy.asarray(truth).copy()
        if str(self.dtype) == "date32":
            days = Column._of(self._raw_column.as_days())
            return numpy.asarray(days._raw_column.view()).astype("M8[D]")
        objects = numpy.empty(len(self), dtype=object)
        for row, value in enumerate(self):
            objects[row] = value
        return objects

    def _filled(self, array: np.ndarray[Any, Any], nulls: Any) -> np.ndarray[Any, Any]:
        import numpy

        if array.dtype.kind in "iu" and isinstance(nulls, float) and not nulls.is_integer():
            array = array.astype("f8")
        else:
            array = array.copy()
        array[numpy.asarray(self._raw_column.null_mask())] = nulls
        return array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        """Return the values for ``numpy.asarray``: a view where there is one, else a copy; nulls are NaN or NaT."""
        import numpy

        raw = self._raw_column
        view = raw.view()
        if copy is False and (view is None or raw.null_count):
            raise ValueError(f"column `{self.name}` cannot become a NumPy array without a copy")
        if raw.null_count == 0:
            array = numpy.asarray(view) if view is not None else self._copied()
            if copy and view is not None:
                array = array.copy()
        else:
            array = numpy.asarray(view) if view is not None else self._copied()
            kind = array.dtype.kind
            if kind in "iub":
                raise ValueError(
                    f"column `{self.name}` is `{self.dtype}` with {raw.null_count:,} nulls, for which NumPy has no "
                    "value; use to_numpy(nulls=0) or to_numpy(nulls=float('nan'))"
                )
            if kind != "O":
                array = self._filled(array, numpy.array("NaT", array.dtype) if kind in "mM" else numpy.nan)
        return array if dtype is None else array.astype(dtype, copy=False)

    def to_arrow(self) -> pa.Array[Any]:
        """Return a ``pyarrow.Array`` on the same memory.

        >>> from stream import Column
        >>> Column([1, None]).to_arrow().null_count
        1
        """
        import pyarrow

        return pyarrow.array(self)

    def to_pandas(self) -> pd.Series[Any]:
        """Return a ``pandas.Series``.

        >>> from stream import Column
        >>> Column([1, 2]).to_pandas().tolist()
        [1, 2]
        """
        return self.to_arrow().to_pandas().rename(self.name)

    def to_polars(self) -> pl.Series:
        """Return a ``polars.Series``.

        >>> from stream import Column
        >>> Column([1, 2]).to_polars().sum()
        3
        """
        import polars

        return polars.Series(self.name, self)

    def __arrow_c_schema__(self) -> object:
        """Return the type by Arrow's PyCapsule interface."""
        return self._raw_column.__arrow_c_schema__()

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]:
        """Return the values by Arrow's PyCapsule interface, without a copy."""
        return self._raw_column.__arrow_c_array__(requested_schema)

    # ------------------------------------------------------------------------------------- Expr, done at once

    def _at_once(self, make: Callable[..., Expr], *others: Any) -> Column:
        """Evaluate an expression of this column and of other ones (or plain values)."""
        from stream._arguments import raw_exprs
        from stream._expr import col

        rows = len(self)
        # an unnamed column still needs a name to be spoken of
        columns = [(self.name or "column", self._raw_column)]
        operands: list[Any] = [col(columns[0][0])]
        for other in others:
            if not is_array(other) or isinstance(other, tuple):
                operands.append(other)
                continue
            name = getattr(other, "name", None) or "other"
            while any(name == known for known, _ in columns):
                name += "'"
            raw = to_raw(name, other)
            if len(raw) != rows:
                raise ValueError(f"columns of {rows} and {len(raw)} values do not go together")
            columns.append((name, raw))
            operands.append(col(name))
        batch = RawBatch.from_columns(columns, rows)
        return Column._of(batch.eval(raw_exprs([make(*operands)]))[0].renamed(self.name))

    def __add__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: a + b, other)

    def __radd__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: b + a, other)

    def __sub__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: a - b, other)

    def __rsub__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: b - a, other)

    def __mul__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: a * b, other)

    def __rmul__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: b * a, other)

    def __truediv__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: a / b, other)

    def __rtruediv__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: b / a, other)

    def __floordiv__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: a // b, other)

    def __rfloordiv__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: b // a, other)

    def __mod__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: a % b, other)

    def __rmod__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: b % a, other)

    def __pow__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: a**b, other)

    def __neg__(self) -> Column:
        return self._at_once(lambda a: -a)

    def __invert__(self) -> Column:
        return self._at_once(lambda a: ~a)

    def __and__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: a & b, other)

    def __rand__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: b & a, other)

    def __or__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: a | b, other)

    def __ror__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: b | a, other)

    def __eq__(self, other: object) -> Column:  # type: ignore[override]
        return self._at_once(lambda a, b: a == b, other)

    def __ne__(self, other: object) -> Column:  # type: ignore[override]
        return self._at_once(lambda a, b: a != b, other)

    def __lt__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: a < b, other)

    def __le__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: a <= b, other)

    def __gt__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: a > b, other)

    def __ge__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: a >= b, other)

    def is_null(self) -> Column:
        """Return where values are null.

        >>> from stream import Column
        >>> Column([1, None]).is_null().to_pylist()
        [False, True]
        """
        return self._at_once(lambda a: a.is_null())

    def is_not_null(self) -> Column:
        """Return where values are not null.

        >>> from stream import Column
        >>> Column([1, None]).is_not_null().to_pylist()
        [True, False]
        """
        return self._at_once(lambda a: a.is_not_null())

    def is_nan(self) -> Column:
        """Return where floats are NaN; null stays null.

        >>> from stream import Column
        >>> Column([1.0, float("nan")]).is_nan().to_pylist()
        [False, True]
        """
        return self._at_once(lambda a: a.is_nan())

    def is_in(self, values: Iterable[Any]) -> Column:
        """Return where values are among `values`.

        >>> from stream import Column
        >>> Column(["a", "b"]).is_in(["a", "c"]).to_pylist()
        [True, False]
        """
        values = list(values)
        return self._at_once(lambda a: a.is_in(values))

    def is_between(self, lower: Any, upper: Any, *args: Any, **kwargs: Any) -> Column:
        """Return where values lie between two bounds, as `Expr.is_between` does.

        >>> from stream import Column
        >>> Column([1, 5, 9]).is_between(1, 5).to_pylist()
        [True, True, False]
        """
        return self._at_once(lambda a, low, high: a.is_between(low, high, *args, **kwargs), lower, upper)

    def fill_null(self, value: Any) -> Column:
        """Return the values with nulls replaced: by a value, or by those of a column of the same length.

        >>> from stream import Column
        >>> Column([1, None]).fill_null(0).to_pylist()
        [1, 0]
        """
        return self._at_once(lambda a, b: a.fill_null(b), value)

    def cast(self, dtype: Any, strict: bool = True) -> Column:
        """Return the values as another type; what does not fit raises, or is null where ``strict=False``.

        >>> from stream import Column
        >>> Column(["1", "x"]).cast("int64", strict=False).to_pylist()
        [1, None]
        """
        return self._at_once(lambda a: a.cast(dtype, strict=strict))

    def alias(self, name: str) -> Column:
        """Return the same values under another name.

        >>> from stream import Column
        >>> Column([1]).alias("x").name
        'x'
        """
        return Column._of(self._raw_column.renamed(name))

    def round(self, decimals: int = 0) -> Column:
        """Return the numbers rounded, as `Expr.round` does.

        >>> from stream import Column
        >>> Column([1.26]).round(1).to_pylist()
        [1.3]
        """
        return self._at_once(lambda a: a.round(decimals))

    def floor(self) -> Column:
        """Return the whole numbers below.

        >>> from stream import Column
        >>> Column([1.5, -1.5]).floor().to_pylist()
        [1.0, -2.0]
        """
        return self._at_once(lambda a: a.floor())

    def ceil(self) -> Column:
        """Return the whole numbers above.

        >>> from stream import Column
        >>> Column([1.5, -1.5]).ceil().to_pylist()
        [2.0, -1.0]
        """
        return self._at_once(lambda a: a.ceil())

    def abs(self) -> Column:
        """Return the numbers without their sign.

        >>> from stream import Column
        >>> Column([1, -2]).abs().to_pylist()
        [1, 2]
        """
        return self._at_once(lambda a: a.abs())

    def sign(self) -> Column:
        """Return -1, 0 or 1.

        >>> from stream import Column
        >>> Column([5, 0, -2]).sign().to_pylist()
        [1, 0, -1]
        """
        return self._at_once(lambda a: a.sign())

    def sqrt(self) -> Column:
        """Return the square roots.

        >>> from stream import Column
        >>> Column([4.0]).sqrt().to_pylist()
        [2.0]
        """
        return self._at_once(lambda a: a.sqrt())

    def log(self, *args: Any) -> Column:
        """Return the logarithms, as `Expr.log` does.

        >>> from stream import Column
        >>> Column([1.0]).log().to_pylist()
        [0.0]
        """
        return self._at_once(lambda a: a.log(*args))

    def exp(self) -> Column:
        """Return e to the power of each number.

        >>> from stream import Column
        >>> Column([0.0]).exp().to_pylist()
        [1.0]
        """
        return self._at_once(lambda a: a.exp())

    def pow(self, exponent: Any) -> Column:
        """Return each number to a power.

        >>> from stream import Column
        >>> Column([3]).pow(2).to_pylist()
        [9]
        """
        return self._at_once(lambda a, b: a.pow(b), exponent)

    def clip(self, *args: Any, **kwargs: Any) -> Column:
        """Return the numbers with what lies beyond the bounds set to them, as `Expr.clip` does.

        >>> from stream import Column
        >>> Column([-1, 1, 5]).clip(0, 3).to_pylist()
        [0, 1, 3]
        """
        return self._at_once(lambda a: a.clip(*args, **kwargs))

    # ------------------------------------------------------------------------------------------- one value of all

    def _aggregate(self, name: str, *args: Any) -> Any:
        from stream._arguments import raw_exprs
        from stream._expr import col

        own = self.name or "column"
        batch = RawBatch.from_columns([(own, self._raw_column)], len(self))
        return batch.agg(raw_exprs([getattr(col(own), name)(*args)])).column(own).get(0)

    def sum(self) -> Any:
        """Return the sum; nulls are skipped, nothing sums to 0, and an integer sum that overflows raises.

        >>> from stream import Column
        >>> Column([1, None, 3]).sum()
        4
        """
        return self._aggregate("sum")

    def min(self) -> Any:
        """Return the smallest value; None where there is none.

        >>> from stream import Column
        >>> Column([2, None, 1]).min()
        1
        """
        return self._aggregate("min")

    def max(self) -> Any:
        """Return the largest value; None where there is none.

        >>> from stream import Column
        >>> Column([2, None, 1]).max()
        2
        """
        return self._aggregate("max")

    def mean(self) -> Any:
        """Return the mean; None where there is no value.

        >>> from stream import Column
        >>> Column([2, None, 1]).mean()
        1.5
        """
        return self._aggregate("mean")

    def any(self) -> Any:
        """Return whether one value is true.

        >>> from stream import Column
        >>> Column([False, True]).any()
        True
        """
        return self._aggregate("any")

    def all(self) -> Any:
        """Return whether every value is true.

        >>> from stream import Column
        >>> Column([False, True]).all()
        False
        """
        return self._aggregate("all")

    # below all that is annotated with the builtin of this name
    @property
    def str(self) -> _Namespace:
        """The methods of `Expr.str`, done at once.

        >>> from stream import Column
        >>> Column(["Ab", None]).str.to_lowercase().to_pylist()
        ['ab', None]
        """
        return _Namespace(self, "str")

    @property
    def dt(self) -> _Namespace:
        """The methods of `Expr.dt`, done at once.

        >>> from datetime import date
        >>> from stream import Column
        >>> Column([date(2024, 2, 29)]).dt.year().to_pylist()
        [2024]
        """
        return _Namespace(self, "dt")


class _Namespace:
    """``column.str`` and ``column.dt``: each method of the expression's namespace, done at once."""

    __slots__ = ("_column", "_name")

    def __init__(self, column: Column, name: str) -> None:
        self._column = column
        self._name = name

    def __getattr__(self, method: str) -> Callable[..., Column]:
        from stream._expr import col

        if method.startswith("_"):
            raise AttributeError(method)
        like = getattr(getattr(col("x"), self._name), method)

        def at_once(*args: Any, **kwargs: Any) -> Column:
            return self._column._at_once(lambda a: getattr(getattr(a, self._name), method)(*args, **kwargs))

        at_once.__name__ = method
        at_once.__doc__ = like.__doc__
        return at_once

    def __dir__(self) -> list[str]:
        from stream._expr import col

        return [name for name in dir(getattr(col("x"), self._name)) if not name.startswith("_")]
