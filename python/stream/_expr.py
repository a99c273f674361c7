"""`Expr`: what is computed from columns; and the functions that begin one."""

from __future__ import annotations

from stream._dtypes import DType
from stream._expr_methods import StringMethods, TemporalMethods
from stream._internal import Expr as Raw
from stream._internal import predicate as _predicate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, NoReturn

__all__ = ["Expr", "coalesce", "col", "concat_str", "from_epoch", "len", "lit", "when"]


def _raw(value: Any) -> Raw:
    """Return the raw form of an expression, or of a plain value as a constant."""
    return value._raw if isinstance(value, Expr) else Raw.lit(value)


def _raw_column(value: Any) -> Raw:
    """Return the same where a string is a column's name."""
    return Raw.col(value) if isinstance(value, str) else _raw(value)


class Expr:
    """A description of what to compute from columns, row by row; nothing runs until rows are there.

    Made by `col`, `lit`, `when` and their kin, and by operators and methods of these. Where an expression meets a plain
    value, a string is text. Names and types are checked when the expression is given to a verb.

    Examples
    --------
    >>> import stream
    >>> from stream import col
    >>> batch = stream.Batch({"fare": [3.5, 20.0], "tip": [1, 4]})
    >>> batch.select("fare", rate=col("tip") / col("fare"))["rate"].to_pylist()
    [0.2857142857142857, 0.2]
    >>> (col("fare") < 10) & col("tip").is_not_null()
    <Expr (col("fare") < 10) & col("tip").is_not_null()>
    """

    __slots__ = ("_raw",)
    __hash__ = None  # type: ignore[assignment]

    _raw: Raw

    def __init__(self) -> None:
        raise TypeError('an Expr is made by col("name"), lit(value), when(…) and what follows them')

    @classmethod
    def _of(cls, raw: Raw) -> Expr:
        made = object.__new__(Expr)
        made._raw = raw
        return made

    def _binary(self, op: str, other: Any) -> Expr:
        return Expr._of(self._raw.binary(op, _raw(other)))

    def _reflected(self, op: str, other: Any) -> Expr:
        return Expr._of(Raw.lit(other).binary(op, self._raw))

    def _call(self, name: str, *options: Any) -> Expr:
        return Expr._of(Raw.call(name, [self._raw, *map(_raw, options)]))

    def _aggregate(self, name: str, number: float | None = None, interpolation: Any = None) -> Expr:
        return Expr._of(self._raw.aggregate(name, number, interpolation))

    # --------------------------------------------------------------------------------------------- operators

    def __add__(self, other: Any) -> Expr:
        return self._binary("+", other)

    def __radd__(self, other: Any) -> Expr:
        return self._reflected("+", other)

    def __sub__(self, other: Any) -> Expr:
        return self._binary("-", other)

    def __rsub__(self, other: Any) -> Expr:
        return self._reflected("-", other)

    def __mul__(self, other: Any) -> Expr:
        return self._binary("*", other)

    def __rmul__(self, other: Any) -> Expr:
        return self._reflected("*", other)

    def __truediv__(self, other: Any) -> Expr:
        return self._binary("/", other)

    def __rtruediv__(self, other: Any) -> Expr:
        return self._reflected("/", other)

    def __floordiv__(self, other: Any) -> Expr:
        return self._binary("//", other)

    def __rfloordiv__(self, other: Any) -> Expr:
        return self._reflected("//", other)

    def __mod__(self, other: Any) -> Expr:
        return self._binary("%", other)

    def __rmod__(self, other: Any) -> Expr:
        return self._reflected("%", other)

    def __pow__(self, other: Any) -> Expr:
        return self._binary("**", other)

    def __rpow__(self, other: Any) -> Expr:
        return self._reflected("**", other)

    def __eq__(self, other: Any) -> Expr:  # type: ignore[override]
        return self._binary("==", other)

    def __ne__(self, other: Any) -> Expr:  # type: ignore[override]
        return self._binary("!=", other)

    def __lt__(self, other: Any) -> Expr:
        return self._binary("<", other)

    def __le__(self, other: Any) -> Expr:
        return self._binary("<=", other)

    def __gt__(self, other: Any) -> Expr:
        return self._binary(">", other)

    def __ge__(self, other: Any) -> Expr:
        return self._binary(">=", other)

    def __and__(self, other: Any) -> Expr:
        return self._binary("&", other)

    def __rand__(self, other: Any) -> Expr:
        return self._reflected("&", other)

    def __or__(self, other: Any) -> Expr:
        return self._binary("|", other)

    def __ror__(self, other: Any) -> Expr:
        return self._reflected("|", other)

    def __xor__(self, other: Any) -> Expr:
        return self._binary("^", other)

    def __rxor__(self, other: Any) -> Expr:
        return self._reflected("^", other)

    def __invert__(self) -> Expr:
        return Expr._of(self._raw.invert())

    def __neg__(self) -> Expr:
        return Expr._of(self._raw.negate())

    def __pos__(self) -> Expr:
        return self

    def __abs__(self) -> Expr:
        return self.abs()

    def __bool__(self) -> NoReturn:
        raise TypeError(
            f"`{self._raw}` is neither true nor false before rows are there; use `&`, `|`, `~` instead of "
            "`and`, `or`, `not`, put comparisons in parentheses, and is_between for `a < x < b`"
        )

    def __iter__(self) -> NoReturn:
        raise TypeError(f"`{self._raw}` has no values to iterate; it describes a column")

    def __contains__(self, value: object) -> NoReturn:
        raise TypeError(
            f"`in` cannot look into `{self._raw}`; use .is_in([…]), or .str.contains(…) for a part of a text"
        )

    def __repr__(self) -> str:
        return f"<Expr {self._raw}>"

    def __str__(self) -> str:
        return str(self._raw)

    # ------------------------------------------------------------------------------------- nulls and membership

    def is_null(self) -> Expr:
        """Whether a value is null."""
        return self._call("is_null")

    def is_not_null(self) -> Expr:
        """Whether a value is not null."""
        return self._call("is_not_null")

    def is_nan(self) -> Expr:
        """Whether a number is NaN; null stays null."""
        return self._call("is_nan")

    def fill_null(self, value: Any) -> Expr:
        """Put a value, or another expression's, in the place of null."""
        return self._call("fill_null", value)

    def is_in(self, values: Iterable[Any]) -> Expr:
        """Whether a value is one of some constants.

        As in SQL, null is in no list; where the list has a null, what is not found is unknown (null).

        >>> from stream import Batch, col
        >>> Batch({"x": [1, 2, None]}).select(col("x").is_in([1, 3]))["x"].to_pylist()
        [True, False, None]
        """
        if isinstance(values, (str, bytes)):
            raise TypeError(f"is_in takes a list of values, found `{values!r}`; write [{values!r}]")
        if isinstance(values, Expr):
            raise NotImplementedError("is_in of an expression is not implemented; give a list of values")
        return Expr._of(self._raw.is_in(values))

    def is_between(self, lower: Any, upper: Any, closed: Any = "both") -> Expr:
        """Whether a value lies between two bounds; ``closed`` is "both", "left", "right" or "none"."""
        return Expr._of(self._raw.between(_raw(lower), _raw(upper), closed))

    # ---------------------------------------------------------------------------------------- types and names

    def cast(self, dtype: Any, strict: bool = True) -> Expr:
        """Convert to another dtype.

        Parameters
        ----------
        dtype
            A name such as ``"int32"``, a Python type, or an Arrow type.
        strict
            Whether a value that does not fit raises `ParseError`, naming column and value; else it becomes null.

        Examples
        --------
        >>> from stream import Batch, col
        >>> Batch({"x": ["7", "n/a"]}).select(col("x").cast(int, strict=False))["x"].to_pylist()
        [7, None]
        """
        return Expr._of(self._raw.cast(DType(dtype), strict))

    def alias(self, name: Any) -> Expr:
        """Name the result."""
        return Expr._of(self._raw.alias(name))

    # ------------------------------------------------------------------------------------------------ numbers

    def round(self, decimals: int = 0) -> Expr:
        """Round to a number of decimals, half to even; integers stay as they are."""
        return self._call("round", decimals)

    def floor(self) -> Expr:
        """Round down to a whole number; the dtype stays."""
        return self._call("floor")

    def ceil(self) -> Expr:
        """Round up to a whole number; the dtype stays."""
        return self._call("ceil")

    def abs(self) -> Expr:
        """Return the number or duration without its sign."""
        return self._call("abs")

    def sign(self) -> Expr:
        """-1, 0 or 1, in the number's own dtype."""
        return self._call("sign")

    def sqrt(self) -> Expr:
        """Return the square root; NaN of a negative number."""
        return self._call("sqrt")

    def log(self, base: float | None = None) -> Expr:
        """Return the logarithm, natural without a base."""
        return self._call("log", base)

    def exp(self) -> Expr:
        """Return e to the power of the number."""
        return self._call("exp")

    def pow(self, exponent: Any) -> Expr:
        """To a power, as ``**``."""
        return self._binary("**", exponent)

    def clip(self, lower_bound: Any = None, upper_bound: Any = None) -> Expr:
        """Set what lies beyond a bound to the bound; ``None`` does not limit. The dtype stays."""
        return self._call("clip", lower_bound, upper_bound)

    # --------------------------------------------------------------------------------------------- aggregates

    def sum(self) -> Expr:
        """Return the sum, for ``agg``: 0 of nothing; int64 or uint64 of integers, raising if it does not fit."""
        return self._aggregate("sum")

    def mean(self) -> Expr:
        """Return the mean, for ``agg``; null of nothing."""
        return self._aggregate("mean")

    def min(self) -> Expr:
        """Return the smallest value, for ``agg``; NaN only if there is no other."""
        return self._aggregate("min")

    def max(self) -> Expr:
        """Return the greatest value, for ``agg``; NaN only if there is no other."""
        return self._aggregate("max")

    def count(self) -> Expr:
        """How many values are not null, for ``agg``."""
        return self._aggregate("count")

    def len(self) -> Expr:
        """How many rows there are, for ``agg``; nulls count."""
        return self._aggregate("len")

    def n_unique(self) -> Expr:
        """How many different values there are, for ``agg``; null is one. Holds each of them."""
        return self._aggregate("n_unique")

    def first(self) -> Expr:
        """Return the first row's value, for ``agg``; null if it is null."""
        return self._aggregate("first")

    def last(self) -> Expr:
        """Return the last row's value, for ``agg``; null if it is null."""
        return self._aggregate("last")

    def std(self, ddof: int = 1) -> Expr:
        """Return the standard deviation, for ``agg``; null of fewer than ``ddof + 1`` values."""
        return self._aggregate("std", ddof)

    def var(self, ddof: int = 1) -> Expr:
        """Return the variance, for ``agg``; null of fewer than ``ddof + 1`` values."""
        return self._aggregate("var", ddof)

    def median(self) -> Expr:
        """Return the median, for ``agg``. Holds 8 bytes a value."""
        return self._aggregate("median")

    def quantile(self, quantile: float, interpolation: Any = "nearest") -> Expr:
        """Return a quantile (0 to 1), for ``agg``. Holds 8 bytes a value.

        ``interpolation`` is "nearest", "lower", "higher", "midpoint" or "linear".
        """
        return self._aggregate("quantile", quantile, interpolation)

    def any(self) -> Expr:
        """Whether one value is true, for ``agg``; nulls are ignored."""
        return self._aggregate("any")

    def all(self) -> Expr:
        """Whether every value is true, for ``agg``; nulls are ignored."""
        return self._aggregate("all")

    def approx_n_unique(self) -> Expr:
        """Not implemented yet; use `n_unique`."""
        raise NotImplementedError("approx_n_unique is not implemented yet; use n_unique")

    def approx_quantile(self, quantile: float) -> Expr:
        """Not implemented yet; use `quantile`."""
        raise NotImplementedError("approx_quantile is not implemented yet; use quantile")

    # below all that is annotated with the builtin of this name
    @property
    def str(self) -> StringMethods:
        """Methods of text."""
        return StringMethods(self)

    @property
    def dt(self) -> TemporalMethods:
        """Methods of dates, times and timestamps."""
        return TemporalMethods(self)


