"""Asks a person before many documents of the index `movies` are deleted or rewritten.

**What it does.** When `movies_reconcile` or `movies_sync` finds more than 100 deletions that are
more than 5 % of the films, or more than 1,000 rewrites that are more than 5 %, it does none of them
and keeps a list. `find` takes the list, `approve` waits for an answer (Required Actions in the web
UI; no worker is occupied), `purge` does what was approved, `remember` keeps a refusal.

**The answer.** *Approve*: each film of the list is read again; those that still have no row are
deleted, and no others. *Reject*, or no answer for `MOVIES_ETL_APPROVAL_HOURS`: nothing is done, and
nobody is asked about these films again. `MOVIES_ETL_APPROVERS` names the users who may answer.

**By hand.** Trigger with `digest` to be asked about a list again, one that was refused, too.

**State.** The index `movies-reconcile`. Deleting a list there has its films found again.

**Needs.** Connections `movies_postgres` and `movies_elasticsearch`. Settings are environment
variables `MOVIES_ETL_*`.
"""

from __future__ import annotations

from movies_etl.airflow.dags import purge_dag
from movies_etl.definitions.movies import MOVIES

purge_dag(MOVIES, doc_md=__doc__)
