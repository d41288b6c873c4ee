"""Leaving the record of a run open that goes on upstream, or may, where it has a name there to ask for."""

from collections.abc import Mapping

import httpx

from execution_history.coze.protocol.messages import Call, Outcome, execute_id_of_event
from execution_history.coze.tracking.history_client import Address
from execution_history.coze.tracking.poller import FollowedRun, RunFollower
from execution_history.coze.transport.call_recording import RunContext
from execution_history.recording.recorder import Recording
from execution_history.records.proof import UNCERTAIN


def leave_open(
    follower: RunFollower | None,
    request: httpx.Request,
    call: Call,
    context: RunContext,
    recording: Recording,
    outcome: Outcome,
) -> Outcome:
    """What is to be written of a call that has ended with *outcome*.

    A run that was accepted, or whose end was not seen, is followed if it can be asked for, and its record stays
    running; without a *follower* it does so too, for whoever looks next.

    Args:
        follower: asks the upstream; in whose event loop this is called.
        request: what was sent; its proof of who asks is used, and kept nowhere else.
        call: what it asked for.
        context: what a caller of ours knows.
        recording: the run's record.
        outcome: how the call has ended.
    """
    upstream_id = outcome.execute_id or execute_id_of_event(call.event_id)
    goes_on = outcome.status == "running" or outcome.proof in UNCERTAIN
    if upstream_id is None or not goes_on:
        return outcome
    if follower is not None:
        follower.follow(
            FollowedRun(
                recording.workflow_id,
                recording.execute_id,
                upstream_id,
                _address(request, context),
                recording.create_time,
                None if outcome.status == "running" else outcome,
            )
        )
    return Outcome("running", outcome.proof, usage=outcome.usage, execute_id=upstream_id, log_id=outcome.log_id)


def _address(request: httpx.Request, context: RunContext) -> Address:
    """Where the run of *request* can be asked for, with the caller's own proof of who it is."""
    url = request.url
    prefix = url.raw_path.rpartition(b"/v1/")[0].decode("ascii", "replace").rstrip("/")
    proof = {"Authorization": request.headers["authorization"]} if "authorization" in request.headers else {}

    async def authorise() -> Mapping[str, str]:
        return proof if context.authorise is None else await context.authorise()

    return Address(f"{url.scheme}://{url.netloc.decode('ascii', 'replace')}{prefix}", authorise)
