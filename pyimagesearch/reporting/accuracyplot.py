"""Where the accuracy over C is drawn: the coordinates of a small SVG."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 640, 240
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 16, 48  # margins
MOST_TICKS = 7


@dataclass(frozen=True)
class Point:
    """One C: where its mean accuracy lies, and both ends of its spread."""

    x: float
    y: float
    low: float
    high: float
    is_best: bool


@dataclass(frozen=True)
class AccuracyPlot:
    """Coordinates of an SVG of `width` x `height`, the origin at the top left.

    Attributes
    ----------
    points : list of Point
        By growing C.
    x_ticks, y_ticks : list of (float, str)
        Where the ticks lie, and what is written there.
    """

    points: list[Point]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM

    @property
    def line(self) -> str:
        """The means, as a polyline has them."""
        return " ".join(f"{point.x},{point.y}" for point in self.points)


def accuracy_plot(search: Sequence[Mapping[str, float]], best_C: float) -> AccuracyPlot:
    """Lay out the mean accuracy of each C with a standard deviation to both sides.

    Parameters
    ----------
    search : sequence of mapping
        Of each C, as the report has it: ``C``, ``mean_accuracy`` and
        ``std_accuracy``.
    best_C : float
        The one to be marked.

    Returns
    -------
    AccuracyPlot
    """
    rows = sorted(search, key=lambda row: row["C"])
    logs = [math.log10(row["C"]) for row in rows]
    lows = [max(0.0, row["mean_accuracy"] - row["std_accuracy"]) for row in rows]
    highs = [min(1.0, row["mean_accuracy"] + row["std_accuracy"]) for row in rows]
    ticks = y_ticks(min(lows), max(highs))

    def x(log: float) -> float:
        span = logs[-1] - logs[0]
        part = (log - logs[0]) / span if span else 0.5
        return round(LEFT + 16 + part * (WIDTH - LEFT - RIGHT - 32), 1)

    def y(accuracy: float) -> float:
        part = (accuracy - ticks[0]) / (ticks[-1] - ticks[0])
        return round(HEIGHT - BOTTOM - part * (HEIGHT - BOTTOM - TOP), 1)

    points = [
        Point(x(log), y(row["mean_accuracy"]), y(low), y(high), row["C"] == best_C)
        for row, log, low, high in zip(rows, logs, lows, highs, strict=True)
    ]
    step = math.ceil(len(rows) / MOST_TICKS)
    x_ticks = [(points[i].x, f"{rows[i]['C']:g}") for i in range(0, len(rows), step)]
    decimals = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9) - 2)
    return AccuracyPlot(points, x_ticks, [(y(tick), f"{tick:.{decimals}%}") for tick in ticks])


def y_ticks(low: float, high: float) -> list[float]:
    """Return three to seven round numbers that span an interval.

    Examples
    --------
    >>> y_ticks(0.93, 0.968)
    [0.93, 0.94, 0.95, 0.96, 0.97]
    >>> y_ticks(1.0, 1.0)
    [0.998, 0.999, 1.0]
    """
    if high - low < 0.002:
        low, high = (low - 0.002, high) if high > 0.5 else (low, high + 0.002)
    for step in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5):
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first <= 5:
            break
    return [round(i * step, 3) for i in range(first, last + 1)]
