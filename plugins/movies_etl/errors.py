"""What can go wrong, sorted by what an operator does about it.

Every message names the connection, setting, object or film, and the next step.
"""

from __future__ import annotations


class MoviesEtlError(Exception):
    """An error of this program."""


class ConfigurationError(MoviesEtlError):
    """Somebody has to mend a connection, a setting, a schema or a cursor; a retry cannot help."""


class SourceUnavailableError(MoviesEtlError):
    """PostgreSQL cannot be reached or was lost; a retry goes on from the cursor."""


class IndexUnavailableError(MoviesEtlError):
    """Elasticsearch is lost or overloaded; a retry goes on from the cursor."""


class WriterBusyError(MoviesEtlError):
    """Another task writes to the index; a retry waits for it."""


class RefusedDocumentsError(MoviesEtlError):
    """Documents were refused in a way that no single film explains.

    The cursor stands at the last settled page.
    """
