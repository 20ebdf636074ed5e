"""How a task fails: what is logged, and what Airflow's runner, policies and callbacks are given."""

from __future__ import annotations

import logging

import pytest
from movies_etl import errors
from movies_etl.airflow.dags import NEVER, ONLY_WHAT_MAY_PASS
from movies_etl.airflow.failures import told_on_one_line

KINDS = [
    errors.ConfigurationError,
    errors.IndexUnavailableError,
    errors.MoviesEtlError,
    errors.RefusedDocumentsError,
    errors.SourceUnavailableError,
    errors.WriterBusyError,
]


@told_on_one_line()
def fails(error: BaseException) -> None:
    try:
        raise KeyError
    except KeyError as cause:
        raise error from cause


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_of_this_program_is_one_line_and_keeps_its_class_and_message(
    kind: type[errors.MoviesEtlError], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(kind, match=r"^It is gone\.\nBring it back\.$") as caught:
        fails(kind("It is gone.\nBring it back."))
    assert type(caught.value).__name__ == kind.__name__
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "It is gone. Bring it back.")
    assert record.exc_info is None
    # The one exception that Airflow's runner logs without a traceback, nor does it log its message.
    assert isinstance(caught.value, SystemExit)
    assert caught.value.code == 1
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("kind", KINDS)
def test_retry_policies_decide_by_the_class_as_before(kind: type[errors.MoviesEtlError]) -> None:
    error = kind("x")
    with pytest.raises(kind) as caught:
        fails(error)
    for policy in (ONLY_WHAT_MAY_PASS, NEVER):
        decided = policy.evaluate(caught.value, 1, 2)
        assert decided == policy.evaluate(error, 1, 2)
    assert NEVER.evaluate(caught.value, 1, 2).action.value == "fail"


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt(), SystemExit(3)])
def test_other_errors_stay_as_they_are(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(type(error)) as caught:
        fails(error)
    assert caught.value is error
    assert isinstance(error.__cause__, KeyError)
    assert caplog.records == []


def test_the_traceback_is_there_for_who_asks(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.DEBUG, "movies_etl.airflow.failures"),
        pytest.raises(errors.ConfigurationError),
    ):
        fails(errors.ConfigurationError("x"))
    told, where = caplog.records
    assert told.exc_info is None
    assert where.exc_info
    assert where.exc_info[0] is errors.ConfigurationError
