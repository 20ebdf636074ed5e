"""Whether an index's documents were made as they are made now; if not, it must be rebuilt.

After a change of ``documents.sql`` nearly all documents differ. They are not rewritten one by one,
and nobody is asked: very many differences of an outdated index are left and reported. A pass that
finds few of them shows that the index is as it is made now, for example after a reload.
"""

from __future__ import annotations

import logging
from pathlib import Path

from movies_etl.es.maker import Maker, maker_of, note
from movies_etl.reconcile.candidates import Candidates
from movies_etl.reconcile.fuses import over_for_rewrites
from movies_etl.state.reconcile import Pass
from movies_etl.sync.resources import Resources

log = logging.getLogger(__name__)


class Making:
    """What made the documents of an index, and what makes them now.

    :param resources: the servers.
    :param include_dir: the folder with ``sql/``.
    """

    def __init__(self, resources: Resources, include_dir: Path) -> None:
        self._index = resources.index
        self._reindex_dag = resources.definition.reindex_dag
        self._now = Maker.of(resources.definition, include_dir)
        self._then = maker_of(self._index.mapping())

    @property
    def is_outdated(self) -> bool:
        """Whether another query or model made the documents; False where it is not known."""
        return self._then is not None and self._then.documents != self._now.documents

    def begun(self, at: str) -> Pass:
        """Return a pass that begins at a time.

        What it finds tells how the index was made only if the same query makes documents all the
        time.
        """
        return Pass(began=at, maker=self._now.documents)

    def goes_on(self, now: Pass) -> bool:
        """Whether documents are made as they were when a pass began."""
        return now.maker == self._now.documents

    def leaves(self, found: Candidates) -> bool:
        """Whether what differs is left to a rebuild; warns if so."""
        differ = found.rewritten + found.rewrites
        over = over_for_rewrites(differ, found.documents)
        if not self.is_outdated or over is None:
            return False
        self._tell(over)
        return True

    def passed(self, differed: int, documents: int) -> None:
        """Note what makes documents now when a pass has found few that differ.

        :param differed: documents of the pass that were not what their row said.
        :param documents: that it compared.
        """
        if self._then == self._now:
            return
        if over := over_for_rewrites(differed, documents):
            self._tell(over)
        else:
            note(self._index, self._now)

    def _tell(self, over: str) -> None:
        log.warning(
            "Rebuild index %s: %s, as they were made by another documents.sql%s. They are not "
            "rewritten one by one; trigger %s",
            self._index.name,
            over,
            f" (of Movies ETL {self._then.program})" if self._then else "",
            self._reindex_dag,
        )
