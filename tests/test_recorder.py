"""However a run ends, its capture says so and keeps the events before."""

import signal
from contextlib import nullcontext, suppress

import pytest

from specprof.backends.synthetic import Synthetic
from specprof.capture import read_capture
from specprof.capture_writer import CaptureWriter
from specprof.endings import signals_as_interrupts
from specprof.errors import EnvironmentMissing
from specprof.extend import Backend
from specprof.recorder import record
from specprof.records import Round
from specprof.settings import RunSpec, Settings

SPEC = RunSpec(id="x", profile="t", settings=Settings(context=300, stops=2, max_new_tokens=20))


class Failing(Backend):
    def __init__(self, error):
        self.error = error
        self.closed = False

    def run(self, spec, command):
        try:
            for number, event in enumerate(Synthetic().run(spec, command)):
                if number == 5:
                    raise self.error
                yield event
        finally:
            self.closed = True


def recorded(backend, path, listener=None):
    with CaptureWriter(path) as writer:
        return record(backend, SPEC, writer, command=["run"], listener=listener)


def test_a_whole_run_ends_complete_with_its_counts(tmp_path):
    """The last line counts the rounds and tokens before it."""
    end = recorded(Synthetic(), tmp_path / "a.jsonl")
    capture = read_capture(tmp_path / "a.jsonl")
    rounds = [event for event in capture.events if isinstance(event, Round)]
    assert capture.end == end
    assert (end.status, end.rounds) == ("complete", len(rounds))
    assert end.emitted == sum(len(one.emitted) for one in rounds)
    assert end.write_ns > 0


def test_ctrl_c_ends_the_run_cleanly(tmp_path):
    """The capture reports the interrupt, is closed and can be read."""
    backend = Failing(KeyboardInterrupt())
    assert recorded(backend, tmp_path / "a.jsonl").status == "interrupted"
    assert backend.closed
    assert read_capture(tmp_path / "a.jsonl").state == "interrupted"


class Swallowing(Synthetic):
    """A backend in which a signal comes during a finaliser."""

    def run(self, spec, command):
        for number, event in enumerate(super().run(spec, command)):
            if number == 3:
                with suppress(KeyboardInterrupt):
                    signal.raise_signal(signal.SIGTERM)
            yield event


class Turning(Synthetic):
    """A backend that turns an interrupt into an error of its own."""

    def run(self, spec, command):
        yield from list(super().run(spec, command))[:4]
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise ImportError("half of a module was loaded") from None


@pytest.mark.parametrize("backend", [Swallowing(), Turning()])
def test_an_ending_that_was_swallowed_ends_the_run_all_the_same(tmp_path, backend):
    """A finaliser or an import swallows it: the next event is the last."""
    with signals_as_interrupts():
        assert recorded(backend, tmp_path / "a.jsonl").status == "interrupted"
    capture = read_capture(tmp_path / "a.jsonl")
    assert capture.state == "interrupted"
    assert len(capture.events) < 6


@pytest.mark.parametrize("error", [ValueError("boom"), EnvironmentMissing("boom", "mend it")])
def test_a_failure_is_written_and_raised(tmp_path, error):
    """The reason stands in the capture, and the caller gets the error."""
    with pytest.raises(type(error)):
        recorded(Failing(error), tmp_path / "a.jsonl")
    capture = read_capture(tmp_path / "a.jsonl")
    assert capture.state == "failed"
    assert "boom" in capture.end.reason
    assert len(capture.events) == 5


def test_a_listener_hears_every_event_in_order(tmp_path):
    """Progress gets the events that the file gets."""
    heard = []
    recorded(Synthetic(), tmp_path / "a.jsonl", heard.append)
    capture = read_capture(tmp_path / "a.jsonl")
    assert heard[1:] == capture.events[:-1]
    assert heard[0].spec == capture.header.spec


class Interrupted(CaptureWriter):
    """A writer in which a Ctrl-C comes as soon as the fifth line is in the file."""

    lines = 0

    def write(self, event, *, more=False):
        super().write(event, more=more)
        self.lines += 1
        if self.lines == 5:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("handled", [True, False])
def test_a_ctrl_c_while_a_round_is_written_leaves_it_counted(tmp_path, handled):
    """The end line counts the written rounds, in a run of specprof and in another program."""
    path = tmp_path / "a.jsonl"
    with signals_as_interrupts() if handled else nullcontext(), Interrupted(path) as writer:
        end = record(Synthetic(), SPEC, writer, command=["run"])
    capture = read_capture(path)
    rounds = [event for event in capture.events if isinstance(event, Round)]
    assert (end.status, end.rounds) == ("interrupted", len(rounds))
    assert end.emitted == sum(len(one.emitted) for one in rounds)
    assert rounds
