"""Where tokens stand: the key-value stores, their masks and their rotations."""
