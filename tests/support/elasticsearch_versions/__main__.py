"""``python -m tests.support.elasticsearch_versions VERSION``: writes its list of jars anew."""

import sys

from tests.support.elasticsearch_versions import write_lock

write_lock(sys.argv[1])
