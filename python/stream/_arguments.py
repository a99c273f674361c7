"""The arguments of verbs: what a string, an expression, a value and a function mean where."""

from __future__ import annotations

from stream._convert import kind_of
from stream._expr import Expr, col, lit, predicate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from stream import _internal


def raw_exprs(exprs: Iterable[Expr]) -> list[_internal.Expr]:
    """Return what Rust takes for expressions."""
    return [expr._raw for expr in exprs]


def columns(verb: str, args: Iterable[Any], named: dict[str, Any]) -> list[Expr]:
    """Return the expressions of ``select`` and its kin: a string is a column; named values become literals."""
    exprs = []
    for arg in _flat(args):
        if isinstance(arg, str):
            exprs.append(col(arg))
        elif isinstance(arg, Expr):
            exprs.append(arg)
        else:
            raise TypeError(f"{verb} takes column names and expressions, found `{kind_of(arg)}`; name it: name={arg!r}")
    for name, value in named.items():
        exprs.append(value_of(value).alias(name))
    return exprs


def value_of(value: Any) -> Expr:
    """Return the expression of a named argument: a string is a column."""
    if isinstance(value, Expr):
        return value
    return col(value) if isinstance(value, str) else lit(value)


def predicates(verb: str, args: Iterable[Any]) -> list[Expr]:
    """Return the conditions of ``filter``: expressions, or text such as ``"fare < 10 and tip is not null"``."""
    exprs = []
    for arg in _flat(args):
        if isinstance(arg, str):
            exprs.append(predicate(arg))
        elif isinstance(arg, Expr):
            exprs.append(arg)
        elif isinstance(arg, bool):
            raise TypeError(f'{verb} got `{arg}`; compare a column: col("x") == 1, not "x" == 1')
        else:
            raise TypeError(f"{verb} takes expressions, a text predicate or a function, found `{kind_of(arg)}`")
    return exprs


def _flat(args: Iterable[Any]) -> Iterable[Any]:
    """Open the lists among the arguments."""
    for arg in args:
        if isinstance(arg, (list, tuple)):
            yield from arg
        else:
            yield arg


def names(verb: str, args: Iterable[Any]) -> list[str]:
    """Return column names; anything else is refused."""
    found = list(_flat(args))
    for name in found:
        if not isinstance(name, str):
            raise TypeError(f"{verb} takes column names, found `{kind_of(name)}`")
    return found


def count(name: str, value: Any, least: int = 0) -> int:
    """Return a count that makes sense."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"`{name}` must be an int, found `{kind_of(value)}`")
    number: int = value.__index__()
    if number < least:
        raise ValueError(f"`{name}` must be at least {least}, found {number}")
    if number >= 1 << 63:
        raise ValueError(f"`{name}` must be below 2**63, found {number}")
    return number


def function(verb: str, fn: object) -> None:
    """Refuse what cannot be called."""
    if not callable(fn):
        raise TypeError(f"{verb} takes a function, found `{kind_of(fn)}`")


def pairs(verb: str, mapping: Any) -> list[tuple[str, Any]]:
    """Return (column, value) pairs of a dict or a list of pairs."""
    items: Sequence[Any] = list(mapping.items() if hasattr(mapping, "items") else mapping)
    for item in items:
        if not (isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)):
            raise TypeError(f"{verb} takes a dict of column names, found `{item!r}` in it")
    return [(name, value) for name, value in items]


def not_built(**arguments: tuple[Any, Any]) -> None:
    """Refuse arguments that are decided but not built, unless they have their default: ``name=(value, default)``."""
    for name, (value, default) in arguments.items():
        if value is not default and value != default:
            raise NotImplementedError(f"`{name}={value!r}` is not built yet; leave `{name}` out")
