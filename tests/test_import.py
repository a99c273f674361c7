"""`import stream` is light: no heavy module, little memory."""

import subprocess
import sys
from pathlib import Path

from watch import child

HEAVY = {
    "asyncio", "concurrent", "ctypes", "dataclasses", "datetime", "decimal", "email", "inspect",
    "json", "logging", "multiprocessing", "numpy", "pandas", "pathlib", "polars", "pyarrow", "random", "re", "shutil",
    "socket", "subprocess", "tempfile", "threading", "typing", "unittest", "urllib",
}  # fmt: skip


def test_nothing_heavy_is_imported():
    code = "import sys; before = set(sys.modules); import stream; print(*sorted(set(sys.modules) - before))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "stream._internal" in out
    heavy = {name for name in out if name in HEAVY or name.partition(".")[0] in HEAVY}
    assert heavy == set()


def test_memory_grows_by_ten_megabytes_at_most():
    got = child("""
        before = peak()
        import stream
        report(grown=peak() - before)
    """)
    assert got["grown"] <= 10


def test_no_thread_is_started_and_no_signal_handler_changed():
    got = child("""
        import signal
        before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)]
        import stream
        after = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)]
        report(threads=len(os.listdir("/proc/self/task")), same=before == after)
    """)
    assert got == {"threads": 1, "same": True}


def test_numpy_is_not_needed():
    got = child("""
        for name in ("numpy", "pyarrow", "pandas", "polars", "duckdb"):
            sys.modules[name] = None
        import stream
        batch = stream.Batch({"a": [1, 2, None], "b": ["x", "y", "z"]})
        batch = batch.filter(stream.col("a") > 1).with_columns(c=stream.col("a") * 2)
        report(rows=batch.to_pylist(), text=repr(batch) != "")
    """)
    assert got == {"rows": [{"a": 2, "b": "y", "c": 4}], "text": True}


def test_types_are_announced():
    import stream

    assert (Path(stream.__file__).parent / "py.typed").exists()
    assert sys.modules["stream._internal"].__file__.endswith(".so")
