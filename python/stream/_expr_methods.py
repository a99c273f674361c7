"""`Expr.str` and `Expr.dt`: the methods of text and of time."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stream._expr import Expr


class StringMethods:
    r"""``col("x").str``: methods of text.

    Patterns are regular expressions of Rust's ``regex`` crate unless ``literal=True``.

    Examples
    --------
    >>> from stream import Batch, col
    >>> name = Batch({"name": ["Ada Lovelace", None]})
    >>> name.select(col("name").str.extract(r"^(\w+)"))["name"].to_pylist()
    ['Ada', None]
    """

    __slots__ = ("_expr",)

    def __init__(self, expr: Expr) -> None:
        self._expr = expr

    def len_bytes(self) -> Expr:
        """Return the length in bytes of UTF-8."""
        return self._expr._call("str.len_bytes")

    def len_chars(self) -> Expr:
        """Return the length in characters."""
        return self._expr._call("str.len_chars")

    def to_lowercase(self) -> Expr:
        """In lower case."""
        return self._expr._call("str.to_lowercase")

    def to_uppercase(self) -> Expr:
        """In upper case."""
        return self._expr._call("str.to_uppercase")

    def strip_chars(self, characters: str | None = None) -> Expr:
        """Without any of the characters at both ends; white space without them."""
        return self._expr._call("str.strip_chars", characters)

    def starts_with(self, prefix: str) -> Expr:
        """Whether the text begins so."""
        return self._expr._call("str.starts_with", prefix)

    def ends_with(self, suffix: str) -> Expr:
        """Whether the text ends so."""
        return self._expr._call("str.ends_with", suffix)

    def contains(self, pattern: str, literal: bool = False) -> Expr:
        """Whether the pattern is found anywhere in the text."""
        return self._expr._call("str.contains", pattern, literal)

    def replace(self, pattern: str, value: str, literal: bool = False) -> Expr:
        """Replace the first match; ``$1`` or ``${name}`` in the value stand for groups."""
        return self._expr._call("str.replace", pattern, value, literal)

    def replace_all(self, pattern: str, value: str, literal: bool = False) -> Expr:
        """Replace every match; ``$1`` or ``${name}`` in the value stand for groups."""
        return self._expr._call("str.replace_all", pattern, value, literal)

    def slice(self, offset: int, length: int | None = None) -> Expr:
        """Return a part of the text, in characters; a negative offset counts from the end."""
        return self._expr._call("str.slice", offset, length)

    def split(self, by: str) -> Expr:
        """Return the parts between separators, as a list; every character with ``""``."""
        return self._expr._call("str.split", by)

    def extract(self, pattern: str, group_index: int = 1) -> Expr:
        """Return a group of the first match; null where the pattern is not found. Group 0 is the whole match."""
        return self._expr._call("str.extract", pattern, group_index)

    def to_date(self, format: str | None = None, strict: bool = True) -> Expr:
        """Read dates by a format such as ``"%d.%m.%Y"``; ISO 8601 without one.

        What does not fit raises `ParseError`, or becomes null with ``strict=False``.
        """
        return self._expr._call("str.to_date", format, strict)

    def to_datetime(
        self,
        format: str | None = None,
        time_unit: str = "us",
        time_zone: str | None = None,
        strict: bool = True,
    ) -> Expr:
        """Read timestamps by a format such as ``"%Y-%m-%d %H:%M:%S"``; ISO 8601 without one.

        A format with an offset (``%z``) gives UTC. With ``time_zone``, text without an offset is that zone's wall clock.
        What does not fit raises `ParseError`, or becomes null with ``strict=False``.
        """
        return self._expr._call("str.to_datetime", format, time_unit, time_zone, strict)


class TemporalMethods:
    """``col("x").dt``: methods of dates, times and timestamps, in the column's own time zone.

    Examples
    --------
    >>> from datetime import datetime
    >>> from stream import Batch, col
    >>> when = Batch({"at": [datetime(2024, 2, 29, 13, 45)]})
    >>> when.select(col("at").dt.truncate("1mo").dt.strftime("%d %b %Y"))["at"].to_pylist()
    ['01 Feb 2024']
    """

    __slots__ = ("_expr",)

    def __init__(self, expr: Expr) -> None:
        self._expr = expr

    def year(self) -> Expr:
        """Return the year."""
        return self._expr._call("dt.year")

    def quarter(self) -> Expr:
        """Return the quarter, 1 to 4."""
        return self._expr._call("dt.quarter")

    def month(self) -> Expr:
        """Return the month, 1 to 12."""
        return self._expr._call("dt.month")

    def week(self) -> Expr:
        """Return the week of ISO 8601, 1 to 53."""
        return self._expr._call("dt.week")

    def day(self) -> Expr:
        """Return the day of the month, 1 to 31."""
        return self._expr._call("dt.day")

    def ordinal_day(self) -> Expr:
        """Return the day of the year, 1 to 366."""
        return self._expr._call("dt.ordinal_day")

    def weekday(self) -> Expr:
        """Return the day of the week: 1 is Monday, 7 Sunday."""
        return self._expr._call("dt.weekday")

    def hour(self) -> Expr:
        """Return the hour, 0 to 23."""
        return self._expr._call("dt.hour")

    def minute(self) -> Expr:
        """Return the minute, 0 to 59."""
        return self._expr._call("dt.minute")

    def second(self) -> Expr:
        """Return the second, 0 to 59."""
        return self._expr._call("dt.second")

    def millisecond(self) -> Expr:
        """Return the milliseconds of the second, 0 to 999."""
        return self._expr._call("dt.millisecond")

    def microsecond(self) -> Expr:
        """Return the microseconds of the second, 0 to 999,999."""
        return self._expr._call("dt.microsecond")

    def nanosecond(self) -> Expr:
        """Return the nanoseconds of the second, 0 to 999,999,999."""
        return self._expr._call("dt.nanosecond")

    def date(self) -> Expr:
        """Return the date."""
        return self._expr._call("dt.date")

    def time(self) -> Expr:
        """Return the time of day."""
        return self._expr._call("dt.time")

    def truncate(self, every: str) -> Expr:
        """Return the start of the span that a value lies in: ``"15m"``, ``"1h"``, ``"1d"``, ``"1w"``, ``"1mo"``, ``"1q"``, ``"1y"``."""
        return self._expr._call("dt.truncate", every)

    def epoch(self, time_unit: str = "us") -> Expr:
        """How many of a unit ("ns", "us", "ms", "s", "d") since 1970-01-01 UTC."""
        return self._expr._call("dt.epoch", time_unit)

    def strftime(self, format: str) -> Expr:
        """As text, by a format such as ``"%Y-%m-%d %H:%M:%S"``."""
        return self._expr._call("dt.strftime", format)
