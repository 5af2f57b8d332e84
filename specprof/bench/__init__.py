"""Methods played beside each other in one process, and what their times say."""
