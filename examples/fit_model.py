"""Fit a linear model on data that never is in memory: features by NumPy in `map`, batches of an exact size.

    python examples/fit_model.py

Predicts the delay on arrival from the delay on departure, the distance and the hour of the day, by least
squares over the normal equations: X'X and X'y add up batch by batch, so one pass of flat memory is exact.
"""

import numpy as np

import public
import stream
from stream import col

FEATURES = ["one", "dep_delay", "distance", "sin_hour", "cos_hour"]


def features(batch):
    """A batch in, a dict of arrays out: NumPy sees the columns without a copy."""
    angle = batch["hour"].to_numpy() * (2 * np.pi / 24)
    return {
        "one": np.ones(batch.num_rows),
        "dep_delay": batch["dep_delay"].to_numpy().astype("float64"),
        "distance": batch["distance"].to_numpy() / 1000,
        "sin_hour": np.sin(angle),
        "cos_hour": np.cos(angle),
        "arr_delay": batch["arr_delay"].to_numpy().astype("float64"),
    }


def main() -> None:
    flights = (
        stream.read(public.flights(), null_values=["NA"])
        .drop_nulls("dep_delay", "arr_delay")
        .select("month", "dep_delay", "arr_delay", "distance", "hour")
    )
    training = flights.filter(col("month") <= 9).map(features)
    holdout = flights.filter(col("month") > 9).map(features)

    xtx, xty, rows = np.zeros((len(FEATURES), len(FEATURES))), np.zeros(len(FEATURES)), 0
    for batch in training.batches(batch_size=16_384):
        x = np.column_stack([batch[name].to_numpy() for name in FEATURES])
        y = batch["arr_delay"].to_numpy()
        xtx, xty, rows = xtx + x.T @ x, xty + x.T @ y, rows + batch.num_rows
    weights = np.linalg.solve(xtx, xty)
    print(f"fitted on {rows:,} flights of January to September:")
    for name, weight in zip(FEATURES, weights, strict=True):
        print(f"  {name:10} {weight:8.3f}")

    errors, total, mean = 0.0, 0.0, holdout.agg(mean=col("arr_delay").mean()).to_pydict()["mean"][0]
    for batch in holdout:
        y = batch["arr_delay"].to_numpy()
        x = np.column_stack([batch[name].to_numpy() for name in FEATURES])
        errors, total = errors + ((y - x @ weights) ** 2).sum(), total + ((y - mean) ** 2).sum()
    print(f"R² on October to December: {1 - errors / total:.3f}")


if __name__ == "__main__":
    main()
