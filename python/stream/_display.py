"""How a batch looks: as text that fits the terminal, and as HTML."""

from __future__ import annotations

from stream._internal import DType, RawBatch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from stream._internal import RawColumn

_WIDEST = 40
"""Characters of a cell; longer ones are cut."""
_FALLBACK = 100
"""Characters of a line where there is no terminal."""


def _width(text: str) -> int:
    """Columns of a terminal that `text` takes."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _cut(text: str, widest: int) -> str:
    if _width(text) <= widest:
        return text
    while _width(text) > widest - 1:
        text = text[:-1]
    return text + "…"


def _pad(text: str, width: int, right: bool) -> str:
    gap = " " * (width - _width(text))
    return gap + text if right else text + gap


def cell(value: object) -> str:
    """Return one value as it is shown: text bare, control characters escaped, null as ``null``."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (bytes, list, dict, tuple)):
        text = repr(value[:_WIDEST]) if isinstance(value, bytes) else repr(value)
    else:
        text = str(value)
    text = text[: 4 * _WIDEST]
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def values_of(raw: RawColumn) -> list[Any]:
    """Return the values as Python has them, or as text where it has none: nanoseconds, years beyond 9999."""
    try:
        return raw.to_pylist()
    except (ValueError, OverflowError):
        text = RawBatch.from_columns([("", raw)], len(raw)).cast([("", DType("string"))])
        return text.column("").to_pylist()


def text_of(
    title: str,
    names: Sequence[str],
    dtypes: Sequence[str],
    columns: Sequence[Sequence[object]],
    hidden_rows: int,
) -> str:
    """Lay out columns under a title; columns that do not fit the terminal give way in the middle.

    >>> print(text_of("2 rows", ["id", "name"], ["int64", "string"], [[1, 20], ["a", None]], 0))
    2 rows
    ┌───────┬────────┐
    │ id    │ name   │
    │ int64 │ string │
    ├───────┼────────┤
    │     1 │ a      │
    │    20 │ null   │
    └───────┴────────┘
    """
    if not names:
        return title
    from shutil import get_terminal_size

    line = max(20, get_terminal_size((_FALLBACK, 24)).columns)
    grid = [[cell(name), dtype, *map(cell, values)] for name, dtype, values in zip(names, dtypes, columns, strict=True)]
    grid = [[_cut(text, _WIDEST) for text in column] for column in grid]
    right = [bool(values) and all(_is_number(v) for v in values) for values in columns]
    widths = [max(map(_width, column)) for column in grid]
    shown = _fitting(widths, line)
    if len(shown) < len(names):
        middle = (len(shown) + 1) // 2
        grid = [*(grid[i] for i in shown[:middle]), ["…"] * len(grid[0]), *(grid[i] for i in shown[middle:])]
        right = [*(right[i] for i in shown[:middle]), False, *(right[i] for i in shown[middle:])]
        widths = [max(map(_width, column)) for column in grid]
        title += f" ({len(names) - len(shown)} not shown)"

    def rule(left: str, cross: str, end: str) -> str:
        return left + cross.join("─" * (w + 2) for w in widths) + end

    def row(i: int) -> str:
        cells = (_pad(column[i], width, i > 1 and r) for column, width, r in zip(grid, widths, right, strict=True))
        return "│ " + " │ ".join(cells) + " │"

    lines = [title, rule("┌", "┬", "┐"), row(0), row(1), rule("├", "┼", "┤")]
    lines += [row(i) for i in range(2, len(grid[0]))]
    lines.append(rule("└", "┴", "┘"))
    if hidden_rows:
        lines.append(f"… {hidden_rows:,} more row{'s' if hidden_rows > 1 else ''}")
    return "\n".join(lines)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _fitting(widths: Sequence[int], line: int) -> list[int]:
    """Choose the columns to show: from both ends, first ones first, while they fit with a column of dots between."""
    if sum(w + 3 for w in widths) + 1 <= line:
        return list(range(len(widths)))
    room = line - 1 - 4
    left: list[int] = []
    right: list[int] = []
    first, last = 0, len(widths) - 1
    while first <= last:
        side = first if len(left) <= len(right) else last
        room -= widths[side] + 3
        if room < 0 and left:
            break
        if side == first:
            left.append(side)
            first += 1
        else:
            right.insert(0, side)
            last -= 1
    return left + right


def html_of(
    title: str,
    names: Sequence[str],
    dtypes: Sequence[str],
    columns: Sequence[Sequence[object]],
    hidden_rows: int,
) -> str:
    """Lay out columns as an HTML table, every text escaped."""
    from html import escape

    head = "".join(
        f"<th>{escape(cell(n))}<br><small>{escape(d)}</small></th>" for n, d in zip(names, dtypes, strict=True)
    )
    rows = zip(*columns, strict=True)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_cut(cell(v), 4 * _WIDEST))}</td>" for v in r) + "</tr>" for r in rows
    )
    more = f"<p>… {hidden_rows:,} more rows</p>" if hidden_rows else ""
    return f"<div><p>{escape(title)}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}</div>"
