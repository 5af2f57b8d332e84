"""Write a picture of the dashboard on a capture, as SVG, for the README.

python benchmarks/screenshot.py CAPTURE [--size 160x46] [--theme NAME]
"""

import argparse
import asyncio
from pathlib import Path

from specprof.tui.app import Dashboard

SETTLE_S = 6.0
"""Time to read and diagnose the capture, and to find the tokens' texts."""


async def take_picture(capture: Path, width: int, height: int, theme: str | None) -> str:
    """Return the dashboard on a finished capture as SVG text."""
    app = Dashboard(capture)
    async with app.run_test(size=(width, height)) as pilot:
        if theme:
            app.theme = theme
        await pilot.pause(SETTLE_S)
        return app.export_screenshot(title="specprof view")


def main() -> None:
    """Write benchmarks/results/dashboard.svg."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("capture", type=Path)
    parser.add_argument("--size", default="160x46")
    parser.add_argument("--theme")
    asked = parser.parse_args()
    width, height = map(int, asked.size.split("x"))
    svg = asyncio.run(take_picture(asked.capture, width, height, asked.theme))
    place = Path(__file__).parent / "results" / "dashboard.svg"
    place.write_text(svg, encoding="utf-8")
    print(place, len(svg))


if __name__ == "__main__":
    main()
