"""The same K every round."""

from specprof.extend import Depth


class Fixed(Depth):
    """A constant depth, the one asked for."""

    def ask(self) -> int:
        """Return K."""
        return self.settings.depth
