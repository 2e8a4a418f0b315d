"""The code of the workflow: a folder per stage, beside rules/<stage>.smk, and folders that several stages share.

docs/code.md is the map.
"""

import gc
import sys

# transformers imports scikit-learn, if it finds it, for one function of assisted decoding: a fifth of the time that a
# job with a model needs to start. scripts/scores/length_controlled.py, which uses scikit-learn, removes this entry.
sys.modules.setdefault("sklearn", None)

# imports make many objects, and all of them stay: to look for garbage among them is a sixth of the time of a start
gc.set_threshold(100_000)
