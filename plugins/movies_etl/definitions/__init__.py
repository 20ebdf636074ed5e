"""WHAT is synced: the only room to enter for a new index."""
