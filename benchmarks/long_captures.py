"""Write healthy captures of any number of rounds, event by event.

python benchmarks/long_captures.py walks ROUNDS PATH --of CAPTURE
python benchmarks/long_captures.py drawn ROUNDS PATH

`walks`: the walk of CAPTURE, a finished run, is repeated until there are ROUNDS rounds, burst after
burst, with all other events and with new indices and times. At each repetition the ids are shifted
by one, so that no text comes twice. CAPTURE has to be a greedy run, because small deviations of
sampled outcomes would add up to a bias. `drawn`: synthetic rounds at temperature 1, each drawn
anew, 500 a burst.
"""

import argparse
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from msgspec.structs import replace

from specprof.backends.synthetic import Synthetic
from specprof.capture import Capture, read_capture
from specprof.capture_writer import CaptureWriter
from specprof.records import Burst, End, Event, Plain, Prefill, Recheck, Round, Sample
from specprof.settings import RunSpec, Settings

MIN_BURSTS, ROUNDS_A_BURST = 40, 500
EMITTED_PER_ROUND = 2.39
"""Mean of synthetic rounds at K = 4."""


def repeat_walk(capture: Path, rounds: int) -> Iterator[Event]:
    """Yield a walk again and again, in whole bursts, until there are `rounds` rounds."""
    walk = read_capture(capture)
    if walk.end is None:
        raise SystemExit(f"{capture} has no closing line: its walk is not whole")
    yield walk.header
    made = emitted = 0
    for event in _repeat_events(walk, walk.end):
        yield event
        if isinstance(event, Round):
            made, emitted = made + 1, emitted + len(event.emitted)
        elif isinstance(event, Burst) and made >= rounds:
            wall_ns = event.start_ns + event.wall_ns
            yield replace(walk.end, wall_ns=wall_ns, rounds=made, emitted=emitted)
            return


def _repeat_events(walk: Capture, end: End) -> Iterator[Event]:
    bursts = 1 + max(each.burst for each in walk.events if isinstance(each, Burst))
    ids = walk.header.target.vocabulary if walk.header.target else 1
    for turn in count():
        for event in walk.events[:-1]:
            later = shift_event(event, turn * end.rounds, turn * bursts, turn * end.wall_ns)
            yield _shift_ids(later, turn, ids) if isinstance(later, Round) else later


def _shift_ids(one: Round, turn: int, ids: int) -> Round:
    """Return a round with its ids shifted by `turn`, in a vocabulary of `ids` tokens."""
    drafted = [replace(each, token=(each.token + turn) % ids) for each in one.drafted]
    return replace(one, drafted=drafted, emitted=[(each + turn) % ids for each in one.emitted])


def shift_event(event: Event, rounds: int, bursts: int, ns: int) -> Event:
    """Return an event as if it were recorded that many rounds, bursts and nanoseconds later."""
    match event:
        case Round():
            burst, start_ns = event.burst + bursts, event.start_ns + ns
            return replace(event, index=event.index + rounds, burst=burst, start_ns=start_ns)
        case Prefill() | Burst():
            return replace(event, burst=event.burst + bursts, start_ns=event.start_ns + ns)
        case Plain():
            return replace(event, burst=event.burst + bursts)
        case Recheck():
            places = [replace(one, round=one.round + rounds) for one in event.places]
            emitted = [replace(one, round=one.round + rounds) for one in event.emitted]
            return replace(event, burst=event.burst + bursts, places=places, emitted=emitted)
        case Sample():
            return replace(event, at_ns=event.at_ns + ns)
    return event


def draw_rounds(rounds: int) -> Iterator[Event]:
    """Yield a synthetic walk of about `rounds` rounds at temperature 1."""
    bursts = max(rounds // ROUNDS_A_BURST, MIN_BURSTS)
    tokens = round(rounds * EMITTED_PER_ROUND / bursts)
    settings = Settings(
        backend="synthetic", temperature=1.0, context=20_000, stops=bursts, max_new_tokens=tokens
    )
    made = emitted = 0
    for event in Synthetic().run(RunSpec(id="drawn", profile="", settings=settings), []):
        yield event
        if isinstance(event, Round):
            made, emitted = made + 1, emitted + len(event.emitted)
        wall_ns = event.start_ns + event.wall_ns if isinstance(event, Burst) else 0
    yield End(status="complete", wall_ns=wall_ns, rounds=made, emitted=emitted, write_ns=0)


def main() -> None:
    """Write one capture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=("walks", "drawn"))
    parser.add_argument("rounds", type=int)
    parser.add_argument("path", type=Path)
    parser.add_argument("--of", type=Path, help="a finished greedy run")
    asked = parser.parse_args()
    if asked.kind == "walks" and asked.of is None:
        parser.error("walks repeats a capture: name it with --of")
    events = (
        draw_rounds(asked.rounds) if asked.kind == "drawn" else repeat_walk(asked.of, asked.rounds)
    )
    with CaptureWriter(asked.path, overwrite=True) as writer:
        for event in events:
            writer.write(event)


if __name__ == "__main__":
    main()
