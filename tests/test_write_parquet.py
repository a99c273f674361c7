"""Files of `write_parquet`: the same rows for every reader, type and codec; what was asked for is in them."""

import datetime as dt
import math
import os
from decimal import Decimal

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

import stream
from stream import col
from watch import Nothing, child

CODECS = ["zstd", "snappy", "gzip", "lz4", "brotli", None]
UTC = dt.UTC

# Arrow type → extremes and ordinary values of it.
VALUES = {
    pa.bool_(): [True, False],
    pa.int8(): [-128, 127, 0],
    pa.int16(): [-(2**15), 2**15 - 1, 0],
    pa.int32(): [-(2**31), 2**31 - 1, 0],
    pa.int64(): [-(2**63), 2**63 - 1, 0],
    pa.uint8(): [0, 255],
    pa.uint16(): [0, 2**16 - 1],
    pa.uint32(): [0, 2**32 - 1],
    pa.uint64(): [0, 2**64 - 1],
    pa.float32(): [math.inf, -math.inf, -0.0, 1.5],
    pa.float64(): [math.inf, -math.inf, 5e-324, 1.7976931348623157e308, -0.0],
    pa.string(): ["", "é", "a" * 300, "\0"],
    pa.large_string(): ["", "日本"],
    pa.string_view(): ["", "short", "longer than twelve bytes"],
    pa.binary(): [b"", b"\0\xff"],
    pa.binary(3): [b"abc", b"\0\0\0"],
    pa.date32(): [dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.date(1970, 1, 1)],
    pa.timestamp("ms"): [dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)],
    pa.timestamp("us"): [dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1, 0, 0, 0, 1)],
    pa.timestamp("us", "UTC"): [dt.datetime(1700, 1, 1, tzinfo=UTC), dt.datetime(2200, 1, 1, tzinfo=UTC)],
    pa.time32("ms"): [dt.time(0), dt.time(23, 59, 59, 999_000)],
    pa.time64("us"): [dt.time(0), dt.time(23, 59, 59, 999_999)],
    pa.duration("us"): [dt.timedelta(days=-10_000), dt.timedelta(microseconds=1)],
    pa.decimal128(5, 2): [Decimal("-999.99"), Decimal("0.01")],
    pa.decimal128(18, 3): [Decimal("-999999999999999.999"), Decimal("0.001")],
    pa.decimal128(38, 0): [Decimal(10**38 - 1), Decimal(-(10**38) + 1)],
    pa.dictionary(pa.int32(), pa.string()): ["red", "", "green"],
    pa.list_(pa.int64()): [[], [1, None], [2**63 - 1]],
    pa.large_list(pa.string()): [["a", None], []],
    pa.struct({"a": pa.int32(), "b": pa.list_(pa.float64())}): [{"a": 1, "b": [1.5]}, {"a": None, "b": None}],
    pa.map_(pa.string(), pa.int32()): [[("k", 1), ("l", None)], []],
    pa.null(): [None],
}
NOT_IN_DUCKDB = {pa.duration("us")}
NOT_IN_POLARS = {pa.time32("ms"), pa.map_(pa.string(), pa.int32())}


def column(kind, rows):
    """Extremes and nulls in turn."""
    values = [*VALUES[kind], None]
    values = [values[i % len(values)] for i in range(rows)]
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode()
    return pa.array(values, kind)


def everything(rows):
    return pa.table({str(kind): column(kind, rows) for kind in VALUES})


def checked(path):
    """Every page read by pyarrow with its checksum."""
    return parquet.ParquetFile(path, page_checksum_verification=True).read()


def columns(path, group=0):
    """What the footer says of the columns of a row group, by name."""
    meta = parquet.ParquetFile(path).metadata.row_group(group)
    return {(c := meta.column(i)).path_in_schema: c for i in range(meta.num_columns)}


