"""Reports what may differ between runs, machines and builds: random numbers, clocks and the order of sets."""

import json
import os
import random
import time
import uuid
from datetime import datetime

from llem_sdk import report

# Drawn when the component is built. Nothing that a run reports may depend on it.
AT_BUILD = random.random()


def run() -> None:
    observed = {
        "random": [random.random(), random.gauss(), random.choice("abcdef")],
        "own generator": random.Random(3).random(),
        "urandom": os.urandom(8).hex(),
        "system generator": random.SystemRandom().random(),
        "uuid": str(uuid.uuid4()),
        "time": time.time(),
        "monotonic": time.monotonic(),
        "now": datetime.now().isoformat(),
        "order of numbers": list({5.5, 1, 99, -3}),
        "environment": dict(os.environ),
    }
    report.write_artifact("observed.json", json.dumps(observed).encode())
    hashed = {"hash": hash("text"), "order of texts": list({"one", "two", "three", "four", "five"})}
    report.write_artifact("hashed.json", json.dumps(hashed).encode())
