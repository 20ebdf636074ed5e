"""WHAT is remembered between runs and tasks."""
