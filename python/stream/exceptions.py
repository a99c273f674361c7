"""The exceptions of batchstream: each says what was expected, what was found, and what to do.

>>> import stream
>>> issubclass(stream.exceptions.SchemaError, TypeError)
True
"""

__all__ = [
    "ColumnNotFoundError",
    "FormatError",
    "MemoryLimitError",
    "ParseError",
    "SchemaError",
    "SpillError",
    "StreamError",
]


class StreamError(Exception):
    """The base of all errors of this package, and what has no class of its own (overflow, a second run of a one-shot source)."""


class SchemaError(StreamError, TypeError):
    """A schema that does not fit: a wrong type, a clash of names, a file that differs from the others."""


class ColumnNotFoundError(StreamError, KeyError):
    """A column that is not there; the message lists close names."""

    def __str__(self) -> str:
        """Return the message itself, not its ``repr`` as `KeyError` does."""
        return str(self.args[0]) if self.args else ""


class ParseError(StreamError, ValueError):
    """A value or record that cannot be read or cast.

    Attributes
    ----------
    path : str or None
        The file, as it was named.
    line : int or None
        The line of the record, counted from 1.
    offset : int or None
        The offset of the record in the (decompressed) input, in bytes.
    column : str or None
        The column.
    value : str or None
        The text or value that did not fit.
    """

    path: "str | None" = None
    line: "int | None" = None
    offset: "int | None" = None
    column: "str | None" = None
    value: "str | None" = None


class FormatError(StreamError, ValueError):
    """A file that is not what it says: truncated, corrupt, of another format."""


class MemoryLimitError(StreamError, MemoryError):
    """The run needs more than its ``memory_limit``; the message names what every holder has."""


class SpillError(StreamError, OSError):
    """Spilling to ``temp_dir`` failed: the disk is full, or ``max_temp_bytes`` is reached."""
