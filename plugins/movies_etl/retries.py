"""One way to wait for a server: exponential back-off with full jitter, up to a limit."""

from __future__ import annotations

import logging

import tenacity

from movies_etl.errors import IndexUnavailableError, SourceUnavailableError, on_one_line

log = logging.getLogger(__name__)

MAX_PAUSE_SECONDS = 15.0


def retrying(seconds: float) -> tenacity.Retrying:
    """Try again while a server is unavailable; the last error is raised when time is up.

    :param seconds: new attempts are started for this many seconds, the last one at their end.
    """
    pause = tenacity.wait_random_exponential(multiplier=0.2, max=MAX_PAUSE_SECONDS)

    def pause_in_time(state: tenacity.RetryCallState) -> float:
        return min(pause(state), max(0.0, seconds - (state.seconds_since_start or 0.0)))

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception_type((IndexUnavailableError, SourceUnavailableError)),
        wait=pause_in_time,
        stop=tenacity.stop_after_delay(seconds),
        before_sleep=_say,
        reraise=True,
    )


def _say(state: tenacity.RetryCallState) -> None:
    error = state.outcome and state.outcome.exception()
    if isinstance(error, Exception) and state.next_action:
        log.warning(
            "Try %d again in %.1f s: %s",
            state.attempt_number,
            state.next_action.sleep,
            on_one_line(error),
        )
