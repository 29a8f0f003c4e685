"""Published WAMP clients behind one small interface: join, call, subscribe, leave."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import txaio

from interop.sites import Site

REALM = 'interop'


class CallFailed(Exception):
    """An ERROR, as a client library reported it."""

    def __init__(self, uri: str, args: list[Any], kwargs: dict[str, Any]) -> None:
        super().__init__(uri, args, kwargs)
        self.uri = uri
        self.values = args
        self.named = kwargs


class AutobahnClient:
    """autobahn on asyncio. `serializer` is a subprotocol without its wamp.2, or '' for the library's own offer."""

    def __init__(self, serializer: str) -> None:
        self.serializer = serializer

    async def join(self, site: Site) -> None:
        txaio.use_asyncio()
        loop = txaio.config.loop = asyncio.get_running_loop()
        from autobahn.asyncio.wamp import ApplicationSession
        from autobahn.asyncio.websocket import WampWebSocketClientFactory
        from autobahn.wamp import types

        joined: asyncio.Future[Any] = loop.create_future()
        self.left: asyncio.Future[Any] = loop.create_future()
        self.closed: asyncio.Future[Any] = loop.create_future()
        client = self

        class Session(ApplicationSession):
            def onJoin(self, details: Any) -> None:
                joined.set_result(details)

            def onLeave(self, details: Any) -> None:
                client.left.set_result(details)
                if not joined.done():
                    joined.set_exception(CallFailed(details.reason, [details.message], {}))
                self.disconnect()

            def onDisconnect(self) -> None:
                client.closed.set_result(None)

        self.session = Session(types.ComponentConfig(realm=REALM))
        factory = WampWebSocketClientFactory(
            lambda: self.session, url=site.url, serializers=make_serializers(self.serializer)
        )
        if site.unix_path is not None:
            _, self.protocol = await loop.create_unix_connection(factory, site.unix_path)
        else:
            parts = urlsplit(site.url)
            _, self.protocol = await loop.create_connection(
                factory, parts.hostname, parts.port, ssl=site.context
            )
        self.details = await joined

    @property
    def subprotocol(self) -> str:
        """What was negotiated."""
        protocol: str = self.protocol.websocket_protocol_in_use
        return protocol

    @property
    def session_id(self) -> int:
        number: int = self.details.session
        return number

    async def call(
        self, uri: str, *args: Any, progress: list[Any] | None = None, **kwargs: Any
    ) -> tuple[list[Any], dict[str, Any]]:
        from autobahn.wamp import exception, types

        if progress is not None:
            kwargs['options'] = types.CallOptions(on_progress=progress.append)
        try:
            result = await self.session.call(uri, *args, **kwargs)
        except exception.ApplicationError as error:
            raise CallFailed(error.error, list(error.args), error.kwargs or {}) from None
        if isinstance(result, types.CallResult):
            return list(result.results or ()), result.kwresults or {}
        return [] if result is None else [result], {}

    async def subscribe(self, topic: str, events: list[Any]) -> Any:
        from autobahn.wamp import exception

        def note(*args: Any, **kwargs: Any) -> None:
            events.append((list(args), kwargs))

        try:
            return await self.session.subscribe(note, topic)
        except exception.ApplicationError as error:
            raise CallFailed(error.error, list(error.args), error.kwargs or {}) from None

    async def subscribe_match(self, topic: str, match: str, events: list[Any], get_retained: bool = False) -> Any:
        """Subscribe by any policy; `events` gets (args, what the client was told beside)."""
        from autobahn.wamp import exception, types

        def note(*args: Any, details: Any = None) -> None:
            told = {
                'topic': details.topic,
                'publisher': details.publisher,
                'retained': details.retained,
                'publication': details.publication,
            }
            events.append((list(args), told))

        options = types.SubscribeOptions(match=match, details_arg='details', get_retained=get_retained)
        try:
            return await self.session.subscribe(note, topic, options)
        except exception.ApplicationError as error:
            raise CallFailed(error.error, list(error.args), error.kwargs or {}) from None

    async def publish(self, topic: str, *args: Any, **options: Any) -> int:
        """Publish with acknowledgement; returns the publication's id."""
        from autobahn.wamp import exception, types

        try:
            publication = await self.session.publish(
                topic, *args, options=types.PublishOptions(acknowledge=True, **options)
            )
        except exception.ApplicationError as error:
            raise CallFailed(error.error, list(error.args), error.kwargs or {}) from None
        number: int = publication.id
        return number

    async def unsubscribe(self, subscription: Any) -> None:
        await subscription.unsubscribe()

    async def register(self, uri: str) -> None:
        """Offer a procedure of the client's own."""
        from autobahn.wamp import exception

        try:
            await self.session.register(lambda: None, uri)
        except exception.ApplicationError as error:
            raise CallFailed(error.error, list(error.args), error.kwargs or {}) from None

    async def leave(self) -> None:
        self.session.leave()
        await self.left
        await self.closed


