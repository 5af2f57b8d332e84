"""Mismatches, which are no bugs: the draft and the target differ."""
