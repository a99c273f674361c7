"""What good files hold is what comes out, beside pyarrow, polars, DuckDB and Python's own csv."""

import bz2
import csv
import datetime as dt
import gzip
import io
import math
import os
import subprocess
import sys
import threading
from decimal import Decimal

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv as arrow_csv
from pyarrow import parquet

import strategies
import stream
from stream import col


def same(a: object, b: object) -> bool:
    """Equality that holds for NaN."""
    if isinstance(a, float) and isinstance(b, float):
        return a == b or (math.isnan(a) and math.isnan(b))
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return a == b


MANY = pa.table(
    {
        "bool": pa.array([True, None, False] * 100),
        "i8": pa.array([-128, None, 127] * 100, pa.int8()),
        "u64": pa.array([0, None, 2**64 - 1] * 100, pa.uint64()),
        "f32": pa.array([1.5, float("nan"), None] * 100, pa.float32()),
        "text": pa.array(["", None, "Zoë 🦀"] * 100),
        "binary": pa.array([b"\0\xff", None, b""] * 100),
        "fixed": pa.array([b"abcd", None, b"\0\0\0\0"] * 100, pa.binary(4)),
        "date": pa.array([dt.date(1969, 7, 20), None, dt.date(9999, 12, 31)] * 100),
        "time": pa.array([dt.time(23, 59, 59, 999_999), None, dt.time()] * 100, pa.time64("us")),
        "stamp": pa.array(
            [dt.datetime(2262, 1, 1), None, dt.datetime(1700, 1, 1, 1, 1, 1, 1)] * 100, pa.timestamp("us")
        ),
        "berlin": pa.array([0, None, 10**15] * 100, pa.timestamp("us", tz="Europe/Berlin")),
        "small": pa.array([Decimal("1.23"), None, Decimal("-9.99")] * 100, pa.decimal128(5, 2)),
        "large": pa.array([Decimal("12345678901234567890.123456"), None, Decimal(0)] * 100, pa.decimal128(38, 6)),
        "list": pa.array([[1, None], None, []] * 100, pa.list_(pa.int32())),
        "struct": pa.array([{"a": 1, "b": ["x"]}, None, {"a": None, "b": None}] * 100),
        "deep": pa.array(
            [[{"k": [[1], []]}], None, [None]] * 100, pa.list_(pa.struct({"k": pa.list_(pa.list_(pa.int64()))}))
        ),
        "map": pa.array([[("k", 1)], None, []] * 100, pa.map_(pa.string(), pa.int64())),
        "words": pa.array(["red", None, "blue"] * 100).dictionary_encode(),
        "nulls": pa.nulls(300),
    }
)


