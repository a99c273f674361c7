"""What a run did: `Stats` while it lasts, `Report` when a sink is done."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_FIGURES = (
    "rows_in",
    "rows_out",
    "bytes_in",
    "bytes_out",
    "seconds",
    "peak_bytes",
    "held_bytes",
    "exported_bytes",
    "spilled_bytes",
    "rejects",
    "files",
)


def size_text(count: float) -> str:
    """Return bytes as people read them.

    >>> size_text(0), size_text(1536), size_text(3 << 30)
    ('0 B', '1.5 KiB', '3.0 GiB')
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


class Stats:
    """The counters of a run, as they stood when asked for.

    Attributes
    ----------
    rows_in, rows_out : int
        Rows that the source read, and rows that came out at the end.
    bytes_in, bytes_out : int
        Bytes read from files, and bytes written or handed out.
    seconds : float
        Since the run was made.
    peak_bytes, held_bytes : int
        The most that the run leased of its ``memory_limit``, and what it leases now.
    exported_bytes : int
        Bytes of batches that are in the caller's hands.
    spilled_bytes : int
        Bytes written to ``temp_dir``.
    rejects : int
        Records that could not be read; with ``on_error="null"``, values too.
    files : int
        Files opened.
    stages : list of Stats
        The same for each stage, with `name`.

    Examples
    --------
    >>> import stream
    >>> with iter(stream.from_arrow(stream.Batch({"x": [1, 2, 3]}))) as batches:
    ...     rows = [batch.num_rows for batch in batches]
    >>> batches.stats.rows_out
    3
    """

    __slots__ = {"_figures": "By name.", "stages": "The same for each stage."}

    name: str
    rows_in: int
    rows_out: int
    bytes_in: int
    bytes_out: int
    seconds: float
    peak_bytes: int
    held_bytes: int
    exported_bytes: int
    spilled_bytes: int
    rejects: int
    files: int
    stages: list[Stats]

    def __init__(self, figures: dict[str, Any]) -> None:
        self._figures = {key: value for key, value in figures.items() if key != "stages"}
        self.stages = [Stats(stage) for stage in figures.get("stages", ())]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._figures[name]
        except KeyError:
            if name in _FIGURES:
                return 0
            raise AttributeError(f"`{name}` is not counted (there are: {', '.join(self._figures)})") from None

    def __dir__(self) -> list[str]:
        return [*_FIGURES, *self._figures, "stages"]

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Yield (name, figure), so that ``dict(stats)`` works."""
        yield from self._figures.items()
        if self.stages:
            yield "stages", [dict(stage) for stage in self.stages]

    def __str__(self) -> str:
        name = self._figures.get("name")
        return (f"{name}: " if name else "") + (
            f"{self.rows_in:,} rows in, {self.rows_out:,} out, {size_text(self.bytes_in)} read, "
            f"{self.seconds:.2f} s, peak {size_text(self.peak_bytes)}"
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"


class Report(Stats):
    """What a sink wrote: the counters of its run, where it went, and whether it went there atomically.

    Attributes
    ----------
    path : str or None
        The file; None for a file object.
    atomic : bool
        Whether the target was replaced as a whole. A file object and ``"-"`` are written as it comes.
    """

    __slots__ = ()

    path: str | None
    atomic: bool

    def __str__(self) -> str:
        path = self._figures.get("path")
        target = f"`{path}`" if path else "the file object"
        how = "" if self._figures.get("atomic", True) else " (not atomic)"
        return (
            f"{self.rows_out:,} rows, {size_text(self.bytes_out)} written to {target}{how} in {self.seconds:.2f} s, "
            f"peak {size_text(self.peak_bytes)}"
        )
