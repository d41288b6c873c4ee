"""Who comes in through a server: its gate, and the certificate with which it speaks TLS."""

from contextlib import AsyncExitStack

from execution_history.access.certificate import Certificate
from execution_history.access.gate import Gate
from execution_history.clock import now_ms
from execution_history.errors import SettingsError, quoted
from execution_history.records.redaction import shown_store
from execution_history.settings import Settings
from execution_history.stores import store_of
from execution_history.stores.presence import holds_history
from execution_history.stores.protocol import HistoryStore


def certificate_of(settings: Settings) -> Certificate | None:
    """Return the certificate of a server, if it speaks TLS.

    Raises:
        SettingsError: its files cannot be used.
    """
    if settings.tls_certificate is not None:
        return Certificate(settings.tls_certificate, settings.tls_key, now_ms)
    if settings.tls_key is not None:
        raise SettingsError("The setting tls_key needs tls_certificate, the file with the certificate.")
    return None


async def open_gate(settings: Settings, store: HistoryStore, stack: AsyncExitStack) -> Gate:
    """Return the gate of a server of *store*, which keeps the keys unless the settings name another one for them.

    Raises:
        SettingsError: there is no history where they name one.
        StoreError: it cannot be opened.
    """
    if settings.keys_store is not None:
        if not await holds_history(settings.keys_store):
            raise SettingsError(
                "There is no history in %(store)s, which the setting keys_store names.",
                store=quoted(shown_store(settings.keys_store)),
            )
        store = store_of(settings.model_copy(update={"store": settings.keys_store}))
        stack.push_async_callback(store.aclose)
        await store.open()
    gate = Gate(store, now_ms, is_required=settings.needs_key, largest_body=settings.largest_body_bytes)
    await gate.is_closed()  # from here on a store that does not answer keeps nobody out
    return gate