class When:
    """``when(…)``, waiting for its ``then``."""

    __slots__ = ("_branches", "_condition")

    def __init__(self, branches: list[tuple[Raw, Raw]], condition: Raw) -> None:
        self._branches = branches
        self._condition = condition

    def then(self, value: Any) -> Then:
        """Give the value of rows that meet the condition; a string is text."""
        return Then._made([*self._branches, (self._condition, _raw(value))])

    def __repr__(self) -> str:
        return f"<when({self._condition}), waiting for .then(…)>"


class Then(Expr):
    """``when(…).then(…)``: an expression that is null elsewhere, or goes on by ``when`` or ``otherwise``."""

    __slots__ = ("_branches",)

    _branches: list[tuple[Raw, Raw]]

    @classmethod
    def _made(cls, branches: list[tuple[Raw, Raw]]) -> Then:
        made = object.__new__(Then)
        made._branches = branches
        made._raw = Raw.when(branches)
        return made

    def when(self, *predicates: Any) -> When:
        """Begin the next branch, for rows that meet no condition before."""
        return When(self._branches, _condition(predicates))

    def otherwise(self, value: Any) -> Expr:
        """Give the value of all other rows; a string is text."""
        return Expr._of(Raw.when(self._branches, _raw(value)))


def _condition(predicates: tuple[Any, ...]) -> Raw:
    if not predicates:
        raise TypeError('when takes a condition, such as col("x") > 0')
    for one in predicates:
        if isinstance(one, str):
            raise TypeError(f"when takes expressions, found `{one!r}`; write col({one!r}), or a comparison with it")
    whole, *others = map(_raw, predicates)
    for other in others:
        whole = whole.binary("&", other)
    return whole


