"""The figure of the pilots: score against the number of examples, up to the target."""

import matplotlib.pyplot as plt
import polars as pl

from scripts.report.draw_figures import WIDTH, add_legend, label_plainly, styles, svg


def curves(measured: pl.DataFrame, of_curves: pl.DataFrame, target: int, score: str) -> str:
    """A point with its interval for each teacher and size, its curve with a 95 % band, and a line at the target."""
    figure, axes = plt.subplots(figsize=(WIDTH, 3.4))
    looks = styles(measured["teacher"].to_list())
    for (name,), part in of_curves.sort("n").group_by("teacher", maintain_order=True):
        sizes, color = part["n"].to_numpy(), looks[name]["color"]
        axes.plot(sizes, part["score"].to_numpy(), color=color, linewidth=1)
        axes.fill_between(sizes, part["low"].to_numpy(), part["high"].to_numpy(), alpha=0.08, color=color, linewidth=0)
    for row in measured.to_dicts():
        error = [[row["score"] - row["low"]], [row["high"] - row["score"]]]
        axes.errorbar(row["n"], row["score"], yerr=error, markersize=5, capsize=2, **looks[row["teacher"]])
    axes.axvline(target, color="#444444", linestyle=":", linewidth=1)
    axes.set_xscale("log")
    label_plainly(axes)
    axes.set(xlabel="examples", ylabel=score)
    add_legend(axes, {name: look for name, look in looks.items() if name})
    return svg(figure, f"{score} of {measured['teacher'].n_unique()} teachers against the number of examples")
