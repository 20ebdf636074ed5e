"""Random histories of a site, the program and both real servers, drawn by hypothesis.

``machine.py`` is the place to begin reading: its rules say what may happen, its end what must be
true. ``writes.py`` is the site, ``program.py`` the program's tasks, ``fate.py`` what happens to a
task between any two of its actions; ``play.py`` plays many histories.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("movies_etl") is None:  # started by hand, not by pytest
    sys.path.insert(0, str(Path(__file__).parents[2] / "plugins"))
