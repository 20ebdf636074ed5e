"""Cursors of a test in which no index is beside the live one."""

from __future__ import annotations

from movies_etl.state.cursors import CursorStore


class LiveOnly:
    """What is asked of the cursors of other indexes, where there are none."""

    def beside(self, index: str) -> CursorStore:
        raise NotImplementedError(index)

    def indexes(self) -> list[str]:
        return []

    def forget(self, index: str) -> None:
        raise NotImplementedError(index)
