"""``python -m specprof`` is the command line."""

from specprof.cli import main

main()
