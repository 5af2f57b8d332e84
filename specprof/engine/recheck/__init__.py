"""Compare what a run used with what a forward without a cache gives."""
