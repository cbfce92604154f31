"""A run's figures, each as PNG and SVG, where the run has the data for it. Needs matplotlib.

Files depend on the run alone, so that a figure that is drawn again is the same, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from adain_bench.record.run import Result, Run
from adain_bench.record.statistics import Times
from adain_bench.record.table1 import SIZES, quoted
from adain_bench.record.text import significant
from adain_bench.show.report import name_of, pictures_per_second
from adain_models.files import replacing

__all__ = ["draw"]

# Okabe & Ito's colours ("Color Universal Design", 2008), which every kind of sight tells apart, but for the yellow, too
# pale for a line.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_LINES = {"fp32": "-", "fp16": "--", "bf16": "-.", "int8": ":"}
_MARKERS = {"fp32": "o", "fp16": "s", "bf16": "D", "int8": "^"}
_GREY = "#777777"
_SETTINGS: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": _GREY,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that the files are the same everywhere
    "font.size": 9,
    "grid.color": "#E5E5E5",
    "svg.hashsalt": "adain-rt",
    "text.parse_math": False,  # a name may hold a dollar
}

_WIDTH = 5.0  # inches of the axes; what names the cases stands beside them
_HEIGHT = 3.2
_LABEL_HEIGHT = 0.2
_BOX_HEIGHT = 0.42
_BAR_HEIGHT = 0.32
_FEW_DECADES = 0.6  # of an axis that needs more ticks than 1, 2, 5, 10


@dataclass(frozen=True)
class _Line:
    """One line of a plot, and how it looks."""

    label: str
    color: str
    dashes: str
    marker: str
    x: Sequence[float]
    y: Sequence[float]


def draw(run: Run, directory: Path) -> list[Path]:
    """Draw what a run has data for, and return the files: ``latency.png``, ``latency.svg``, and so on.

    Args:
        run: what was measured.
        directory: where to write; it is made if it is missing.

    Raises:
        AdainError: a file cannot be written.

    """
    paths = []
    with style.context(["default", _SETTINGS]):
        for name, make in _FIGURES.items():
            if figure := make(run.results):
                paths += [_save(figure, directory / f"{name}.{kind}") for kind in ("png", "svg")]
    return paths


def _save(figure: Figure, path: Path) -> Path:
    kind = path.suffix[1:]
    metadata = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
    with replacing(path) as aside:
        figure.savefig(aside, format=kind, dpi=160, bbox_inches="tight", metadata=metadata)
    return path


def _latency(results: Sequence[Result]) -> Figure | None:
    """Draw the medians by size, both logarithmic, and the paper's two beside them."""
    chosen = [result for result in _select_timed(results, "latency") if _is_plain(result)]
    lines = _lines(chosen, "size", lambda result: _median(result) * 1e3, _colors(results))
    if not lines:
        return None
    paper = [(quoted("AdaIN", size, "excluded") or 0) * 1e3 for size in SIZES]
    height = _height(lines)
    figure, (axes,) = _figure(1, height)
    axes.set(xscale="log", yscale="log", xlabel="side of a square picture, pixels", ylabel="median, ms")
    axes.set_title("Time of a whole call, batch 1, the style's code known")
    axes.plot(SIZES, paper, "*-", color=_GREY, markersize=9, label="the paper (vgg19), Pascal Titan X, quoted")
    axes.legend(loc="lower right", frameon=False)  # where nothing is, as larger pictures take longer
    _draw_lines(axes, lines, height, SIZES)
    return figure


