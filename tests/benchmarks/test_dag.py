from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.conftest import ROOT

LOOK = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
def called(task):
    function = getattr(task, "python_callable", None)
    return function and function.__code__.co_name
print(json.dumps({"errors": bag.import_errors, "dags": {
    name: {task.task_id: called(task) for task in dag.tasks}
    for name, dag in bag.dags.items()
}}))
"""


def test_every_task_of_the_real_dag_is_measured() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", LOOK, ROOT / "benchmarks" / "dags"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "plugins")))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout.splitlines()[-1])
    assert found["errors"] == {}
    measured = dict.fromkeys(("init", "film_work", "genre", "person"), "around")
    assert found["dags"] == {
        "movies_sync": measured,
        "movies_reconcile": dict.fromkeys(("presence", "touched", "contents"), "around"),
        "movies_reindex": dict.fromkeys(("prepare", "load", "check", "swap"), "around")
        | {"split": "inner", "approve": None},
        "benchmark_empty": {"empty": "empty"},
        "benchmark_purge": {"purge": "purge"},
    }
