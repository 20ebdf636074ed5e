"""What the local stack makes of Airflow's answers."""

from __future__ import annotations

from typing import Any

import pytest

from local.airflow_api import _error


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"level": "info", "event": "Pushing xcom"}, ""),
        ({"level": "error", "event": "Alias movies is gone."}, "Alias movies is gone."),
        ({"level": "error", "event": "Task exited", "exit_code": 1}, ""),
        (
            {
                "level": "error",
                "event": "Task failed with exception",
                "error_detail": [{"exc_type": "KeyError", "exc_value": "'x'"}],
            },
            "Task failed with exception KeyError: 'x'",
        ),
    ],
)
def test_errors_in_a_log_are_told_once(line: dict[str, Any], said: str) -> None:
    assert _error(line) == said
