"""What was used beside what a forward without a cache gives."""
