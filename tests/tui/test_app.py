"""The dashboard as a user meets it: keys pressed, captures growing, terminals of many sizes."""

import asyncio

import pytest
from textual.binding import Binding

from captures import ODD, events, write
from dashboards import (
    diagnosis,
    golden_capture,
    matches_golden,
    open_dashboard,
    screen_text,
    wait_until,
    walk,
)
from specprof.capture_writer import CaptureWriter
from specprof.errors import CaptureUnreadable
from specprof.records import Round
from specprof.tui.app import RATES_HZ, Dashboard
from specprof.tui.keys import APP_KEYS, DASHBOARD_KEYS, FINDINGS_KEYS
from specprof.tui.screens.findings import FindingsScreen
from specprof.tui.screens.help import HelpScreen


@pytest.fixture
def path(tmp_path):
    return walk(tmp_path / "run.jsonl")


@pytest.mark.parametrize("size", [(60, 12), (80, 24), (120, 36), (200, 50)], ids=str)
def test_the_screen_is_the_golden_one(size):
    """What a terminal of this size shows is what it showed when it was last looked at."""

    async def look():
        async with open_dashboard(golden_capture(), size) as pilot:
            return screen_text(pilot.app)

    assert matches_golden(f"{size[0]}x{size[1]}.txt", asyncio.run(look()))


def test_an_ascii_screen_is_ascii():
    """With ascii_only no cell needs a font or a locale, borders and keys included."""

    async def look():
        async with open_dashboard(golden_capture(), (80, 24), ascii_only=True) as pilot:
            return screen_text(pilot.app)

    shown = asyncio.run(look())
    assert shown.isascii()
    assert matches_golden("80x24-ascii.txt", shown)


@pytest.mark.parametrize("kind", sorted(ODD))
def test_odd_captures_open(tmp_path, kind):
    """Truncated, empty, draftless and hostile captures show a screen without control signs."""
    odd = ODD[kind](tmp_path / "run.jsonl")

    async def look():
        app = Dashboard(odd, judge=diagnosis)
        async with app.run_test(size=(120, 36)) as pilot:
            await wait_until(pilot, lambda: app.reading and not app.reading.more)
            return screen_text(app)

    shown = asyncio.run(look())
    assert "rounds" in shown or "tokens scored" in shown
    assert all(glyph.isprintable() for glyph in shown.replace("\n", ""))


def test_a_file_that_is_no_capture_ends_the_app_with_the_error(tmp_path):
    """The trouble comes out of the app, for the command line to tell."""
    foreign = tmp_path / "foreign.txt"
    foreign.write_text("not a capture\n", encoding="utf-8")

    async def look():
        app = Dashboard(foreign, judge=diagnosis)
        async with app.run_test() as pilot:
            await wait_until(pilot, lambda: app.return_value is not None)
        return app.return_value

    assert isinstance(asyncio.run(look()), CaptureUnreadable)


def test_a_growing_capture_is_followed_to_its_end(tmp_path):
    """Rounds appear while they are written; the closing line turns the state to complete."""
    recorded = events(stops=4, max_new_tokens=30)
    total = sum(isinstance(event, Round) for event in recorded)
    states = []

    async def look():
        with CaptureWriter(tmp_path / "run.jsonl") as writer:
            app = Dashboard(tmp_path / "run.jsonl", judge=diagnosis)
            async with app.run_test(size=(120, 36)) as pilot:
                for start in range(0, len(recorded), 20):
                    for event in recorded[start : start + 20]:
                        writer.write(event)
                    written = sum(isinstance(each, Round) for each in recorded[: start + 20])
                    await wait_until(pilot, lambda n=written: app.snapshot.rounds == n)
                    states.append(app.snapshot.state)
                await wait_until(pilot, lambda: app.snapshot.state == "complete")
                assert app.snapshot.rounds == total
                assert "RUN COMPLETE" in screen_text(app)

    asyncio.run(look())
    assert set(states[:-1]) == {"recording"}


