"""Lets no program that this one starts see its clock: libfaketime breaks `time.sleep` there.

Python imports this at its start, when it finds the directory in PYTHONPATH.
"""

import os

os.environ.pop("LD_PRELOAD", None)
