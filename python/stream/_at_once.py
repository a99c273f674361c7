"""The operators and methods of `Expr`, done at once: what a `Column` has of an expression."""

from __future__ import annotations

from stream._convert import column as to_raw
from stream._convert import is_array
from stream._internal import RawBatch, RawColumn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from stream._column import Column
    from stream._expr import Expr


class AtOnce:
    """A column that an expression can be made of; each method makes one and evaluates it."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    _raw_column: RawColumn

    def _at_once(self, make: Callable[..., Expr], *others: Any) -> Column:
        """Evaluate an expression of this column and of other ones (or plain values)."""
        from stream._arguments import raw_exprs
        from stream._column import Column
        from stream._expr import col

        rows = len(self._raw_column)
        # an unnamed column still needs a name to be spoken of
        own = self._raw_column.name
        columns = [(own or "column", self._raw_column)]
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
        return Column._of(batch.eval(raw_exprs([make(*operands)]))[0].renamed(own))

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

    def __rpow__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: b**a, other)

    def __abs__(self) -> Column:
        return self.abs()

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

    def __xor__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: a ^ b, other)

    def __rxor__(self, other: Any) -> Column:
        return self._at_once(lambda a, b: b ^ a, other)

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

    def is_between(self, lower: Any, upper: Any, closed: Any = "both") -> Column:
        """Return where values lie between two bounds; `closed` is ``"both"``, ``"left"``, ``"right"`` or ``"none"``.

        >>> from stream import Column
        >>> Column([1, 5, 9]).is_between(1, 5).to_pylist()
        [True, True, False]
        """
        return self._at_once(lambda a, low, high: a.is_between(low, high, closed), lower, upper)

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
        from stream._column import Column

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

    def log(self, base: float | None = None) -> Column:
        """Return the logarithms, natural ones without a base.

        >>> from stream import Column
        >>> Column([1.0]).log().to_pylist()
        [0.0]
        """
        return self._at_once(lambda a: a.log(base))

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

    def clip(self, lower_bound: Any = None, upper_bound: Any = None) -> Column:
        """Return the numbers with what lies beyond a bound set to it.

        >>> from stream import Column
        >>> Column([-1, 1, 5]).clip(0, 3).to_pylist()
        [0, 1, 3]
        """
        return self._at_once(lambda a: a.clip(lower_bound, upper_bound))

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

    def __init__(self, column: AtOnce, name: str) -> None:
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