def test_pausing_holds_the_display_while_recording_goes_on(tmp_path):
    """Space freezes the rounds shown, not those counted; space again catches up."""
    first, *rest = events(stops=2, max_new_tokens=30)

    async def look():
        with CaptureWriter(tmp_path / "run.jsonl") as writer:
            for event in (first, *rest[:10]):
                writer.write(event)
            app = Dashboard(tmp_path / "run.jsonl", judge=diagnosis)
            async with app.run_test(size=(120, 36)) as pilot:
                await wait_until(pilot, lambda: app.snapshot.rounds > 5)
                held = app.snapshot.rounds
                await pilot.press("space")
                for event in rest[10:20]:
                    writer.write(event)
                await wait_until(pilot, lambda: app.snapshot.recorded > held)
                assert app.snapshot.rounds == held
                assert "PAUSED" in screen_text(app)
                await pilot.press("p")
                assert app.snapshot.rounds == app.snapshot.recorded > held

    asyncio.run(look())


def test_a_replay_runs_at_the_recorded_pace_and_steps(path):
    """r starts at no rounds, run time passes as the clock does, [ and ] move one round."""
    now = [0.0]

    async def look():
        async with open_dashboard(path, clock=lambda: now[0]) as pilot:
            app = pilot.app
            table = app.reading.columns.rounds
            ends = table.start_ns + table.wall_ns
            await pilot.press("r")
            assert app.snapshot.rounds == 0
            now[0] = ends[9] / 1e9 + 1e-6
            await wait_until(pilot, lambda: app.snapshot.rounds == 10)
            await pilot.press("right_square_bracket")
            assert (app.snapshot.rounds, app.snapshot.playing) == (11, "PAUSED")
            await pilot.press("left_square_bracket", "left_square_bracket")
            assert app.snapshot.rounds == 9
            await pilot.press("S", "space")
            assert app.snapshot.playing == "REPLAY 4x"
            now[0] += (ends[30] - ends[8]) / 4e9 + 1e-6
            await wait_until(pilot, lambda: app.snapshot.rounds == 31)
            await pilot.press("escape")
            assert app.snapshot.rounds == len(table)
            assert app.snapshot.playing == ""

    asyncio.run(look())


def test_digits_show_and_hide_panels_and_m_maximises(path):
    """A digit takes its panel away and brings it back; m gives one the screen, escape ends it."""

    async def look():
        async with open_dashboard(path) as pilot:
            screen = pilot.app.screen
            assert screen.shown == [1, 2, 3, 4, 5, 6, 7]
            await pilot.press("4")
            assert screen.shown == [1, 2, 3, 5, 6, 7]
            await pilot.press("4", "m")
            assert screen.shown == [4]
            assert screen.query_one("#panel-4").size.height > 25
            await pilot.press("escape")
            assert screen.shown == [1, 2, 3, 4, 5, 6, 7]

    asyncio.run(look())


def test_one_panel_always_stays(path):
    """In a terminal with room for one panel, a digit swaps it and the last one can't go."""

    async def look():
        async with open_dashboard(path, (60, 12)) as pilot:
            screen = pilot.app.screen
            assert screen.shown == [1]
            await pilot.press("5")
            assert screen.shown == [5]
            await pilot.press("5")
            assert screen.shown == [5]

    asyncio.run(look())


def test_the_log_shows_the_end_of_the_runs_output(path, tmp_path):
    """l opens the child's own words, made safe."""
    log = tmp_path / "run.log"
    log.write_text("loading\nwarning: \x1b[31mslow disk\n", encoding="utf-8")

    async def look():
        async with open_dashboard(path, log=log) as pilot:
            await pilot.press("l")
            return screen_text(pilot.app)

    shown = asyncio.run(look())
    assert "loading" in shown
    assert "\\x1b[31mslow disk" in shown


def test_the_filter_narrows_findings_and_tokens(path):
    """/ keeps only what holds the text, says so where nothing does, and escape takes it back."""

    async def look():
        async with open_dashboard(path) as pilot:
            await pilot.press("slash", *"zebra")
            await wait_until(pilot, lambda: pilot.app.snapshot.needle == "zebra")
            await pilot.pause()
            nothing = screen_text(pilot.app)
            await pilot.press("escape")
            await wait_until(pilot, lambda: not pilot.app.snapshot.needle)
            await pilot.pause()
            return nothing, screen_text(pilot.app)

    nothing, everything = asyncio.run(look())
    assert nothing.count("Nothing matches the filter") == 2
    assert "cache-length-wrong" not in nothing
    assert "cache-length-wrong" in everything


