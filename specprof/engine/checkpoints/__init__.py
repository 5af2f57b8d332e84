"""What a name of a model means, and whether what it names can be loaded: looked at, not loaded."""
