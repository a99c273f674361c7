"""What is written is what was streamed; a target is the old file or the whole new one, whatever happens."""

import csv as plain_csv
import os
import signal

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from pyarrow import csv as arrow_csv
from pyarrow import parquet

import strategies
import stream
from stream import col
from watch import Nothing, start

CSV_TYPES = [
    kind for kind in strategies.TYPES if not pa.types.is_nested(kind) and not pa.types.is_binary(kind)
    and not pa.types.is_duration(kind) and not pa.types.is_time(kind) and not pa.types.is_dictionary(kind)
]  # fmt: skip


class TestParquet:
    @given(table=strategies.tables(), run=strategies.runs())
    def test_round_trip(self, table, run, tmp_path_factory):
        path = tmp_path_factory.mktemp("round") / "x.parquet"
        report = stream.from_arrow(table).options(**strategies.of_run(run)).write_parquet(path)
        assert report.rows_out == table.num_rows
        assert parquet.read_table(path).to_pylist() == table.to_pylist()
        back = stream.read(path, **run).to_arrow()
        back.validate(full=True)
        assert back.to_pylist() == table.to_pylist()
        assert [str(t) for t in back.schema.types] == [str(t) for t in stream.from_arrow(table).to_arrow().schema.types]

    @pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "lz4", "brotli", None])
    def test_peers_read_it(self, compression, flights, tmp_path):
        path = tmp_path / "x.parquet"
        stream.from_arrow(flights).write_parquet(path, compression=compression)
        assert parquet.read_table(path).cast(flights.schema).equals(flights)
        assert pl.read_parquet(path).equals(pl.from_arrow(flights))
        assert duckdb.sql(f"select count(*), sum(distance), max(month) from '{path}'").fetchall()[0][:2] == (
            336_776, sum(flights["distance"].to_pylist()),
        )  # fmt: skip

    def test_row_groups_and_statistics(self, flights, tmp_path):
        path = tmp_path / "x.parquet"
        stream.from_arrow(flights).write_parquet(path, row_group_size=100_000)
        meta = parquet.ParquetFile(path).metadata
        assert [meta.row_group(i).num_rows for i in range(meta.num_row_groups)] == [100_000, 100_000, 100_000, 36_776]
        assert meta.row_group(0).column(0).statistics.min == 2013
        got = stream.read(path).filter(col("month") == 99)
        assert got.count() == 0

    def test_nothing_is_a_file_too(self, tmp_path):
        path = tmp_path / "x.parquet"
        stream.from_arrow(pa.table({"a": pa.array([], pa.int32())})).write_parquet(path)
        assert parquet.read_table(path).schema.names == ["a"]
        assert stream.read(path).schema == {"a": "int32"}

    @pytest.mark.parametrize("name", ["sorted_by", "bloom_filters"])
    def test_what_is_not_built_yet_says_so(self, name, tmp_path):
        source = stream.from_arrow(pa.table({"a": [1, 2]}))
        try:
            source.write_parquet(tmp_path / "x.parquet", **{name: ["a"]})
        except NotImplementedError as error:
            assert name in str(error)
            assert os.listdir(tmp_path) == []


class TestCsv:
    @given(table=strategies.tables(types=CSV_TYPES), run=strategies.runs())
    def test_round_trip_is_exact(self, table, run, tmp_path_factory):
        path = tmp_path_factory.mktemp("round") / "x.csv"
        source = stream.from_arrow(table).options(**strategies.of_run(run))
        source.write_csv(path)
        back = stream.read(path, schema=dict(source.schema), **run)
        assert back.to_pylist() == table.to_pylist()

    def test_null_and_the_empty_text_are_told_apart(self, tmp_path):
        path = tmp_path / "x.csv"
        stream.from_arrow(pa.table({"a": ["", None, "x"], "b": [1, 2, 3]})).write_csv(path)
        assert path.read_bytes().splitlines() == [b"a,b", b'"",1', b",2", b"x,3"]
        assert stream.read(path).to_pydict() == {"a": ["", None, "x"], "b": [1, 2, 3]}

    def test_a_single_column_of_nulls(self, tmp_path):
        path = tmp_path / "x.csv"
        stream.from_arrow(pa.table({"a": pa.array([None, 1, None], pa.int64())})).write_csv(path)
        assert stream.read(path, schema={"a": "int64"}).to_pydict() == {"a": [None, 1, None]}

    def test_quotes_where_they_must_be(self, tmp_path):
        path = tmp_path / "x.csv"
        words = ["plain", "a,b", 'say "hi"', "two\nlines", "cr\rhere", " blank ", "é", "#x", "'"]
        stream.from_arrow(pa.table({"w, x": words})).write_csv(path)
        with path.open(newline="", encoding="utf-8") as text:
            assert [row[0] for row in plain_csv.reader(text)] == ["w, x", *words]
        assert stream.read(path).to_pydict() == {"w, x": words}

    def test_peers_read_it(self, flights, tmp_path):
        path = tmp_path / "x.csv"
        stream.from_arrow(flights.drop_columns("time_hour")).write_csv(path)
        assert arrow_csv.read_csv(path, convert_options=arrow_csv.ConvertOptions(strings_can_be_null=True)).equals(
            flights.drop_columns("time_hour")
        )
        assert pl.read_csv(path, infer_schema_length=None).height == 336_776
        assert duckdb.sql(f"select sum(distance) from '{path}'").fetchall()[0][0] == sum(
            flights["distance"].to_pylist()
        )

    def test_options(self, tmp_path):
        path = tmp_path / "x.csv"
        source = stream.from_arrow(pa.table({"a": [1, None], "b": ["x;y", "z"]}))
        source.write_csv(path, delimiter=";", null_value="NA", header=False)
        assert path.read_text() == '1;"x;y"\nNA;z\n'

    def test_nested_columns_are_refused_before_anything_is_written(self, tmp_path):
        source = stream.from_arrow(pa.table({"a": [[1, 2], [3]]}))
        with pytest.raises(stream.exceptions.StreamError, match="`a`"):
            source.write_csv(tmp_path / "x.csv")
        assert os.listdir(tmp_path) == []


