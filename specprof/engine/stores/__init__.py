"""The key-value stores, which own tokens' positions; their masks and their rotations."""
