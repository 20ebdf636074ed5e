"""Task functions measured from outside: as they are, between two readings of the clocks.

`BENCHMARK` names a file with the servers' process ids, with what is to be done at the first moment
of a task (a change that the task shall find), and with what is to be patched. The task's result
gains the entry `benchmark`.
"""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

from benchmarks import unprotected
from benchmarks.edits import commit
from benchmarks.meter import Meter, peak_memory


def measured(decorated: Any, name: str) -> Any:  # noqa: ANN401 - Airflow's decorator
    """Put the two readings around the function of a task."""
    function = decorated.function

    @functools.wraps(function)
    def around(*args: object, **kwargs: object) -> dict[str, Any]:
        order = json.loads(Path(os.environ["BENCHMARK"]).read_text())
        meter = Meter(order["postgres"], order["elasticsearch"])
        if order["unprotected"]:
            unprotected.patch()
        committed = commit(order["edit"]) if order["edit_in"] == name else None
        before = meter.read()
        result: dict[str, Any] = function(*args, **kwargs)
        spent = meter.read().since(before)
        return result | {
            "benchmark": {
                **vars(spent),
                "began": before.at,
                "committed": committed,
                "peak": peak_memory(),
            }
        }

    decorated.function = around
    return decorated
