"""The command line with a library that chatters: `python chattering.py run ...`.

It warns, logs by handlers made before the run and during it, and writes to stderr by itself.
"""

import logging
import sys
import threading
import warnings

from specprof.backends.synthetic import Synthetic
from specprof.cli import main

early = logging.getLogger("early")
early.addHandler(logging.StreamHandler())
early.propagate = False
rightly = Synthetic.run


def chatter():
    warnings.warn("chatter: warned", FutureWarning, stacklevel=1)
    early.warning("chatter: logged by an early handler")
    late = logging.getLogger("late")
    late.addHandler(logging.StreamHandler(sys.stderr))
    late.propagate = False
    late.warning("chatter: logged by a late handler")
    logging.getLogger("bare").warning("chatter: logged by no handler")
    sys.stderr.write("chatter: wri")
    sys.stderr.write("tten\n")


def run(self, spec, command):
    """Chatter, and play; what ends a thread, and what ends the run, is no chatter."""
    chatter()
    if spec.settings.seed == 13:
        broken = threading.Thread(target=lambda: 1 / 0)
        broken.start()
        broken.join()
        raise RuntimeError("the run itself broke")
    yield from rightly(self, spec, command)


Synthetic.run = run
if "--quiet" in sys.argv:
    sys.argv.remove("--quiet")
    Synthetic.run = rightly
if __name__ == "__main__":
    main()
