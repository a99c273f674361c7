"""Fixtures: public data, and the promise that no test leaves a thread of ours behind."""

import gc
import os
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "examples")]

import public  # noqa: E402
import watch  # noqa: E402

settings.register_profile(
    "ci", max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
settings.register_profile("deep", max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(autouse=True)
def no_thread_left():
    """Whatever a test did, its runs are over when it is."""
    yield
    if watch.workers():
        gc.collect()
    assert watch.workers() == []


@pytest.fixture(scope="session")
def flights_csv() -> Path:
    return public.flights()


@pytest.fixture(scope="session")
def flights(flights_csv):
    """The flights as pyarrow reads them."""
    from pyarrow import csv

    options = csv.ConvertOptions(null_values=["NA", ""], strings_can_be_null=True)
    table = csv.read_csv(flights_csv, convert_options=options)
    at = table.schema.get_field_index("time_hour")  # Parquet has no type for seconds
    return table.set_column(at, "time_hour", table["time_hour"].cast(pa.timestamp("us", tz="UTC")))


@pytest.fixture(scope="session")
def flights_parquet(flights, tmp_path_factory) -> Path:
    from pyarrow import parquet

    path = tmp_path_factory.mktemp("flights") / "flights.parquet"
    parquet.write_table(flights, path, row_group_size=50_000)
    return path
