"""`DType` and `Schema`: what columns are called and what they hold."""

from __future__ import annotations

from _collections_abc import Mapping

from stream._internal import DType, schema_capsule, schema_pairs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["DType", "Schema"]


class Schema(Mapping[str, DType]):
    """The columns of a stream or batch: a read-only mapping name → `DType`, in column order.

    It equals a dict, a list of pairs or an Arrow schema that says the same.

    Parameters
    ----------
    schema
        A dict name → dtype, a list of (name, dtype), or anything with ``__arrow_c_schema__``. A dtype is a name such as
        ``"int64"``, a Python type such as ``int``, or an Arrow type.

    Examples
    --------
    >>> from stream import Schema
    >>> schema = Schema({"id": int, "fare": "float64"})
    >>> schema
    Schema({"id": "int64", "fare": "float64"})
    >>> schema["fare"] == "float64", schema.names, schema == {"id": "int64", "fare": float}
    (True, ['id', 'fare'], True)
    """

    __slots__ = ("_by_name", "_raw")
    __hash__ = None  # type: ignore[assignment]

    _raw: list[tuple[str, DType]]
    _by_name: dict[str, DType]

    def __init__(self, schema: Any = ()) -> None:
        self._raw = schema_pairs(schema)
        self._by_name = dict(self._raw)

    @classmethod
    def _of(cls, pairs: list[tuple[str, DType]]) -> Schema:
        made = object.__new__(cls)
        made._raw = pairs
        made._by_name = dict(pairs)
        return made

    @property
    def names(self) -> list[str]:
        """The names, in column order."""
        return [name for name, _ in self._raw]

    @property
    def dtypes(self) -> list[DType]:
        """The dtypes, in column order."""
        return [dtype for _, dtype in self._raw]

    def __getitem__(self, name: str) -> DType:
        """Return a column's dtype; a name that is not there raises `ColumnNotFoundError`."""
        try:
            return self._by_name[name]
        except KeyError:
            pass
        from difflib import get_close_matches

        from stream.exceptions import ColumnNotFoundError

        close = get_close_matches(str(name), self.names, 1)
        hint = f", did you mean `{close[0]}`?" if close else ""
        known = ", ".join(f"`{own}`" for own in self.names[:20])
        raise ColumnNotFoundError(f"column `{name}` not found{hint} (columns: {known})")

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self._raw)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __eq__(self, other: object) -> bool:
        """Whether the other says the same: the same columns in the same order (a dict's order does not count)."""
        if isinstance(other, Schema):
            return self._raw == other._raw
        try:
            pairs = schema_pairs(other)
        except (TypeError, ValueError):
            return NotImplemented
        return self._by_name == dict(pairs) if isinstance(other, dict) else self._raw == pairs

    def __repr__(self) -> str:
        def quoted(text: object) -> str:
            return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"') + '"'

        return "Schema({" + ", ".join(f"{quoted(name)}: {quoted(dtype)}" for name, dtype in self._raw) + "})"

    def __arrow_c_schema__(self) -> object:
        """Return the schema by Arrow's PyCapsule interface."""
        return schema_capsule(self._raw)

    def __reduce__(self) -> tuple[type[Schema], tuple[list[tuple[str, DType]]]]:
        return Schema, (self._raw,)
