"""Every verb against plain Python, over batch sizes, threads, prefetch and memory limits."""

import datetime as dt
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

import oracle
import strategies
import stream
from stream import coalesce, col, lit, when


def rows_of(pipe: stream.Stream) -> list[dict]:
    """All rows, with what must hold of every batch checked on the way."""
    rows: list[dict] = []
    batches = iter(pipe)
    for batch in batches:
        assert isinstance(batch, stream.Batch)
        assert batch.schema == pipe.schema
        assert batch.num_rows > 0
        rows += batch.to_pylist()
    assert batches.stats.rows_out == len(rows)
    return rows


def check(pipe: stream.Stream, expected: list[dict], size: int = 65_536) -> None:
    got = rows_of(pipe)
    assert got == expected
    assert all(batch.num_rows <= size for batch in pipe)
    assert pipe.count() == len(expected)


ROWS = [
    {"i": i if i % 7 else None, "f": i / 4 if i % 5 else None, "s": None if i % 11 == 0 else f"s{i % 4}",
     "b": [True, False, None][i % 3], "d": dt.date(2024, 1, 1) + dt.timedelta(days=i),
     "t": dt.datetime(2024, 1, 1) + dt.timedelta(hours=i)}
    for i in range(2_500)
]  # fmt: skip
TABLE = strategies.base_table(ROWS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The same rows as a Parquet file of several row groups, and as two files."""
    folder = tmp_path_factory.mktemp("rows")
    parquet.write_table(TABLE, folder / "one.parquet", row_group_size=600)
    (folder / "parts").mkdir()
    parquet.write_table(TABLE[:1000], folder / "parts" / "a.parquet", row_group_size=300)
    parquet.write_table(TABLE[1000:], folder / "parts" / "b.parquet", row_group_size=5000)
    return folder


class TestSettings:
    """The rows and their order do not depend on how a run is set."""

    expected = oracle.select(
        oracle.filter_(ROWS, lambda r: oracle.and_(oracle.compare(r["i"], 100, int.__gt__), oracle.not_(r["b"]))),
        i=lambda r: r["i"], s=lambda r: r["s"], half=lambda r: None if r["f"] is None else r["f"] / 2,
    )  # fmt: skip

    def chain(self, source: stream.Stream) -> stream.Stream:
        return source.filter((col("i") > 100) & ~col("b")).select("i", "s", half=col("f") / 2)

    @pytest.mark.parametrize("options", strategies.all_runs(), ids=str)
    def test_parquet(self, folder, options):
        check(self.chain(stream.read(folder / "one.parquet", **options)), self.expected, options["batch_size"])

    @pytest.mark.parametrize("options", strategies.all_runs()[::3], ids=str)
    def test_two_files(self, folder, options):
        check(self.chain(stream.read(folder / "parts", **options)), self.expected, options["batch_size"])

    @pytest.mark.parametrize("options", strategies.all_runs()[1::3], ids=str)
    def test_arrow(self, options):
        check(self.chain(stream.from_arrow(TABLE).options(**strategies.of_run(options))), self.expected)

    def test_the_last_options_win(self, folder):
        pipe = stream.read(folder / "one.parquet", threads=1).options(threads=2).options(prefetch=0)
        check(self.chain(pipe), self.expected)

    @pytest.mark.parametrize("option", [{"threads": 0}, {"prefetch": -1}, {"memory_limit": 10}, {"memory_limit": "x"}])
    def test_nonsense_is_refused_by_name(self, folder, option):
        with pytest.raises(ValueError, match=next(iter(option))):
            stream.read(folder / "one.parquet").options(**option)


class TestVerbs:
    """Each verb by itself, at its edges."""

    @pytest.fixture(params=[{"threads": 1, "prefetch": 0}, {"threads": 2}, {"threads": 8, "batch_size": 7}], ids=str)
    def source(self, request, folder):
        return stream.read(folder / "one.parquet", **request.param)

    def test_filter_by_several_predicates(self, source):
        got = source.filter(col("i") > 10, col("s") == "s1", col("f").is_not_null())
        check(got, [r for r in ROWS if r["i"] is not None and r["i"] > 10 and r["s"] == "s1" and r["f"] is not None])

    @pytest.mark.parametrize(
        ("text", "predicate"),
        [
            ("i > 10 and s = 's1'", lambda r: r["i"] is not None and r["i"] > 10 and r["s"] == "s1"),
            ("not b", lambda r: r["b"] is False),
            ("b is null or i between 5 and 9", lambda r: r["b"] is None or r["i"] in range(5, 10)),
            ("s in ('s0', 's3')", lambda r: r["s"] in ("s0", "s3")),
            ("s like 's%' and \"i\" % 2 = 0", lambda r: r["s"] is not None and r["i"] is not None and r["i"] % 2 == 0),
            ("s is not null and i + 1 <> 12", lambda r: r["s"] is not None and r["i"] is not None and r["i"] != 11),
            ("d >= '2025-01-01'", lambda r: r["d"] >= dt.date(2025, 1, 1)),
            ("false", lambda r: False),
        ],
    )
    def test_filter_by_text(self, source, text, predicate):
        check(source.filter(text), [r for r in ROWS if predicate(r)])

    def test_filter_by_a_function(self, source):
        got = source.filter(lambda batch: [(v or 0) % 3 == 0 for v in batch["i"]])
        check(got, [r for r in ROWS if (r["i"] or 0) % 3 == 0])

    def test_filter_rows(self, source):
        got = source.filter_rows(lambda row: row["s"] == "s2" and row["i"] is not None)
        check(got, [r for r in ROWS if r["s"] == "s2" and r["i"] is not None])

    def test_select_keeps_the_order_asked_for(self, source):
        got = source.select("s", col("i").alias("n"), twice=col("i") * 2, k=lit(1))
        assert got.columns == ["s", "n", "twice", "k"]
        check(got, [{"s": r["s"], "n": r["i"], "twice": None if r["i"] is None else r["i"] * 2, "k": 1} for r in ROWS])

    def test_with_columns_replaces_in_place(self, source):
        got = source.with_columns(
            i=col("i") + 1, z=when(col("b")).then("yes").when(~col("b")).then("no").otherwise("?")
        )
        assert got.columns == ["i", "f", "s", "b", "d", "t", "z"]
        says = {True: "yes", False: "no", None: "?"}
        check(got, [r | {"i": None if r["i"] is None else r["i"] + 1, "z": says[r["b"]]} for r in ROWS])

    def test_rename(self, source):
        check(source.rename({"i": "n"}), oracle.rename(ROWS, {"i": "n"}))
        check(source.rename(str.upper), oracle.rename(ROWS, {name: name.upper() for name in ROWS[0]}))

    def test_drop(self, source):
        check(source.drop("t", "i"), oracle.drop(ROWS, "t", "i"))

    def test_cast(self, source):
        got = source.cast({"i": "string", "b": "int8", "d": "timestamp[us]"})
        assert dict(got.schema)["b"] == "int8"
        check(got, [
            r | {"i": None if r["i"] is None else str(r["i"]), "b": None if r["b"] is None else int(r["b"]),
                 "d": dt.datetime.combine(r["d"], dt.time())}
            for r in ROWS
        ])  # fmt: skip

    def test_fill_null(self, source):
        check(source.fill_null({"i": -1, "s": "none"}), oracle.fill_null(ROWS, {"i": -1, "s": "none"}))
        check(source.fill_null("none"), oracle.fill_null(ROWS, {"s": "none"}))
        check(source.fill_null(value=False), oracle.fill_null(ROWS, {"b": False}))

    def test_drop_nulls(self, source):
        check(source.drop_nulls("i", "s"), oracle.drop_nulls(ROWS, "i", "s"))
        check(source.drop_nulls(), oracle.drop_nulls(ROWS))

    @pytest.mark.parametrize("n", [0, 1, 5, 599, 600, 601, 2_499, 2_500, 10**9])
    def test_head_and_skip(self, source, n):
        check(source.head(n), ROWS[:n])
        check(source.limit(n), ROWS[:n])
        check(source.skip(n), ROWS[n:])
        check(source.skip(100).head(n).skip(3), ROWS[100:][:n][3:])

    def test_head_is_five(self, source):
        check(source.head(), ROWS[:5])

    def test_with_row_index(self, source):
        check(source.filter("b").with_row_index("row"), oracle.with_row_index([r for r in ROWS if r["b"]], "row"))
        check(source.with_row_index("row").filter("b"), [r for r in oracle.with_row_index(ROWS, "row") if r["b"]])

    def test_concat(self, source, folder):
        other = stream.read(folder / "parts").filter(col("i") < 50)
        check(
            stream.concat([source, other, source]), oracle.concat(ROWS, [r for r in ROWS if (r["i"] or 99) < 50], ROWS)
        )

    def test_map(self, source):
        got = source.select("i", "s").map(lambda batch: {"n": [len(s or "") for s in batch["s"]], "i": batch["i"]})
        check(got, [{"n": len(r["s"] or ""), "i": r["i"]} for r in ROWS])

    def test_map_may_drop_a_batch(self, source):
        got = source.select("i").map(lambda batch: None if batch["i"].null_count else batch)
        assert all(row["i"] is not None for row in rows_of(got))

    def test_inspect_sees_every_batch_once(self, source):
        seen = []
        check_rows = rows_of(source.inspect(lambda batch: seen.append(batch.num_rows)))
        assert (check_rows, sum(seen)) == (ROWS, 2_500)

    def test_pipe(self, source):
        check(source.pipe(lambda s, n: s.head(n), 3), ROWS[:3])

    def test_agg(self, source):
        got = source.agg(
            n=stream.len(), known=col("i").count(), total=col("i").sum(), low=col("f").min(), high=col("t").max(),
            mean=col("f").mean(), both=(col("i") * 2).sum(), yes=col("b").any(), all_=col("b").all(),
            first=col("s").first(), last=col("s").last(),
        )  # fmt: skip
        i, f = oracle.present(ROWS, "i"), oracle.present(ROWS, "f")
        row = rows_of(got)
        assert len(row) == 1
        mean = row[0].pop("mean")
        assert math.isclose(mean, sum(f) / len(f), rel_tol=1e-12)
        assert row[0] == {
            "n": 2_500, "known": len(i), "total": sum(i), "low": min(f), "high": ROWS[-1]["t"], "both": 2 * sum(i),
            "yes": True, "all_": False, "first": ROWS[0]["s"], "last": ROWS[-1]["s"],
        }  # fmt: skip

    def test_agg_of_nothing(self, source):
        got = source.filter("false").agg(n=stream.len(), total=col("i").sum(), low=col("i").min(), mean=col("f").mean())
        check(got, [{"n": 0, "total": 0, "low": None, "mean": None}])

    def test_a_run_of_nothing_keeps_its_schema(self, source):
        empty = source.filter("false").select("s", n=col("i") + 1)
        check(empty, [])
        assert empty.to_arrow().schema.names == ["s", "n"]

    def test_streams_are_values(self, source):
        longer = source.filter("b")
        assert source.count() == 2_500
        assert longer.count() == longer.count() == sum(r["b"] is True for r in ROWS)


class TestRefused:
    """What cannot work fails at the line that asks for it."""

    source = property(lambda self: stream.from_arrow(TABLE))

    @pytest.mark.parametrize(
        "ask",
        [
            lambda s: s.filter(col("ii") > 1),
            lambda s: s.filter("ii > 1"),
            lambda s: s.select("ii"),
            lambda s: s.with_columns(x=col("ii") + 1),
            lambda s: s.drop("ii"),
            lambda s: s.rename({"ii": "x"}),
            lambda s: s.cast({"ii": "int64"}),
            lambda s: s.fill_null({"ii": 1}),
            lambda s: s.drop_nulls("ii"),
            lambda s: s.agg(x=col("ii").sum()),
        ],
    )
    def test_a_missing_column_names_the_nearest(self, ask):
        with pytest.raises(stream.exceptions.ColumnNotFoundError, match="`ii` not found, did you mean `i`"):
            ask(self.source)

    @pytest.mark.parametrize(
        "ask",
        [
            lambda s: s.filter(col("i") + "x"),
            lambda s: s.filter("i"),
            lambda s: s.filter(col("s") > 3),
            lambda s: s.with_columns(x=col("b") + col("d")),
            lambda s: s.select(x=col("i").str.len_bytes()),
            lambda s: s.select("i", i=col("f")),
            lambda s: s.rename({"i": "f"}),
            lambda s: s.filter(col("i").sum() > 3),
            lambda s: s.select(col("i").mean()),
            lambda s: s.filter(col("d") > "no date"),
            lambda s: stream.concat([s, s.drop("i")]),
        ],
    )
    def test_a_wrong_type_is_a_schema_error(self, ask):
        with pytest.raises(
            (stream.exceptions.SchemaError, stream.exceptions.ParseError, stream.exceptions.StreamError)
        ):
            ask(self.source)

    def test_truth_of_an_expression(self):
        with pytest.raises(TypeError, match="&"):
            bool(col("i") > 1)
        with pytest.raises(TypeError, match="&"):
            _ = col("i") > 1 and col("f") > 1

    @pytest.mark.parametrize(
        ("name", "ours"), [("map_batches", "map"), ("collect", "to_arrow"), ("sink_parquet", "write_parquet")]
    )
    def test_other_libraries_verbs_name_ours(self, name, ours):
        with pytest.raises(AttributeError, match=ours):
            getattr(self.source, name)

    def test_len_points_to_count(self):
        with pytest.raises(TypeError, match=r"count\(\)"):
            len(self.source)


class TestRunTimeErrors:
    """What the data alone decides: stated behaviour, the first bad row in order, with any number of threads."""

    @pytest.mark.parametrize("threads", [1, 2, 8])
    @pytest.mark.parametrize(
        ("ask", "says"),
        [
            (lambda s: s.select(x=col("n") * (1 << 62)), "overflow"),
            (lambda s: s.select(x=col("n") // col("zero")), "zero"),
            (lambda s: s.select(x=col("n") % col("zero")), "zero"),
            (lambda s: s.select(x=col("word").cast("int64")), "word"),
        ],
    )
    def test_raises(self, threads, ask, says):
        table = pa.table({"n": range(5000), "zero": [0] * 5000, "word": ["w"] * 5000})
        with pytest.raises(stream.exceptions.StreamError, match=says):
            ask(stream.from_arrow(table).options(threads=threads)).to_arrow()

    def test_not_strict_gives_null(self):
        got = stream.from_arrow(pa.table({"word": ["1", "x", None]})).select(x=col("word").cast("int64", strict=False))
        check(got, [{"x": 1}, {"x": None}, {"x": None}])

    def test_true_division_by_zero_is_infinite(self):
        got = stream.from_arrow(pa.table({"a": [1, -1], "z": [0, 0]})).select(x=col("a") / col("z"))
        check(got, [{"x": math.inf}, {"x": -math.inf}])


# Random chains: each link is a verb on the Stream beside the same verb on a list of rows.


@dataclass
class Chain:
    """A chain under construction; `kinds` says which columns there are, by name → letter of the base column."""

    kinds: dict[str, str] = field(default_factory=lambda: {name: name for name in strategies.BASE.names})
    links: list[tuple[str, Callable, Callable]] = field(default_factory=list)

    def add(self, text: str, ours: Callable, theirs: Callable) -> None:
        self.links.append((text, ours, theirs))

    def of(self, *kinds: str) -> list[str]:
        return [name for name, kind in self.kinds.items() if kind in kinds]

    def __repr__(self) -> str:
        return " ".join(text for text, _, _ in self.links) or "nothing"


@st.composite
def predicates(draw, chain: Chain, depth: int = 2):
    """An expression of ours beside a function of a row; both know SQL's third value."""
    options = []
    if depth:
        options += ["and", "or", "not"]
    for kind in "ifsbdt":
        options += [kind] * bool(chain.of(kind))
    options += ["null"] * bool(chain.kinds)
    kind = draw(st.sampled_from(options or ["true"]))
    if kind == "true":
        return "true", lit(True), lambda r: True
    if kind in ("and", "or"):
        (ta, a, fa), (tb, b, fb) = draw(predicates(chain, depth - 1)), draw(predicates(chain, depth - 1))
        join = oracle.and_ if kind == "and" else oracle.or_
        return f"({ta} {kind} {tb})", (a & b) if kind == "and" else (a | b), lambda r: join(fa(r), fb(r))
    if kind == "not":
        text, a, f = draw(predicates(chain, depth - 1))
        return f"not {text}", ~a, lambda r: oracle.not_(f(r))
    if kind == "null":
        name = draw(st.sampled_from(list(chain.kinds)))
        return f"{name} is null", col(name).is_null(), lambda r: r[name] is None
    name = draw(st.sampled_from(chain.of(kind)))
    if kind == "b":
        return name, col(name), lambda r: r[name]
    value = draw({
        "i": strategies.SMALL, "f": st.floats(-1e6, 1e6), "s": strategies.PLAIN,
        "d": st.dates(dt.date(1970, 1, 1), dt.date(2040, 1, 1)),
        "t": st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2040, 1, 1)),
    }[kind])  # fmt: skip
    sign = draw(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]))
    test = {
        "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
        "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
    }[sign]  # fmt: skip
    return f"{name} {sign} {value!r}", test(col(name), value), lambda r: oracle.compare(r[name], value, test)


