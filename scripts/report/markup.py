"""Templates of pages: what is not markup is escaped, and numbers are rounded, with the exact ones beside them."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup


def environment(folder: Path) -> Environment:
    """Jinja for the templates of a folder and of this one; it escapes all but markup, and fails for undefined names."""
    jinja = Environment(
        loader=FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.filters["svg"] = Markup  # drawn by this workflow
    jinja.globals |= {"number": number, "percent": percent}
    return jinja


def number(value: float | None, digits: int = 3) -> str:
    """The rounded number, with the exact one in its markup; a dash for None."""
    if value is None:
        return Markup("<span class=none>–</span>")
    rounded = f"{value:.{digits}f}" if isinstance(value, float) else str(value)
    return Markup('<data value="{}">{}</data>').format(repr(value), rounded.replace("-", "−"))


def percent(share: float | None) -> str:
    """A share between 0 and 1 in percent."""
    return number(None) if share is None else number(100 * share, 1) + " %"
