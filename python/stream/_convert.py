"""What other libraries call rows or columns → ours; sizes and paths as users write them.

Nothing here imports another library: an object is known by its protocol or by the module of its class, and what it
needs (numpy, pyarrow) was imported by whoever made it.
"""

from __future__ import annotations

from stream._internal import RawBatch, RawColumn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_SIZES = {"": 1, "b": 1}
for _power, _unit in enumerate("kmgt", 1):
    _SIZES[_unit] = _SIZES[f"{_unit}ib"] = 1024**_power
    _SIZES[f"{_unit}b"] = 1000**_power
del _power, _unit


def kind_of(value: object) -> str:
    """Return the name of a value's type as messages show it."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def size(name: str, value: object) -> int | None:
    """Return bytes for a size as users write it.

    >>> size("memory_limit", "256MiB"), size("memory_limit", "1.5 GB"), size("memory_limit", None)
    (268435456, 1500000000, None)
    """
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise ValueError(f"`{name}` must not be negative, found {value}")
        return value
    if not isinstance(value, str):
        raise TypeError(f'`{name}` takes bytes as int, a text such as "256MiB", or None, found `{kind_of(value)}`')
    text = value.strip().lower()
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz").rstrip()
    unit = text[len(digits) :].strip()
    try:
        number = float(digits.replace("_", ""))
        found = number * _SIZES[unit]
    except (ValueError, KeyError):
        found = -1.0
    if not 0 <= found < 2**63:
        raise ValueError(f'`{name}`: cannot read `{value}` as a size; write it as "256MiB", "1GB" or 1000000')
    return int(found)


def is_arrow(value: object) -> bool:
    """Whether a value gives Arrow data by the PyCapsule interface."""
    return hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__")


def _of(value: object, library: str) -> bool:
    """Whether a value's class comes from `library`."""
    return any(c.__module__.partition(".")[0] == library for c in type(value).__mro__)


def is_array(value: object) -> bool:
    """Whether a value is a column of values, not one value."""
    return (
        isinstance(value, (RawColumn, list, tuple, range, memoryview))
        or is_arrow(value)
        or (hasattr(value, "__array__") and getattr(value, "ndim", 1) > 0)
        or hasattr(value, "_raw_column")
        or type(value).__name__ == "array"
    )


def column(name: str, value: Any) -> RawColumn:
    """Return a column of anything that holds values in a row: Column, Arrow, NumPy, pandas, buffer, list, iterable."""
    raw = getattr(value, "_raw_column", value)
    if isinstance(raw, RawColumn):
        return raw.renamed(name)
    if is_arrow(value) and not _needs_pyarrow(value):
        return RawColumn.from_arrow(name, value)
    if _of(value, "pandas"):
        value = value.to_numpy()
    if hasattr(value, "__array_interface__") or hasattr(value, "__array__"):
        return _from_numpy(name, value)
    if isinstance(value, memoryview) or type(value).__name__ == "array":
        return RawColumn.from_buffer(name, value, "plain")
    if isinstance(value, (set, frozenset, dict)):
        raise TypeError(f"column `{name}`: expected values in order, found `{kind_of(value)}`; pass a list")
    return RawColumn.from_values(name, value)


def _needs_pyarrow(value: object) -> bool:
    """Whether a pandas object would need a pyarrow that is not installed to give its Arrow data."""
    if not _of(value, "pandas"):
        return False
    from importlib.util import find_spec

    return find_spec("pyarrow") is None


_UNITS = {"W": "D", "M": "D", "Y": "D", "h": "s", "m": "s", "generic": "us"}


