"""The commands ``backup``, ``restore`` and ``archive``."""

import signal
from contextlib import closing
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import apsw
import pytest

from tests.cli.conftest import Call, History
from tests.cli.processes import PATIENCE, read_document, started, until


def test_a_history_is_backed_up_listed_verified_and_restored(call: Call, history: History) -> None:
    """Each command says what it did in one sentence, and where it was done."""
    history.keep("a", execute_status="success")
    said = call("backup", "kept", "--store", "history")
    assert (0, "Backed up 1 run (") == (said.code, said.out[:17])
    first = said.out.rpartition(" as ")[2].partition(",")[0]
    history.keep("b")
    said = call("backup", "kept", "--store", "history")
    assert f"Backed up what has changed since {first}: 1 run, 0 deleted" in said.out
    listed = call("backup", "list", "kept")
    assert [["full", "never", "verified"], ["incremental", "never", "verified"]] == [
        [line.split()[1], *line.split()[-2:]] for line in listed.out.splitlines()[1:]
    ]
    assert max(map(len, listed.out.splitlines())) <= 80
    verified = call("backup", "verify", "kept", "--store", "history")
    assert "just now" in call("backup", "list", "kept").out.splitlines()[-1]
    assert (0, True) == (verified.code, "is sound: 2 runs (" in verified.out)
    restored = call("restore", "kept", "--at", first, "--store", "sqlite:again")
    assert (0, True) == (restored.code, restored.out.startswith("Restored 1 run ("))
    assert ["a"] == [
        each["execute_id"] for each in call("list", "--store", "sqlite:again", "--json").json()["histories"]
    ]


def test_programs_get_the_same_as_json(call: Call, history: History) -> None:
    """Every command answers with one document."""
    history.keep("a")
    made = call("backup", "kept", "--store", "history", "--json").json()
    assert ("full", 1, 1) == (made["kind"], made["records"], made["total"])
    assert [made["id"]] == [each["id"] for each in call("backup", "list", "kept", "--json").json()["backups"]]
    assert (made["id"], 1) == ((found := call("backup", "verify", "kept", "--json").json())["id"], found["records"])
    found = call("restore", "kept", "--store", "sqlite:again", "--json").json()
    assert (made["id"], 1, None, "sqlite:again") == tuple(
        found[name] for name in ("id", "records", "replaced", "store")
    )


