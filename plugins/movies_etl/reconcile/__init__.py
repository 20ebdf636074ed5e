"""What ``modified`` cannot show: found by asking both sides, and corrected under the lock."""
