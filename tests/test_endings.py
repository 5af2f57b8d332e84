"""Signals end a program once, and it records the reason."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from specprof import endings
from specprof.endings import (
    heed_lifeline,
    hold_interrupts,
    hold_signals,
    open_lifeline,
    signals_as_interrupts,
)

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", SIGNALS)
def test_each_signal_is_a_ctrl_c_inside_the_block_only(number):
    """The handlers from before are restored."""
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), signals_as_interrupts():
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_an_ignored_signal_stays_ignored():
    """nohup and a script's background need that."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_as_interrupts():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_two_signals_at_once_are_one_ending_and_one_again_insists():
    """A closed session sends several; a second Ctrl-C is intended."""
    came = 0
    with signals_as_interrupts():
        for number in (signal.SIGHUP, *SIGNALS[::-1], signal.SIGINT):
            try:
                signal.raise_signal(number)
            except KeyboardInterrupt:
                came += 1
    assert came == 2


@pytest.mark.parametrize(("ending", "comes"), [(True, False), (False, True)])
def test_the_closing_line_is_written_undisturbed(ending, comes):
    """A signal waits until the line is written; if the run ends anyway, it changes nothing."""
    done = False
    with signals_as_interrupts():
        try:
            with hold_signals(ending=ending):
                signal.raise_signal(signal.SIGTERM)
                done = True
            assert not comes
        except KeyboardInterrupt:
            assert comes
    assert done


def test_another_thread_changes_no_handler():
    """Only the main thread may; in others the block does nothing."""
    found = []

    def enter():
        with signals_as_interrupts():
            found.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [before]


CHILD = """
import sys, time
from specprof.endings import LIFELINE, signals_as_interrupts, heed_lifeline
import os, subprocess
with signals_as_interrupts():
    try:
        heed_lifeline()
        assert LIFELINE not in os.environ
        print(os.getpid(), flush=True)
        time.sleep(60)
    except KeyboardInterrupt as error:
        open(sys.argv[1], "w").write(str(error))
"""
STARTER = """
import subprocess, sys, time
from specprof.endings import open_lifeline
with open_lifeline("its starter died") as tied:
    subprocess.Popen([sys.executable, "-c", *sys.argv[1:]], **tied)
    subprocess.Popen(["sleep", "3"], stdout=subprocess.DEVNULL)  # another child holds it not up
    time.sleep(60)
"""


def test_a_child_hears_of_its_starters_death(tmp_path):
    """It ends as after a Ctrl-C, with the reason, however its parent died."""
    told = tmp_path / "told"
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, CHILD, str(told)], stdout=subprocess.PIPE
    )
    assert int(starter.stdout.readline()) > 0
    starter.kill()
    starter.wait(10)
    ends = time.monotonic() + 20
    while not (told.exists() and told.read_text()):
        assert time.monotonic() < ends
        time.sleep(0.05)
    assert told.read_text() == "its starter died"
    starter.stdout.close()


@pytest.mark.parametrize("value", ["", "x", "9999:x", "-1:x", "99999999999999999999:x"])
def test_somebody_elses_variable_is_no_lifeline(monkeypatch, value):
    """Another program's variable is not watched, and nothing is raised."""
    monkeypatch.setenv(endings.LIFELINE, value)
    before = threading.active_count()
    heed_lifeline()
    assert threading.active_count() == before
    assert endings.LIFELINE not in os.environ


def test_a_lifeline_leaves_no_descriptor_open():
    """Both ends are closed after the block."""
    with open_lifeline("x") as tied:
        (pipe,) = tied["pass_fds"]
        os.fstat(pipe)
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(pipe)


@pytest.mark.parametrize("within", [signals_as_interrupts, contextlib.nullcontext])
def test_a_block_is_done_whole_and_interrupted_behind(within):
    """An interrupt during the block comes once, after that block."""
    done = []

    def interrupted():
        with hold_interrupts():
            signal.raise_signal(signal.SIGINT)
            done.append("whole")

    with within():
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        with hold_interrupts():
            done.append("next")
    assert done == ["whole", "next"]
