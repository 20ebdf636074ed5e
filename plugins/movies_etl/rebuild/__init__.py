"""A second index: loaded beside the live one, compared, and given the alias without downtime."""
