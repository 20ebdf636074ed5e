"""The images, built once for the run."""

from __future__ import annotations

import pytest

from tests.containers.stack import Stack


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Build the project's images from this checkout."""
    Stack(tmp_path_factory.mktemp("build")).compose("build")