def _distribution(results: Sequence[Result]) -> Figure | None:
    """Draw every call of the largest size, each case's over its median."""
    chosen = [result for result in _select_timed(results, "latency") if _is_plain(result)]
    if not chosen:
        return None
    size = max(_number(result, "size") for result in chosen)
    chosen = [result for result in chosen if _number(result, "size") == size]
    chosen.sort(key=_median, reverse=True)
    relative = [_times(result).flat / _median(result) for result in chosen]
    least = min(float(values.min()) for values in relative)
    edge = max(1.01, *(1.5 * float(np.percentile(values, 95)) - 0.5 for values in relative))
    figure, (axes,) = _figure(1, _BOX_HEIGHT * len(chosen))
    generator, colors = np.random.default_rng(0), _colors(results)
    for row, (result, values) in enumerate(zip(chosen, relative, strict=True)):
        inside, beyond = values[values <= edge], values[values > edge]
        heights = row + generator.uniform(-0.28, 0.28, inside.size)
        axes.plot(inside, heights, ".", color=colors[_backend(result)], markersize=3.5, alpha=0.6, markeredgewidth=0)
        axes.boxplot(
            [values], positions=[row], orientation="horizontal", widths=0.66, whis=(5, 95), showfliers=False,
            medianprops={"color": "black"},
        )  # fmt: skip
        if beyond.size:
            text = f"{beyond.size} beyond, up to {beyond.max():.2f}"
            axes.annotate(text, (1.01, row), xycoords=("axes fraction", "data"), va="center", color=_GREY)
    names = [f"{name_of(result)}, {significant(_median(result) * 1e3, 3)} ms" for result in chosen]
    axes.set_yticks(range(len(chosen)), names)
    axes.set(xlim=(least - 0.02 * (edge - least), edge), ylim=(-0.6, len(chosen) - 0.4))
    axes.set(xlabel="time of a call over the case's median\nboxes are quartiles, whiskers 5 % and 95 %")
    axes.set_title(f"Every call at {size:g} x {size:g}, batch 1, the style's code known")
    axes.grid(visible=False, axis="y")
    return figure


def _throughput(results: Sequence[Result]) -> Figure | None:
    """Draw pictures a second by batch, and below by the number of threads."""
    timed, colors = _select_timed(results, "throughput"), _colors(results)
    batches, threads = ([each for each in timed if ("streams" in each.params) is wanted] for wanted in (False, True))
    panels = {
        "pictures in a call": _lines(batches, "batch", _pictures, colors),
        "threads, each at batch 1": _lines(threads, "streams", _pictures, colors),
    }
    drawn = {name: lines for name, lines in panels.items() if lines}
    if not drawn:
        return None
    height = max(_height(lines) for lines in drawn.values())
    figure, all_axes = _figure(len(drawn), height)
    for axes, (name, lines) in zip(all_axes, drawn.items(), strict=True):
        axes.set(xscale="log", yscale="log", xlabel=name, ylabel="pictures/s")
        _draw_lines(axes, lines, height)
    all_axes[0].set_title("Throughput, the style's code known")
    return figure


def _floor(results: Sequence[Result]) -> Figure | None:
    """Draw which share of the time is the floor, at the largest size that has one."""
    chosen = [each for each in results if isinstance(each.extra_info.get("share_of_floor"), (int, float))]
    chosen = [each for each in chosen if _is_plain(each)]
    if not chosen:
        return None
    size = max(_number(result, "size") for result in chosen)
    chosen = [result for result in chosen if _number(result, "size") == size]
    chosen.sort(key=lambda result: float(result.extra_info["share_of_floor"]))
    figure, (axes,) = _figure(1, _BAR_HEIGHT * len(chosen))
    for row, result in enumerate(chosen):
        percent, bound = result.extra_info["share_of_floor"] * 100, result.extra_info.get("bound")
        axes.barh(row, percent, height=0.62, color=_BOUNDS.get(str(bound), _GREY))
        text = f"{percent:.0f} %" + (f", bound by {bound}" if bound else "")
        back = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.annotate(text, (percent, row), (4, 0), textcoords="offset points", va="center", bbox=back)
    axes.axvline(100, color=_GREY, linewidth=1)
    axes.set_yticks(range(len(chosen)), [name_of(result) for result in chosen])
    axes.set(xlabel="the floor's share of the time, %; 100 is as fast as the hardware")
    axes.set(xlim=(0, None), ylim=(-0.6, len(chosen) - 0.4))
    axes.set_title(f"How near the hardware, {size:g} x {size:g}")
    axes.grid(visible=False, axis="y")
    return figure


_PLAIN = FuncFormatter(lambda value, _: f"{value:g}")
_BOUNDS = {"compute": _COLORS[5], "memory": _COLORS[4]}
_FIGURES: dict[str, Callable[[Sequence[Result]], Figure | None]] = {
    "latency": _latency,
    "distribution": _distribution,
    "throughput": _throughput,
    "floor": _floor,
}


def _select_timed(results: Sequence[Result], group: str) -> list[Result]:
    return [result for result in results if result.group == group and result.times]


def _times(result: Result) -> Times:
    assert result.times is not None  # noqa: S101 - for the type checker
    return result.times


def _median(result: Result) -> float:
    return float(np.median(_times(result).flat))


