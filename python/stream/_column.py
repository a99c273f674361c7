"""`Column`: one column of a batch."""

from __future__ import annotations

from stream._at_once import AtOnce
from stream._convert import column as to_raw
from stream._convert import kind_of
from stream._internal import RawBatch, RawColumn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    import numpy as np
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from stream._internal import DType


class Column(AtOnce):
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
        from stream._display import text_of, values_of

        shown = self._raw_column.slice(0, 10)
        rows = f"{len(self):,} value{'' if len(self) == 1 else 's'}"
        return text_of(rows, [self.name], [str(self.dtype)], [values_of(shown)], len(self) - len(shown))

    def _repr_html_(self) -> str:
        from stream._display import html_of, values_of

        shown = self._raw_column.slice(0, 10)
        title = f"{len(self):,} values"
        return html_of(title, [self.name], [str(self.dtype)], [values_of(shown)], len(self) - len(shown))

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

    def count(self) -> int:
        """Return how many values are not null.

        >>> from stream import Column
        >>> Column([1, None]).count()
        1
        """
        return int(self._aggregate("count"))

    def n_unique(self) -> int:
        """Return how many different values there are; null is one.

        >>> from stream import Column
        >>> Column([1, 1, None]).n_unique()
        2
        """
        return int(self._aggregate("n_unique"))

    def first(self) -> Any:
        """Return the first value.

        >>> from stream import Column
        >>> Column([3, 1]).first()
        3
        """
        return self._aggregate("first")

    def last(self) -> Any:
        """Return the last value.

        >>> from stream import Column
        >>> Column([3, 1]).last()
        1
        """
        return self._aggregate("last")

    def std(self, ddof: int = 1) -> Any:
        """Return the standard deviation; None where there are too few values.

        >>> from stream import Column
        >>> Column([1, 3]).std(ddof=0)
        1.0
        """
        return self._aggregate("std", ddof)

    def var(self, ddof: int = 1) -> Any:
        """Return the variance; None where there are too few values.

        >>> from stream import Column
        >>> Column([1, 3]).var()
        2.0
        """
        return self._aggregate("var", ddof)

    def median(self) -> Any:
        """Return the median; None where there is no value.

        >>> from stream import Column
        >>> Column([1, 2, 9]).median()
        2.0
        """
        return self._aggregate("median")

    def quantile(self, quantile: float, interpolation: Any = "nearest") -> Any:
        """Return the value below which a share of the values lies.

        >>> from stream import Column
        >>> Column([1, 2, 9]).quantile(0.5)
        2.0
        """
        return self._aggregate("quantile", quantile, interpolation)
