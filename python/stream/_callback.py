"""The caller's functions as stages: they get a `Batch` or rows, and what they return is converted.

An exception of theirs passes through unchanged. Each stage bears the name of its function, by which `explain` and
errors call it, and pickles if its function does.
"""

from __future__ import annotations

from stream import _convert
from stream._batch import Batch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from stream._internal import RawBatch, RawColumn


class _Stage:
    """A function of the caller's, and the name that it has."""

    __slots__ = ("__name__", "_fn")

    def __init__(self, fn: Callable[..., Any]) -> None:
        self._fn = fn
        self.__name__ = getattr(fn, "__name__", type(fn).__name__)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._fn,)


class Mapped(_Stage):
    """A stage of ``map``: anything batch-like, or None to drop the batch."""

    __slots__ = ()

    def __call__(self, raw: RawBatch) -> RawBatch | None:
        result = self._fn(Batch._of(raw))
        if result is None:
            return None
        return _convert.batch(result, "map: the function must return (or None to drop the batch)")


class Inspected(_Stage):
    """A stage of ``inspect``: what the function returns is ignored."""

    __slots__ = ()

    def __call__(self, raw: RawBatch) -> None:
        self._fn(Batch._of(raw))


class Mask(_Stage):
    """A stage of ``filter``: the function returns a mask."""

    __slots__ = ()

    def __call__(self, raw: RawBatch) -> RawColumn:
        result = self._fn(Batch._of(raw))
        if not _convert.is_array(result):
            raise TypeError(
                f"filter: the function must return a mask, a true or false for each row of the batch, "
                f"found `{_convert.kind_of(result)}`; filter_rows() takes a function of a row"
            )
        return _convert.column("mask", result)


class RowMask(_Stage):
    """A stage of ``filter_rows``: the function says of each row whether to keep it."""

    __slots__ = ()

    def __call__(self, raw: RawBatch) -> RawColumn:
        fn = self._fn
        rows = raw.to_rows(0, raw.num_rows, False)
        return _convert.column("mask", [bool(fn(row)) for row in rows])
