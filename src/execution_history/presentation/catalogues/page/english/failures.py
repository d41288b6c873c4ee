"""What Coze's error codes mean, and what went wrong on a page, in English."""

from typing import Final

from execution_history.presentation.formatting import FAULTS_AS_THEY_ARE

FAILURES: Final[dict[str, str]] = {
    # Error codes of Coze, and what to do.
    "code.bad_request.meaning": "Coze found the request itself wrong, for example bot_id and app_id given together.",
    "code.bad_request.remedy": "Compare the input with what the workflow’s start node asks for, then run it again.",
    "code.rate_limited.meaning": "More calls were made than the Coze account may make.",
    "code.rate_limited.remedy": "Wait a little and run it again; spread calls out, or raise the account’s limit.",
    "code.not_published_to_api.meaning": "The bot is not published to the API channel.",
    "code.not_published_to_api.remedy": "Publish the bot at Coze with the API channel switched on.",
    "code.authentication.meaning": "Coze did not accept the token.",
    "code.authentication.remedy": "Check that the token is valid and belongs to the region that is called: tokens of "
    "coze.cn do not work at coze.com.",
    "code.permission.meaning": "The token is valid, but not allowed to do this.",
    "code.permission.remedy": "Give the token the permission to run workflows, for the space the workflow is in.",
    "code.not_found.meaning": "Coze has no such workflow, or it has never been published.",
    "code.not_found.remedy": "Check the workflow’s id and publish it.",
    "code.internal.meaning": "Something failed inside Coze.",
    "code.internal.remedy": "Run it again; if it goes on, give Coze’s log id to their support.",
    "code.server_error.meaning": "Coze’s server, or one on the way to it, answered with an error.",
    "code.server_error.remedy": "Run it again later; the workflow may have run all the same.",
    "code.gateway_timeout.meaning": "A server on the way to Coze stopped waiting; the workflow may still go on there.",
    "code.gateway_timeout.remedy": "Stream the run, or run it in the background: then nothing waits for one answer.",
    "code.paid_plan.meaning": "Running in the background needs a paid plan.",
    "code.paid_plan.remedy": "Run it streamed or synchronously, or change the plan.",
    "code.workflow_timeout.meaning": "The whole workflow took longer than it may.",
    "code.workflow_timeout.remedy": "Look below at which node was slowest; run long workflows in the background.",
    "code.not_published.meaning": "The workflow is not published.",
    "code.not_published.remedy": "Publish it, then run it again.",
    "code.sync_interrupt.meaning": "The workflow asked a question, which a call with one answer cannot carry.",
    "code.sync_interrupt.remedy": "Stream the run: then the question can be answered here.",
    "code.code_node.meaning": "The code in a code node raised an error.",
    "code.code_node.remedy": "Try the node at Coze with the input that it got here.",
    "code.session.meaning": "Coze did not accept the session or the token.",
    "code.session.remedy": "Make a new token and set it for the account.",
    "code.plugin_timeout.meaning": "A plugin did not answer in time.",
    "code.plugin_timeout.remedy": "Run it again; if it goes on, look at the service that the plugin calls.",
    "code.node_failed.meaning": "A node of the workflow failed while it ran.",
    "code.node_failed.remedy": "Look at the node marked below, try it at Coze with the same input, then run it again.",
    "code.node_not_found.meaning": "A node refers to something that is not there any more.",
    "code.node_not_found.remedy": "Open the workflow at Coze and mend the reference, then publish it.",
    "code.node_timeout.meaning": "A node took longer than it may.",
    "code.node_timeout.remedy": "Give the node more time at Coze, or less to do.",
    "code.cancelled.meaning": "Somebody cancelled the run at Coze.",
    "code.cancelled.remedy": "Nothing has to be mended; run it again if it is still wanted.",
    # Error pages.
    "error.bad": "That cannot be done",
    "error.missing": "There is nothing here",
    "error.missing.sentence": "This address has no page, or the run or workflow it names has no record. "
    "It may have been deleted.",
    "error.conflict": "That does not fit any more",
    "error.large": "That is too large",
    "error.unavailable": "Not possible just now",
    "error.fault": "Something went wrong",
    "error.home": "To the overview",
    # The library's sentences, which are in English.
    **FAULTS_AS_THEY_ARE,
}
