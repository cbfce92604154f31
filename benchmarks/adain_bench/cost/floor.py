"""The least time a graph can take on this machine: a roofline over what the machine was measured to do.

Williams, Waterman & Patterson, "Roofline: an insightful visual performance model for multicore architectures", 2009.
Each group of ``costs`` takes at least as long as its operations at the highest rate that any library reaches here, and
at least as long as its bytes at the rate of a large copy; the larger of the two is its floor. Rates are measured, the
best of many short calls each, so that neither a data sheet's clock nor a neighbour's load enters.

A floor is no promise, and may be undercut:

- Bytes are those that go through memory. What one layer leaves in the last-level cache the next reads sooner, so a
  layer that is bound by memory may run below its floor.
- Operations are those of the direct sum. A Winograd kernel, or one that adds up a doubled picture's filters
  beforehand, multiplies less.
"""

from __future__ import annotations

from dataclasses import dataclass

from adain_bench.cost.costs import Costs, Group
from adain_bench.cost.peaks import Peaks
from adain_models.errors import AdainError

__all__ = ["Floor", "GroupFloor", "floor"]


@dataclass(frozen=True)
class GroupFloor:
    """The floor of one group: the seconds that its operations and that its bytes take at least."""

    group: Group
    compute: float
    memory: float

    @property
    def seconds(self) -> float:
        """The larger of the two."""
        return max(self.compute, self.memory)

    @property
    def bound(self) -> str:
        """Which of the two it is: ``compute`` or ``memory``."""
        return "compute" if self.compute >= self.memory else "memory"


@dataclass(frozen=True)
class Floor:
    """The floor of a graph: its groups run one after another."""

    groups: tuple[GroupFloor, ...]

    @property
    def seconds(self) -> float:
        """The sum of the groups' floors."""
        return sum(group.seconds for group in self.groups)


def floor(costs: Costs, peaks: Peaks) -> Floor:
    """Return the least time that a graph takes.

    A group that computes in several precisions, an int8 convolution and the float32 sum behind it, takes as long as
    the slowest of them: a machine may have units for each.

    Args:
        costs: of the graph, for a size.
        peaks: of the device.

    Raises:
        AdainError: the graph computes in a precision of which no rate was measured.

    """
    return Floor(tuple(_group_floor(group, peaks) for group in costs.groups))


def _group_floor(group: Group, peaks: Peaks) -> GroupFloor:
    times = [0.0]
    for precision, flops in group.flops_by_precision.items():
        peak = peaks.compute.get(precision)
        if peak is None:
            raise AdainError(f"there is no rate of {precision} on this device, only of {', '.join(peaks.compute)}")
        times.append(flops / peak.rate)
    return GroupFloor(group, compute=max(times), memory=group.bytes / peaks.copy.rate)
