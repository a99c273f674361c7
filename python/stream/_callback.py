"""The caller's functions as stages: they get a `Batch` or rows, and what they return is converted.

An exception of theirs passes through unchanged. Each stage bears the name of its function, by which `explain` and
errors call it.
"""

from __future__ import annotations

from stream import _convert
from stream._batch import Batch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from stream._internal import RawBatch, RawColumn

    _R = TypeVar("_R")


def _named(stage: Callable[[RawBatch], _R], fn: object) -> Callable[[RawBatch], _R]:
    stage.__name__ = getattr(fn, "__name__", type(fn).__name__)
    return stage


def mapped(fn: Callable[[Batch], Any]) -> Callable[[RawBatch], RawBatch | None]:
    """Return a stage of ``map``: anything batch-like, or None to drop the batch."""

    def stage(raw: RawBatch) -> RawBatch | None:
        result = fn(Batch._of(raw))
        if result is None:
            return None
        return _convert.batch(result, "map: the function must return (or None to drop the batch)")

    return _named(stage, fn)


def inspected(fn: Callable[[Batch], object]) -> Callable[[RawBatch], None]:
    """Return a stage of ``inspect``: what the function returns is ignored."""

    def stage(raw: RawBatch) -> None:
        fn(Batch._of(raw))

    return _named(stage, fn)


def mask(fn: Callable[[Batch], Any]) -> Callable[[RawBatch], RawColumn]:
    """Return a stage of ``filter``: the function returns a mask."""

    def stage(raw: RawBatch) -> RawColumn:
        result = fn(Batch._of(raw))
        if not _convert.is_array(result):
            raise TypeError(
                f"filter: the function must return a mask, a true or false for each row of the batch, "
                f"found `{_convert.kind_of(result)}`; filter_rows() takes a function of a row"
            )
        return _convert.column("mask", result)

    return _named(stage, fn)


def row_mask(fn: Callable[[dict[str, Any]], Any]) -> Callable[[RawBatch], RawColumn]:
    """Return a stage of ``filter_rows``: the function says of each row whether to keep it."""

    def stage(raw: RawBatch) -> RawColumn:
        rows = raw.to_rows(0, raw.num_rows, False)
        return _convert.column("mask", [bool(fn(row)) for row in rows])

    return _named(stage, fn)
