"""Whether the session has a server process of its own, although a pooler stands between.

A pooler in transaction mode lends a server for a transaction. What the session sets would stay
with a server that others use next, and the writer's lock with a server that is nobody's. So this is
found out before anything is set, by statements that change nothing.

Without a pooler the process that answers is the one that let the session in. A pooler tells a
process number of its own at the login. Then a second session is opened, and both are asked in turns
which process answers: two sessions with a server each get two answers that never change. A shared
server shows at once in a pool that is at rest, because it hands out the server that it got back
last, and soon in a busy one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from movies_etl.errors import ConfigurationError
from movies_etl.postgres.session import NoAnswerError, Session

FREE_SERVER_SECONDS = 3.0
"""Seconds within which a pooler lends a second session a server. Later means that its servers are
taken: this session's is among them, so it is not lent to others."""

ROUNDS = 3
"""How often both sessions are asked."""


def with_a_server_of_its_own(opened: Callable[[], Session], conn_id: str) -> Session:
    """Open a session, and see that its server is not lent to others.

    :param opened: opens a session; it is called again where a pooler is found.
    :param conn_id: the Airflow connection.
    :raises ConfigurationError: a pooler lends servers for a transaction.
    :raises psycopg.Error: the server or the pooler was lost.
    """
    session = opened()
    try:
        server = _server_of(session)
        if server != session.info.backend_pid and _is_lent(session, server, opened):
            raise ConfigurationError(
                f"Connection {conn_id} leads through a pooler that lends a server for one "
                "transaction only: settings would stay with a server that the site writes "
                "through, and the lock with none of ours. Point the connection to PostgreSQL "
                "itself, or to a pool in session mode (pgbouncer: pool_mode = session)."
            )
    except BaseException:
        session.close()
        raise
    return session


def _is_lent(session: Session, server: int, opened: Callable[[], Session]) -> bool:
    """Whether this session's server serves other sessions, too."""
    own, of_other = {server}, set()
    with opened() as other:
        other.expect_answers(within=FREE_SERVER_SECONDS)
        with suppress(NoAnswerError):
            of_other.add(_server_of(other))
        for _ in range(ROUNDS):
            own |= {_server_of(session), _server_of(session)}  # a pool may take turns
            if not other.closed:
                of_other.add(_server_of(other))
    return len(own) > 1 or len(of_other) > 1 or not own.isdisjoint(of_other)


def _server_of(session: Session) -> int:
    """Return the number of the process that answers."""
    query = "SELECT pg_backend_pid()"  # not prepared: that would stay with the server, too
    ((number,),) = session.execute(query, prepare=False).fetchall()
    return int(number)
