"""When the runs of a queue will be done, as far as that can be told."""

import heapq
from collections.abc import Mapping, Sequence

from goe.core.overview import RunView
from goe.core.state import RunState
from tui.widgets.runcells import expected_length


def finish_times(order: Sequence[RunView], views: Mapping[str, RunView], now: float) -> dict[str, float]:
    """Seconds until each run is done, by id; those of which nobody can tell are left out.

    `order`: the queued runs that nothing but a slot holds back, in the order of starting. As many are taken to be at
    work at once as are now.
    """
    live = [view for view in views.values() if view.is_live and view.state is not RunState.PENDING]
    ends = {view.run_id: view.status.eta_s for view in live if view.status and view.status.eta_s is not None}
    if not live or len(ends) < len(live):
        return ends
    expected = expected_length(views.values(), now)
    slots = list(ends.values())
    heapq.heapify(slots)
    for view in order:
        length = expected(view) if view.state is RunState.QUEUED else None
        if length is None:
            break  # the later ones wait for it, for an unknown time
        ends[view.run_id] = heapq.heappop(slots) + length
        heapq.heappush(slots, ends[view.run_id])
    return ends