def make_serializers(name: str) -> list[Any] | None:
    from autobahn.wamp.serializer import CBORSerializer, JsonSerializer, MsgPackSerializer

    classes = {'json': JsonSerializer, 'msgpack': MsgPackSerializer, 'cbor': CBORSerializer}
    if not name:
        return None
    kind, _, batched = name.partition('.')
    return [classes[kind](batched=bool(batched))]


class XconnClient:
    """xconn's asynchronous client. It speaks no batched subprotocol and has no way to a Unix socket."""

    def __init__(self, serializer: str) -> None:
        self.serializer = serializer

    async def join(self, site: Site) -> None:
        import xconn

        serializers = {
            'json': xconn.JSONSerializer,
            'msgpack': xconn.MsgPackSerializer,
            'cbor': xconn.CBORSerializer,
        }
        # For TLS it trusts what the process trusts, see SSL_CERT_FILE.
        client = xconn.AsyncClient(serializer=serializers[self.serializer]())
        self.session = await client.connect(site.url, REALM)

    @property
    def subprotocol(self) -> str:
        websocket = self.session._base_session.transport._websocket
        return str(websocket.subprotocol)

    @property
    def session_id(self) -> int:
        number: int = self.session._base_session.id
        return number

    async def call(
        self, uri: str, *args: Any, progress: list[Any] | None = None, **kwargs: Any
    ) -> tuple[list[Any], dict[str, Any]]:
        from xconn.exception import ApplicationError

        assert progress is None, 'this client takes no progress'
        try:
            result = await self.session.call(uri, list(args), kwargs)
        except ApplicationError as error:
            raise CallFailed(error.message, list(error.args or ()), error.kwargs or {}) from None
        return list(result.args or ()), result.kwargs or {}

    async def subscribe(self, topic: str, events: list[Any]) -> Any:
        from xconn.exception import ApplicationError

        async def note(event: Any) -> None:
            events.append((list(event.args or ()), event.kwargs or {}))

        try:
            return await self.session.subscribe(topic, note)
        except ApplicationError as error:
            raise CallFailed(error.message, list(error.args or ()), error.kwargs or {}) from None

    async def subscribe_match(self, topic: str, match: str, events: list[Any], get_retained: bool = False) -> Any:
        """Subscribe by any policy; `events` gets (args, what the client was told beside)."""
        from xconn.exception import ApplicationError

        async def note(event: Any) -> None:
            events.append((list(event.args or ()), event.details or {}))

        try:
            return await self.session.subscribe(topic, note, {'match': match, 'get_retained': get_retained})
        except ApplicationError as error:
            raise CallFailed(error.message, list(error.args or ()), error.kwargs or {}) from None

    async def publish(self, topic: str, *args: Any, **options: Any) -> None:
        """Publish with acknowledgement; the library keeps the publication's id to itself."""
        from xconn.exception import ApplicationError

        try:
            await self.session.publish(topic, list(args), options={'acknowledge': True, **options})
        except ApplicationError as error:
            raise CallFailed(error.message, list(error.args or ()), error.kwargs or {}) from None

    async def unsubscribe(self, subscription: Any) -> None:
        await subscription.unsubscribe()

    async def register(self, uri: str) -> None:
        """Offer a procedure of the client's own."""
        from xconn.exception import ApplicationError

        async def procedure(invocation: Any) -> None:
            pass

        try:
            await self.session.register(uri, procedure)
        except ApplicationError as error:
            raise CallFailed(error.message, list(error.args or ()), error.kwargs or {}) from None

    async def leave(self) -> None:
        await self.session.leave()