class TestParquet:
    @pytest.mark.parametrize("version", ["1.0", "2.4", "2.6"])
    @pytest.mark.parametrize("pages", ["1.0", "2.0"])
    @pytest.mark.parametrize("dictionary", [True, False])
    def test_every_type(self, version, pages, dictionary, tmp_path):
        path = tmp_path / "x.parquet"
        parquet.write_table(
            MANY,
            path,
            version=version,
            data_page_version=pages,
            use_dictionary=dictionary,
            row_group_size=90,
            data_page_size=200,
        )
        got = stream.read(path, batch_size=64).to_arrow()
        got.validate(full=True)
        expected = parquet.read_table(path)
        for name in MANY.schema.names:
            assert same(got[name].to_pylist(), expected[name].to_pylist()), name
        assert [f.name for f in got.schema] == MANY.schema.names

    @pytest.mark.parametrize(
        ("encoding", "kind"),
        [
            ("DELTA_BINARY_PACKED", pa.int64()), ("DELTA_BINARY_PACKED", pa.int32()), ("DELTA_LENGTH_BYTE_ARRAY", pa.string()),
            ("DELTA_BYTE_ARRAY", pa.string()), ("BYTE_STREAM_SPLIT", pa.float64()), ("BYTE_STREAM_SPLIT", pa.float32()),
            ("PLAIN", pa.bool_()), ("RLE", pa.bool_()),
        ],
    )  # fmt: skip
    def test_encodings(self, encoding, kind, tmp_path):
        values = {
            pa.string(): ["aa", "aab", None, "b", ""], pa.bool_(): [True, None, False, False, True],
        }.get(kind, [1, -5, None, 2**20, 7])  # fmt: skip
        table = pa.table({"x": pa.array(values * 500, kind)})
        path = tmp_path / "x.parquet"
        parquet.write_table(table, path, use_dictionary=False, column_encoding={"x": encoding}, data_page_version="2.0")
        assert stream.read(path).to_pydict() == table.to_pydict()

    @given(table=strategies.tables(), run=strategies.runs(), size=st.integers(1, 20))
    def test_whatever_pyarrow_writes(self, table, run, size, tmp_path_factory):
        path = tmp_path_factory.mktemp("any") / "x.parquet"
        parquet.write_table(table, path, row_group_size=size)
        assert stream.read(path, **run).to_pylist() == table.to_pylist()

    def test_whatever_polars_and_duckdb_write(self, tmp_path):
        frame = pl.from_arrow(MANY.drop_columns(["map", "nulls", "fixed", "deep", "berlin"]))
        frame.write_parquet(tmp_path / "polars.parquet")
        got = stream.read(tmp_path / "polars.parquet").to_pylist()
        assert same(got, parquet.read_table(tmp_path / "polars.parquet").to_pylist())
        duckdb.sql(f"copy frame to '{tmp_path}/duck.parquet' (format parquet, compression zstd)")
        got = stream.read(tmp_path / "duck.parquet").to_pylist()
        assert same(got, parquet.read_table(tmp_path / "duck.parquet").to_pylist())

    def test_columns_in_the_order_asked_for(self, flights_parquet):
        pipe = stream.read_parquet(flights_parquet, columns=["dest", "year"])
        assert pipe.columns == ["dest", "year"]
        assert pipe.head(1).to_pylist() == [{"dest": "IAH", "year": 2013}]
        with pytest.raises(stream.exceptions.ColumnNotFoundError, match="`destt` not found, did you mean `dest`"):
            stream.read_parquet(flights_parquet, columns=["destt"])

    def test_a_file_with_no_columns_and_rows(self, tmp_path):
        path = tmp_path / "x.parquet"
        parquet.write_table(pa.table({"a": [1, 2, 3]}), path)
        assert stream.read(path).select().count() in (0, 3)
        parquet.write_table(pa.table({}), tmp_path / "none.parquet")
        assert stream.read(tmp_path / "none.parquet").count() == 0

    def test_count_comes_from_metadata(self, flights_parquet):
        assert stream.read(flights_parquet).count() == 336_776
        assert stream.read(flights_parquet).head(7).count() == 7

    def test_row_groups_are_pruned_by_statistics(self, tmp_path):
        path = tmp_path / "x.parquet"
        parquet.write_table(pa.table({"n": range(10_000)}), path, row_group_size=1_000)
        run = iter(stream.read(path).filter(col("n") >= 9_500))
        assert sum(batch.num_rows for batch in run) == 500
        assert run.stats.rows_in <= 1_000, "the other nine row groups are never read"

    def test_statistics_do_not_mislead(self, tmp_path):
        """NaN, signed zeros, truncated text and nulls at the borders of a row group."""
        path = tmp_path / "x.parquet"
        table = pa.table(
            {
                "f": [float("nan"), 1.0, -0.0, 0.0, None, 5.0],
                "s": ["a" * 100 + "b", "a" * 100 + "c", "é", "", None, "z"],
                "u": pa.array([2**63, 1, 0, 2**64 - 1, None, 7], pa.uint64()),
            }
        )
        parquet.write_table(table, path, row_group_size=2)
        rows = table.to_pylist()
        read = stream.read(path)
        assert read.filter(col("f") == 0).to_pydict()["f"] == [-0.0, 0.0]
        assert read.filter(col("f") < 2).count() == 3
        for text in ("a" * 100 + "b", "é", "z", "y", ""):
            assert read.filter(col("s") == text).count() == sum(r["s"] == text for r in rows)
            assert read.filter(col("s") > text).count() == sum(r["s"] is not None and r["s"] > text for r in rows)
        assert read.filter(col("u") > 2**63).count() == 1
        assert read.filter(col("s").is_null()).count() == 1


def read_text(text: str | bytes, tmp_path, **options) -> dict:
    path = tmp_path / "x.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return stream.read_csv(path, **options).to_pydict()


