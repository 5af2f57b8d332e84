"""The findings screen: the chosen one is in view, and leads to its round or says why not."""

import asyncio
from dataclasses import replace

import pytest

import verdicts
from dashboards import open_dashboard, screen_text, wait_until, walk
from specprof.diagnosis import Verdict
from specprof.findings import Finding, Found, Where
from specprof.tui.screens.findings import FindingsScreen


@pytest.fixture
def path(tmp_path):
    return walk(tmp_path / "run.jsonl")


def notified(app):
    """Return what the app told in passing, as one text."""
    return "\n".join(each.message for each in app._notifications)


def test_a_finding_leads_to_its_round(path):
    """The leading one first; g holds the display there, n chooses another, escape follows again."""

    async def look():
        shown = {}
        async with open_dashboard(path, judge=lambda _: verdicts.diagnosis()) as pilot:
            app = pilot.app
            last = app.snapshot.recorded
            await pilot.press("d")
            await pilot.pause()
            shown["findings"] = screen_text(app)
            await pilot.press("g")
            await wait_until(pilot, lambda: app.screen is app.screen_stack[0])
            shown["leading"] = app.snapshot.rounds, app.snapshot.playing
            await pilot.press("d", "n", "enter")
            await wait_until(pilot, lambda: app.snapshot.rounds == 8)
            await pilot.press("d", "N")
            await pilot.pause()
            shown["last"] = screen_text(app)
            await pilot.press("g")
            assert isinstance(app.screen, FindingsScreen)
            await wait_until(
                pilot, lambda: "draft-too-expensive is about the whole run" in notified(app)
            )
            await pilot.press("escape")
            assert app.snapshot.rounds == 8
            await pilot.press("escape")
            await wait_until(pilot, lambda: app.snapshot.rounds == last)
        return shown

    shown = asyncio.run(look())
    assert shown["leading"] == (4, "PAUSED")
    assert "> ▲ cache-length-wrong bug" in shown["findings"]
    assert shown["findings"].index("cache-length-wrong") < shown["findings"].index("state-drifts")
    assert "like kv/draft-rollback-under-trim: Rejected tokens" in shown["findings"]
    assert "at   round 7, draft index 2, 512 tokens deep" in shown["findings"]
    assert "n: next finding, g: go to round 3, esc: close" in shown["findings"]
    assert "> ● draft-too-expensive cost" in shown["last"]
    assert "n: next finding, g: no round (whole run), esc: close" in shown["last"]


def test_the_chosen_finding_is_in_view(path):
    """On a small screen as well, whichever way it was chosen."""

    async def look():
        async with open_dashboard(path, (80, 16), judge=lambda _: verdicts.diagnosis()) as pilot:
            await pilot.press("d")
            seen = []
            for key in ("n", "n", "N", "n", "n"):
                await pilot.press(key)
                await wait_until(pilot, lambda: "> " in screen_text(pilot.app))
                seen.append(screen_text(pilot.app))
            return seen

    seen = asyncio.run(look())
    assert all("> " in text for text in seen)
    assert len(set(seen)) > 2  # the choice did move


def test_no_finding_leads_nowhere(path):
    """Going to the round of nothing keeps the screen open, and says that there is none."""

    async def look():
        judge = lambda _: replace(verdicts.diagnosis(), verdicts=())  # noqa: E731
        async with open_dashboard(path, judge=judge) as pilot:
            await pilot.press("d", "n", "g")
            await wait_until(pilot, lambda: "there is no finding" in notified(pilot.app))
            return isinstance(pilot.app.screen, FindingsScreen)

    assert asyncio.run(look())


def test_a_round_that_is_not_there_is_told(path):
    """A damaged capture may lack the very round that a finding names."""

    async def look():
        gone = Where(round=10**6, context=9)
        finding = Finding(message="x", measures=(), remedy="y", where=gone)
        only = Verdict("cache-length-wrong", "bug", Found(finding=finding), 1)
        judge = lambda _: replace(verdicts.diagnosis(), verdicts=(only,))  # noqa: E731
        async with open_dashboard(path, judge=judge) as pilot:
            await pilot.press("d", "g")
            await wait_until(
                pilot, lambda: "round 1000000 is not in the capture" in notified(pilot.app)
            )
            return notified(pilot.app)

    assert "round 1000000 is not in the capture" in asyncio.run(look())
