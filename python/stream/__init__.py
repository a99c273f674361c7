"""Stream CSV and Parquet through Python in bounded memory.

>>> import stream
>>> from stream import col
>>> trips = stream.from_arrow(stream.Batch({"id": [1, 2], "fare": [3.5, 20.0]}))
>>> for batch in trips.filter(col("fare") < 10):
...     print(batch.num_rows, batch["fare"].sum())
1 3.5
"""

from stream import exceptions
from stream._batch import Batch
from stream._column import Column
from stream._dtypes import DType, Schema
from stream._expr import Expr, coalesce, col, concat_str, from_epoch, lit, when
from stream._expr import len as len  # not in __all__, where it would hide the builtin
from stream._internal import __version__ as __version__
from stream._read import concat, from_arrow, memory, read, read_csv, read_parquet
from stream._report import Report, Stats
from stream._run import Batches, Rows
from stream._stream import Stream

__all__ = [
    "Batch",
    "Batches",
    "Column",
    "DType",
    "Expr",
    "Report",
    "Rows",
    "Schema",
    "Stats",
    "Stream",
    "coalesce",
    "col",
    "concat",
    "concat_str",
    "exceptions",
    "from_arrow",
    "from_epoch",
    "lit",
    "memory",
    "read",
    "read_csv",
    "read_parquet",
    "when",
]


def __getattr__(name: str) -> object:
    """Name our verb where another library's was typed."""
    from stream._elsewhere import NAMES, instead

    raise AttributeError(instead("module 'stream'", name, NAMES))
