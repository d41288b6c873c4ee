"""Coze's error codes: which of them we can explain (coze-protocol 4.1). Pure."""

from typing import Final

from execution_history.errors import N_
from execution_history.presentation.translator import Translator

_KNOWN: Final = {
    "4000": "bad_request",
    "4013": "rate_limited",
    "4015": "not_published_to_api",
    "4100": "authentication",
    "4101": "permission",
    "4200": "not_found",
    "5000": "internal",
    "6003": "paid_plan",
    "6023": "workflow_timeout",
    "6031": "not_published",
    "6039": "sync_interrupt",
    "400": "bad_request",
    "401": "authentication",
    "403": "permission",
    "429": "rate_limited",
    "504": "gateway_timeout",
    "305000002": "code_node",
    "700012006": "session",
    "720701002": "plugin_timeout",
    "720701013": "node_failed",
    "720702004": "node_not_found",
    "720702017": "node_failed",
    "720702085": "node_timeout",
    "777777776": "node_timeout",
    "777777777": "cancelled",
}
_CODES: Final = {
    "bad_request": (
        N_("Coze found the request itself wrong, for example bot_id and app_id given together."),
        N_("Compare the input with what the workflow’s start node asks for, then run it again."),
    ),
    "rate_limited": (
        N_("The Coze account has made more calls than it may."),
        N_("Wait a little and run it again; spread calls out, or raise the account’s limit."),
    ),
    "not_published_to_api": (
        N_("The bot is not published to the API channel."),
        N_("Publish the bot at Coze with the API channel switched on."),
    ),
    "authentication": (
        N_("Coze did not accept the token."),
        N_(
            "Check that the token is valid and belongs to the region that is called: tokens of coze.cn "
            "do not work at coze.com."
        ),
    ),
    "permission": (
        N_("The token is valid but is not allowed to do this."),
        N_("Give the token the permission to run workflows, for the space the workflow is in."),
    ),
    "not_found": (
        N_("Coze has no such workflow, or it has never been published."),
        N_("Check the workflow’s id and publish it."),
    ),
    "internal": (
        N_("Something failed inside Coze."),
        N_("Run it again; if it fails again, give Coze’s log id to their support."),
    ),
    "server_error": (
        N_("Coze’s server, or one on the way to it, answered with an error."),
        N_("Run it again later; the workflow may have run all the same."),
    ),
    "gateway_timeout": (
        N_("A server on the way to Coze stopped waiting; the workflow may still go on there."),
        N_("Stream the run, or run it in the background: then nothing waits for one answer."),
    ),
    "paid_plan": (
        N_("Running in the background needs a paid plan."),
        N_("Run it streamed or synchronously, or change the plan."),
    ),
    "workflow_timeout": (
        N_("The whole workflow took longer than it may."),
        N_("Look below at which node was slowest; run long workflows in the background."),
    ),
    "not_published": (
        N_("The workflow is not published."),
        N_("Publish it, then run it again."),
    ),
    "sync_interrupt": (
        N_("The workflow asked a question, which a synchronous call cannot carry."),
        N_("Stream the run: then the question can be answered here."),
    ),
    "code_node": (
        N_("The code in a code node raised an error."),
        N_("Try the node at Coze with the input that it got here."),
    ),
    "session": (
        N_("Coze did not accept the session or the token."),
        N_("Create a new token and set it for the account."),
    ),
    "plugin_timeout": (
        N_("A plugin did not answer in time."),
        N_("Run it again; if it fails again, look at the service that the plugin calls."),
    ),
    "node_failed": (
        N_("A node of the workflow failed while it ran."),
        N_("Look at the node marked below, try it at Coze with the same input, then run it again."),
    ),
    "node_not_found": (
        N_("A node refers to something that no longer exists."),
        N_("Open the workflow at Coze, fix the reference, then publish it."),
    ),
    "node_timeout": (
        N_("A node took longer than it may."),
        N_("Give the node more time at Coze, or less to do."),
    ),
    "cancelled": (
        N_("Somebody cancelled the run at Coze."),
        N_("Nothing needs fixing; run it again if it is still wanted."),
    ),
}
"""What each means, and what to do about it."""

_EXECUTION: Final = "7207"
_EXECUTION_DIGITS: Final = 9
_HTTP_ERRORS: Final = range(500, 600)


def explanation(_: Translator, code: object) -> tuple[str, str] | None:
    """Return what an error *code* means and what to do about it, two sentences; ``None`` for an unknown one."""
    name = code_name(code)
    if name is None:
        return None
    meaning, remedy = _CODES[name]
    return _(meaning), _(remedy)


def code_name(code: object) -> str | None:
    """Our word for an error *code*; whole families have one too."""
    if isinstance(code, bool) or not isinstance(code, (int, str)):
        return None
    digits = str(code).strip()
    if digits in _KNOWN:
        return _KNOWN[digits]
    if digits.startswith(_EXECUTION) and len(digits) == _EXECUTION_DIGITS and digits.isdecimal():
        return "node_failed"
    if digits.isdecimal() and len(digits) == 3 and int(digits) in _HTTP_ERRORS:  # noqa: PLR2004 - an HTTP status
        return "server_error"
    return None