def _is_plain(result: Result) -> bool:
    """Return whether a case is of batch 1 with the style's code known."""
    return result.params.get("batch", 1) == 1 and result.params.get("style_encoding", "excluded") == "excluded"


def _number(result: Result, key: str) -> float:
    """Return a parameter that is a number; 0 if it is missing or not a number."""
    value = result.params.get(key)
    return value if isinstance(value, (int, float)) else 0


def _pictures(result: Result) -> float:
    return pictures_per_second(result) or 0


def _backend(result: Result) -> str:
    return str(result.params.get("backend"))


def _colors(results: Sequence[Result]) -> dict[str, str]:
    """Return a colour for each backend, the same in all figures of a run."""
    backends = dict.fromkeys(_backend(result) for result in results)
    return {backend: _COLORS[number % len(_COLORS)] for number, backend in enumerate(backends)}


def _lines(
    results: Sequence[Result], key: str, value: Callable[[Result], float], colors: Mapping[str, str]
) -> list[_Line]:
    """Return a line for each case, over a parameter; the colour is the backend's, the dashes are the precision's."""
    cases: dict[str, list[Result]] = {}
    for result in results:
        if _number(result, key) > 0:
            cases.setdefault(name_of(result), []).append(result)
    lines = []
    for name, case in cases.items():
        case.sort(key=lambda result: _number(result, key))
        precision = str(case[0].params.get("precision"))
        dashes, marker = _LINES.get(precision, "-"), _MARKERS.get(precision, "v")
        x, y = [_number(result, key) for result in case], [value(result) for result in case]
        lines.append(_Line(name, colors[_backend(case[0])], dashes, marker, x, y))
    return lines


def _figure(panels: int, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels, one below the other, so many inches high each."""
    between = 0.7  # what is around the panels is within the file, which is cut to what is drawn
    figure = Figure(figsize=(_WIDTH, panels * (height + between)))
    axes = figure.subplots(panels, 1, squeeze=False, gridspec_kw={"hspace": between / height})
    figure.subplots_adjust(left=0, right=1, top=1, bottom=between / (panels * (height + between)))
    return figure, list(axes.flat)


def _height(lines: Sequence[_Line]) -> float:
    """Return the inches that a panel of these lines needs for their names, or more."""
    return max(_HEIGHT, _LABEL_HEIGHT * len(lines))


def _draw_lines(axes: Axes, lines: Sequence[_Line], height: float, more_places: Sequence[float] = ()) -> None:
    """Draw lines on logarithmic axes of this height in inches, and name each at its right end."""
    for line in lines:
        axes.plot(line.x, line.y, line.dashes, color=line.color, marker=line.marker, markersize=5, linewidth=1.5)
    places = sorted({*more_places, *(place for line in lines for place in line.x)})
    axes.xaxis.set(major_locator=FixedLocator(places), minor_locator=NullLocator(), major_formatter=_PLAIN)
    low, high = np.log10(axes.get_ylim())
    ticks = MaxNLocator(8, steps=[1, 2, 2.5, 5, 10]) if high - low < _FEW_DECADES else LogLocator(subs=(1, 2, 5))
    axes.yaxis.set(major_locator=ticks, minor_locator=NullLocator(), major_formatter=_PLAIN)
    wanted = [float((np.log10(line.y[-1]) - low) / (high - low)) for line in lines]
    for line, place in zip(lines, _apart(wanted, _LABEL_HEIGHT / height), strict=True):
        arrow = {"arrowstyle": "-", "color": line.color, "linewidth": 0.5, "shrinkB": 4, "relpos": (0, 0.5)}
        end = (line.x[-1], line.y[-1])
        axes.annotate(line.label, end, (1.06, place), textcoords="axes fraction", va="center", arrowprops=arrow)


def _apart(wanted: Sequence[float], gap: float) -> list[float]:
    """Return places from 0 to 1 in the order of those wanted, at least ``gap`` apart and else as near as can be.

    Less a gap for each place below, it is a regression by numbers that do not decrease: neighbours that would meet are
    pooled into their mean.
    """
    order = sorted(range(len(wanted)), key=lambda number: wanted[number])
    pools: list[list[float]] = []
    for rank, number in enumerate(order):
        pools.append([wanted[number] - rank * gap])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    level = np.clip([np.mean(pool) for pool in pools for _ in pool], 0, 1 - gap * (len(wanted) - 1))
    places = [0.0] * len(wanted)
    for rank, number in enumerate(order):
        places[number] = float(level[rank]) + rank * gap
    return places
