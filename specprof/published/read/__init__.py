"""Results without rounds: printed tables of rates and speeds.

Public: `is_table(path)`; `read_results(path)`, which returns one `Results` for each table of a
file. Printed numbers are rounded, so every cell is kept as the interval that rounds to it. A table
often gives neither K nor whether the bonus token is counted. What is missing is inferred over all
rows together, or stays unknown.
"""

from specprof.published.read.results import Results, read_results
from specprof.published.read.sheets import is_table

__all__ = ["Results", "is_table", "read_results"]
