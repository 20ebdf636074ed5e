"""The Airflow plugin: the page of operators, and Movies ETL on the list of plugins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin
from movies_etl import __version__

Message = MutableMapping[str, Any]


async def page(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Answer a request; the application is imported at the first one.

    Airflow executes this file in every task, which needs no web application.
    """
    from movies_etl.airflow.page import app  # noqa: PLC0415 - see above

    await app(scope, receive, send)


class MoviesEtlPlugin(AirflowPlugin):
    """Names the program and its version in Admin -> Plugins, and adds the page.

    Hooks and tasks are imported from the package.
    """

    name = f"movies_etl {__version__}"
    fastapi_apps = [  # noqa: RUF012 - so declared by Airflow
        {"app": page, "url_prefix": "/movies-etl", "name": "Movies ETL"}
    ]
    external_views = [  # noqa: RUF012
        {
            "name": "Movies",
            "href": "movies-etl/",
            "destination": "nav",
            "url_route": "movies",
            "icon": "movies-etl/icon.svg",
            "icon_dark_mode": "movies-etl/icon-dark.svg",
        }
    ]
