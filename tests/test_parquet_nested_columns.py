"""Fields of nested columns read without their neighbours: `columns=["a.b"]`, beside pyarrow's."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import stream
from stream import col, exceptions

ROWS = 5_000


def table() -> pa.Table:
    random = np.random.default_rng(8)

    def some(make):
        return [None if random.random() < 0.1 else make(i) for i in range(ROWS)]

    def point(i):
        return {"x": i, "y": None if i % 3 else f"y{i % 11}", "z": {"deep": i / 2, "flag": i % 2 == 0}}

    point_type = pa.struct([("x", "int64"), ("y", "string"), ("z", pa.struct([("deep", "float64"), ("flag", "bool")]))])
    return pa.table(
        {
            "id": pa.array(range(ROWS)),
            "s": pa.array(some(point), point_type),
            "l": pa.array(some(lambda i: [point(k) for k in range(i % 4)]), pa.list_(point_type)),
            "ll": pa.array(some(lambda i: [[point(i)] * (i % 3)] * (i % 2)), pa.list_(pa.list_(point_type))),
            "m": pa.array(some(lambda i: [(f"k{i % 5}", point(i))]), pa.map_("string", point_type)),
            "large": pa.array(some(lambda i: [point(i)]), pa.large_list(point_type)),
            "plain": pa.array(some(lambda i: [i] * (i % 3)), pa.list_(pa.int32())),
        }
    )


TABLE = table()
WAYS = {
    "plain": {},
    "small": {"row_group_size": 700, "data_page_size": 1_000, "data_page_version": "2.0", "compression": "zstd"},
    "item": {"use_compliant_nested_type": False, "store_schema": False},
}


@pytest.fixture(scope="module", params=WAYS)
def path(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("nested") / "x.parquet"
    parquet.write_table(TABLE, path, **WAYS[request.param])
    return path


def leaves(path):
    schema = parquet.ParquetFile(path).schema
    return [schema.column(i).path for i in range(len(schema))]


def test_every_leaf_alone(path):
    for leaf in leaves(path):
        if leaf.startswith("m."):
            continue
        expected = parquet.ParquetFile(path).read(columns=[leaf])
        assert stream.read_parquet(path, columns=[leaf]).to_arrow().equals(expected), leaf


def test_pairs_of_leaves(path):
    nested = [leaf for leaf in leaves(path) if not leaf.startswith("m.")]
    for pair in itertools.islice(itertools.combinations(nested, 2), 0, None, 5):
        expected = parquet.ParquetFile(path).read(columns=list(pair))
        found = stream.read_parquet(path, columns=list(pair)).to_arrow()
        assert found.select(expected.column_names).equals(expected), pair


@pytest.mark.parametrize("threads", [1, 3])
def test_the_order_is_that_of_first_mention(path, threads):
    wanted = ["ll.y", "id", "s.z.flag", "ll.x", "s.x"]
    found = stream.read_parquet(path, columns=wanted, threads=threads, batch_size=999).to_arrow()
    assert found.column_names == ["ll", "id", "s"]
    assert found.schema.field("s").type == pa.struct([("x", "int64"), ("z", pa.struct([("flag", "bool")]))])
    assert found.schema.field("ll").type == pa.list_(pa.list_(pa.struct([("x", "int64"), ("y", "string")])))
    rows, expected = found.to_pylist(), TABLE.to_pylist()
    for row, whole in zip(rows, expected, strict=True):
        s = whole["s"]
        assert row["s"] == (s and {"x": s["x"], "z": {"flag": s["z"]["flag"]}})
        assert row["ll"] == (
            None if whole["ll"] is None else [[{"x": p["x"], "y": p["y"]} for p in inner] for inner in whole["ll"]]
        )


def test_groups_that_only_make_a_list_may_be_left_out(path):
    short = stream.read_parquet(path, columns=["l.z.deep", "large.x"]).to_arrow()
    ends = {"l": ".z.deep", "large": ".x"}
    names = [leaf for leaf in leaves(path) if leaf.endswith(ends.get(leaf.split(".")[0], "no"))]
    assert len(names) == 2
    assert short.equals(stream.read_parquet(path, columns=names).to_arrow())
    assert short.equals(parquet.ParquetFile(path).read(columns=names))


@pytest.mark.parametrize("wanted", ["m.value.x", "m.key_value.value.x"])
def test_a_map_keeps_its_keys(path, wanted):
    found = stream.read_parquet(path, columns=[wanted]).to_pylist()
    for row, whole in zip(found, TABLE.to_pylist(), strict=True):
        assert row["m"] == (None if whole["m"] is None else [(k, {"x": v["x"]}) for k, v in whole["m"]])
    keys = stream.read_parquet(path, columns=["m.key"]).to_arrow()
    assert keys.equals(TABLE.select(["m"]))


def test_a_column_and_its_fields_are_the_column(path):
    assert stream.read_parquet(path, columns=["s.x", "s", "id"]).to_arrow().equals(TABLE.select(["s", "id"]))


def test_what_is_not_there_is_named(path):
    with pytest.raises(exceptions.ColumnNotFoundError, match=r"`s\.w` not found, did you mean `s\.[xyz]`"):
        stream.read_parquet(path, columns=["s.w"])
    for name in ["l.list.x.y", "id.x", "plain.x", "nowhere.x", "s.", ".s", "s.x.y"]:
        with pytest.raises(exceptions.ColumnNotFoundError, match=f"`{name}` not found"):
            stream.read_parquet(path, columns=[name])


def test_less_is_read(path):
    def read(**options):
        batches = iter(stream.read_parquet(path, **options))
        for _ in batches:
            pass
        return batches.stats.bytes_in

    one, all_of_it = read(columns=["l.z.flag"]), read(columns=["l"])
    assert one < all_of_it / 3
    text = str(stream.read_parquet(path, columns=["l.z.flag", "id"]).explain())
    assert "of column `l`: 1 of 4 leaves" in text
    assert "of column" not in str(stream.read_parquet(path, columns=["l", "id"]).explain())


def test_behind_a_predicate_and_a_limit(path):
    pipe = stream.read_parquet(path, columns=["id", "s.x"])
    found = pipe.filter(col("id") > 4_000).head(5).to_pylist()
    expected = [row for row in TABLE.to_pylist() if row["id"] > 4_000][:5]
    assert found == [{"id": row["id"], "s": row["s"] and {"x": row["s"]["x"]}} for row in expected]


def test_many_files(tmp_path):
    for part in range(3):
        (tmp_path / f"k={part}").mkdir()
        parquet.write_table(TABLE.slice(part * 100, 100), tmp_path / f"k={part}" / "x.parquet")
    found = stream.read_parquet(tmp_path, columns=["s.y", "k", "id"]).to_arrow()
    assert found.column_names == ["s", "k", "id"]
    assert found["id"].to_pylist() == list(range(300))
    assert found["k"].to_pylist() == [i // 100 for i in range(300)]
    assert found["s"].to_pylist() == [s and {"y": s["y"]} for s in TABLE["s"].to_pylist()[:300]]
    parquet.write_table(TABLE.select(["id"]).slice(0, 1), tmp_path / "k=2" / "y.parquet")
    with pytest.raises(exceptions.SchemaError, match="`s`"):
        stream.read_parquet(tmp_path, columns=["s.y"]).to_arrow()
    inserted = stream.read_parquet(tmp_path, columns=["s.y", "id"], missing_columns="insert").to_arrow()
    assert inserted["s"].to_pylist()[-1] is None


def test_a_later_file_without_the_field_is_an_error(tmp_path):
    parquet.write_table(pa.table({"s": [{"x": 1, "y": 2}]}), tmp_path / "a.parquet")
    parquet.write_table(pa.table({"s": [{"x": 3}]}), tmp_path / "b.parquet")
    with pytest.raises(exceptions.ColumnNotFoundError, match=r"b\.parquet.*`s\.y`"):
        stream.read_parquet(tmp_path, columns=["s.y"]).to_arrow()
    assert stream.read_parquet(tmp_path, columns=["s.x"]).to_pylist() == [{"s": {"x": 1}}, {"s": {"x": 3}}]


def test_names_with_dots(tmp_path):
    path = tmp_path / "x.parquet"
    nested = pa.table({"a": [{"b": 1, "c": 2}], "a.b": [3], "a.b.c": [{"d.e": 4, "d": {"e": 5, "f": 6}}]})
    parquet.write_table(nested, path)
    assert stream.read_parquet(path, columns=["a.b"]).to_pylist() == [{"a.b": 3}]
    assert stream.read_parquet(path, columns=["a.c"]).to_pylist() == [{"a": {"c": 2}}]
    assert stream.read_parquet(path, columns=["a.b.c.d.f"]).to_pylist() == [{"a.b.c": {"d": {"f": 6}}}]
    both = stream.read_parquet(path, columns=["a.b.c.d.e"]).to_pylist()
    assert both == [{"a.b.c": {"d.e": 4, "d": {"e": 5}}}]


def test_dtypes_and_round_trips(tmp_path):
    path, back = tmp_path / "x.parquet", tmp_path / "back.parquet"
    parquet.write_table(pa.table({"s": [{"x": 1, "y": "a"}], "i": [7]}), path)
    pipe = stream.read_parquet(path, columns=["s.x", "i"], dtypes={"i": "int8"})
    assert pipe.schema == {"s": pipe.schema["s"], "i": "int8"}
    pipe.write_parquet(back)
    assert parquet.read_table(back).to_pylist() == [{"s": {"x": 1}, "i": 7}]
