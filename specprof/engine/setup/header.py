"""The first line of a capture: what ran, on what, with which versions."""

from datetime import UTC, datetime

import torch

from specprof.engine.decoder import Decoder
from specprof.engine.instruments import machine
from specprof.engine.instruments.stopwatch import Clock, clock_facts
from specprof.engine.setup.loading import Loaded
from specprof.engine.setup.model_facts import add_loaded_facts
from specprof.records import Header
from specprof.settings import ForwardPath, RunSpec
from specprof.version import __version__


def header(
    spec: RunSpec,
    command: list[str],
    *,
    target: Loaded | None,
    draft: Loaded | None,
    acceptance: str,
    lossless: bool | None,
    clock: Clock,
    device: torch.device,
    source: str | None,
    engine: str | None = None,
    path: ForwardPath | None = None,
    decoders: tuple[Decoder | None, Decoder | None] = (None, None),
) -> Header:
    """Return the header of a run whose text came from `source`.

    `path` is the way of computing forwards that was asked for, `decoders` are the target's and the
    draft's. They are None if this engine computes no forwards.
    """
    return Header(
        specprof=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        spec=spec,
        command=command,
        target=add_loaded_facts(target, path, decoders[0]) if target else None,
        draft=add_loaded_facts(draft, path, decoders[1]) if draft else None,
        acceptance=acceptance,
        lossless=lossless,
        clock=clock_facts(clock),
        device=str(device),
        machine=machine.machine_facts(device),
        versions=machine.package_versions(),
        text=source,
        engine=engine,
    )
