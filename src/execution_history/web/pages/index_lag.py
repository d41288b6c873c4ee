"""What pages do about an index that is behind: they wait a moment for it, and name what they lack."""

import time
from typing import Final

from markupsafe import Markup, escape

from execution_history.presentation.formatting import clock, exact, machine, thin
from execution_history.presentation.index_notice import index_notice
from execution_history.query.model import PAGE_SECONDS, IndexReach
from execution_history.web.pages.viewer import Viewer

_TIME: Final = Markup('<time datetime="{}" title="{}" data-clock>{}</time>')


class IndexWait:
    """The time that the queries of one page may wait for the index, all together.

    It is enough for an index that follows to take in what was recorded just now; of what takes longer the page says
    that it is missing.
    """

    def __init__(self) -> None:
        self._end = time.monotonic() + PAGE_SECONDS

    @property
    def seconds(self) -> float:
        """What is left of it."""
        return max(0.0, self._end - time.monotonic())


def index_line(viewer: Viewer, reach: IndexReach) -> Markup:
    """Return what an answer with this incomplete *reach* may lack, as HTML."""

    def moment(milliseconds: int) -> Markup:
        zone = viewer.zone
        return _TIME.format(machine(milliseconds), exact(milliseconds, zone), clock(milliseconds, zone))

    notice = index_notice(
        revision=reach.revision,
        newest=reach.newest,
        since=reach.since,
        missing=reach.missing,
        moment=moment,
        number=lambda count: escape(thin(count)),
    )
    return viewer.translate.markup(notice.msgid, **notice.arguments)