class TestCsv:
    @pytest.mark.parametrize(
        ("values", "dtype", "parsed"),
        [
            (["1", "-2", "0"], "int64", [1, -2, 0]),
            (["1", "2.5", "-1e3"], "float64", [1.0, 2.5, -1000.0]),
            (["true", "false"], "bool", [True, False]),
            (["2024-02-29", "1999-12-31"], "date32", [dt.date(2024, 2, 29), dt.date(1999, 12, 31)]),
            (["2024-02-29 12:30:00", "2024-02-29T12:30:00.5"], "timestamp[us]",
             [dt.datetime(2024, 2, 29, 12, 30), dt.datetime(2024, 2, 29, 12, 30, 0, 500_000)]),
            (["1", "x"], "string", ["1", "x"]),
            (["9223372036854775807", "-9223372036854775808"], "int64", [2**63 - 1, -(2**63)]),
            (["18446744073709551615", "0"], "uint64", [2**64 - 1, 0]),
            (["18446744073709551616", "0"], "string", ["18446744073709551616", "0"]),
            ([" true", "false"], "string", [" true", "false"]),
            (["007", "1"], "string", ["007", "1"]),
        ],
    )  # fmt: skip
    def test_inference(self, values, dtype, parsed, tmp_path):
        path = tmp_path / "x.csv"
        path.write_text("x,y\n" + "".join(f"{v},k\n" for v in values) + ",k\n")
        pipe = stream.read(path)
        assert pipe.schema["x"] == dtype
        assert pipe.to_pydict()["x"] == [*parsed, None]

    @pytest.mark.parametrize("dtype", ["large_string", "string_view", "dictionary<int8, large_string>"])
    def test_text_is_announced_as_it_comes(self, dtype, tmp_path):
        path = tmp_path / "x.csv"
        path.write_text("x,y\nk,1\n,2\n")
        pipe = stream.read_csv(path, dtypes={"x": dtype})
        assert pipe.schema == next(iter(pipe)).schema
        assert pipe.to_arrow()["x"].to_pylist() == ["k", None]

    def test_an_empty_field_is_null_beside_other_nulls(self, tmp_path):
        path = tmp_path / "x.csv"
        path.write_text("n,d,s\n,,\n1,2024-01-02,x\nNA,NA,NA\n")
        rows = stream.read_csv(path, null_values="NA").to_pylist()
        assert rows[0] == {"n": None, "d": None, "s": ""}
        assert rows[2] == {"n": None, "d": None, "s": None}

    def test_inference_looks_at_the_tail(self, tmp_path):
        path = tmp_path / "x.csv"
        path.write_text("x\n" + "1\n" * 200_000 + "1.5\n")
        assert stream.read(path).schema == {"x": "float64"}

    def test_inference_of_all_of_it(self, tmp_path):
        path = tmp_path / "x.csv"
        path.write_text("x\n" + "1\n" * 40_000 + "word\n" + "1\n" * 60_000)
        assert stream.read(path, infer_schema_length=None).schema == {"x": "string"}

    @pytest.mark.parametrize(
        ("raw", "options", "expected"),
        [
            ("\ufeffa,b\n1,2\n", {}, {"a": [1], "b": [2]}),
            ("a,b\r\n1,2\r\n", {}, {"a": [1], "b": [2]}),
            ("a,b\n1,2", {}, {"a": [1], "b": [2]}),
            ('a,b\n"x\ny","z""q"\n', {}, {"a": ["x\ny"], "b": ['z"q']}),
            ('a,b\n"x\r\ny",2\n', {}, {"a": ["x\r\ny"], "b": [2]}),
            ("a;b\n1;2\n", {"delimiter": ";"}, {"a": [1], "b": [2]}),
            ("a\tb\n1\t2\n", {"delimiter": "\t"}, {"a": [1], "b": [2]}),
            ("a;b\n1;2\n3;4\n", {"delimiter": "auto"}, {"a": [1, 3], "b": [2, 4]}),
            ("1,2\n3,4\n", {"has_header": False}, {"column_0": [1, 3], "column_1": [2, 4]}),
            ("1,2\n3,4\n", {"has_header": False, "new_columns": ["a", "b"]}, {"a": [1, 3], "b": [2, 4]}),
            ("# note\n\na,b\n# more\n1,2\n", {"comment_prefix": "#"}, {"a": [1], "b": [2]}),
            ("junk\njunk,\na,b\n1,2\n", {"skip_rows": 2}, {"a": [1], "b": [2]}),
            ("a,b\n 1 , x \n", {"trim": True}, {"a": [1], "b": ["x"]}),
            ("a,b\nNA,2\n3,-\n", {"null_values": ["NA", "-"]}, {"a": [None, 3], "b": [2, None]}),
            ("a,b\n'x,y',2\n", {"quote_char": "'"}, {"a": ["x,y"], "b": [2]}),
            ("a,b\n1,2\n", {"columns": ["b"]}, {"b": [2]}),
            ("a,b\n1,2\n", {"dtypes": {"a": "string", "b": float}}, {"a": ["1"], "b": [2.0]}),
            ("a,b\n1,2\n", {"schema": {"a": "int8", "b": "float32"}}, {"a": [1], "b": [2.0]}),
            ("a;b\n1,5;2\n", {"delimiter": ";", "decimal": ","}, {"a": [1.5], "b": [2]}),
            ('a,b\n"1,234",2\n', {"thousands": ","}, {"a": [1234], "b": [2]}),
            ("a\nyes\nno\n", {"true_values": ["yes"], "false_values": ["no"]}, {"a": [True, False]}),
            ("a\n31.12.2024\n", {"datetime_formats": ["%d.%m.%Y"]}, {"a": [dt.date(2024, 12, 31)]}),
            ("a\n2024-12-31\n", {"try_parse_dates": False}, {"a": ["2024-12-31"]}),
            ("d,x\n2024-01-01,1\n", {"schema": {"d": "date32", "x": "int64"}}, {"d": [dt.date(2024, 1, 1)], "x": [1]}),
            (b"a\ncaf\xe9\n", {"encoding": "latin-1"}, {"a": ["café"]}),
            ("a\nx\n".encode("utf-16"), {"encoding": "utf-16"}, {"a": ["x"]}),
            ("a,a\n1,2\n", {"new_columns": ["a", "b"]}, {"a": [1], "b": [2]}),
            ('a,b\n"",\n', {}, {"a": [""], "b": [None]}),
        ],
    )
    def test_dialects(self, raw, options, expected, tmp_path):
        try:
            assert read_text(raw, tmp_path, **options) == expected
        except NotImplementedError as error:
            assert any(name in str(error) for name in options), error

    @given(
        rows=st.lists(st.tuples(strategies.TEXT, strategies.TEXT, strategies.TEXT), min_size=1, max_size=30),
        dialect=st.sampled_from([{}, {"delimiter": ";"}, {"delimiter": "|"}]),
        run=strategies.runs(),
        end=st.sampled_from(["\n", "\r\n"]),
    )
    def test_quoted_text_beside_the_standard_library(self, rows, dialect, run, end, tmp_path_factory):
        path = tmp_path_factory.mktemp("any") / "x.csv"
        with path.open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out, delimiter=dialect.get("delimiter", ","), quoting=csv.QUOTE_ALL, lineterminator=end)
            writer.writerow("abc")
            writer.writerows(rows)
        got = stream.read_csv(path, schema=dict.fromkeys("abc", "string"), **dialect, **run)
        assert list(got.rows(as_=tuple)) == rows

    @given(rows=strategies.base_rows(), run=strategies.runs())
    def test_what_pyarrow_writes(self, rows, run, tmp_path_factory):
        table = strategies.base_table([r for r in rows if r["s"] != ""])
        path = tmp_path_factory.mktemp("any") / "x.csv"
        arrow_csv.write_csv(table, path)
        got = stream.read_csv(path, schema=table.schema, **run)
        assert got.to_pylist() == table.to_pylist()

    @pytest.mark.parametrize("size", [1, 1000, 65_536])
    @pytest.mark.parametrize("threads", [1, 2, 8])
    def test_quoted_newlines_at_every_border(self, size, threads, tmp_path):
        """Records full of line ends, so that a cut at a guessed place would be wrong."""
        path = tmp_path / "x.csv"
        texts = ["\n" * (i % 50) + f'"{i}",\r\n' * (i % 7) for i in range(20_000)]
        with path.open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(["n", "text"])
            writer.writerows(enumerate(texts))
        got = stream.read(path, threads=threads, batch_size=size, schema={"n": "int64", "text": "string"})
        if size == 1:
            got = got.head(500)
        rows = list(got.rows(as_=tuple))
        assert rows == [(n, text or None) for n, text in enumerate(texts)][: len(rows)]
        assert len(rows) == (500 if size == 1 else 20_000)

    def test_beside_the_peers(self, flights_csv, flights):
        got = stream.read(flights_csv, null_values=["NA"])
        assert got.count() == 336_776
        numbers = [name for name in flights.schema.names if name != "time_hour"]
        assert got.select(*numbers).to_arrow().equals(flights.select(numbers))
        stamps = got.select(t=col("time_hour").cast("timestamp[us]")).to_arrow()["t"]
        assert stamps.equals(flights["time_hour"].cast(pa.timestamp("us")))


