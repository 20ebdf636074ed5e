"""The loop: from changed rows to a saved cursor."""
