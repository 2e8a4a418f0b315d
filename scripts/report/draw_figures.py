"""Draw the figures of a report as SVG elements, without scripts, fonts or external files.

Each function takes a table and returns an SVG that is narrow enough for a phone.
"""

import io
import re

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from matplotlib.ticker import FuncFormatter, NullFormatter

WIDTH = 4.8  # inches
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#7a5f00", "#56B4E9", "#444444", "#a6761d"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*"]
plt.rcParams.update(
    {
        "svg.fonttype": "none",  # text can be searched, copied and read by a screen reader
        "text.parse_math": False,  # a name may contain dollar signs
        "svg.hashsalt": "figures",  # the same figure always has the same bytes
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#dddddd",
        "axes.axisbelow": True,
        "figure.constrained_layout.use": True,
    }
)


def svg(figure, description: str) -> str:
    """The figure as an SVG element; screen readers read the description."""
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    plt.close(figure)
    _, _, element = text.getvalue().partition("<svg")
    element = re.sub(r'^ (.*?)width="[^"]*"(.*?)height="[^"]*"', r" \1\2", element, count=1, flags=re.S)
    return f'<svg role="img" aria-label="{description}"{element}'


def styles(names: list[str | None]) -> dict[str | None, dict]:
    """A color and a marker for each name; gray for None."""
    unique = sorted({name for name in names if name})
    looks = {name: {"color": COLORS[i % 8], "marker": MARKERS[(i + i // 8) % 8]} for i, name in enumerate(unique)}
    return looks | {None: {"color": "#767676", "marker": "o"}}


def dots(
    table: pl.DataFrame, label: str, value: str, margin: str, group: str, xlabel: str, mark: float | None = None
) -> str:
    """A line per row, in the table's order, colored by group: its value -+ its margin, where that is known.

    `label`: the column with the name of each line. `mark`: a value that is shown by a dotted line.
    """
    figure, axes = plt.subplots(figsize=(WIDTH, 0.9 + 0.24 * table.height))
    looks = styles(table[group].to_list())
    for y, row in enumerate(table.iter_rows(named=True)):
        if row[value] is None:
            axes.text(0.01, y, "no value", transform=axes.get_yaxis_transform(), va="center", color="#767676")
            continue
        axes.errorbar(row[value], y, xerr=row[margin], markersize=6, capsize=2, linestyle="none", **looks[row[group]])
    if mark is not None:
        axes.axvline(mark, color="#444444", linestyle=":", linewidth=1)
    label_lines(axes, table[label].to_list())
    axes.set_xlabel(xlabel)
    add_legend(axes, {name: look for name, look in looks.items() if name in table[group].to_list() and name})
    return svg(figure, f"{xlabel} of {table.height} {label}s")


def dots_of_bases(table: pl.DataFrame, value: str, xlabel: str) -> str:
    """A line per teacher with a marker per base. `table` has base, teacher and the value."""
    teachers = table["teacher"].unique(maintain_order=True).to_list()
    figure, axes = plt.subplots(figsize=(WIDTH, 0.9 + 0.24 * len(teachers)))
    looks = styles(table["base"].to_list())
    for (base,), part in table.group_by("base", maintain_order=True):
        heights = [teachers.index(name) for name in part["teacher"]]
        axes.plot(part[value].to_numpy(), heights, linestyle="none", markersize=6, **looks[base])
    if table[value].min() > 0 and table[value].max() > 20 * table[value].min():
        axes.set_xscale("log")
        label_plainly(axes)
    label_lines(axes, teachers)
    axes.set_xlabel(xlabel)
    add_legend(axes, {name: look for name, look in looks.items() if name})
    return svg(figure, f"{xlabel} of {len(teachers)} teachers")


def label_plainly(axes) -> None:
    """Numbers such as 0.1 and 100 at the powers of ten of a logarithmic axis; matplotlib writes them as formulas."""
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def label_lines(axes, names: list[str]) -> None:
    """A name for each line, from top to bottom."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)


def add_legend(axes, looks: dict[str, dict]) -> None:
    """A legend above the axes, if there are two or more names."""
    if len(looks) > 1:
        handles = [axes.plot([], [], linestyle="none", label=name, **look)[0] for name, look in looks.items()]
        axes.figure.legend(handles=handles, loc="outside upper left", ncols=3, frameon=False, fontsize=8)


def scatter(table: pl.DataFrame, x: str, y: str, xlabel: str, ylabel: str) -> str:
    """A point per teacher with its name, colored by family. `table` has teacher, family and both values."""
    figure, axes = plt.subplots(figsize=(WIDTH, 3.9))
    looks = styles(table["family"].to_list())
    for row in table.iter_rows(named=True):
        axes.plot(row[x], row[y], linestyle="none", markersize=6, **looks[row["family"]])
    ordered = table.sort(y)
    for row, height in zip(ordered.iter_rows(named=True), label_heights(ordered[y].to_numpy()), strict=True):
        line = {"arrowstyle": "-", "color": "#bbbbbb", "linewidth": 0.6, "shrinkB": 3}
        place = {"xytext": (1.04, height), "textcoords": axes.get_yaxis_transform(), "va": "center", "fontsize": 8}
        axes.annotate(row["teacher"], (row[x], row[y]), arrowprops=line, annotation_clip=False, **place)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.margins(0.12)
    return svg(figure, f"{ylabel} against {xlabel} of {table.height} teachers")


def label_heights(heights: np.ndarray, spacing: float = 0.055) -> np.ndarray:
    """Sorted heights of points, moved as little as needed so that the labels next to them do not overlap.

    `spacing`: least distance of two labels as a share of the range.
    """
    steps = spacing * max(np.ptp(heights), 1e-9) * np.arange(len(heights))
    highest = np.maximum.accumulate(heights - steps)
    lowest = np.minimum.accumulate((heights - steps)[::-1])[::-1]
    return (highest + lowest) / 2 + steps


def lines(table: pl.DataFrame, x: str, group: str, xlabel: str, mark: float | None) -> str:
    """rho over a setting of CAR: a line with a 95 % band per group. `mark`: the setting of the study."""
    figure, axes = plt.subplots(figsize=(WIDTH, 3.0))
    looks = styles(table[group].to_list())
    for (name,), part in table.drop_nulls("rho").sort(x).group_by(group, maintain_order=True):
        settings = part[x].to_numpy()
        axes.plot(settings, part["rho"].to_numpy(), markersize=4, label=name, **looks[name])
        low, high = (part[side].cast(pl.Float64).to_numpy() for side in ("low", "high"))
        axes.fill_between(settings, low, high, alpha=0.12, color=looks[name]["color"], linewidth=0)
    if mark is not None:
        axes.axvline(mark, color="#444444", linestyle=":", linewidth=1)
    if table[x].max() > 20 * max(1e-9, float(np.median(np.abs(table[x].to_numpy())))):
        axes.set_xscale("symlog", linthresh=max(table.filter(pl.col(x) > 0)[x].min(), 1e-9))
        label_plainly(axes)
    axes.set(xlabel=xlabel, ylabel="rho of CAR with AP", ylim=(-1.05, 1.05))
    add_legend(axes, {name: look for name, look in looks.items() if name})
    return svg(figure, f"rho of CAR with AP over {xlabel}")


def heat_map(values: dict[tuple[float, float], float], title: str) -> str:
    """A cell with a value for each pair of temperature (rows) and top_p (columns)."""
    temperatures, top_ps = (sorted({pair[i] for pair in values}) for i in (0, 1))
    cells = np.array([[values.get((t, p), np.nan) for p in top_ps] for t in temperatures])
    figure, axes = plt.subplots(figsize=(WIDTH, 1.2 + 0.4 * len(temperatures)))
    axes.imshow(cells, cmap="cividis", aspect="auto")
    low, high = np.nanmin(cells), np.nanmax(cells)
    for (i, j), value in np.ndenumerate(cells):
        if np.isfinite(value):
            dark = value < (low + high) / 2
            axes.text(j, i, f"{value:.1f}", ha="center", va="center", color="white" if dark else "black")
    axes.set_xticks(range(len(top_ps)), [f"{p:g}" for p in top_ps])
    axes.set_yticks(range(len(temperatures)), [f"{t:g}" for t in temperatures])
    axes.grid(visible=False)
    axes.set(xlabel="top_p", ylabel="temperature", title=title)
    return svg(figure, f"{title} over temperature and top_p")
