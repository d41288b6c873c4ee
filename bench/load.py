"""A mixed load on a server that has a sandbox: what SDKs, programs, people with pages and listeners ask of it.

A seed alone decides which request comes when and what is in it; which runs it is about depends on what has been
answered by then. Runs whose id ends with 0 are deleted and never asked for, so that no request meets a run that is gone.
"""

import asyncio
import random
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson

from bench.records import nouns, runs

_SHORT, _LONG, _FAILS, _LATER, _CHINESE, _CLEARED = (f"70000000000000000{n:02}" for n in (1, 2, 3, 6, 11, 13))
_ALL = (_SHORT, _LONG, _FAILS, _LATER, _CHINESE)
_KNOWN = 5_000
_AT_ONCE = 128
_TIMEOUT = 60.0
_LONGEST_LISTENING = 20.0
_EXPORTED = "30s"
_FEWEST_CLEARED = 20


class FailedRequest(Exception):  # noqa: N818 - what has failed is the request, and that is counted
    """A request that was not answered as it should have been."""


class NothingYet(Exception):  # noqa: N818 - nothing has failed: the next request is another one
    """There is nothing yet that this request could be about."""


class MixedLoad:
    """Sends requests at a steady rate, as long as the server keeps up, and counts them by kind.

    Args:
        url: the server's address.
        token: what its sandbox lets in.
        seed: decides what is sent.
        headers: sent with every request, such as a key of the server's.
    """

    def __init__(self, url: str, token: str, seed: int, headers: dict[str, str] | None = None) -> None:
        self.sent: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._url, self._chance = url, random.Random(seed)
        self._headers = headers or {}
        self._authorised = {"Authorization": f"Bearer {token}"}
        self._inputs = (run.parameters for run in runs(2**40, workflows=2, seed=seed))
        self._words = [nouns(chinese=chinese) for chinese in (False, True)]
        self._known: deque[tuple[str, str]] = deque(maxlen=_KNOWN)
        self._doomed: deque[tuple[str, str]] = deque(maxlen=_KNOWN)
        self._seen_doomed: set[str] = set()
        self._cleared = 0
        self._kinds: dict[Callable[[], Awaitable[None]], int] = {
            self._gateway_run: 17, self._gateway_stream: 17, self._asynchronous_run: 2,
            self._run: 8, self._stream: 8, self._run_of_cleared: 2, self._clear: 1,
            self._page_of_history: 9, self._filtered: 5, self._search: 5, self._record: 5, self._statistics: 2,
            self._page: 8, self._page_of_run: 5, self._listen: 2, self._delete: 2, self._annotate: 1, self._export: 1,
        }  # fmt: skip

    async def run(self, rate: float, seconds: float) -> None:
        """Send *rate* requests a second for so many *seconds*; fewer where too many are unanswered."""
        clock = asyncio.get_running_loop().time
        room, began, number = asyncio.Semaphore(_AT_ONCE), clock(), 0
        self._end = began + seconds
        kinds, weights = list(self._kinds), list(self._kinds.values())
        limits = httpx.Limits(max_connections=None, keepalive_expiry=2)
        self._client = httpx.AsyncClient(base_url=self._url, limits=limits, timeout=_TIMEOUT, headers=self._headers)
        async with self._client, asyncio.TaskGroup() as group:
            while clock() < self._end:
                await asyncio.sleep(max(0.0, began + number / rate - clock()))
                await room.acquire()
                group.create_task(self._counted(self._chance.choices(kinds, weights)[0], room))
                number += 1

    async def records(self) -> int:
        """How many records there are now."""
        async with httpx.AsyncClient(base_url=self._url, timeout=_TIMEOUT, headers=self._headers) as client:
            answer = (await client.get("/coze/workflows")).raise_for_status()
        return sum(each["total"] for each in orjson.loads(answer.content)["workflows"])

    async def _counted(self, send: Callable[[], Awaitable[None]], room: asyncio.Semaphore) -> None:
        name = send.__name__.removeprefix("_").replace("_", " ")
        self.sent[name] += 1
        try:
            await send()
        except NothingYet:
            self.sent[name] -= 1
        except (FailedRequest, httpx.HTTPError, ValueError, KeyError) as error:
            self.failed[f"{name}: {type(error).__name__} {error}"[:300]] += 1
        finally:
            room.release()

    @asynccontextmanager
    async def _answer(self, method: str, path: str, **more: Any) -> AsyncIterator[httpx.Response]:
        """An answer whose body is still to come.

        Raises:
            FailedRequest: it says that something went wrong.
        """
        async with self._client.stream(method, path, **more) as answer:
            if answer.status_code != 200 or "x-execution-history-error" in answer.headers:
                fault = answer.headers.get("x-execution-history-error", answer.status_code)
                raise FailedRequest(f"{fault}: {(await answer.aread())[:200]!r}")
            yield answer

    async def _read(self, method: str, path: str, **more: Any) -> bytes:
        async with self._answer(method, path, **more) as answer:
            return await answer.aread()

    async def _records_of(self, path: str, **questions: Any) -> None:
        """Read a list, and learn from it which runs there are."""
        answer = orjson.loads(await self._read("GET", path, params=questions))
        for record in answer["histories"]:
            key = (record["workflow_id"], record["execute_id"])
            if key[0] == _CLEARED:
                continue
            if not key[1].endswith("0"):
                self._known.append(key)
            elif key[1] not in self._seen_doomed:
                self._seen_doomed.add(key[1])
                self._doomed.append(key)

    def _input(self, workflow_id: str) -> dict[str, Any]:
        """The parameters of a run, and what sets its length and its pace where the sandbox takes that."""
        more: dict[str, Any] = {"pace_ms": self._chance.choice((0, 0, 20))}
        if workflow_id == _LONG:
            more["packets"] = self._chance.randrange(2, 40)
        if workflow_id == _LATER:
            more["delay_ms"] = self._chance.randrange(100, 3_000)
        return next(self._inputs) | more

    def _body(self) -> dict[str, Any]:
        workflow_id = self._chance.choices((_SHORT, _LONG, _FAILS, _CHINESE), (45, 45, 5, 5))[0]
        return {"workflow_id": workflow_id, "parameters": self._input(workflow_id)}

    def _known_run(self) -> tuple[str, str]:
        """Choose a run that is there and stays.

        Raises:
            NothingYet: no list has told of any.
        """
        if not self._known:
            raise NothingYet
        return self._chance.choice(self._known)

    def _word(self) -> str:
        words = self._chance.choice(self._words)
        return words[int(len(words) ** self._chance.random()) - 1]

    async def _gateway_run(self) -> None:
        await self._read("POST", "/v1/workflow/run", json=self._body(), headers=self._authorised)

    async def _gateway_stream(self) -> None:
        body = await self._read("POST", "/v1/workflow/stream_run", json=self._body(), headers=self._authorised)
        if not (b"event: Done" in body or b"event: Error" in body):
            raise FailedRequest("the stream has no end")

    async def _asynchronous_run(self) -> None:
        body = {"workflow_id": _LATER, "parameters": self._input(_LATER), "is_async": True}
        await self._read("POST", "/v1/workflow/run", json=body, headers=self._authorised)

    async def _run(self) -> None:
        body = self._body()
        await self._read("POST", f"/coze/workflows/{body.pop('workflow_id')}/run", json=body)

    async def _stream(self) -> None:
        if not (await self._read("POST", "/coze/workflows/stream_run", json=self._body())).endswith(b"[DONE]\n\n"):
            raise FailedRequest("the stream has no end")

    async def _run_of_cleared(self) -> None:
        await self._read("POST", f"/coze/workflows/{_CLEARED}/run", json={"parameters": self._input(_CLEARED)})
        self._cleared += 1

    async def _clear(self) -> None:
        """Delete a workflow's whole history, when there is some."""
        if self._cleared < _FEWEST_CLEARED:
            raise NothingYet
        self._cleared = 0
        await self._read("DELETE", f"/coze/workflows/{_CLEARED}/history")

    async def _page_of_history(self) -> None:
        page = 1 + int(self._chance.expovariate(0.5))
        await self._records_of(f"/coze/workflows/{self._chance.choice(_ALL)}/history", page_index=page, page_size=20)

    async def _filtered(self) -> None:
        questions = ({"status": "failed"}, {"since": "5m", "sort": "duration"}, {"mode": "async"}, {"tag": "seen"},
                     {"where": 'input.lang = "zh"', "since": "2m"})  # fmt: skip
        await self._records_of("/coze/history", **self._chance.choice(questions))

    async def _search(self) -> None:
        await self._records_of("/coze/history", q=self._word())

    async def _record(self) -> None:
        await self._read("GET", "/coze/workflows/{}/history/{}".format(*self._known_run()))

    async def _statistics(self) -> None:
        await self._read("GET", f"/coze/workflows/{self._chance.choice(_ALL)}/statistics")

    async def _page(self) -> None:
        workflow = f"/workflows/{self._chance.choice(_ALL)}"
        paths = ("/", "/runs", "/runs?status=failed&since=24h", f"/runs?q={self._word()}", f"{workflow}/runs", workflow)
        await self._read("GET", self._chance.choice(paths), headers={"Accept": "text/html"})

    async def _page_of_run(self) -> None:
        path = "/workflows/{}/runs/{}".format(*self._known_run())
        await self._read("GET", path, headers={"Accept": "text/html"})

    async def _listen(self) -> None:
        """Follow what happens for some seconds and hang up."""
        until = min(self._end, asyncio.get_running_loop().time() + self._chance.uniform(0, _LONGEST_LISTENING))
        async with self._answer("GET", "/coze/history/live") as answer:
            try:
                async with asyncio.timeout_at(until):
                    async for _ in answer.aiter_raw():
                        pass
            except TimeoutError:
                return
        raise FailedRequest("the feed has ended")

    async def _delete(self) -> None:
        if not self._doomed:
            raise NothingYet
        await self._read("DELETE", "/coze/workflows/{}/history/{}".format(*self._doomed.popleft()))

    async def _annotate(self) -> None:
        path = "/coze/workflows/{}/history/{}".format(*self._known_run())
        note = {"tags": ["seen", self._word()], "note": self._word(), "rating": self._chance.randrange(1, 6)}
        await self._read("PATCH", path, json=note)

    async def _export(self) -> None:
        kind = self._chance.choice(("jsonl", "json", "csv"))
        async with self._answer("GET", "/coze/export", params={"format": kind, "since": _EXPORTED}) as answer:
            async for _ in answer.aiter_raw():
                pass
