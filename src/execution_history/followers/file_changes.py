"""The edits of a JSON file that make changes of the feed true in it.

The feed says what a record is now; the file has to be told where it stood, by the time at which it began.
"""

from collections.abc import Sequence

from execution_history.records.partial import outline_of
from execution_history.stores.jsonfiles.json_file import JSONFile
from execution_history.stores.mirror_port import FileChange
from execution_history.stores.protocol import Change


def file_changes(file: JSONFile, changes: Sequence[Change], since: int) -> list[FileChange]:
    """Return the edits of *file* for *changes* of its workflow, which follow *since* in the feed, in their order.

    A record that cannot be read stays as the file has it.

    Raises:
        NotOurs: a record of the file has no time.
        OSError: the file cannot be read.
    """
    times = {
        each.execute_id: outline_of(each.document)["create_time"]
        for each in changes
        if each.document and each.execute_id
    }
    newest = file.newest_time()
    there = {
        execute_id: time
        for execute_id, time in times.items()
        if newest is not None and time <= newest and file.locate(execute_id, time) is not None
    }
    # A record that was there before the feed's place may have stood elsewhere, and one that the file knows already too.
    was_read_before = file.header.state.revision > since
    missed = {
        each.execute_id
        for each in changes
        if each.execute_id is not None
        and (each.kind != "created" or was_read_before)
        and each.execute_id not in there
        and (each.document is not None or each.kind == "deleted")
    }
    missed |= {each.execute_id for each in changes if each.kind == "deleted" and each.execute_id is not None}
    there |= file.times_of(missed) if missed else {}
    edits: list[FileChange] = []
    for each in changes:
        execute_id = each.execute_id or ""
        stood_at = there.get(execute_id)
        if each.kind == "deleted":
            if stood_at is not None:
                edits.append(FileChange(execute_id, there.pop(execute_id), None))
        elif each.document is not None:
            time = times[execute_id]
            if stood_at is not None and stood_at != time:
                edits.append(FileChange(execute_id, stood_at, None))
            edits.append(FileChange(execute_id, time, each.document, new=stood_at != time))
    return edits
