"""A forward proxy whose every way leads to one port of this machine, and a TLS front for a server without TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class ForwardProxy:
    """Absolute requests and tunnels, all to *target*; remembers their first lines."""

    target: int
    url: str = ""
    requests: list[str] = field(default_factory=list)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        first, rest = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n", 1)
        self.requests.append(first.decode())
        method, target, version = first.split(b" ")
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        if method == b"CONNECT":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            line = b" ".join([method, b"/" + target.split(b"/", 3)[3], version])
            back.write(line + b"\r\nConnection: close\r\n" + rest)  # each request has a connection of its own
        await _joined(reader, writer, there, back)


@asynccontextmanager
async def forward_proxy(target: int) -> AsyncIterator[ForwardProxy]:
    """Such a proxy on a free port."""
    proxy = ForwardProxy(target)
    async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
        proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield proxy


@asynccontextmanager
async def tunnel(url: str, tls: ssl.SSLContext) -> AsyncIterator[str]:
    """The server at *url* behind TLS; its address there."""
    port = int(url.rpartition(":")[2])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _joined(reader, writer, *await asyncio.open_connection("127.0.0.1", port))

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _joined(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, there: asyncio.StreamReader, back: asyncio.StreamWriter
) -> None:
    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()

    await asyncio.gather(pump(reader, back), pump(there, writer))
