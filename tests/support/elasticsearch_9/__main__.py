from tests.support.elasticsearch_9 import write_lock

write_lock()
