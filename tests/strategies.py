"""Hypothesis strategies: random columns of every type, random batches, random ways to run."""

import datetime as dt
from decimal import Decimal
from itertools import pairwise

import pyarrow as pa
from hypothesis import strategies as st

BATCH_SIZES = [1, 2, 7, 1000, 65_536]
THREADS = [1, 2, 8]
PREFETCH = [0, None]
LIMITS = [None, "64MiB", "4MiB"]

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
PLAIN = st.text("abcxyzAB 09_", max_size=6)
SMALL = st.integers(-1_000_000, 1_000_000)


def _within(bits: int, signed: bool) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else st.integers(0, 2**bits - 1)


def _floats(width: int) -> st.SearchStrategy[float]:
    return st.floats(width=width, allow_nan=False)


_MOMENTS = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))

# Arrow type → Python values of it.
TYPES: dict[pa.DataType, st.SearchStrategy] = {
    pa.bool_(): st.booleans(),
    pa.int8(): _within(8, signed=True),
    pa.int16(): _within(16, signed=True),
    pa.int32(): _within(32, signed=True),
    pa.int64(): _within(64, signed=True),
    pa.uint8(): _within(8, signed=False),
    pa.uint16(): _within(16, signed=False),
    pa.uint32(): _within(32, signed=False),
    pa.uint64(): _within(64, signed=False),
    pa.float32(): _floats(32),
    pa.float64(): _floats(64),
    pa.string(): TEXT,
    pa.large_string(): TEXT,
    pa.string_view(): TEXT,
    pa.binary(): st.binary(max_size=12),
    pa.date32(): st.dates(dt.date(1700, 1, 1), dt.date(2200, 1, 1)),
    pa.timestamp("us"): _MOMENTS,
    pa.timestamp("ms"): _MOMENTS.map(lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000)),
    pa.timestamp("us", tz="UTC"): _MOMENTS.map(lambda t: t.replace(tzinfo=dt.UTC)),
    pa.time64("us"): st.times(),
    pa.duration("us"): st.timedeltas(dt.timedelta(days=-10_000), dt.timedelta(days=10_000)),
    pa.decimal128(12, 2): st.integers(-(10**12) + 1, 10**12 - 1).map(lambda n: Decimal(n).scaleb(-2)),
    pa.list_(pa.int64()): st.lists(st.none() | _within(64, signed=True), max_size=4),
    pa.struct({"a": pa.int32(), "b": pa.string()}): st.fixed_dictionaries(
        {"a": st.none() | _within(32, signed=True), "b": st.none() | TEXT}
    ),
    pa.dictionary(pa.int32(), pa.string()): st.sampled_from(["red", "green", "blue", ""]),
}


@st.composite
def arrays(draw, kind: pa.DataType, size: int) -> pa.Array:
    values = draw(st.lists(st.none() | TYPES[kind], min_size=size, max_size=size))
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode()
    return pa.array(values, kind)


@st.composite
def tables(draw, max_rows: int = 40, types: list[pa.DataType] | None = None) -> pa.Table:
    """A pyarrow table of random columns, cut at random places."""
    size = draw(st.integers(0, max_rows))
    kinds = draw(st.lists(st.sampled_from(types or list(TYPES)), min_size=1, max_size=6))
    whole = pa.table({f"c{i}": draw(arrays(kind, size)) for i, kind in enumerate(kinds)})
    cuts = sorted(draw(st.lists(st.integers(0, size), max_size=4)))
    borders = [0, *cuts, size]
    parts = [whole.slice(a, b - a) for a, b in pairwise(borders)]
    return pa.concat_tables(parts)


# The columns that the oracle's verbs are tried on, with nulls in each.
BASE = pa.schema(
    [
        ("i", pa.int64()),
        ("f", pa.float64()),
        ("s", pa.string()),
        ("b", pa.bool_()),
        ("d", pa.date32()),
        ("t", pa.timestamp("us")),
    ]
)


@st.composite
def base_rows(draw, max_rows: int = 60) -> list[dict]:
    row = st.fixed_dictionaries(
        {
            "i": st.none() | SMALL,
            "f": st.none() | st.floats(-1e6, 1e6, allow_nan=False, allow_subnormal=False),
            "s": st.none() | PLAIN,
            "b": st.none() | st.booleans(),
            "d": st.none() | st.dates(dt.date(1970, 1, 1), dt.date(2040, 1, 1)),
            "t": st.none() | st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2040, 1, 1)),
        }
    )
    return draw(st.lists(row, max_size=max_rows))


def base_table(rows: list[dict]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=BASE)


def runs() -> st.SearchStrategy[dict]:
    """Run options: the same rows must come out whatever they are."""
    return st.fixed_dictionaries(
        {
            "batch_size": st.sampled_from(BATCH_SIZES),
            "threads": st.sampled_from(THREADS),
            "memory_limit": st.sampled_from(LIMITS),
        },
        optional={"prefetch": st.sampled_from([0, 1, 4]), "batch_bytes": st.sampled_from([64, 4096, 1 << 20])},
    )


def all_runs() -> list[dict]:
    """Every combination that the house rules name."""
    return [
        {"batch_size": batch_size, "threads": threads, "memory_limit": limit}
        | ({} if prefetch is None else {"prefetch": prefetch})
        for batch_size in BATCH_SIZES
        for threads in THREADS
        for prefetch in PREFETCH
        for limit in LIMITS
    ]


def of_run(options: dict) -> dict:
    """Those options that a run takes; the others are a reader's."""
    return {name: value for name, value in options.items() if name not in ("batch_size", "batch_bytes")}