class TestReaders:
    @pytest.mark.parametrize("compression", CODECS)
    @pytest.mark.parametrize("dictionary", [True, False])
    def test_every_type_under_every_codec(self, compression, dictionary, tmp_path):
        path, table = tmp_path / "x.parquet", everything(3000)
        report = stream.from_arrow(table).write_parquet(path, compression=compression, dictionary=dictionary)
        assert report.bytes_out == path.stat().st_size
        want = table.to_pydict()
        assert checked(path).to_pydict() == want
        assert stream.read(path).to_pydict() == want
        for kind in VALUES.keys() - NOT_IN_POLARS:
            got = pl.read_parquet(path, columns=[str(kind)], use_statistics=True).to_arrow()
            assert got.column(0).to_pylist() == want[str(kind)], kind
        for kind in VALUES.keys() - NOT_IN_DUCKDB:
            got = duckdb.sql(f"""select "{kind}" from '{path}'""").to_arrow_table()
            assert got.column(0).cast(table.schema.field(str(kind)).type).to_pylist() == want[str(kind)], kind

    @pytest.mark.parametrize("compression", CODECS)
    def test_every_encoding_under_every_codec(self, compression, tmp_path):
        """Columns large enough for each way to encode them, over several pages and row groups."""
        path, random = tmp_path / "x.parquet", np.random.default_rng(1)
        rows = 150_000
        noise = random.integers(-(2**63), 2**63 - 1, rows)
        table = pa.table(
            {
                "counter": np.arange(rows),
                "countdown": np.arange(rows, 0, -1).astype("int32"),
                "nearly": pa.array([None if i % 7 == 0 else i * 1000 + i % 3 for i in range(rows)], pa.timestamp("us")),
                "wrapping": np.cumsum(np.full(rows, 2**62 + 3, "uint64")),
                "noise": noise,
                "normal": random.normal(size=rows),
                "few": random.integers(0, 50, rows).astype("int16"),
                "words": random.choice(np.array([f"word-{i}" for i in range(3000)]), rows),
                "unique": pa.array([f"{n:x}" for n in noise]),
                "lists": pa.array([list(range(i % 4)) if i % 5 else None for i in range(rows)]),
            }
        )
        stream.from_arrow(table).write_parquet(path, compression=compression, row_group_size=60_000)
        assert checked(path).equals(table)
        assert stream.read(path).to_arrow().equals(table)
        assert pl.read_parquet(path).equals(pl.from_arrow(table))
        assert duckdb.sql(f"select * from '{path}'").to_arrow_table().cast(table.schema).equals(table)
        used = {name: set(c.encodings) for name, c in columns(path).items()}
        delta = {name for name, encodings in used.items() if "DELTA_BINARY_PACKED" in encodings}
        assert delta == {"counter", "countdown", "nearly", "wrapping"}
        assert {name for name, e in used.items() if "RLE_DICTIONARY" in e} == {"few", "words", "lists.list.item"}

    @pytest.mark.parametrize("rows", [0, 1])
    def test_no_row_and_one_row(self, rows, tmp_path):
        path, table = tmp_path / "x.parquet", everything(rows)
        stream.from_arrow(table).write_parquet(path)
        assert checked(path).to_pydict() == table.to_pydict()
        assert pl.read_parquet(path, columns=["int64", "string"]).height == rows
        assert duckdb.sql(f"select count(*) from '{path}'").fetchall() == [(rows,)]

    def test_a_thousand_columns(self, tmp_path):
        path = tmp_path / "x.parquet"
        table = pa.table({f"c{i}": np.arange(i, i + 3000) % 100 for i in range(1000)})
        stream.from_arrow(table).options(memory_limit="64MiB").write_parquet(path, row_group_size=1700)
        assert checked(path).equals(table)
        assert parquet.ParquetFile(path).metadata.num_row_groups == 2

    def test_not_a_number_among_numbers(self, tmp_path):
        path = tmp_path / "x.parquet"
        values = [math.nan, 1.0, -0.0, math.nan, 3.0]
        halves = pa.array(np.full(5, np.nan, "float16"))
        table = pa.table({"x": values, "only": [math.nan] * 5, "f": pa.array(values, pa.float32()), "half": halves})
        stream.from_arrow(table).write_parquet(path)
        assert str(checked(path).to_pydict()) == str(table.to_pydict())
        found = columns(path)
        assert (found["x"].statistics.min, found["x"].statistics.max) == (-0.0, 3.0)
        for name in ("only", "half"):
            assert not found[name].statistics.has_min_max
            assert found[name].statistics.null_count == 0
            assert not found[name].has_column_index
        assert pl.scan_parquet(path).filter(pl.col("x") == 3.0).collect().height == 1
        assert duckdb.sql(f"select count(*) from '{path}' where x = 3.0").fetchall() == [(1,)]
        assert duckdb.sql(f"""select count(*) from '{path}' where isnan("only")""").fetchall() == [(5,)]

    @pytest.mark.parametrize(
        "run", [{"threads": 1}, {"threads": 8}, {"threads": 2, "prefetch": 0}, {"memory_limit": None}]
    )
    def test_the_same_bytes_whoever_encodes(self, run, flights, tmp_path):
        stream.from_arrow(flights).options(threads=2).write_parquet(tmp_path / "a.parquet", row_group_size=50_000)
        stream.from_arrow(flights).options(**run).write_parquet(tmp_path / "b.parquet", row_group_size=50_000)
        assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