def test_a_damaged_backup_ends_with_one(call: Call, history: History) -> None:
    """The sentence names the file, and what to do."""
    history.keep("a")
    made = call("backup", "kept", "--store", "history", "--json").json()
    segment = next(Path("kept", made["id"]).glob("records-*"))
    segment.write_bytes(segment.read_bytes()[:-1])
    said = call("backup", "verify", "kept")
    assert (1, True) == (said.code, f"{made['id']}/{segment.name}' is damaged" in said.err)
    assert "restore another backup" in said.err
    Path("kept", made["id"], "manifest.json").write_text("{}")
    said = call("backup", "list", "kept")
    assert (1, True) == (said.code, "is damaged" in said.err)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("backup", "kept", "--store", "nowhere"), 5, "There is no history in nowhere."),
        (("backup", "--store", "history"), 2, "Name the place of the backups: "),
        (("backup", "list", "kept", "more"), 2, "Name one place: "),
        (("backup", "verify", "kept"), 5, "There is no whole backup in "),
        (("backup", "verify", "kept", "--at", "2020"), 5, "begins with '2020'"),
        (("backup", "list", "kept", "--full"), 2, "--full and --keep belong to"),
        (("backup", "kept", "--at", "2020", "--store", "history"), 2, "--at belongs to"),
        (("backup", "gs://bucket", "--store", "history"), 2, "name a folder or s3://bucket/prefix"),
        (("restore", "kept", "--store", "memory:"), 5, "There is no whole backup in "),
        (("archive", "old", "--before", "June", "--store", "history"), 2, "A month is written as 2026-06, not 'June'."),
        (("archive", "old", "--before", "2026-06", "--store", "nowhere"), 5, "There is no history in nowhere."),
        (("archive", "old", "--before", "2020-06", "--store", "history"), 0, "there is nothing to archive"),
    ],
)
def test_a_call_that_cannot_be_is_one_sentence(
    call: Call, history: History, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    """And leaves nothing behind."""
    history.keep("a")
    said = call(*arguments)
    assert (code, True) == (said.code, sentence in said.err), said.err
    assert not Path("kept").exists()


def test_a_restore_moves_aside_what_is_there_only_if_it_is_meant(call: Call, history: History) -> None:
    """Nobody loses a history by restoring another."""
    history.keep("a")
    call("backup", "kept", "--store", "history")
    history.keep("b")
    said = call("restore", "kept", "--store", "history")
    assert (2, True) == (said.code, "There is something in " in said.err)
    said = call("restore", "kept", "--store", "history", "--replace")
    assert (0, True) == (said.code, "2 runs before, 1 now. The history that was there is in " in said.err)
    assert 1 == len(history.read("w"))
    [aside] = Path().glob("history.replaced-*")
    assert 2 == call("list", "--store", str(aside), "--json").json()["total"]


def test_records_that_cannot_be_read_are_told(call: Call, history: History) -> None:
    """The others are in the backup; the exit code says that it is not everything."""
    history.keep("a")
    history.keep("b")
    for file in Path("history").glob("*.json"):
        file.unlink()
    with closing(apsw.Connection("history/history.db")) as database:
        database.execute("UPDATE executions SET document = x'00' WHERE execute_id = 'a'")
    said = call("backup", "kept", "--store", "history")
    assert (1, True) == (said.code, "1 run could not be read when the backup was made" in said.err)


def test_months_are_archived_and_looked_into(call: Call, history: History) -> None:
    """A line for each; every command that reads opens the file, and every one that writes is refused."""
    history.keep("a", execute_status="success", parameters={"city": "北京"})
    said = call("archive", "old", "--before", "2023-12", "--store", "history", "--remove")
    assert ["2023-11", "1"] == said.out.splitlines()[1].split()[:2]
    assert [] == history.read("w")
    place = "old/2023-11.db"
    assert 1 == len(call("search", "北京", "--store", place, "--json").json()["hits"])
    assert 0 == call("show", "a", "--workflow", "w", "--store", place).code
    said = call("delete", "a", "--workflow", "w", "--store", place)
    assert (4, True) == (said.code, "is an archive, which is only read" in said.err)


def test_an_archive_is_served(call: Call, history: History, tmp_path: Path) -> None:
    """Its page and its API read it; nothing is written beside it."""
    history.keep("a", execute_status="success")
    call("archive", "old", "--before", "2023-12", "--store", "history")
    with started("serve", "--port=0", "--store", "old/2023-11.db", "--json", folder=tmp_path) as process:
        url = read_document(process.stdout)["url"]
        assert "a" in urlopen(f"{url}/coze/history").read().decode()
        assert b"2023" in urlopen(f"{url}/").read()
        assert 200 == urlopen(f"{url}/readyz").status
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(PATIENCE)
    assert ["2023-11.db"] == [path.name for path in Path("old").iterdir()]


def test_an_archive_is_served_with_the_keys_of_a_history(call: Call, history: History, tmp_path: Path) -> None:
    """It has none itself; a wrong one is refused although that cannot be noted."""
    history.keep("a", execute_status="success")
    call("keys", "add", "old", "--scope", "read", "--store", "history")
    call("archive", "old", "--before", "2023-12", "--store", "history")
    place = "old/2023-11.db"
    key = call("keys", "add", "team", "--scope", "read", "--store", "history").out.strip()
    said = call("serve", "--store", place, "--host", "::", "--port", "0")
    assert (2, True) == (said.code, "an archive has no keys: name a history" in said.err)
    said = call("serve", "--store", place, "--keys-store", "nowhere", "--port", "0")
    assert (2, True) == (said.code, "no history in 'nowhere', which the setting keys_store names" in said.err)
    arguments = ("serve", "--port=0", "--store", place, "--keys-store", "history", "--json")
    with started(*arguments, folder=tmp_path) as process:
        url = read_document(process.stdout)["url"]
        assert 200 == urlopen(Request(f"{url}/readyz", headers={"Authorization": f"Bearer {key}"})).status
        for headers in ({}, {"Authorization": f"Bearer {key[:-3]}xyz"}):
            with pytest.raises(HTTPError, match="401"):
                urlopen(Request(f"{url}/readyz", headers=headers))
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(PATIENCE)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("doctor",), "is an archive, which doctor does not check"),
        (("doctor", "--repair"), "is an archive, which doctor does not check"),
        (("backup", "kept"), "a copy of the file is its backup"),
        (("archive", "more", "--before", "2023-12"), "is an archive already"),
        (("restore", "kept"), "name another place with --store"),
        (("keys",), "is an archive, which has no keys"),
        (("keys", "add", "team", "--scope", "read"), "is an archive, which has no keys"),
        (("retention",), "from which nothing is removed"),
        (("prune", "--dry-run"), "from which nothing is removed"),
    ],
)
def test_what_makes_no_sense_for_an_archive_is_refused(
    call: Call, history: History, arguments: tuple[str, ...], sentence: str
) -> None:
    """Each command says what to do instead, and leaves nothing behind."""
    history.keep("a", execute_status="success")
    call("archive", "old", "--before", "2023-12", "--store", "history")
    said = call(*arguments, "--store", "old/2023-11.db")
    assert (2, True) == (said.code, sentence in said.err), said.err
    assert {"old", "history"} == {path.name for path in Path().iterdir()}


