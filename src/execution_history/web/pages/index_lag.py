"""What pages show of an index that is behind: what they lack because of it."""

from typing import Final

from markupsafe import Markup, escape

from execution_history.presentation.formatting import clock, exact, machine, thin
from execution_history.presentation.index_notice import index_notice
from execution_history.query.model import IndexReach
from execution_history.web.pages.viewer import Viewer

_TIME: Final = Markup('<time datetime="{}" title="{}" data-clock>{}</time>')


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
