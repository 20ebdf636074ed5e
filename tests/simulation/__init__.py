"""The program's own code over small models of both servers: seeded, replayable, fast.

``python -m tests.simulation --help`` says how to run it; ``world.py`` is the place to begin
reading, ``history.py`` says what may happen, ``breaks.py`` proves that it would be noticed.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("movies_etl") is None:  # started by hand, not by pytest
    sys.path.insert(0, str(Path(__file__).parents[2] / "plugins"))
