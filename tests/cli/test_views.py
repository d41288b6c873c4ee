"""The command ``views``, and lists of a view."""

import time

import pytest

from tests.cli.conftest import Call, History


def test_a_view_is_saved_shown_and_deleted(call: Call, history: History) -> None:
    """With its filters and the number of its runs; `list --view` shows them, and other filters narrow them down."""
    history.keep("bad", execute_status="failed")
    history.keep("worse", "v", execute_status="failed")
    history.keep("good", execute_status="success")
    store = ("--store", "history")
    assert "No view is saved yet. Save one: execution-history views" in call("views", *store).err
    saved = call("views", "Failed runs", "--save", "--status", "failed", "--order", "asc", "--json", *store).json()
    assert ({"status": "failed"}, "asc", 2) == tuple(saved["views"][0][key] for key in ("filters", "order", "count"))
    assert "Failed runs 2 --status=failed --order asc" == " ".join(call("views", *store).out.splitlines()[1].split())
    listed = call("list", "--view", "failed runs", "--json", *store).json()
    assert ["bad", "worse"] == [record["execute_id"] for record in listed["histories"]]
    assert 1 == call("list", "v", "--view", "Failed runs", "--json", *store).json()["total"]
    call("views", "Failed runs", "--rename", "Bad", "--star", *store)
    assert "★ Bad" in call("views", *store).out
    assert (0, "Deleted the view 'Bad'.\n") == ((said := call("views", "Bad", "--delete", *store)).code, said.err)


def test_what_is_no_view_is_refused(call: Call, history: History) -> None:
    """A view that is not there ends with 5; filters without --save, or a change without a name, with 2."""
    history.keep("bad", execute_status="failed")
    store = ("--store", "history")
    assert 5 == call("list", "--view", "none", *store).code
    assert 2 == call("views", "--status", "failed", *store).code
    assert 2 == call("views", "--delete", *store).code
    assert 2 == call("views", "x", "--save", "--since", "never", *store).code


def test_a_view_whose_filters_mean_nothing_now_hides_no_other(call: Call, history: History) -> None:
    """Its workflow was called by a name that two have by now."""
    history.keep("one")
    store = ("--store", "history")
    call("name", "w", "Weather", *store)
    call("views", "Mine", "--save", "--workflow", "Weather", *store)
    call("name", "v", "Weather", *store)
    call("views", "All", "--save", *store)
    said = call("views", "--json", *store)
    assert (0, [None, 1]) == (said.code, [view["count"] for view in said.json()["views"]])
    assert "Mine – --workflow=Weather" in " ".join(call("views", *store).out.split())


def test_a_view_keeps_columns(call: Call, history: History) -> None:
    """A list of it has them, unless the call names others; the call for the next page names them too."""
    for name in ("bad", "worse"):
        history.keep(name, parameters={"city": "Paris"}, execute_status="failed", error_code="502")
    store = ("--store", "history")
    call("tag", "bad", "seen", *store)
    saved = call(
        "views", "Bad", "--save", "--status", "failed", "--columns", "run, tags,error", "--json", *store
    ).json()
    assert ["run", "tags", "error"] == saved["views"][0]["columns"]
    assert "--status=failed --columns run,tags,error" in call("views", *store).out
    said = call("list", "--view", "Bad", "-n", "1", *store)
    assert ["RUN ID TAGS ERROR CODE", "worse 502"] == [" ".join(line.split()) for line in said.out.splitlines()]
    assert "--columns run,tags,error" in said.err
    other = call("list", "--view", "Bad", "--columns", "input", "--columns", "run", *store)
    assert '{"city":"Paris"} bad' == " ".join(other.out.splitlines()[2].split())
    wrong = call("list", "--columns", "colour", *store)
    assert (2, True) == (wrong.code, "There is no column 'colour'; there are status, started" in wrong.err)
    assert 2 == call("views", "x", "--columns", "run", *store).code


def test_a_view_is_counted_in_the_zone_of_the_machine(
    call: Call, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its list is: a date means that day here."""
    history.keep("one")  # at 22:13:20 UTC, which is the next day in Shanghai
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        counted = call("views", "Day", "--save", "--since", "2023-11-15", "--json", "--store", "history").json()
    finally:
        monkeypatch.undo()
        time.tzset()
    assert (1, True) == (counted["views"][0]["count"], counted["views"][0]["count_is_exact"])