def col(name: str) -> Expr:
    """Return a column, by name.

    Examples
    --------
    >>> from stream import col
    >>> print(col("tip") / col("fare") > 0.2)
    col("tip") / col("fare") > 0.2
    """
    if not isinstance(name, str):
        raise TypeError(f"col takes one column name, found `{type(name).__name__}`")
    return Expr._of(Raw.col(name))


def lit(value: Any) -> Expr:
    """Return a constant: None, bool, int, float, str, bytes, date, datetime, time, timedelta or Decimal.

    Examples
    --------
    >>> from stream import Batch, lit
    >>> Batch({"x": [1, 2]}).with_columns(unit=lit("km")).to_pylist()
    [{'x': 1, 'unit': 'km'}, {'x': 2, 'unit': 'km'}]
    """
    return value if isinstance(value, Expr) else Expr._of(Raw.lit(value))


def when(*predicates: Any) -> When:
    """Begin a choice: ``when(condition).then(value).when(…).then(…).otherwise(value)``.

    The first condition that is true decides; each value is computed only for the rows that take it. Several conditions
    must all hold.

    Examples
    --------
    >>> from stream import Batch, col, when
    >>> size = when(col("x") > 9).then("big").otherwise("small")
    >>> Batch({"x": [3, 12]}).select("x", size=size)["size"].to_pylist()
    ['small', 'big']
    """
    return When([], _condition(predicates))


