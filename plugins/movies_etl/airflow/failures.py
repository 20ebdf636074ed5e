"""How a task fails: an error of this program is one line of the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from movies_etl.errors import MoviesEtlError, on_one_line

log = logging.getLogger(__name__)


@contextmanager
def told_on_one_line() -> Iterator[None]:
    """Log an error of this program as one line, and end the task with it.

    Its message says what to do, so a traceback would only hide it. Airflow logs one with every
    exception but ``SystemExit``, which it retries as any other; so the error becomes both. Retry
    policies and callbacks find its class and its message. Level DEBUG shows the traceback.
    """
    try:
        yield
    except MoviesEtlError as error:
        log.error("%s", on_one_line(error))  # noqa: TRY400 - see above
        log.debug("It was raised here:", exc_info=True)
        raise _without_traceback(error) from None


def _without_traceback(error: MoviesEtlError) -> MoviesEtlError:
    kind = type(error)
    # Without a code of its own it would have the message as the code, and Airflow logs that, too.
    own = {"__doc__": kind.__doc__, "code": 1}
    ended: MoviesEtlError = type(kind.__name__, (kind, SystemExit), own)(*error.args)
    return ended
