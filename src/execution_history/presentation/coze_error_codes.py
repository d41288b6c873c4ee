"""Explanations of Coze's error codes (coze-protocol 4.1). Pure."""

import re
from typing import Final

from execution_history.errors import N_
from execution_history.presentation.translator import Translator

_CODES: Final = {
    "4000 400": (
        N_("Coze found the request itself wrong, for example bot_id and app_id given together."),
        N_("Compare the input with what the workflow’s start node asks for, then run it again."),
    ),
    "4013 429": (
        N_("The Coze account has made more calls than it may."),
        N_("Wait a little and run it again; spread calls out, or raise the account’s limit."),
    ),
    "4015": (
        N_("The bot is not published to the API channel."),
        N_("Publish the bot at Coze with the API channel switched on."),
    ),
    "4100 401": (
        N_("Coze did not accept the token."),
        N_(
            "Check that the token is valid and belongs to the region that is called: tokens of coze.cn "
            "do not work at coze.com."
        ),
    ),
    "4101 403": (
        N_("The token is valid but is not allowed to do this."),
        N_("Give the token the permission to run workflows, for the space the workflow is in."),
    ),
    "4200": (
        N_("Coze has no such workflow, or it has never been published."),
        N_("Check the workflow’s id and publish it."),
    ),
    "5000": (
        N_("Something failed inside Coze."),
        N_("Run it again; if it fails again, give Coze’s log id to their support."),
    ),
    "500": (
        N_("Coze’s server, or one on the way to it, answered with an error."),
        N_("Run it again later; the workflow may have run all the same."),
    ),
    "504": (
        N_("A server on the way to Coze stopped waiting; the workflow may still go on there."),
        N_("Stream the run, or run it in the background: then nothing waits for one answer."),
    ),
    "6003": (
        N_("Running in the background needs a paid plan."),
        N_("Run it streaming or synchronously, or change the plan."),
    ),
    "6023": (
        N_("The whole workflow took longer than it may."),
        N_("Look below at which node was slowest; run long workflows in the background."),
    ),
    "6031": (N_("The workflow is not published."), N_("Publish it, then run it again.")),
    "6039": (
        N_("The workflow asked a question, which a synchronous call cannot carry."),
        N_("Stream the run: then the question can be answered here."),
    ),
    "305000002": (
        N_("The code in a code node raised an error."),
        N_("Try the node at Coze with the input that it got here."),
    ),
    "700012006": (
        N_("Coze did not accept the session or the token."),
        N_("Create a new token and set it for the account."),
    ),
    "720701002": (
        N_("A plugin did not answer in time."),
        N_("Run it again; if it fails again, look at the service that the plugin calls."),
    ),
    "720701013 720702017": (
        N_("A node of the workflow failed while it ran."),
        N_("Look at the node marked below, try it at Coze with the same input, then run it again."),
    ),
    "720702004": (
        N_("A node refers to something that no longer exists."),
        N_("Open the workflow at Coze, fix the reference, then publish it."),
    ),
    "720702085 777777776": (
        N_("A node took longer than it may."),
        N_("Give the node more time at Coze, or less to do."),
    ),
    "777777777": (
        N_("Somebody cancelled the run at Coze."),
        N_("Nothing needs fixing; run it again if it is still wanted."),
    ),
}
"""What each means, and what to do about it; codes of one meaning share a row, 500 stands for all server errors."""

_KNOWN: Final = {code: sentences for codes, sentences in _CODES.items() for code in codes.split()}
_NODE_FAILED: Final = "720701013"
_EXECUTION: Final = re.compile(r"7207\d{5}", re.ASCII)
_HTTP_ERROR: Final = re.compile(r"5\d\d", re.ASCII)


def explanation(_: Translator, code: object) -> tuple[str, str] | None:
    """Return what an error *code* means and what to do about it, two sentences; ``None`` for an unknown one."""
    if isinstance(code, bool) or not isinstance(code, (int, str)):
        return None
    digits = str(code).strip()
    family = _NODE_FAILED if _EXECUTION.fullmatch(digits) else "500" if _HTTP_ERROR.fullmatch(digits) else digits
    sentences = _KNOWN.get(digits) or _KNOWN.get(family)
    return None if sentences is None else (_(sentences[0]), _(sentences[1]))