@st.composite
def chains(draw) -> Chain:
    chain = Chain()
    for _ in range(draw(st.integers(0, 6))):
        LINKS[draw(st.sampled_from(sorted(LINKS)))](draw, chain)
    return chain


def link_filter(draw, chain):
    text, ours, theirs = draw(predicates(chain))
    chain.add(f"filter({text})", lambda s: s.filter(ours), lambda rows: oracle.filter_(rows, theirs))


def link_select(draw, chain):
    names = draw(st.lists(st.sampled_from(list(chain.kinds)), unique=True, min_size=1))
    chain.kinds = {name: chain.kinds[name] for name in names}
    chain.add(f"select{names}", lambda s: s.select(*names), lambda rows: [{n: r[n] for n in names} for r in rows])


def link_drop(draw, chain):
    if len(chain.kinds) < 2:
        return
    name = draw(st.sampled_from(list(chain.kinds)))
    del chain.kinds[name]
    chain.add(f"drop({name})", lambda s: s.drop(name), lambda rows: oracle.drop(rows, name))


def link_rename(draw, chain):
    name = draw(st.sampled_from(list(chain.kinds)))
    new = f"{name}_{len(chain.links)}"
    chain.kinds = {new if n == name else n: kind for n, kind in chain.kinds.items()}
    chain.add(f"rename({name}→{new})", lambda s: s.rename({name: new}), lambda rows: oracle.rename(rows, {name: new}))


