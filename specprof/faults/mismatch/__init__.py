"""No bugs: drafts and targets that merely differ."""
