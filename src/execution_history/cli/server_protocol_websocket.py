"""The WebSocket protocol of the server: a handshake that is refused in HTTP is over with its answer."""

from typing import TYPE_CHECKING

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent


class RefusingWebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol, which alone takes such a handshake for one without an answer, and logs an error for each."""

    async def send(self, message: "ASGISendEvent") -> None:
        """Send a message of the application."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True
