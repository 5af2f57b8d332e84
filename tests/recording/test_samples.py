"""The samples of a recorded loop: what it got of the processors."""

import loops
import specprof
from specprof.capture import read_capture
from specprof.records import Sample


def test_a_loop_s_processor_time_is_counted_from_its_start_to_its_end(tmp_path):
    """Its first sample and its last one enclose all that it computed."""
    path = tmp_path / "run.jsonl"
    with specprof.record(path, target="T", draft="D", temperature=1.0) as log:
        loops.play(log, loops.Loop(0), [1, 2, 3], 40)
    first, *_, last = [each for each in read_capture(path).events if isinstance(each, Sample)]
    assert last.processor_ns > first.processor_ns
    ran, waited = last.loop_ran_ns, last.loop_waited_ns  # None where the system doesn't count
    assert ran is None or 0 < ran <= last.processor_ns + 20_000_000
    assert (waited is None) == (ran is None)
