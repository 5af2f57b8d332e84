"""An EAGLE-3 head reads the states of the layers beside those it was trained on.

Seen in
    vllm-project/vllm#43671 and #50170; lightseekorg/tokenspeed#526.

Breaks
    Where the head was trained on what enters the target's layers a, b and c, it is given what
    enters a - 1, b - 1 and c - 1; of a head that reads the embedding, the layers after.

Shows
    Acceptance is lower from index 0 on, at every depth, and the head's law strays from that of a
    head on the configured layers from the first round on. Neighbouring layers of the pocket target
    are much alike, so little acceptance is lost there. Lengths are right, the target is clean.
"""

from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import ClassVar

from specprof.engine.fault import Fault
from specprof.engine.features import Features
from specprof.engine.heads.head import Form
from specprof.engine.heads.taps import taps
from specprof.engine.patch import swapped
from specprof.engine.run import Lane, Run
from specprof.errors import UsageError
from specprof.faults._during import in_each
from specprof.faults._features import head_of
from specprof.faults._miscount import target_of
from specprof.settings import Value


class AuxLayerOffByOne(Fault):
    """A configuration error: layers counted from another end."""

    settings: ClassVar[dict[str, Value]] = {"drafter": "eagle", "draft": "pocket/eagle"}

    def inject(self, run: Run) -> AbstractContextManager[None]:
        """Tap each target one layer off."""
        form = head_of(run).form
        if not form.third:
            title = "an EAGLE head reads the target's last state and no layers of its choice"
            raise UsageError(title, "use an EAGLE-3 head, such as pocket/eagle")
        step = -1 if min(form.taps) else 1  # nothing is before the embedding
        astray = replace(form, taps=tuple(each + step for each in form.taps))
        return in_each(run, partial(_tapped, astray))


def _tapped(form: Form, lane: Lane) -> AbstractContextManager[None]:
    target = target_of(lane)
    return swapped(target, features=Features(taps(target.model, form), lane.loop.parts.capacity))