def _from_numpy(name: str, value: Any) -> RawColumn:
    import numpy

    array = value if isinstance(value, numpy.ndarray) else numpy.asarray(value)
    if array.ndim != 1:
        raise TypeError(f"column `{name}`: expected one dimension, found {array.ndim}")
    if isinstance(array, numpy.ma.MaskedArray):
        return RawColumn.from_values(name, array.tolist())
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    kind, bits = array.dtype.kind, array.dtype.itemsize * 8
    if kind == "b":
        return RawColumn.from_buffer(name, array.view("u1"), "bool")
    if kind == "f" and bits == 16:
        return RawColumn.from_buffer(name, array.view("u2"), "float16")
    if kind in "iuf" and bits <= 64:
        return RawColumn.from_buffer(name, array, "plain")
    if kind in "OSUT":
        return RawColumn.from_values(name, array.tolist())
    made = _from_times(name, array, *numpy.datetime_data(array.dtype)) if kind in "mM" else None
    if made is None:
        raise TypeError(f"column `{name}`: no dtype holds NumPy's `{array.dtype}`")
    return made


def _from_times(name: str, array: Any, unit: str, count: int) -> RawColumn | None:
    """Return NumPy's dates, timestamps or durations; None where no dtype has their unit."""
    duration = array.dtype.kind == "m"
    if duration and unit in "MY":
        return None
    wanted = "s" if duration and unit in "DW" else _UNITS.get(unit, unit)
    if wanted not in ("D", "s", "ms", "us", "ns"):
        return None
    if wanted != unit or count != 1:
        array = array.astype(f"{array.dtype.kind}8[{wanted}]")
    return RawColumn.from_buffer(name, array.view("i8"), f"m:{wanted}" if duration else wanted)


def from_columns(columns: Iterable[tuple[str, Any]]) -> RawBatch:
    """Return a batch of named columns; a scalar is repeated."""
    made: list[tuple[str, RawColumn, bool]] = []
    for name, value in columns:
        if not isinstance(name, str):
            raise TypeError(f"a column's name must be `str`, found `{kind_of(name)}`")
        scalar = not is_array(value) and (isinstance(value, (str, bytes, bytearray, dict)) or not _iterable(value))
        made.append((name, RawColumn.from_values(name, [value]) if scalar else column(name, value), scalar))
    lengths = {name: len(raw) for name, raw, scalar in made if not scalar}
    rows = next(iter(lengths.values()), 1 if made else 0)
    if any(n != rows for n in lengths.values()):
        told = ", ".join(f"`{name}` {n}" for name, n in lengths.items())
        raise ValueError(f"columns of one batch must have one length, found {told}")
    return RawBatch.from_columns([(n, raw.repeated(rows) if scalar else raw) for n, raw, scalar in made], rows)


def _iterable(value: object) -> bool:
    return getattr(value, "ndim", 1) > 0 and (hasattr(value, "__iter__") or hasattr(value, "__getitem__"))


def batch(value: Any, where: str) -> RawBatch:
    """Return the batch that anything batch-like is: Batch, dict of array-likes, Arrow producer, pandas, polars.

    `where` begins the message of a refusal: ``"Batch takes"``.
    """
    raw = getattr(value, "_raw_batch", value)
    if isinstance(raw, RawBatch):
        return raw
    if isinstance(value, dict):
        return from_columns(value.items())
    if _of(value, "pandas") and hasattr(value, "columns"):
        if _needs_pyarrow(value):
            return from_columns((str(name), value[name]) for name in value.columns)
        import pyarrow

        value = pyarrow.Table.from_pandas(value, preserve_index=False)
    if is_arrow(value):
        return RawBatch.from_arrow(value)
    raise TypeError(
        f"{where} a Batch, an Arrow producer, a dict of columns, or a pandas or polars DataFrame, "
        f"found `{kind_of(value)}`"
    )


def binary_file(value: object, mode: str) -> bool:
    """Whether a value is a binary file object; a text one is refused, naming the mode to open it in."""
    if not hasattr(value, "read" if mode == "rb" else "write"):
        return False
    if (hasattr(value, "encoding") and hasattr(value, "errors")) or _is_text(value):
        raise TypeError(f'expected a binary file, found a text one (`{kind_of(value)}`); open it with mode "{mode}"')
    return True


def _is_text(value: object) -> bool:
    import io

    return isinstance(value, io.TextIOBase)


def path(value: Any) -> str:
    """Return the text of a path."""
    import os

    text = os.fspath(value)
    return text if isinstance(text, str) else os.fsdecode(text)