class TestOptions:
    SOURCE = pa.table({"n": np.arange(20_000) * 7919 % 20_011, "word": [f"w{i % 97}" for i in range(20_000)]})

    def write(self, path, **options):
        stream.from_arrow(self.SOURCE).write_parquet(path, **options)
        assert checked(path).equals(self.SOURCE)
        return columns(path)

    @pytest.mark.parametrize("compression", CODECS)
    def test_a_flipped_bit_is_noticed_by_its_checksum(self, compression, tmp_path):
        path = tmp_path / "x.parquet"
        start = self.write(path, compression=compression)["word"]
        for at in (start.dictionary_page_offset + 40, start.data_page_offset + 60):
            damaged = bytearray(path.read_bytes())
            damaged[at] ^= 4
            (tmp_path / "y.parquet").write_bytes(damaged)
            with pytest.raises(OSError, match="CRC"):
                checked(tmp_path / "y.parquet")

    def test_without_checksums_nobody_notices(self, tmp_path):
        path = tmp_path / "x.parquet"
        start = self.write(path, page_checksums=False, compression=None, dictionary=False)["n"].data_page_offset
        damaged = bytearray(path.read_bytes())
        damaged[start + 60] ^= 4
        path.write_bytes(damaged)
        assert not checked(path).equals(self.SOURCE)

    def test_statistics_and_page_index(self, tmp_path):
        path = tmp_path / "x.parquet"
        found = self.write(path)
        assert all(c.has_column_index and c.has_offset_index for c in found.values())
        assert (found["n"].statistics.min, found["n"].statistics.max) == (0, 20_010)
        assert found["word"].statistics.null_count == 0
        query = f"select count(*) from '{path}' where n between 100 and 199"
        assert duckdb.sql(query).fetchall() == [(100,)]
        assert pl.scan_parquet(path).filter(pl.col("n").is_between(100, 199)).collect().height == 100
        assert stream.read(path).filter((col("n") >= 100) & (col("n") < 200)).count() == 100
        without = self.write(path, statistics=False)
        assert not any(c.has_column_index or c.is_stats_set for c in without.values())

    def test_bloom_filters(self, tmp_path):
        path = tmp_path / "x.parquet"
        self.write(path, bloom_filters=("n", "word"), row_group_size=10_000)

        def excluded(name, value):
            found = duckdb.sql(f"select bloom_filter_excludes from parquet_bloom_probe('{path}', '{name}', {value!r})")
            return [excluded for (excluded,) in found.fetchall()]

        assert excluded("word", "w96") == [False, False]
        assert excluded("word", "nobody wrote this") == [True, True]
        assert sum(sum(excluded("n", n)) for n in range(30_000, 30_100)) > 180, "one of a hundred may be wrong"
        self.write(path)
        assert excluded("word", "nobody wrote this") == [False]
        with pytest.raises(stream.exceptions.ColumnNotFoundError, match="did you mean `word`"):
            self.write(path, bloom_filters="wort")

    def test_dictionary(self, tmp_path):
        path = tmp_path / "x.parquet"

        def which(**options):
            return {n for n, c in self.write(path, **options).items() if c.dictionary_page_offset is not None}

        assert which() == {"word"}
        assert which(dictionary=False) == set()
        assert which(dictionary=["n"]) == {"n"}
        assert which(dictionary=("n", "word")) == {"n", "word"}
        with pytest.raises(stream.exceptions.ColumnNotFoundError, match="`dictionary`: column `m`"):
            self.write(path, dictionary=["m"])

    @pytest.mark.parametrize(("compression", "low", "high"), [("zstd", 1, 22), ("gzip", 0, 9), ("brotli", 0, 11)])
    def test_levels(self, compression, low, high, tmp_path):
        sizes = []
        for level in (low, high):
            self.write(tmp_path / "x.parquet", compression=compression, compression_level=level)
            sizes.append((tmp_path / "x.parquet").stat().st_size)
        assert sizes[1] < sizes[0]
        for level in (low - 1, high + 1):
            with pytest.raises(ValueError, match=f"must be {low} to {high}, found {level}"):
                self.write(tmp_path / "x.parquet", compression=compression, compression_level=level)

    @pytest.mark.parametrize("compression", ["snappy", "lz4", "none", None])
    def test_a_level_for_what_has_none(self, compression, tmp_path):
        with pytest.raises(ValueError, match="has no levels"):
            self.write(tmp_path / "x.parquet", compression=compression, compression_level=1)
        assert os.listdir(tmp_path) == []

    def test_row_groups_end_by_rows_or_bytes(self, tmp_path):
        path = tmp_path / "x.parquet"

        def sizes(**options):
            self.write(path, **options)
            meta = parquet.ParquetFile(path).metadata
            return [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]

        assert sizes() == [20_000]
        assert sizes(row_group_size=15_000) == [15_000, 5_000]
        assert sizes(row_group_bytes="1MiB") == [20_000]
        by_bytes = sizes(row_group_bytes="64KiB")
        row = self.SOURCE.nbytes / 20_000
        assert all(0.8 <= rows * row / (64 << 10) <= 1.2 for rows in by_bytes[:-1])
        assert sizes(row_group_bytes="64KiB", row_group_size=3_000) == [3_000] * 6 + [2_000]
        with pytest.raises(ValueError, match="at least 1"):
            sizes(row_group_size=0)

    def test_sorted_by(self, tmp_path):
        path = tmp_path / "x.parquet"
        table = pa.table({"a": [None, 1, 1, 2], "b": [5, 1, 3, 0], "c": [0, 0, 0, 0]})
        stream.from_arrow(table).write_parquet(path, sorted_by=["a", "b"])
        found = parquet.ParquetFile(path).metadata.row_group(0).sorting_columns
        assert [(c.column_index, c.descending, c.nulls_first) for c in found] == [(0, False, True), (1, False, True)]
        before = path.read_bytes()
        with Nothing(tmp_path), pytest.raises(ValueError, match=r'sorted_by=\["b"\]: row 2 comes before'):
            stream.from_arrow(table).write_parquet(path, sorted_by="b")
        assert path.read_bytes() == before


