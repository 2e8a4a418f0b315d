"""Values and lists in sentences."""


def shown(rows: list[dict], titles: dict[str, str]) -> str:
    """0.91 [0.67, 0.99] (RSR) and so on."""
    return listed([f"{row['rho']:.2f}{limits(row, ' ')} ({titles[row['table']]})" for row in rows])


def limits(row: dict, before: str = "") -> str:
    return "" if row["low"] is None else f"{before}[{row['low']:.2f}, {row['high']:.2f}]"


def chance(row: dict) -> str:
    """The p-value, if there is a test."""
    if row.get("p") is None:
        return ""
    return " (p < 0.001)" if row["p"] < 0.001 else f" (p = {row['p']:.3f})"


def counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def listed(names: list[str]) -> str:
    """a, b and c; none."""
    if not names:
        return "none"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
