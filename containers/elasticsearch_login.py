"""Makes the role and the user `movies_etl` in Elasticsearch: `elasticsearch_login.py URL CA`.

The role is that of include/elasticsearch/setup/role.json. Passwords come from the environment:
ELASTIC_PASSWORD of the superuser, MOVIES_ELASTICSEARCH_PASSWORD of the new user. Runs at every
start, so a password that was changed in .env holds from then on.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from elasticsearch import Elasticsearch

NAME = "movies_etl"
ROLE = Path(__file__).parents[1] / "include" / "elasticsearch" / "setup" / "role.json"


def main() -> None:
    """Make both."""
    url, authority = sys.argv[1:]
    superuser = ("elastic", os.environ["ELASTIC_PASSWORD"])
    with Elasticsearch(url, ca_certs=authority, basic_auth=superuser) as client:
        client.security.put_role(name=NAME, **json.loads(ROLE.read_text()))
        client.security.put_user(
            username=NAME, password=os.environ["MOVIES_ELASTICSEARCH_PASSWORD"], roles=[NAME]
        )


if __name__ == "__main__":
    main()
