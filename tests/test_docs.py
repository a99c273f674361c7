"""What the documents show is what happens: the README's programs, every docstring, every example."""

import doctest
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import stream
import watch

README = (watch.ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```(?:\n\n?```text\n(.*?)^```)?", README, re.DOTALL | re.MULTILINE)
MODULES = sorted(
    {stream.__name__, *(m.name for m in pkgutil.walk_packages(stream.__path__, "stream."))} - {"stream._internal"}
)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch, flights_csv):
    """A folder of its own, with the demo's data where the README has it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").symlink_to(flights_csv.parent)
    return tmp_path


def test_the_readme_fits_on_a_few_screens():
    assert len(README.splitlines()) <= 150
    assert len(BLOCKS) >= 2


def test_the_readme_runs_and_prints_what_it_says(elsewhere):
    """All its programs in one process, in order, as somebody would try them."""
    marker = "=== end of a program ==="
    program = "".join(f"{code}\nprint({marker!r})\n" for code, _ in BLOCKS)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    outputs = done.stdout.split(marker + "\n")
    for (code, expected), got in zip(BLOCKS, outputs, strict=False):
        if expected:
            assert got == expected, code


@pytest.mark.parametrize("name", MODULES)
def test_docstrings(name, elsewhere):
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(importlib.import_module(name), optionflags=flags)
    assert result.failed == 0


def test_every_public_function_has_an_example():
    """A docstring of a public function shows a call; the exceptions are properties and what needs no showing."""
    bare = []
    for kind in (stream.Stream, stream.Batch, stream.Column):
        for name, thing in vars(kind).items():
            if not name.startswith("_") and callable(thing) and ">>>" not in (thing.__doc__ or ""):
                bare.append(f"{kind.__name__}.{name}")
    for name in (
        "read",
        "read_csv",
        "read_parquet",
        "from_arrow",
        "concat",
        "col",
        "lit",
        "when",
        "coalesce",
        "concat_str",
    ):
        if ">>>" not in (getattr(stream, name).__doc__ or ""):
            bare.append(name)
    assert bare == []


# Examples: each is run as a program, and must print what a reader would check.
EXAMPLES = {
    "csv_to_parquet.py": ["336,776 rows read, 336,776 written", "MB of Parquet"],
    "worst_delays.py": ["departures were more than five hours late", "HA   51  JFK → HNL"],
    "hive_folder.py": ["month  1: 27,004 flights", "flights to Honolulu in July and August"],
    "clean_orders.py": ["3 orders are clean", "1001,Ada Lovelace,ada@example.org", "no customer", "value '$1,200.50'"],
    "fit_model.py": ["fitted on", "R² on October to December: 0."],
    "follow_pipe.py": ["alarm 3", "that is enough"],
    "hand_to_duckdb.py": ["DuckDB pulls the stream", "327,346 rows"],
}


def test_every_example_is_run():
    there = {path.name for path in (watch.ROOT / "examples").glob("*.py")}
    assert there - {"public.py", "demo.py"} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(name, elsewhere):
    done = run(name)
    for text in EXAMPLES[name]:
        assert text in done


def test_demo(elsewhere):
    out = run("demo.py", "--scale", "0.02")
    assert "336,776 rows" in out
    assert "are left: 0" in out


def run(name: str, *args: str) -> str:
    env = os.environ | {"TMPDIR": str(Path.cwd()), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, str(watch.ROOT / "examples" / name), *args]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=env, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout
