"""Run the jobs in turn (A B C A B C), each in a process of its own, and print medians side by side.

    python -m benchmarks                                   # everything at scale 1: 760 MB of CSV, 6 million rows
    python -m benchmarks --jobs csv-loop --engines batchstream,polars --runs 5 --scale 0.1

The input is TPC-H `lineitem`, made once into `data/`. The page cache is warm. Wall times mean something
only beside another engine's in the same run on a quiet machine.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.jobs import DOC, JOBS

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))
import public

ENGINES = ["batchstream", "polars", "pyarrow", "duckdb", "datafusion"]


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--jobs", default=",".join(DOC))
    ask.add_argument("--engines", default=",".join(ENGINES))
    ask.add_argument("--runs", type=int, default=3)
    ask.add_argument("--scale", type=float, default=1)
    asked = ask.parse_args()
    text, binary = inputs(asked.scale)
    for name in asked.jobs.split(","):
        engines = [engine for engine in asked.engines.split(",") if engine in JOBS[name]]
        results = {engine: [] for engine in engines}
        warm(text if name.startswith("csv") else binary)
        for _ in range(asked.runs):
            for engine in engines:
                results[engine].append(once(name, engine, text, binary))
        table(name, results)


def once(name: str, engine: str, text: Path, binary: Path) -> dict:
    command = [sys.executable, "-m", "benchmarks.jobs", name, engine, str(text), str(binary)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"POLARS_MAX_THREADS": "2"})
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["killed"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def table(name: str, results: dict[str, list[dict]]) -> None:
    print(f"\n{name}: {DOC[name]}")
    print(f"  {'engine':12} {'wall s':>8} {'CPU s':>8} {'peak MB':>8} {'batches':>8}")
    good = {engine: runs for engine, runs in results.items() if not any("error" in run for run in runs)}
    truth = next(iter(good.values()), [{}])[0]
    for engine, runs in results.items():
        if engine not in good:
            print(f"  {engine:12} {next(run['error'] for run in runs if 'error' in run)[:100]}")
            continue
        wall, cpu, peak = (statistics.median(run[what] for run in runs) for what in ("wall", "cpu", "peak"))
        agree = all(
            run["rows"] == truth["rows"] and math.isclose(run["sum"], truth["sum"], rel_tol=1e-9) for run in runs
        )
        note = "" if agree else f"  DIFFERS: {runs[0]['rows']} rows, sum {runs[0]['sum']}"
        print(f"  {engine:12} {wall:8.2f} {cpu:8.2f} {peak:8.0f} {runs[0]['batches']:8}{note}", flush=True)


def inputs(scale: float) -> tuple[Path, Path]:
    """The CSV file and the same as Parquet, made if they are not there."""
    text = public.lineitem(scale)
    binary = text.with_name(f"bench-{scale}.parquet")
    if not binary.exists():
        subprocess.run([sys.executable, "-m", "benchmarks.jobs", "convert", str(text), str(binary)], check=True)
    return text, binary


def warm(path: Path) -> None:
    with path.open("rb") as file:
        while file.read(1 << 20):
            pass


if __name__ == "__main__":
    main()
