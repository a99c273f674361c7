"""A run: `Batches` and `Rows`, and what shows how far it is."""

from __future__ import annotations

from stream._arguments import function
from stream._batch import Batch
from stream._internal import Pulled
from stream._report import Stats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from types import TracebackType
    from typing import Any, Self

    from stream import _internal
    from stream._dtypes import Schema


class Batches(Pulled):
    """A run: an iterator of `Batch`. Leaving it by ``break``, ``close()`` or ``with`` stops all its work.

    Examples
    --------
    >>> import stream
    >>> with iter(stream.from_arrow(stream.Batch({"x": [1, 2]}))) as batches:
    ...     print(list(batches.schema), next(batches)["x"].sum())
    ['x'] 3
    """

    __slots__ = ("__weakref__", "_run")

    _run: _internal.Run

    def __new__(cls, *_: object, **__: object) -> Self:
        raise TypeError("a run is begun by iter(stream) or stream.batches()")

    @classmethod
    def _of(cls, run: _internal.Run) -> Self:
        made = Pulled.__new__(cls, run, Batch._of)
        made._run = run
        return made

    if TYPE_CHECKING:

        def __next__(self) -> Batch: ...

    def close(self) -> None:
        """Stop the run: no thread, file or memory is left. Closing twice does nothing."""
        self._run.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def schema(self) -> Schema:
        """Names and dtypes of every batch."""
        from stream._dtypes import Schema

        return Schema(self._run.schema())

    @property
    def stats(self) -> Stats:
        """What the run has done so far."""
        return Stats(self._run.stats())

    def state_dict(self) -> dict[str, Any]:
        """Not built yet."""
        raise NotImplementedError("state_dict() is not built yet")

    def __arrow_c_schema__(self) -> object:
        """Return the schema by Arrow's PyCapsule interface."""
        return self._run.arrow_schema()

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the rest of the run by Arrow's PyCapsule interface."""
        return self._run.arrow_stream(requested_schema)

    def __repr__(self) -> str:
        return f"<Batches: {self.stats}>"


class Watched(Batches):
    """A run whose progress is shown."""

    __slots__ = ("_shown",)

    _shown: Callable[..., object]

    @classmethod
    def by(cls, shown: Callable[..., object], run: _internal.Run) -> Self:
        """Tell `shown` the figures of `run` at every batch, and at the end."""
        made = cls._of(run)
        made._shown = shown
        return made

    def __next__(self) -> Batch:
        try:
            batch: Batch = Pulled.__next__(self)
        except StopIteration:
            self._shown(self._run.stats(), True)
            raise
        self._shown(self._run.stats())
        return batch


class Rows:
    """A run, row by row: an iterator of dicts or tuples.

    >>> import stream
    >>> with stream.from_arrow(stream.Batch({"x": [1, 2]})).rows() as rows:
    ...     print(next(rows))
    {'x': 1}
    """

    __slots__ = ("__weakref__", "_batches", "_rows")

    def __init__(self, batches: Batches, as_tuples: bool) -> None:
        self._batches = batches
        self._rows = _rows_of(batches._run, as_tuples)

    def __iter__(self) -> Iterator[Any]:
        # the generator itself, so that a loop over it costs no call of ours a row
        return self._rows

    def __next__(self) -> Any:
        return next(self._rows)

    def close(self) -> None:
        """Stop the run."""
        self._rows.close()
        self._batches.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def stats(self) -> Stats:
        """What the run has done so far."""
        return self._batches.stats

    @property
    def schema(self) -> Schema:
        """Names and dtypes of the rows."""
        return self._batches.schema

    def state_dict(self) -> dict[str, Any]:
        """Not built yet."""
        raise NotImplementedError("state_dict() is not built yet")


def _rows_of(run: _internal.Run, as_tuples: bool) -> Generator[Any, None, None]:
    """Rows, made 1,024 at a time: many enough to be cheap, few enough to be small."""
    try:
        while (raw := run.next()) is not None:
            for start in range(0, raw.num_rows, 1024):
                yield from raw.to_rows(start, start + 1024, as_tuples)
    finally:
        run.close()


_PAUSE = 0.1
"""Seconds between two looks at the progress of a run."""


def progress_of(progress: Any) -> Callable[..., object] | None:
    """Return what shows the progress of a run, given its figures; at most ten times a second.

    ``True`` rewrites one line on stderr; a function is called with `Stats`. The last figures are shown in any case.
    """
    if progress is None or progress is False:
        return None
    import sys
    from time import monotonic

    if progress is not True:
        function("progress", progress)
    last = [0.0]

    def shown(figures: dict[str, Any], done: bool = False) -> None:
        now = monotonic()
        if now - last[0] < _PAUSE and not done:
            return
        last[0] = now
        stats = Stats(figures)
        if progress is not True:
            progress(stats)
        elif sys.stderr is not None:
            sys.stderr.write(f"\r\x1b[K{stats}" + ("\n" if done else ""))
            sys.stderr.flush()

    return shown
