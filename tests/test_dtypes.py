"""`DType` and `Schema`: names in and out, and what they equal."""

from __future__ import annotations

import pickle
from datetime import date, datetime, time, timedelta
from decimal import Decimal

import pytest

import stream
from stream import DType, Schema
from stream.exceptions import ColumnNotFoundError


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("int64", "int64"),
        ("str", "string"),
        ("double", "float64"),
        (int, "int64"),
        (float, "float64"),
        (str, "string"),
        (bool, "bool"),
        (bytes, "binary"),
        (date, "date32"),
        (datetime, "timestamp[us]"),
        (time, "time64[us]"),
        (timedelta, "duration[us]"),
        (Decimal, "decimal128(38, 9)"),
        ("timestamp[ms, tz=Europe/Berlin]", "timestamp[ms, tz=Europe/Berlin]"),
        ("list<item: int64>", "list<int64>"),
        ("dictionary<int32, string>", "dictionary<int32, string>"),
    ],
)
def test_a_dtype_equals_its_name_and_its_python_type(given: object, name: str) -> None:
    dtype = DType(given)
    assert str(dtype) == dtype.name == name
    assert dtype == name
    assert dtype == given
    assert hash(dtype) == hash(name)
    assert pickle.loads(pickle.dumps(dtype)) == dtype


def test_what_is_no_dtype() -> None:
    assert DType("int64") != "int32"
    assert DType("int64") != "no dtype"
    assert DType("int64") != 5
    with pytest.raises(ValueError, match=r"unknown dtype `in64`, did you mean `int64`\?"):
        DType("in64")
    with pytest.raises(TypeError, match="expected a dtype"):
        DType(5)
    with pytest.raises(TypeError, match="expected a dtype"):
        DType(object)


def test_arrow_types_go_in_and_out() -> None:
    pa = pytest.importorskip("pyarrow")
    for dtype in [
        pa.int8(),
        pa.timestamp("ns", "UTC"),
        pa.decimal128(12, 2),
        pa.list_(pa.string()),
        pa.struct({"a": pa.int64()}),
        pa.dictionary(pa.int32(), pa.string()),
        pa.map_(pa.string(), pa.int64()),
    ]:
        assert DType(dtype) == dtype
        assert DType(str(DType(dtype))) == dtype
        assert pa.field("", pa.null()).with_type(dtype).type == pa.schema(Schema({"x": dtype})).field("x").type


def test_a_schema_is_a_mapping_in_column_order() -> None:
    schema = Schema({"id": int, "fare": "float64"})
    assert list(schema) == schema.names == ["id", "fare"]
    assert schema.dtypes == ["int64", "float64"]
    assert dict(schema) == {"id": "int64", "fare": "float64"}
    assert "id" in schema
    assert len(schema) == 2
    assert schema.get("tip") is None
    with pytest.raises(ColumnNotFoundError, match="did you mean `fare`"):
        schema["fair"]
    with pytest.raises(TypeError):
        schema["id"] = "int8"  # type: ignore[index]


def test_a_schema_equals_what_says_the_same() -> None:
    pa = pytest.importorskip("pyarrow")
    schema = Schema([("id", "int64"), ("name", str)])
    assert schema == {"name": "string", "id": int}
    assert schema == [("id", "int64"), ("name", "string")]
    assert schema != [("name", "string"), ("id", "int64")]
    assert schema == pa.schema({"id": pa.int64(), "name": pa.string()})
    assert schema == pa.schema({"id": pa.int64(), "name": pa.large_string()})
    assert schema != {"id": "int32", "name": str}
    assert schema != 5
    assert Schema(pa.schema(schema)) == schema
    assert eval(repr(schema)) == schema
    assert pickle.loads(pickle.dumps(schema)) == schema


def test_what_is_no_schema() -> None:
    with pytest.raises(ValueError, match="column `a`: unknown dtype"):
        Schema({"a": "in64"})
    with pytest.raises(ValueError, match="names column `a` twice"):
        Schema([("a", int), ("a", str)])
    for wrong in [5, "int64", [("a", int, 1)], {1: int}]:
        with pytest.raises(TypeError):
            Schema(wrong)
    assert stream.Batch({"x": [1]}).schema == {"x": int}
