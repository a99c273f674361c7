"""Watch a live source: rows are handed over as they arrive, and leaving the loop stops the rest.

python examples/follow_pipe.py                     # a simulated sensor
tail -f measurements.csv | python examples/follow_pipe.py -
"""

import os
import subprocess
import sys

import stream
from stream import col

SENSOR = """
import math, sys, time
print("second,sensor,celsius", flush=True)
for second in range(100_000):
    for sensor in ("north", "south"):
        print(second, sensor, round(20 + 8 * math.sin(second / 9) + (sensor == "south"), 2), sep=",", flush=True)
    time.sleep(0.002)
"""


def main() -> None:
    if sys.argv[1:] == ["-"]:
        watch("-")
        return
    command = [sys.executable, "-c", SENSOR]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as sensor:
        watch(sensor.stdout)
        sensor.terminate()


def watch(source) -> None:
    """Say when it gets hot; stop at the third alarm."""
    schema = {"second": "int64", "sensor": "string", "celsius": "float64"}
    hot = (
        stream.read(source, format="csv", schema=schema)
        .filter(col("celsius") >= 28)
        .select("second", "sensor", "celsius")
    )
    alarms, last = 0, None
    with hot.rows() as rows:
        for row in rows:
            if last is None or row["second"] > last + 10:
                alarms += 1
                print(f"alarm {alarms}: {row['sensor']} at {row['celsius']} °C in second {row['second']}", flush=True)
            last = row["second"]
            if alarms == 3:
                break
    print(f"that is enough; process {os.getpid()} is done while the sensor would have gone on")


if __name__ == "__main__":
    main()
