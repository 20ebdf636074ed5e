"""The program's own code over small models of both servers: seeded, replayable, fast.

``python -m tests.simulation --help`` says how to run it. ``history.py`` is the place to begin
reading; ``writers.py``, ``events.py``, ``operators.py`` and ``scenarios.py`` say what may happen,
``check.py`` what must be true then, ``breaks.py`` proves that it would be noticed.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("movies_etl") is None:  # started by hand, not by pytest
    sys.path.insert(0, str(Path(__file__).parents[2] / "plugins"))
