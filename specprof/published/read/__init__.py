"""Results without rounds: tables of rates and speeds that somebody printed.

Public: `is_table(path)`; `read_results(path)`, one `Results` for each table a file holds. What is
printed is rounded, and often says neither K nor whether the bonus token is counted: every cell is
kept as the interval that rounds to it, and what isn't told is inferred over all rows together or
stays unknown.
"""

from specprof.published.read.results import Results, read_results
from specprof.published.read.sheets import is_table

__all__ = ["Results", "is_table", "read_results"]
