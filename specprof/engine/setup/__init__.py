"""Make models, decoders and a ready run from settings."""