PACK = {"gz": gzip.compress, "bz2": bz2.compress, "zst": lambda raw: pa.compress(raw, "zstd", asbytes=True)}


class TestPlaces:
    CSV = b"n,word\n" + b"".join(b"%d,w%d\n" % (i, i % 10) for i in range(5_000))

    @pytest.fixture
    def folder(self, tmp_path):
        for k in range(4):
            parquet.write_table(pa.table({"n": range(k * 10, k * 10 + 10)}), tmp_path / f"part-{k}.parquet")
        (tmp_path / "_SUCCESS").write_text("")
        (tmp_path / ".hidden.parquet").write_text("no parquet")
        return tmp_path

    def test_glob_folder_list(self, folder):
        everything = list(range(40))
        assert stream.read(folder).to_pydict()["n"] == everything
        assert stream.read(str(folder)).to_pydict()["n"] == everything
        assert stream.read(str(folder / "*.parquet")).to_pydict()["n"] == everything
        assert stream.read(folder / "part-[12].parquet").to_pydict()["n"] == everything[10:30]
        files = [folder / "part-3.parquet", str(folder / "part-0.parquet")]
        assert stream.read(files).to_pydict()["n"] == [*everything[30:], *everything[:10]]

    def test_a_path_that_exists_is_no_glob(self, tmp_path):
        parquet.write_table(pa.table({"n": [1]}), tmp_path / "a[1].parquet")
        parquet.write_table(pa.table({"n": [2]}), tmp_path / "a1.parquet")
        assert stream.read(tmp_path / "a[1].parquet").to_pydict() == {"n": [1]}

    def test_which_file_a_row_is_from(self, folder):
        rows = stream.read(folder, file_column="file").select("n", "file").to_pylist()
        assert {os.path.basename(row["file"]) for row in rows} == {f"part-{k}.parquet" for k in range(4)}
        assert os.path.basename(rows[25]["file"]) == "part-2.parquet"

    def test_row_index(self, folder):
        rows = stream.read(folder, row_index="i").filter(col("n") > 30).to_pydict()
        assert rows["i"] == rows["n"] == list(range(31, 40))

    def test_hive_partitions(self, tmp_path):
        for year in (2023, 2024):
            for city in ("Paris", "São Paulo"):
                folder = tmp_path / f"year={year}" / f"city={city}"
                folder.mkdir(parents=True)
                parquet.write_table(pa.table({"n": [year, len(city)]}), folder / "x.parquet")
        pipe = stream.read(tmp_path)
        assert pipe.schema == {"n": "int64", "year": "int64", "city": "string"}
        assert pipe.filter((col("year") == 2024) & (col("city") == "Paris")).to_pydict() == {
            "n": [2024, 5], "year": [2024, 2024], "city": ["Paris", "Paris"],
        }  # fmt: skip
        run = iter(pipe.filter(col("year") == 2023))
        assert sum(batch.num_rows for batch in run) == 4
        assert run.stats.files == 2, "the other two were never opened"

    def test_percent_and_null_in_partition_names(self, tmp_path):
        for name in ("k=a%2Fb", "k=__HIVE_DEFAULT_PARTITION__"):
            (tmp_path / name).mkdir()
            parquet.write_table(pa.table({"n": [1]}), tmp_path / name / "x.parquet")
        assert sorted(stream.read(tmp_path).to_pydict()["k"], key=str) == [None, "a/b"]

    def test_columns_that_differ(self, tmp_path):
        parquet.write_table(pa.table({"a": [1], "b": ["x"]}), tmp_path / "1.parquet")
        parquet.write_table(pa.table({"b": ["y"], "c": [True]}), tmp_path / "2.parquet")
        with pytest.raises(stream.exceptions.SchemaError, match="missing_columns"):
            stream.read(tmp_path).to_arrow()
        got = stream.read(tmp_path, missing_columns="insert", extra_columns="ignore").to_pydict()
        assert got == {"a": [1, None], "b": ["x", "y"]}

    @pytest.mark.parametrize("kind", PACK)
    def test_compressed_csv_by_magic_bytes(self, kind, tmp_path):
        for name in (f"x.csv.{kind}", "x.csv"):
            path = tmp_path / name
            path.write_bytes(PACK[kind](self.CSV))
            try:
                assert stream.read(path).count() == 5_000
            except NotImplementedError as error:
                assert kind[:2] in str(error)

    @pytest.mark.parametrize("raw", [True, False])
    def test_binary_file_object(self, raw, tmp_path):
        path = tmp_path / "x.csv"
        path.write_bytes(self.CSV)
        with path.open("rb", buffering=0 if raw else -1) as file:
            pipe = stream.read(file, format="csv")
            assert [pipe.count(), pipe.count()] == [5_000, 5_000]
            assert pipe.to_pydict()["n"] == list(range(5_000))
            assert not file.closed

    def test_bytes_io_of_parquet_and_csv(self):
        assert stream.read(io.BytesIO(self.CSV), format="csv").count() == 5_000
        out = io.BytesIO()
        parquet.write_table(pa.table({"n": range(1000)}), out)
        pipe = stream.read(out) if out.seek(0) == 0 else None
        assert pipe.to_pydict() == {"n": list(range(1000))}
        assert pipe.filter(col("n") > 990).count() == 9

    def test_a_file_object_is_read_from_where_it_stands(self):
        file = io.BytesIO(b"garbage\n" + self.CSV)
        file.readline()
        pipe = stream.read(file, format="csv")
        assert pipe.columns == ["n", "word"]
        assert [pipe.count(), pipe.count()] == [5_000, 5_000]

    def test_a_file_object_that_fails(self):
        class Broken(io.RawIOBase):
            def readable(self):
                return True

            def readinto(self, into):
                raise OSError(5, "the disk is on fire")

        with pytest.raises(OSError, match="the disk is on fire"):
            stream.read(Broken(), format="csv").to_arrow()

    def test_an_object_that_cannot_seek_runs_once(self):
        class Tape(io.RawIOBase):
            def __init__(self, raw):
                self.raw = io.BytesIO(raw)

            def readable(self):
                return True

            def readinto(self, into):
                return self.raw.readinto(memoryview(into)[:100])

        pipe = stream.read(Tape(self.CSV), format="csv")
        assert pipe.schema == {"n": "int64", "word": "string"}
        assert pipe.count() == 5_000
        with pytest.raises(stream.exceptions.StreamError):
            pipe.count()

    def test_stdin(self):
        code = "import stream; print(sum(b['n'].sum() for b in stream.read('-', format='csv')))"
        done = subprocess.run([sys.executable, "-c", code], input=self.CSV, capture_output=True)
        assert done.stdout.strip() == str(sum(range(5_000))).encode(), done.stderr

    def test_a_pipe_hands_over_what_it_has(self):
        """The first batch comes while the writer waits for us to have seen it."""
        reading, writing = os.pipe()
        seen = threading.Event()

        def write():
            with open(writing, "wb", buffering=0) as out:
                out.write(b"n\n1\n2\n")
                assert seen.wait(30)
                out.write(b"3\n")

        writer = threading.Thread(target=write)
        writer.start()
        with open(reading, "rb") as source:
            rows = []
            for batch in stream.read(source, format="csv", schema={"n": "int64"}):
                rows += batch["n"].to_pylist()
                seen.set()
        writer.join()
        assert rows == [1, 2, 3]

    def test_a_named_pipe(self, tmp_path):
        path = tmp_path / "fifo.csv"
        os.mkfifo(path)
        writer = threading.Thread(target=lambda: path.write_bytes(self.CSV))
        writer.start()
        assert stream.read(path).to_pydict()["n"] == list(range(5_000))
        writer.join()
