"""Settings become models, decoders and a run that is ready to be played."""
