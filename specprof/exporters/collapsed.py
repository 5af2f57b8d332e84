"""Collapsed stacks: one `run;round;draft;step 1200345` a line, the numbers integer nanoseconds.

The smallest format for flame graphs. flamegraph.pl, inferno, speedscope and Perfetto read it, and
two files can be compared line by line. The order in time is not in the file.
"""

import re
from collections import Counter
from pathlib import Path
from typing import ClassVar

from specprof.capture import Capture
from specprof.exporters._slices import RUN, Slice, Timeline, self_ns, timeline
from specprof.extend import Exporter

Stack = tuple[str, ...]


class Collapsed(Exporter):
    """Writes a capture's time as collapsed stacks."""

    suffix: ClassVar[str] = ".collapsedstack.txt"
    viewer: ClassVar[str] = "https://www.speedscope.app, or flamegraph.pl"

    def write(self, capture: Capture, path: Path) -> None:
        """Write one line per stack; the times of equal stacks are summed."""
        lines = Counter[str]()
        for stack, ns in stacks(timeline(capture)).items():
            lines[";".join(_frame_name(name) for name in stack)] += ns
        text = "".join(f"{line} {ns}\n" for line, ns in lines.items())
        path.write_text(text, encoding="utf-8")


def stacks(run: Timeline) -> dict[Stack, int]:
    """Return stack, root first -> nanoseconds spent in it but not below it, without zeros.

    A batch step's time counts once, divided among its sequences.
    """
    spent = Counter[Stack]()
    for lane in run.lanes.values():
        for one in lane:
            _add(spent, (RUN,), one, one.shared)
    spent[(RUN,)] += run.ns - spent.total()
    return {stack: ns for stack, ns in spent.items() if ns}


def _add(spent: Counter[Stack], above: Stack, one: Slice, shared: int) -> None:
    stack = (*above, one.name)
    spent[stack] += self_ns(one) // shared
    for child in one.children:
        _add(spent, stack, child, shared)


def _frame_name(name: str) -> str:
    """Return a name that every reader of the format accepts: one line, no `;`, no last number."""
    signs = (sign if sign.isprintable() and sign != ";" else " " for sign in name)
    words = " ".join("".join(signs).split()) or "?"
    return re.sub(r" (\d+)$", r"_\1", words)
