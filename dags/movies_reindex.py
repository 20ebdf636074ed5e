"""Makes the Elasticsearch index `movies` anew while people search, and gives it the alias.

**When.** The mapping, an analyzer or `documents.sql` is to change: change the file, then trigger
this DAG. The number of shards is a param. Searches see the present index until the new one is
whole, and never neither.

**What it does.** `prepare` checks that there is room on the disks and for the shards, and makes
`movies-<time>`. `load` fills it by ranges of ids, several at once (`MOVIES_ETL_REINDEX_TASKS`).
`check` lets it catch up with what changed meanwhile, and compares it with the database.
`approve` asks a person, if `pause_before_swap` says so. `swap` moves the alias and every other one
of the index in one request; settings that somebody changed on the present index are kept.

**`movies_sync` goes on.** It feeds the present index all the time, and goes on with the new one
after the swap. The old index is kept and fed, too: `MOVIES_ETL_KEEP_INDICES`, 1 by default.

**Back.** Trigger with `rollback`: the index before takes the alias again, with all changes since.

**When a task fails** nothing that searches see has changed; only `swap` may fail behind the move of
the aliases. Fix what its last line says and clear the failed tasks: `load` goes on from the page
where it was. Or trigger with `resume`, which goes on with the half-made index; a run without it
removes that index and begins anew.

**A plain index named `movies`,** made by another program, is replaced with `take_over` only: it is
deleted when the new one is whole, in the same request.

**Needs.** Connections `movies_postgres` and `movies_elasticsearch`, and a first load by
`movies_sync`. One run at a time. The searches of `elasticsearch/searches/movies.json` are run on
both indexes, and `check` shows how many of the first ten hits are the same, and how fast.
"""

from __future__ import annotations

from movies_etl.airflow.dags import reindex_dag
from movies_etl.definitions.movies import MOVIES

reindex_dag(MOVIES, doc_md=__doc__)
