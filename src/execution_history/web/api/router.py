"""The routes under ``/coze`` as one router, for this application or for another."""

import warnings

from fastapi import APIRouter

from execution_history.coze import CozeRunner, Reconciler, UpstreamNames
from execution_history.history.live_feed import LiveFeed
from execution_history.history.service import ExecutionHistoryService
from execution_history.maintenance.backup.status import PlannedBackups
from execution_history.maintenance.retention import Retention
from execution_history.records.reading_limits import ReadingLimits
from execution_history.web.api.backups import add_backups
from execution_history.web.api.bulk import add_bulk, add_changes
from execution_history.web.api.live import add_live
from execution_history.web.api.overview import add_overview
from execution_history.web.api.prices import add_prices
from execution_history.web.api.records import add_comparing, add_deleting, add_noting, add_reading, add_tracing
from execution_history.web.api.redaction import add_redaction
from execution_history.web.api.refusals import add_refusals
from execution_history.web.api.retention import add_bin, add_retention
from execution_history.web.api.route_class import HistoryRoute
from execution_history.web.api.runs import add_fetching, add_resuming, add_running
from execution_history.web.api.search import add_counting, add_finding, add_grouping
from execution_history.web.api.transfer import add_export
from execution_history.web.api.uploads import add_import
from execution_history.web.api.views import add_views
from execution_history.web.api.workflows import add_learning, add_workflows


def history_router(
    service: ExecutionHistoryService,
    runner: CozeRunner | None = None,
    reconciler: Reconciler | None = None,
    prefix: str = "/coze",
    *,
    live: LiveFeed | None = None,
    limits: ReadingLimits | None = None,
    names: UpstreamNames | None = None,
    backups: PlannedBackups | None = None,
    retention: Retention | None = None,
) -> APIRouter:
    """Return the routes of the API: ``app.include_router(history_router(service))``.

    Its errors have our shape in any application, and leave that application's own handlers alone.

    Args:
        service: the history.
        runner: runs workflows; without one the run routes answer with an error.
        reconciler: fetches runs from the upstream; without one its route answers with an error.
        prefix: the beginning of every path.
        live: the change feed, where it is not the service's own; deprecated.
        limits: the limits of an import.
        names: requests the names of workflows from upstreams; without it that route answers with an error.
        backups: the backups that this process makes by itself.
        retention: the rules of retention, where the settings have some; without it those of the history hold.
    """
    router = APIRouter(prefix=prefix, route_class=HistoryRoute)
    add_live(router, _feed_of(service, live).follow, service.workflow_named)
    add_finding(router, service)
    add_counting(router, service)
    add_grouping(router, service)
    add_overview(router, service)
    add_export(router, service)
    add_import(router, service, limits or ReadingLimits(service.record_limit_bytes))
    add_workflows(router, service)
    add_learning(router, names)
    add_reading(router, service)
    add_tracing(router, service)
    add_comparing(router, service)
    add_noting(router, service)
    add_prices(router, service)
    add_redaction(router, service)
    add_deleting(router, service)
    add_bulk(router, service)
    add_changes(router, service)
    add_views(router, service)
    add_backups(router, service, backups)
    add_retention(router, retention or Retention(service))
    add_bin(router, service)
    add_running(router, runner)
    add_resuming(router, runner)
    add_fetching(router, reconciler)
    # A record whose id is empty must not be found: the application would redirect ``…/history/`` to ``…/history``, and
    # a caller who deletes one record but leaves out its id would clear them all.
    add_refusals(router, "/workflows/{workflow_id}/history/{rest:path}")
    return router


def _feed_of(service: ExecutionHistoryService, live: LiveFeed | None) -> LiveFeed | ExecutionHistoryService:
    if live is None:
        return service
    warnings.warn(
        "history_router(live=…) follows the service itself now; the argument goes with the next release.",
        DeprecationWarning,
        stacklevel=3,
    )
    return live
