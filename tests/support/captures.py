"""Captures to test readers with: made by the synthetic backend, healthy or odd in a named way."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

from specprof.backends.synthetic import Synthetic
from specprof.bounds import Damaged
from specprof.capture import Capture
from specprof.capture_writer import CaptureWriter
from specprof.locking import read_boot_id
from specprof.records import (
    Burst,
    End,
    Event,
    Header,
    Note,
    Prefill,
    Recheck,
    Round,
    Sample,
    Scored,
)
from specprof.settings import RunSpec, Settings

replace = msgspec.structs.replace
HOSTILE = "\x1b[31m=cmd|' /C calc'!A1;x\n\r\t<script>[bold]@y</script>\u202e\x00 12"
SMALL_SETTINGS = {"stops": 3, "max_new_tokens": 12, "context": 6000, "temperature": 1.0}


def events(fault="none", **settings) -> list[Event]:
    """Return a small synthetic run's events, its closing line included."""
    return list(_events(fault, Settings(backend="synthetic", **(SMALL_SETTINGS | settings))))


@lru_cache(maxsize=24)
def _events(fault: str, chosen: Settings) -> tuple[Event, ...]:
    """Return the events, made once: they are frozen, and many tests use the same run."""
    spec = RunSpec(id="cell-1", profile="test", settings=chosen)
    header, *made = Synthetic(fault=fault).run(spec, ["specprof", "run"])
    header = replace(header, created="2026-01-01T00:00:00+00:00", locked_on=read_boot_id())
    rounds = [each for each in made if isinstance(each, Round)]
    timed = [each for each in made if isinstance(each, Burst | Scored)]
    end = End(
        status="complete",
        wall_ns=timed[-1].start_ns + timed[-1].wall_ns + 1_000,
        rounds=len(rounds),
        emitted=sum(len(each.emitted) for each in rounds),
        write_ns=10,
    )
    return (header, *made, end)


def agreeing(made: Sequence[Event]) -> list[Event]:
    """Return events with changed rounds, with counts and times that agree with the rounds.

    A round begins when its burst's last round is over, and a stop when the stop before it is over.
    Tokens that a round no longer emits are not rechecked.
    """
    played = list[Round]()
    over = dict[int, int]()
    found = list[Event]()
    batch = next((one.spec.settings.batch for one in made if isinstance(one, Header)), 1)
    late = dict[int, int]()
    for event in made:
        match event:
            case Prefill():
                start_ns = event.start_ns + _find_delay(late, event.burst // batch)
                event = replace(event, start_ns=start_ns)  # noqa: PLW2901
            case Round():
                start_ns = event.start_ns + _find_delay(late, event.burst // batch)
                start_ns = max(start_ns, over.get(event.burst, 0))
                accepted = sum(each.accepted and each.reached for each in event.drafted)
                event = replace(event, start_ns=start_ns, accepted=accepted)  # noqa: PLW2901
                over[event.burst] = start_ns + event.wall_ns
                played.append(event)
            case Burst():
                own = [one for one in played if one.burst == event.burst]
                start_ns = event.start_ns + _find_delay(late, event.burst // batch)
                lasts_ns = max(event.wall_ns, over.get(event.burst, 0) - start_ns)
                later = start_ns + lasts_ns - event.start_ns - event.wall_ns
                stop = event.burst // batch + 1
                late[stop] = max(late.get(stop, 0), later)
                tokens = sum(len(one.emitted) for one in own)
                event = replace(  # noqa: PLW2901
                    event, start_ns=start_ns, rounds=len(own), emitted=tokens, wall_ns=lasts_ns
                )
            case Recheck():
                emitted = {one.index: len(one.emitted) for one in played}
                kept = [each for each in event.emitted if each.slot < emitted[each.round]]
                event = replace(event, emitted=kept)  # noqa: PLW2901
            case End():
                count, tokens = len(played), sum(len(one.emitted) for one in played)
                lasts_ns = max(event.wall_ns, *over.values())
                event = replace(event, rounds=count, emitted=tokens, wall_ns=lasts_ns)  # noqa: PLW2901
        found.append(event)
    return found


def _find_delay(late: dict[int, int], stop: int) -> int:
    """Return the delay of a stop: the longest delay of an end before it."""
    return max((ns for before, ns in late.items() if before <= stop), default=0)


def write(path: Path, recorded: Sequence[Event]) -> Path:
    """Write events as a capture file."""
    with CaptureWriter(path, overwrite=True) as writer:
        for event in recorded:
            writer.write(event)
    assert writer.lost == 0
    return path


def in_memory(recorded: Sequence[Event]) -> Capture:
    """Return events as a capture that was read."""
    header, *rest = recorded
    assert isinstance(header, Header)
    return Capture(
        path=Path("run.jsonl"), header=header, events=rest, damaged=Damaged(), torn=False
    )


def healthy(path: Path) -> Path:
    """Write a run that ended by itself."""
    return write(path, events())


def truncated(path: Path) -> Path:
    """Write a run that was killed inside a line."""
    whole = write(path, events()).read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    return path


def header_only(path: Path) -> Path:
    """Write a run that was killed before its first round."""
    return write(path, events()[:1])


def baseline(path: Path) -> Path:
    """Write a run without a draft."""
    return write(path, events(depth=0, drafter="none", draft=None))


def tree(path: Path) -> Path:
    """Write a run whose drafts have siblings."""
    return write(path, events(shape="static-tree"))


def batch(path: Path) -> Path:
    """Write a run of several sequences at once."""
    return write(path, events(batch=3))


def scored(path: Path) -> Path:
    """Write a run over known text, without any round."""
    return write(path, events(workload="ppl", context=900, cache="sink-window", window=256))


def hostile(path: Path) -> Path:
    """Write a file that attacks its readers: odd text, odd numbers, overlapping times."""
    return write(path, [_poison(event) for event in events()])


ODD = {
    each.__name__: each
    for each in (healthy, truncated, header_only, baseline, tree, batch, scored, hostile)
}
"""Every reader must cope with each of these."""


def _poison(event: Event) -> Event:
    match event:
        case Header():
            spec = replace(event.spec, id=HOSTILE, profile=HOSTILE)
            return replace(event, spec=spec, text=HOSTILE, machine={HOSTILE: HOSTILE})
        case Round() | Prefill():
            spans = [
                replace(s, name=HOSTILE if i % 2 else s.name) for i, s in enumerate(event.spans)
            ]
            spans += [replace(s, start_ns=s.start_ns // 2, ns=-5) for s in event.spans[:2]]
            return replace(event, spans=spans, start_ns=event.start_ns - event.start_ns % 7_000_000)
        case Sample():
            return Note(at_ns=-event.at_ns, text=HOSTILE)
        case _:
            return event
