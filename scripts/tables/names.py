"""The name that somebody meant, for messages about a name that does not exist."""

import difflib


def nearest(name: str, known) -> str:
    """The known name that is most similar to a wrong one, in parentheses; all known names if none is similar."""
    near = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
    return f" (did you mean {near[0]}?)" if near else f" (known: {', '.join(sorted(known))})" if known else ""