def test_keys_that_are_restored_have_expired_unless_they_stay(call: Call, history: History) -> None:
    """Which they are is told; those of a history that is moved aside stay, with its audit log."""
    history.keep("a")
    call("keys", "add", "team", "--scope", "read", "--store", "history")
    call("backup", "kept", "--store", "history")
    said = call("restore", "kept", "--store", "sqlite:again")
    assert "These keys have expired, as they may have been revoked since the backup: team." in said.err
    assert "execution-history keys renew NAME --store sqlite:again" in said.err
    assert "is valid, and does not expire" in call("keys", "renew", "team", "--store", "sqlite:again").err
    said = call("restore", "kept", "--store", "sqlite:kept-keys", "--keep-keys")
    assert "These keys are valid as they were in the backup" in said.err
    said = call("restore", "kept", "--store", "history", "--replace")
    assert "The keys are those of the history that was there: team." in said.err
    assert "2 lines of its audit log, which the backup does not have, were added." in said.err
    said = call("restore", "kept", "--store", "history", "--missing")
    assert (0, True) == (said.code, "Nothing to add to history from the backup" in said.out)
    call("keys", "revoke", "team", "--store", "history")
    said = call("restore", "kept", "--store", "history", "--missing")
    assert "Nothing to add" in said.out
    assert "since the backup, or may have: Keys (1). To add them, too: execution-history restore" in said.err
    assert (2, True) == ((said := call("restore", "kept", "--removed")).code, "belongs to --missing" in said.err)
    said = call("restore", "kept", "--store", "history", "--missing", "--removed")
    assert ["Keys", "1"] == said.out.splitlines()[1].split()
    assert (2, True) == ((said := call("restore", "kept", "--replace", "--missing")).code, "choose one" in said.err)


def test_a_backup_that_was_killed_is_none(call: Call, history: History, tmp_path: Path) -> None:
    """The one before it stays the newest, the next one begins where that ended; the audit log has its beginning."""
    history.keep("a")
    whole = call("backup", "kept", "--store", "history", "--json").json()["id"]
    for number in range(300):
        history.now += 1
        if number < 3:
            history.keep(f"b{number}", parameters={"text": "x" * 2_000_000})
    with started("backup", "kept", "--full", "--store", "history", folder=tmp_path) as process:
        until(process, lambda: len([*Path("kept").iterdir()]) > 1)
        process.kill()
        process.wait(PATIENCE)
    lines = call("audit", "--action", "backup", "--store", "history", "--json").json()["lines"]
    assert [True, False, True] == ["begun" in line["details"] for line in lines[:3]]
    found = call("backup", "list", "kept", "--json").json()
    listed = found["backups"]
    for unfinished in found["unfinished"]:
        assert f"Unfinished, so no backup: {unfinished}." in call("backup", "list", "kept").err
    assert whole in {each["id"] for each in listed}
    for each in listed:
        assert 0 == call("backup", "verify", "kept", "--at", each["id"]).code
