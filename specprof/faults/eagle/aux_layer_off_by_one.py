"""An EAGLE-3 head reads the states of the layers next to the layers it was trained on.

Seen in
    vllm-project/vllm#43671 and #50170; lightseekorg/tokenspeed#526.

Breaks
    The head was trained on the states that enter the target's layers a, b and c. It is given the
    states that enter a - 1, b - 1 and c - 1. A head that reads the embedding is given the states of
    the layers after instead.

Shows
    Acceptance is lower from index 0 on, at every depth. From the first round on the head's
    distribution differs from that of a head on the configured layers. Neighbouring layers of the
    pocket target are similar, so little acceptance is lost there. Lengths and the target are right.
"""

from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.features import Features
from specprof.engine.heads.head import Form
from specprof.engine.heads.taps import find_taps
from specprof.engine.patch import swapped
from specprof.engine.run import Lane, Run
from specprof.errors import UsageError
from specprof.faults._during import break_each_sequence
from specprof.faults._features import head_of
from specprof.faults._miscount import target_of
from specprof.settings import Value


class AuxLayerOffByOne(Fault):
    """Misconfigures the layers, as a count that begins at another layer does."""

    settings: ClassVar[dict[str, Value]] = {"drafter": "eagle", "draft": "pocket/eagle"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Read each target's states one layer off."""
        form = head_of(run).form
        if not form.third:
            title = "an EAGLE head reads the target's last state and no layers of its choice"
            raise UsageError(title, "use an EAGLE-3 head, such as pocket/eagle")
        step = -1 if min(form.taps) else 1  # no layer comes before the embedding
        astray = replace(form, taps=tuple(each + step for each in form.taps))
        return break_each_sequence(run, partial(_tap_layers, astray))


def _tap_layers(form: Form, lane: Lane) -> AbstractContextManager[None]:
    target = target_of(lane)
    return swapped(
        target, features=Features(find_taps(target.model, form), lane.loop.parts.capacity)
    )
