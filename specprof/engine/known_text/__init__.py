"""What the models think of a text that is given: perplexity and overlap."""
