"""Proof of the proof: each switches the protection of one rule off, from outside.

A break is a context manager; the program has no such switch. A rule that no history can break is
either not needed or not tested, so each must be found within ``LIMIT`` histories.
"""

from __future__ import annotations

from tests.simulation.breaks_of_finding import FINDING
from tests.simulation.breaks_of_following import FOLLOWING
from tests.simulation.breaks_of_reading import READING
from tests.simulation.breaks_of_rebuilds import REBUILDING
from tests.simulation.breaks_of_replicas import REPLICAS
from tests.simulation.breaks_of_writing import WRITING

LIMIT = 300
"""Histories within which a broken rule must be found."""

BREAKS = READING | WRITING | FINDING | REBUILDING | FOLLOWING | REPLICAS
