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
