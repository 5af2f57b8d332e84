"""An EAGLE-3 head reads the states of the layers before those it was trained on.

Seen in
    vllm-project/vllm#43671 and #50170; lightseekorg/tokenspeed#526.

Breaks
    Where the head was trained on what enters the target's layers a, b and c, it is given what
    enters a - 1, b - 1 and c - 1.

Shows
    Acceptance is low from index 0 on, at every depth. No state is wrong; the layers that are read
    are all that tells it from a poor head. At temperature 0 too.
"""

from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import ClassVar

from specprof.engine.features import Features
from specprof.engine.heads.head import Form
from specprof.engine.heads.taps import taps
from specprof.engine.wiring import Lane, Wired
from specprof.errors import UsageError
from specprof.extend import Fault
from specprof.faults._during import in_each
from specprof.faults._features import head_of
from specprof.faults._miscount import target_of
from specprof.faults._patch import swapped
from specprof.settings import Value


class AuxLayerOffByOne(Fault):
    """A configuration error: layers counted from another end."""

    stage: ClassVar[dict[str, Value]] = {"drafter": "eagle", "draft": "pocket/eagle"}

    def inject(self, wired: Wired) -> AbstractContextManager[None]:
        """Tap each target one layer early."""
        form = head_of(wired).form
        if not form.third or min(form.taps) < 1:
            title = f"the head reads layers {form.taps or 'none'}: there is none before each"
            raise UsageError(title, "use an EAGLE-3 head, such as pocket/eagle")
        early = replace(form, taps=tuple(each - 1 for each in form.taps))
        return in_each(wired, partial(_tapped, early))


def _tapped(form: Form, lane: Lane) -> AbstractContextManager[None]:
    target = target_of(lane)
    return swapped(target, features=Features(taps(target.model, form), lane.rig.capacity))
