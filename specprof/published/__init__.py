"""Results that other tools published: read, and checked for what can't be true."""
