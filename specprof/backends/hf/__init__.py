"""Watches the generation loops of transformers; nothing here adds a backend by itself."""