def link_compute(draw, chain):
    """A new column out of those there are."""
    name = f"n{len(chain.links)}"
    options = [(kind, source) for kind in "ifsbt" for source in chain.of(kind)]
    if not options:
        return
    kind, x = draw(st.sampled_from(options))

    def lift(f):
        return lambda r: None if r[x] is None else f(r[x])

    ways = {
        "i": [("i", col(x) + 7, lift(lambda v: v + 7)), ("i", -col(x), lift(lambda v: -v)),
              ("f", col(x) / 4, lift(lambda v: v / 4)), ("s", col(x).cast("string"), lift(str)),
              ("i", col(x) // 3, lift(lambda v: v // 3)), ("i", col(x) % 5, lift(lambda v: v % 5)),
              ("i", coalesce(col(x), lit(0)), lambda r: r[x] if r[x] is not None else 0),
              ("s", when(col(x) > 0).then("up").otherwise("down"), lambda r: "up" if r[x] is not None and r[x] > 0 else "down")],
        "f": [("f", col(x) * 0.5, lift(lambda v: v * 0.5)), ("f", abs(col(x)), lift(abs)),
              ("b", col(x).is_between(-10, 10), lift(lambda v: -10 <= v <= 10)), ("f", col(x).fill_null(0.25), lambda r: 0.25 if r[x] is None else r[x])],
        "s": [("s", col(x).str.to_uppercase(), lift(str.upper)), ("b", col(x).str.starts_with("a"), lift(lambda v: v.startswith("a"))),
              ("b", col(x).is_in(["a", "xyz"]), lift(lambda v: v in ("a", "xyz"))), ("s", col(x).str.strip_chars(), lift(str.strip)),
              ("s", col(x) + "!", lift(lambda v: v + "!"))],
        "b": [("b", ~col(x), lift(lambda v: not v)), ("b", col(x).is_not_null(), lambda r: r[x] is not None)],
        "t": [("d", col(x).dt.date(), lift(lambda v: v.date())), ("b", col(x).dt.weekday() == 1, lift(lambda v: v.isoweekday() == 1))],
    }[kind]  # fmt: skip
    new, ours, theirs = draw(st.sampled_from(ways))
    chain.kinds = chain.kinds | {name: new}
    chain.add(
        f"with({name}={ours!r})",
        lambda s: s.with_columns(**{name: ours}),
        lambda rows: oracle.with_columns(rows, **{name: theirs}),
    )


def link_head(draw, chain):
    n = draw(st.integers(0, 70))
    chain.add(f"head({n})", lambda s: s.head(n), lambda rows: rows[:n])


def link_skip(draw, chain):
    n = draw(st.integers(0, 70))
    chain.add(f"skip({n})", lambda s: s.skip(n), lambda rows: rows[n:])


def link_index(draw, chain):
    name = f"row{len(chain.links)}"
    chain.kinds = {name: "i"} | chain.kinds
    chain.add(
        f"index({name})",
        lambda s: s.with_row_index(name).cast({name: "int64"}),
        lambda rows: oracle.with_row_index(rows, name),
    )


def link_nulls(draw, chain):
    names = draw(st.lists(st.sampled_from(list(chain.kinds)), unique=True))
    chain.add(f"drop_nulls{names}", lambda s: s.drop_nulls(*names), lambda rows: oracle.drop_nulls(rows, *names))


def link_map(draw, chain):
    chain.add("map", lambda s: s.map(lambda batch: batch), lambda rows: rows)


def link_map_rows(draw, chain):
    name = draw(st.sampled_from(list(chain.kinds)))
    chain.add(
        f"filter_rows({name})",
        lambda s: s.filter_rows(lambda row: row[name] is not None),
        lambda rows: [r for r in rows if r[name] is not None],
    )


LINKS = {name.removeprefix("link_"): link for name, link in globals().items() if name.startswith("link_")}


@given(rows=strategies.base_rows(), chain=chains(), run=strategies.runs())
def test_random_chains_equal_the_oracle(rows, chain, run):
    ours, theirs = stream.from_arrow(strategies.base_table(rows)).options(**strategies.of_run(run)), rows
    for _, on_stream, on_rows in chain.links:
        ours, theirs = on_stream(ours), on_rows(theirs)
    assert rows_of(ours) == theirs
    assert ours.count() == len(theirs)


@given(table=strategies.tables(), run=strategies.runs())
def test_every_type_passes_through(table, run):
    got = stream.from_arrow(table).options(**strategies.of_run(run))
    back = got.to_arrow()
    back.validate(full=True)
    assert back.num_rows == table.num_rows
    assert back.to_pylist() == table.to_pylist()
    assert [name for name, _ in got.schema.items()] == table.schema.names


@pytest.mark.parametrize("verb", ["head", "limit", "skip", "rebatch"])
def test_a_count_beyond_64_bits_is_refused(verb):
    s = stream.from_arrow(stream.Batch({"x": [1]}))
    with pytest.raises(ValueError, match="must be below"):
        getattr(s, verb)(2**70)
