"""The arguments of a script that works for several teachers or pairs in one process, so that a model is loaded once."""

import os
from argparse import Namespace
from collections.abc import Iterator
from itertools import islice


def aligned(args: Namespace, *names: str) -> Iterator[tuple]:
    """One value of each of these arguments after the other; one value of an argument is that of all, except of outputs.

    A replica (run_job.py) takes every n-th of them. Exits naming the arguments if their numbers of values differ.
    """
    values = {name: getattr(args, name) for name in names}
    longest = max(map(len, values.values()))
    if len(args.outputs) != longest or any(len(found) not in (1, longest) for found in values.values()):
        counts = ", ".join(f"--{name.replace('_', '-')} {len(found)}" for name, found in values.items())
        raise SystemExit(f"numbers of values that do not match: {counts}")
    together = zip(*(found * longest if len(found) == 1 else found for found in values.values()), strict=True)
    replica, n = map(int, os.environ.get("REPLICA", "0/1").split("/"))
    return islice(together, replica, None, n)
