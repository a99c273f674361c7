"""The public names are a constant: a change of it is a change of the promise, and is seen in review."""

import builtins
import inspect

import pytest

import stream

NAMES = [
    "Batch", "Batches", "Column", "DType", "Expr", "Report", "Rows", "Schema", "Stats", "Stream", "coalesce", "col",
    "concat", "concat_str", "exceptions", "from_arrow", "from_epoch", "lit", "memory", "read", "read_csv",
    "read_parquet", "when",
]  # fmt: skip

STREAM = [
    "agg", "batches", "cast", "columns", "count", "drop", "drop_nulls", "explain", "fill_null", "filter",
    "filter_rows", "head", "inspect", "limit", "map", "options", "pipe", "rename", "rows", "schema", "select", "show",
    "skip", "to_arrow", "to_pandas", "to_polars", "to_pydict", "to_pylist", "with_columns", "with_row_index", "write",
    "write_csv", "write_parquet",
]  # fmt: skip

BATCH = [
    "cast", "column_names", "drop", "filter", "nbytes", "num_columns", "num_rows", "rename", "rows", "schema", "select",
    "slice", "to_arrow", "to_pandas", "to_polars", "to_pydict", "to_pylist", "with_columns",
]  # fmt: skip

COLUMN = [
    "dtype", "max", "mean", "min", "nbytes", "null_count", "sum", "to_arrow", "to_numpy", "to_pandas", "to_polars", "to_pylist",
]  # fmt: skip

EXPR = [
    "abs", "alias", "all", "any", "cast", "ceil", "clip", "count", "dt", "exp", "fill_null", "first", "floor",
    "is_between", "is_in", "is_nan", "is_not_null", "is_null", "last", "log", "max", "mean", "min",
    "pow", "round", "sign", "sqrt", "str", "sum",
]  # fmt: skip

ERRORS = [
    "ColumnNotFoundError", "FormatError", "MemoryLimitError", "ParseError", "SchemaError", "SpillError", "StreamError",
]  # fmt: skip


def test_names_of_the_module():
    assert sorted(stream.__all__) == sorted(NAMES)
    assert sorted(stream.exceptions.__all__) == sorted(ERRORS)
    assert all(hasattr(stream, name) for name in NAMES)
    assert callable(stream.len), "there, though not in __all__"


def test_no_star_import_hides_a_builtin():
    assert not set(stream.__all__) & set(dir(builtins))


@pytest.mark.parametrize(("kind", "names"), [("Stream", STREAM), ("Batch", BATCH), ("Column", COLUMN), ("Expr", EXPR)])
def test_names_of_the_classes(kind, names):
    there = public_names(getattr(stream, kind))
    assert set(names) <= set(there), sorted(set(names) - set(there))


def public_names(kind: type) -> list[str]:
    return [name for name in dir(kind) if not name.startswith("_")]


def test_everything_public_is_documented():
    bare = []
    for name in NAMES:
        thing = getattr(stream, name)
        if not inspect.getdoc(thing):
            bare.append(name)
        if inspect.isclass(thing):
            bare += [f"{name}.{part}" for part in public_names(thing) if not inspect.getdoc(getattr(thing, part))]
    assert bare == []


def test_everything_public_says_where_it_lives():
    for name in NAMES:
        thing = getattr(stream, name)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert thing.__module__.split(".")[0] == "stream"


def test_the_exception_tree():
    errors = stream.exceptions
    for name in ERRORS:
        assert issubclass(getattr(errors, name), errors.StreamError)
    assert issubclass(errors.SchemaError, TypeError)
    assert issubclass(errors.ColumnNotFoundError, KeyError)
    assert issubclass(errors.ParseError, ValueError)
    assert issubclass(errors.FormatError, ValueError)
    assert issubclass(errors.MemoryLimitError, MemoryError)
    assert issubclass(errors.SpillError, OSError)


@pytest.mark.parametrize(("name", "ours"), [("scan_csv", "read_csv"), ("scan_parquet", "read_parquet")])
def test_names_of_other_libraries_lead_to_ours(name, ours):
    with pytest.raises(AttributeError, match=ours):
        getattr(stream, name)


def test_version_is_the_one_of_the_package():
    from importlib.metadata import version

    assert stream.__version__ == version("batchstream")