def coalesce(*exprs: Any) -> Expr:
    """Return the first value of a row that is not null; a string is a column's name.

    Examples
    --------
    >>> from stream import Batch, coalesce
    >>> Batch({"a": [None, 1], "b": [2, 3]}).select(coalesce("a", "b"))["a"].to_pylist()
    [2, 1]
    """
    return Expr._of(Raw.call("coalesce", [_raw_column(one) for one in _flat(exprs)]))


def concat_str(*exprs: Any, separator: str = "", ignore_nulls: bool = False) -> Expr:
    """Return the values of a row joined as text; a string is a column's name.

    Null if one of them is, or without them where ``ignore_nulls``.

    Examples
    --------
    >>> from stream import Batch, concat_str
    >>> Batch({"a": ["x", "y"], "b": [1, 2]}).select(concat_str("a", "b", separator="-"))["a"].to_pylist()
    ['x-1', 'y-2']
    """
    parts = [_raw_column(one) for one in _flat(exprs)]
    if not parts:
        raise TypeError("concat_str takes at least one column or expression")
    return Expr._of(Raw.call("concat_str", [*parts, Raw.lit(separator), Raw.lit(ignore_nulls)]))


def from_epoch(column: Any, time_unit: str = "s") -> Expr:
    """Timestamps (dates for ``"d"``) from integers that count "ns", "us", "ms", "s" or "d" since 1970-01-01 UTC.

    Examples
    --------
    >>> from stream import Batch, from_epoch
    >>> Batch({"at": [86_400]}).select(from_epoch("at"))["at"].to_pylist()
    [datetime.datetime(1970, 1, 2, 0, 0)]
    """
    return Expr._of(Raw.call("from_epoch", [_raw_column(column), Raw.lit(time_unit)]))


def len() -> Expr:
    """Return the number of rows, for ``agg``.

    Examples
    --------
    >>> import stream
    >>> rows = stream.from_arrow(stream.Batch({"x": [1, None]}))
    >>> rows.agg(rows=stream.len(), x=stream.col("x").count()).to_pylist()
    [{'rows': 2, 'x': 1}]
    """
    return Expr._of(Raw.len())


def predicate(text: str) -> Expr:
    """Return a text predicate, such as ``"fare < 10 and zone like 'A%'"``, as the expression that it stands for."""
    return Expr._of(_predicate(text))


def _flat(args: Iterable[Any]) -> Iterable[Any]:
    """Return the arguments, lists among them opened."""
    for arg in args:
        if isinstance(arg, (list, tuple)):
            yield from arg
        else:
            yield arg
