"""The arguments of a script that works for several teachers or pairs in one process, so that a model is loaded once."""

from argparse import Namespace
from collections.abc import Iterator


def aligned(args: Namespace, *names: str) -> Iterator[tuple]:
    """One value of each of these arguments after the other; an argument with one value is that of all.

    Exits naming the arguments if they have different numbers of values.
    """
    values = {name: getattr(args, name) for name in names}
    longest = max(map(len, values.values()))
    if any(len(found) not in (1, longest) for found in values.values()):
        counts = ", ".join(f"--{name.replace('_', '-')} {len(found)}" for name, found in values.items())
        raise SystemExit(f"numbers of values that do not match: {counts}")
    return zip(*(found * longest if len(found) == 1 else found for found in values.values()), strict=True)
