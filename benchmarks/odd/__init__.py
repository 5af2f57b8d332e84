"""Odd inputs: model folders by recipe, settings and names of models."""
