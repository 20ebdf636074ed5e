"""Finds what `modified` cannot show, and corrects the Elasticsearch index `movies`.

**What it does.** `presence` compares which films and which links there are on both sides;
`touched` reads again what was written since the last run, whatever its time says; `contents`
compares the next films with their rows, all of them twice a day. Each film that differs is read
again under the writer's lock, so `movies_sync` may go on beside it.

**Many at once.** More than 100 deletions that are more than 5 % of the films, or more than 1,000
rewrites that are more than 5 %, are not done: `movies_purge` asks a person, and `asked` in the
result says about how many. After a change of `documents.sql` nobody is asked: the log says that
the index is to be rebuilt.

**State.** The Variable `movies_etl.reconcile`. `verified_age_seconds` in the results says for how
long no film has gone without a comparison. Deleting the Variable has everything compared again.

**By hand.** Trigger with `full` to compare everything now, `dry_run` to report only, `ids` for some
films.

**Needs.** Connections `movies_postgres` and `movies_elasticsearch`. Settings are environment
variables `MOVIES_ETL_*`; `MOVIES_ETL_RECONCILE_SCHEDULE` says when it runs.
"""

from __future__ import annotations

from movies_etl.airflow.dags import reconcile_dag
from movies_etl.definitions.movies import MOVIES

reconcile_dag(MOVIES, doc_md=__doc__)
