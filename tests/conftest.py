"""What every test shares: a steady hypothesis profile, one thread, no hub."""

import os

from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")
