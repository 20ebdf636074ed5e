"""Users of Airflow's web UI, whichever of its auth managers the tests run with."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.utils.session import create_session
from sqlalchemy import select


def headers(role: str | None) -> dict[str, str]:
    """Return what a browser sends whose user has a role: ``VIEWER`` and the like; None has none."""
    manager = get_auth_manager()
    is_simple = isinstance(manager, SimpleAuthManager)
    user = SimpleAuthManagerUser(username=f"{role}", role=role) if is_simple else _of_fab(role)
    return {"Authorization": f"Bearer {manager.generate_jwt(user)}"}


def _of_fab(role: str | None) -> Any:
    """Return a user whom FAB keeps in its tables; its role ``Public`` has no right."""
    models = import_module("airflow.providers.fab.auth_manager.models")
    name = (role or "public").title()
    with create_session() as session:
        user = session.scalar(select(models.User).where(models.User.username == name))
        if user is None:
            found = session.scalar(select(models.Role).where(models.Role.name == name))
            user = models.User(
                username=name,
                first_name=name,
                last_name=name,
                email=f"{name}@example.org",
                active=True,
                roles=[found],
            )
            session.add(user)
            session.flush()
        session.expunge_all()
    return user