GROW = """
    import numpy as np, pyarrow as pa
    from pyarrow import parquet
    random = np.random.default_rng(0)
    with parquet.ParquetWriter(sys.argv[1] + "/in.parquet", pa.schema({c: pa.float64() for c in "abcd"})) as writer:
        for _ in range(40):
            writer.write_table(pa.table({c: random.normal(size=100_000) for c in "abcd"}))
    report(done=True)
"""
ONE_ROW_GROUP = """
    import resource
    import stream
    folder, size = sys.argv[1], int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    before = peak()
    source = stream.read(folder + "/in.parquet", memory_limit="64MiB", threads=2, temp_dir=folder)
    try:
        written = source.write_parquet(folder + "/out.parquet", row_group_size=100_000_000)
        report(rows=written.rows_out, spilled=written.spilled_bytes, grown=peak() - before)
    except stream.exceptions.SpillError as error:
        report(error=str(error))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A file of 122 MiB, made in a child so that this process stays small."""
    folder = tmp_path_factory.mktemp("larger than memory")
    child(GROW, folder)
    return folder


class TestMemory:
    def test_a_row_group_larger_than_memory(self, folder):
        got = child(ONE_ROW_GROUP, folder, 1 << 30)
        assert got["rows"] == 4_000_000
        assert got["spilled"] > 64 << 20
        assert got["grown"] <= 64 + 64, got
        meta = parquet.ParquetFile(folder / "out.parquet").metadata
        assert (meta.num_row_groups, meta.num_rows) == (1, 4_000_000)
        same = "select sum(a), sum(b), sum(c), sum(d), count(*) from '{}'"
        got = [duckdb.sql(same.format(folder / f"{name}.parquet")).fetchall()[0] for name in ("in", "out")]
        assert got[0] == pytest.approx(got[1])
        assert sorted(os.listdir(folder)) == ["in.parquet", "out.parquet"]

    def test_a_full_disk_is_told_and_leaves_nothing(self, folder, tmp_path):
        (tmp_path / "in.parquet").symlink_to(folder / "in.parquet")
        (tmp_path / "out.parquet").write_bytes(b"the old file")
        got = child(ONE_ROW_GROUP, tmp_path, 16 << 20)
        assert f"temporary file in `{tmp_path}` failed" in got["error"]
        assert (tmp_path / "out.parquet").read_bytes() == b"the old file"
        assert sorted(os.listdir(tmp_path)) == ["in.parquet", "out.parquet"]

    def test_a_quota_is_told_and_leaves_nothing(self, folder, tmp_path):
        path = tmp_path / "out.parquet"
        path.write_bytes(b"the old file")
        source = stream.read(folder / "in.parquet", memory_limit="64MiB", temp_dir=tmp_path, max_temp_bytes="8MiB")
        with Nothing(tmp_path), pytest.raises(stream.exceptions.SpillError, match="max_temp_bytes is 8388608"):
            source.write_parquet(path, row_group_size=100_000_000)
        assert path.read_bytes() == b"the old file"

    def test_a_failing_function_leaves_nothing(self, folder, tmp_path):
        path, seen = tmp_path / "out.parquet", []
        path.write_bytes(b"the old file")

        def fail(batch):
            seen.append(batch.num_rows)
            if len(seen) == 40:
                raise KeyError("mine")
            return batch

        source = stream.read(folder / "in.parquet", memory_limit="64MiB", temp_dir=tmp_path)
        with Nothing(tmp_path), pytest.raises(KeyError, match="mine"):
            source.map(fail).write_parquet(path, row_group_size=100_000_000)
        assert path.read_bytes() == b"the old file"
