"""What the kernel says about this process and its children: threads, descriptors, files, memory."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def workers() -> list[str]:
    """The names of our own threads that live now."""
    names = []
    for task in Path("/proc/self/task").iterdir():
        try:
            names.append((task / "comm").read_text().strip())
        except OSError:  # ended meanwhile
            continue
    return [name for name in names if name.startswith("batchstream")]


def descriptors() -> dict[int, str]:
    """Open file descriptors and what they point to."""
    found = {}
    for entry in os.listdir("/proc/self/fd"):
        try:
            found[int(entry)] = os.readlink(f"/proc/self/fd/{entry}")
        except OSError:  # the one that lists the folder
            continue
    return found


class Nothing:
    """A `with` block that leaves nothing behind: no thread, no descriptor, no file in `folder`."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    def __enter__(self):
        assert workers() == []
        self.open = descriptors()
        self.files = self._files()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.check()

    def check(self) -> None:
        assert workers() == []
        left = {fd: what for fd, what in descriptors().items() if self.open.get(fd) != what}
        assert left == {}
        assert self._files() == self.files

    def _files(self) -> list[str]:
        return sorted(os.listdir(self.folder)) if self.folder else []


def peak_mib(pid: int | str = "self") -> float:
    """The most memory that a process ever held."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


# `report(x=…)` in a child's code hands values back to the test; `peak()` is the child's VmHWM in MiB.
PRELUDE = """
import json, os, sys
from pathlib import Path
def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
def report(**values):
    print("REPORT " + json.dumps(values), flush=True)
"""


def start(code: str, *args: object, **options) -> subprocess.Popen:
    """A child that runs `code`, with `args` in `sys.argv[1:]`."""
    command = [sys.executable, "-X", "faulthandler", "-c", PRELUDE + textwrap.dedent(code), *map(str, args)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    return subprocess.Popen(command, **options)


def child(code: str, *args: object, timeout: float = 120) -> dict:
    """Run `code` in a process of its own; what it reported."""
    with start(code, *args) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"still running after {timeout} s\n{out}\n{err}") from None
    assert process.returncode == 0, f"exit {process.returncode}\n{out}\n{err}"
    reports = [line.removeprefix("REPORT ") for line in out.splitlines() if line.startswith("REPORT ")]
    values: dict = {}
    for line in reports:
        values |= json.loads(line)
    return values
