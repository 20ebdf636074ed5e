"""A run that goes on: what is committed is searchable within a second."""