WRITERS = {"parquet": lambda s, path: s.write_parquet(path), "csv": lambda s, path: s.write_csv(path)}


@pytest.fixture(params=WRITERS)
def target(request, tmp_path):
    return tmp_path / "out" / f"x.{request.param}", WRITERS[request.param]


class TestAtomic:
    def old(self, path):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"the old file")

    def test_an_error_in_the_middle_leaves_the_old_file(self, target, flights_parquet):
        path, write = target
        self.old(path)
        seen = []

        def fail(batch):
            seen.append(batch.num_rows)
            if len(seen) == 3:
                raise KeyError("mine")
            return batch

        with Nothing(path.parent), pytest.raises(KeyError, match="mine"):
            write(stream.read(flights_parquet).map(fail), path)
        assert path.read_bytes() == b"the old file"

    def test_killed_in_the_middle_leaves_the_old_file(self, target, flights_parquet):
        path, _ = target
        self.old(path)
        code = """
            import stream
            seen = []
            def tell(batch):
                seen.append(1)
                if len(seen) == 4:
                    report(ready=True)
                    sys.stdin.read()
                return batch
            stream.read(sys.argv[1]).map(tell).write(sys.argv[2])
        """
        with start(code, flights_parquet, path, stdin=-1) as process:
            assert "ready" in process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=30)
        assert path.read_bytes() == b"the old file"
        stream.read(flights_parquet).head(10).write(path)
        assert stream.read(path).count() == 10

    def test_interrupted_in_the_middle_leaves_nothing(self, target, flights_parquet):
        path, write = target
        path.parent.mkdir()

        def interrupt(batch):
            raise KeyboardInterrupt

        with Nothing(path.parent), pytest.raises(KeyboardInterrupt):
            write(stream.read(flights_parquet).map(interrupt), path)
        assert os.listdir(path.parent) == []

    def test_overwrites_or_refuses(self, target):
        path, write = target
        self.old(path)
        source = stream.from_arrow(pa.table({"a": [1]}))
        with pytest.raises(FileExistsError):
            source.write(path, mode="error")
        assert path.read_bytes() == b"the old file"
        write(source, path)
        assert stream.read(path).to_pydict() == {"a": [1]}
        with pytest.raises(ValueError, match="mode"):
            source.write(path, mode="nonsense")

    def test_a_folder_that_is_not_there(self, target, tmp_path):
        path, write = target
        with pytest.raises(FileNotFoundError, match="out"):
            write(stream.from_arrow(pa.table({"a": [1]})), path)
        assert not path.parent.exists()

    def test_permissions_of_a_new_file_follow_the_umask(self, target):
        path, write = target
        path.parent.mkdir()
        before = os.umask(0o027)
        try:
            write(stream.from_arrow(pa.table({"a": [1]})), path)
        finally:
            os.umask(before)
        assert path.stat().st_mode & 0o777 == 0o640

    def test_a_target_that_is_a_source_is_refused(self, tmp_path):
        path, link, soft = tmp_path / "a.parquet", tmp_path / "hard.parquet", tmp_path / "soft.parquet"
        stream.from_arrow(pa.table({"a": [1, 2]})).write_parquet(path)
        os.link(path, link)
        soft.symlink_to(path)
        before = path.read_bytes()
        sources = [
            stream.read(path),
            stream.read(str(tmp_path / "*.parquet")),
            stream.read(tmp_path),
            stream.read([link]),
        ]
        for source in [*sources, stream.concat([stream.from_arrow(pa.table({"a": [1]})), stream.read(path)])]:
            for to in (path, link, soft, os.path.relpath(path)):
                with pytest.raises((ValueError, stream.exceptions.StreamError), match="parquet"):
                    source.filter(col("a") > 1).write_parquet(to)
        assert path.read_bytes() == before
        assert sorted(os.listdir(tmp_path)) == ["a.parquet", "hard.parquet", "soft.parquet"]


class TestReport:
    def test_says_what_was_done(self, flights_parquet, tmp_path):
        report = stream.read(flights_parquet).filter(col("month") == 1).write_parquet(tmp_path / "x.parquet")
        assert report.rows_out == 27_004
        assert report.bytes_out == (tmp_path / "x.parquet").stat().st_size
        assert report.seconds > 0
        assert report.peak_bytes > 0
        assert report.held_bytes == 0
        assert "\n" not in str(report)
        assert "27,004" in str(report) or "27004" in str(report)

    def test_by_extension(self, tmp_path):
        source = stream.from_arrow(pa.table({"a": [1]}))
        source.write(tmp_path / "x.csv")
        assert (tmp_path / "x.csv").read_text() == "a\n1\n"
        with pytest.raises(ValueError, match="extension"):
            source.write(tmp_path / "x.unknown")


@pytest.mark.parametrize("option", ["partition_by", "max_rows_per_file", "max_bytes_per_file", "checkpoint"])
@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_options_that_are_not_built_are_named(tmp_path, option, ending):
    s = stream.from_arrow(stream.Batch({"x": [1]}))
    with pytest.raises(NotImplementedError, match=f"`{option}`"):
        s.write(tmp_path / f"x.{ending}", **{option: "x"})
    with pytest.raises(TypeError, match="unexpected keyword argument 'compresion'"):
        s.write(tmp_path / f"x.{ending}", compresion="zstd")
    assert list(tmp_path.iterdir()) == []