def test_every_letter_can_be_typed_into_the_filter(path):
    """Keys that do things elsewhere are just text there; enter goes back to the panels."""

    async def look():
        async with open_dashboard(path) as pilot:
            await pilot.press("slash", *"qrdlm p1")
            await wait_until(pilot, lambda: pilot.app.snapshot.needle == "qrdlm p1")
            await pilot.press("enter", "1")
            assert pilot.app.snapshot.needle == "qrdlm p1"
            assert 1 not in pilot.app.screen.shown

    asyncio.run(look())


def test_findings_and_help_open_and_close(path):
    """d lists every outcome with its remedy, ? every key; both close by the key that opened."""

    async def look():
        async with open_dashboard(path) as pilot:
            await pilot.press("d")
            assert isinstance(pilot.app.screen, FindingsScreen)
            await pilot.pause()
            found = screen_text(pilot.app)
            await pilot.press("d")
            await pilot.press("question_mark")
            assert isinstance(pilot.app.screen, HelpScreen)
            await pilot.pause()
            helped = screen_text(pilot.app)
            await pilot.press("question_mark")
            assert pilot.app.screen is pilot.app.screen_stack[0]
            return found, helped

    found, helped = asyncio.run(look())
    assert "roll the draft cache back to the committed length" in found
    assert "no baseline capture was given" in found
    assert "recording never pauses" in helped


def test_plus_and_minus_change_the_pace_within_bounds(path):
    """Twenty updates a second at most, one at least; out of focus always one."""

    async def look():
        async with open_dashboard(path) as pilot:
            app = pilot.app
            await pilot.press(*["plus"] * 5)
            assert app.hertz == RATES_HZ[-1]
            await pilot.press(*["minus"] * 9)
            assert app.hertz == RATES_HZ[0]
            await pilot.press("plus")
            app.app_focus = False
            assert app.pace_hz == 1

    asyncio.run(look())


def test_every_theme_draws(path):
    """Light, dark and terminal-coloured themes all show the same text."""

    async def look():
        async with open_dashboard(path, (80, 24)) as pilot:
            shown = set()
            ansi = min(name for name in pilot.app.available_themes if "ansi" in name)
            for theme in ("specprof-dark", "specprof-light", "textual-light", ansi):
                pilot.app.theme = theme
                await pilot.pause()
                shown.add(screen_text(pilot.app))
            return shown

    assert len(asyncio.run(look())) == 1


def test_ctrl_c_leads_out_of_everything(path):
    """In a filter and in the help alike, Ctrl-C closes the app."""

    async def look(*keys):
        async with open_dashboard(path) as pilot:
            await pilot.press(*keys, "ctrl+c")
            await wait_until(pilot, lambda: pilot.app._exit)
            return pilot.app._exit

    assert asyncio.run(look("question_mark"))
    assert asyncio.run(look("slash", "a"))


def test_every_key_explains_itself():
    """Each binding has an id to remap it by, a word for the footer and a sentence for the help."""
    keys = [*APP_KEYS, *DASHBOARD_KEYS, *FINDINGS_KEYS]
    assert all(isinstance(key, Binding) and key.id and key.description for key in keys)
    assert all(len(key.tooltip.split()) >= 3 for key in keys)
    assert len({key.id for key in keys}) == len(keys)


def test_an_incomplete_capture_says_so(tmp_path):
    """A dead recorder without a closing line is INCOMPLETE, and a torn last line is told."""
    path = write(tmp_path / "run.jsonl", events()[:-1])
    path.write_bytes(path.read_bytes()[:-20])

    async def look():
        app = Dashboard(path, judge=diagnosis, alive=lambda: False)
        async with app.run_test(size=(200, 50)) as pilot:
            await wait_until(pilot, lambda: app.snapshot.state == "INCOMPLETE")
            await pilot.pause()
            return screen_text(app)

    shown = asyncio.run(look())
    assert "× INCOMPLETE" in shown
    assert "the last line is torn" in shown


def test_scored_text_is_judged_too(tmp_path):
    """A recording without a round is no reason to wait for one."""
    path = write(tmp_path / "run.jsonl", events(workload="ppl", context=900))

    async def look():
        async with open_dashboard(path, size=(140, 40)) as pilot:
            return screen_text(pilot.app)

    assert "have not judged" not in asyncio.run(look())
