"""What every sink takes: a target, options that differ from their default, a mode, progress."""

from __future__ import annotations

from stream import _arguments as _a
from stream import _convert
from stream._report import Report
from stream._run import progress_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def given(**options: tuple[Any, Any]) -> dict[str, Any]:
    """Keep the options that differ from their default: ``name=(value, default)``."""
    return {name: value for name, (value, default) in options.items() if value != default}


def listed(names: Any) -> list[str]:
    """Column names: one, several or none."""
    return [names] if isinstance(names, str) else _a.names("column lists", names or ())


def checked_mode(mode: str) -> str:
    if mode == "append":
        raise NotImplementedError('`mode="append"` is not built yet; use "overwrite" or "error"')
    if mode not in ("overwrite", "error"):
        raise ValueError(f'`mode` must be "overwrite" or "error", found `{mode}`')
    return mode


_LATER = ("partition_by", "max_rows_per_file", "max_bytes_per_file", "checkpoint")
"""Options that are decided but not built."""


def unbuilt(verb: str, options: dict[str, Any]) -> None:
    """Refuse the options that a sink does not have: later ones by `NotImplementedError`, others by `TypeError`."""
    for name in options:
        if name in _LATER:
            raise NotImplementedError(f"`{name}` is not built yet; leave it out: {verb} writes one file")
        raise TypeError(f"{verb}() got an unexpected keyword argument '{name}'")


def by_extension(path: Any) -> tuple[str, dict[str, Any]]:
    r"""Return the format that the extension of a path says, and the options that go with it.

    >>> by_extension("rows.tsv.gz")
    ('csv', {'delimiter': '\t'})
    """
    if hasattr(path, "write"):
        raise TypeError("write() finds the format by the path's extension; use write_parquet() or write_csv()")
    name = _convert.path(path).lower()
    for ending in (".gz", ".zst"):
        name = name.removesuffix(ending)
    ending = name.rpartition("/")[2].rpartition(".")[2]
    if ending in ("parquet", "pq"):
        return "parquet", {}
    if ending in ("csv", "txt"):
        return "csv", {}
    if ending == "tsv":
        return "csv", {"delimiter": "\t"}
    if ending in ("json", "jsonl", "ndjson", "arrow", "arrows", "feather", "ipc"):
        raise NotImplementedError(f"writing `.{ending}` is not built yet; write `.parquet` or `.csv`")
    raise ValueError(
        f"no format is known by the extension of `{_convert.path(path)}`; use .parquet, .csv (.gz, .zst), or call "
        "write_parquet() or write_csv()"
    )


def _target(path: Any) -> Any:
    """Where a sink writes: the text of a path, or the binary file object itself."""
    return path if _convert.binary_file(path, "wb") else _convert.path(path)


def written(
    write: Callable[[Any, dict[str, Any]], dict[str, Any]], path: Any, options: dict[str, Any], progress: Any
) -> Report:
    """Run a sink."""
    shown = progress_of(progress)
    if shown is not None:
        options["progress"] = shown
    figures = write(_target(path), options)
    if shown is not None:
        shown(figures, True)
    return Report(figures)
