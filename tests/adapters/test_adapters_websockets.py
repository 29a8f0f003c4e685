"""Connections on the servers of the websockets library."""

import asyncio
import ssl
from typing import Any

import pytest
from support.certificates import make_contexts, only
from support.connection_checks import (
    Observed,
    OnAsyncio,
    OnTrio,
    ServerChecks,
    connected,
    receive_close,
)
from support.echo_servers import (
    CBOR,
    CBOR_BATCHED,
    HANDSHAKE,
    JSON,
    JSON_BATCHED,
    MSGPACK,
    MSGPACK_BATCHED,
    Echo,
    Serve,
    assert_closed,
    client_that_does_not_read,
    fill,
    wait_until_stuck,
    websockets_server,
    websockets_trio_server,
)
from websockets.exceptions import InvalidStatus

from serverwamp_fast._core.wire.subprotocols import codec_for
from serverwamp_fast.adapters import websockets as adapter
from serverwamp_fast.adapters.asyncio import AsyncioAsyncSupport
from serverwamp_fast.application import Application
from serverwamp_fast.connection import ConnectionClosed


def handler_for(serve: Serve) -> Any:
    async def handle(ws: Any) -> None:
        connection = await adapter.connection_for_websocket(ws)
        if connection is not None:
            await serve(connection)

    return handle


def test_the_supported_subprotocols_are_in_the_servers_order() -> None:
    assert adapter.SUPPORTED_WS_PROTOCOLS == (
        MSGPACK_BATCHED,
        MSGPACK,
        JSON_BATCHED,
        JSON,
        CBOR_BATCHED,
        CBOR,
    )


def assert_one_line(caplog, *parts: str) -> None:
    records = [record for record in caplog.records if record.name.startswith('serverwamp_fast')]
    assert len(records) == 1
    assert records[0].exc_info is None
    message = records[0].getMessage()
    assert '\n' not in message
    assert all(part in message for part in parts), message


class WebsocketsServerChecks(ServerChecks):
    """The checks, and what is particular to the library."""

    kind: type[adapter.WebsocketsConnection]

    def serve(self, serve: Serve, **options: Any) -> Any:
        raise NotImplementedError

    def handle(self, handler: Any, **options: Any) -> Any:
        raise NotImplementedError

    def support(self) -> Any:
        raise NotImplementedError

    def test_the_connection_fits_the_library(self, on) -> None:
        echo = Echo()

        async def main() -> None:
            async with connected(on, echo, JSON) as ws:
                await ws.send('[1]')
                assert await ws.recv() == '[1]'

        on.run(main())
        assert [type(connection) for connection in echo.connections] == [self.kind]

    @pytest.mark.parametrize('offer', [None, ['wamp.2.flatbuffers', 'chat']])
    def test_the_library_refuses_handshakes_without_a_subprotocol(self, on, offer: Any) -> None:
        async def main() -> None:
            async with on.server(Echo()) as url:
                with pytest.raises(InvalidStatus) as refused:
                    async with on.connect(url, subprotocols=offer):
                        pass
                assert refused.value.response.status_code == 400

        on.run(main())

    @pytest.mark.parametrize('server_offers', [None, ['chat']])
    def test_a_websocket_without_a_subprotocol_is_closed(
        self, on, server_offers: Any, caplog
    ) -> None:
        """As when `subprotocols` was forgotten, or is there for other handlers as well."""
        echo = Echo()

        async def main() -> None:
            async with (
                self.serve(echo, subprotocols=server_offers) as url,
                on.connect(url, subprotocols=[JSON, 'chat']) as ws,
            ):
                assert await receive_close(ws) == 1002
                assert ws.close_reason == 'A supported WAMP subprotocol is required.'

        on.run(main())
        assert not echo.connections
        if server_offers is None:
            assert_one_line(caplog, 'subprotocols=SUPPORTED_WS_PROTOCOLS', adapter.__name__)
        else:
            assert not caplog.records

    @pytest.mark.parametrize(
        ('payload', 'code'), [(b'["\xff"]', '1007'), (b'x' * (2**20 + 1), '1009')]
    )
    def test_refused_messages_are_logged_in_one_line(
        self, on, payload: bytes, code: str, caplog
    ) -> None:
        async def main() -> None:
            observed = Observed(on, Echo())
            async with connected(on, observed, JSON) as ws:
                await ws.send(payload, text=True)
                await receive_close(ws)
                await observed.wait()

        on.run(main())
        assert_one_line(caplog, '127.0.0.1', code)

    @pytest.mark.parametrize(
        ('subprotocol', 'fits', 'more'),
        [
            # 1000 bytes, of 502 characters.
            (JSON, '["' + 'ä' * 498 + '"]', ' '),
            (MSGPACK, b'\x91\xda' + (996).to_bytes(2) + b'x' * 996, b'\0'),
        ],
    )
    def test_messages_have_the_limit_of_the_application(
        self, on, subprotocol: str, fits: Any, more: Any, caplog
    ) -> None:
        async def handle(ws: Any) -> None:
            connection = await adapter.connection_for_websocket(ws, max_size=1000)
            assert connection is not None
            await observed(connection)

        observed = Observed(on, Echo(ended=assert_closed))

        async def main() -> None:
            async with (
                self.handle(handle, subprotocols=[subprotocol]) as url,
                on.connect(url, subprotocols=[subprotocol]) as ws,
            ):
                await ws.send(fits)
                assert await ws.recv() == fits
                await ws.send(fits + more)
                assert await receive_close(ws) == 1009
                await observed.wait()

        on.run(main())
        assert_one_line(caplog, '127.0.0.1', '1009')

    def test_an_application_says_how_large_messages_may_be(self, on) -> None:
        app = Application(async_support=self.support(), max_message_size=20)

        async def main() -> None:
            async with (
                self.handle(app.websockets_handler(), subprotocols=[JSON]) as url,
                on.connect(url, subprotocols=[JSON]) as ws,
            ):
                await ws.send('[1,"realm1",{"roles":{}}]')
                assert await receive_close(ws) == 1009

        on.run(main())

    @pytest.mark.parametrize('vanishes', [False, True])
    def test_clients_that_leave_are_not_logged(self, on, vanishes: bool, caplog) -> None:
        async def main() -> None:
            observed = Observed(on, Echo())
            async with connected(on, observed, JSON) as ws:
                if vanishes:
                    on.vanish(ws)
                else:
                    await on.close(ws, 1007, 'the client says so')
                await observed.wait()

        on.run(main())
        assert not [entry for entry in caplog.records if entry.name.startswith('serverwamp_fast')]

    def test_while_it_is_being_closed_nothing_is_sent(self, on) -> None:
        async def main() -> None:
            asked = on.make_event()

            async def serve(connection: Any) -> None:
                await asked.wait()
                # The client's Close is there before or after, which makes no difference here.
                await connection.close()
                await assert_closed(connection)

            observed = Observed(on, serve)
            async with connected(on, observed, JSON) as ws:
                asked.set()
                await on.close(ws)
                await observed.wait()

        on.run(main())

    def test_another_codec_can_be_chosen(self, on) -> None:
        async def handle(ws: Any) -> None:
            await Echo()(self.kind(ws, codec_for(MSGPACK)))

        async def main() -> None:
            async with self.handle(handle) as url, on.connect(url) as ws:
                await ws.send(b'\x91\x01')
                assert await ws.recv() == b'\x91\x01'

        on.run(main())

    def test_the_clients_certificate_is_told_of(self, on) -> None:
        server_context, client_context, der = make_contexts()
        echo = Echo()

        async def main() -> None:
            async with (
                self.serve(echo, subprotocols=[JSON], ssl=server_context) as url,
                on.connect_tls(url, client_context, subprotocols=[JSON]) as ws,
            ):
                await ws.send('[1]')
                assert await ws.recv() == '[1]'

        on.run(main())
        info = echo.connections[0].transport_info
        assert info['peer_address'] == '127.0.0.1'
        assert info['peer_certificate']['subject'] == ((('commonName', 'loopback'),),)
        assert info['peer_certificate_raw'] == der

    @pytest.mark.parametrize('version', [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    def test_the_channel_binding(self, on, version: ssl.TLSVersion) -> None:
        """Both sides see the same, where there is one."""
        server_context, client_context, _ = make_contexts()
        echo = Echo()

        async def main() -> None:
            with only(client_context, version):
                async with (
                    self.serve(echo, subprotocols=[JSON], ssl=server_context) as url,
                    on.connect_tls(url, client_context, subprotocols=[JSON]) as ws,
                ):
                    await ws.send('[1]')
                    assert await ws.recv() == '[1]'
                    expected = None
                    if version is ssl.TLSVersion.TLSv1_2:
                        tls = ws.transport.get_extra_info('ssl_object') if on.is_asyncio else ws.stream
                        expected = tls.get_channel_binding('tls-unique')
                        assert expected
                    assert echo.connections[0].tls_unique() == expected

        on.run(main())


class TestOnAsyncio(WebsocketsServerChecks):
    kind = adapter.WebsocketsConnection

    def support(self) -> Any:
        return AsyncioAsyncSupport

    def serve(self, serve: Serve, **options: Any) -> Any:
        return websockets_server(handler_for(serve), **options)

    def handle(self, handler: Any, **options: Any) -> Any:
        return websockets_server(handler, **options)

    @pytest.fixture
    def on(self, run: Any) -> OnAsyncio:
        return OnAsyncio(
            lambda serve: self.serve(serve, subprotocols=adapter.SUPPORTED_WS_PROTOCOLS), run
        )

    def test_a_client_that_does_not_read_can_be_closed(self, run) -> None:
        async def main() -> None:
            stuck = asyncio.get_running_loop().create_future()

            async def serve(connection: Any) -> None:
                sending = asyncio.create_task(fill(connection))
                await wait_until_stuck(connection._ws.transport)
                await connection.close()
                with pytest.raises(ConnectionClosed):
                    await sending
                await assert_closed(connection)
                stuck.set_result(None)

            async with (
                self.serve(serve, subprotocols=[JSON], close_timeout=0.05) as url,
                client_that_does_not_read(url),
            ):
                await stuck

        run(main())


class TestOnTrio(WebsocketsServerChecks):
    kind = adapter.TrioWebsocketsConnection

    def support(self) -> Any:
        from serverwamp_fast.adapters.trio import TrioAsyncSupport

        return TrioAsyncSupport

    def serve(self, serve: Serve, **options: Any) -> Any:
        return websockets_trio_server(handler_for(serve), **options)

    def handle(self, handler: Any, **options: Any) -> Any:
        return websockets_trio_server(handler, **options)

    @pytest.fixture
    def on(self) -> OnTrio:
        pytest.importorskip('trio', reason='trio is not installed')
        pytest.importorskip('websockets.trio', reason='this websockets does not run on trio')
        return OnTrio(
            lambda serve: self.serve(serve, subprotocols=adapter.SUPPORTED_WS_PROTOCOLS)
        )

    def test_a_client_that_does_not_read_can_be_closed(self, on) -> None:
        import trio
        import trio.testing

        async def serve(connection: Any) -> None:
            failed = []

            async def fill_up() -> None:
                try:
                    await fill(connection)
                except ConnectionClosed as error:
                    failed.append(error)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(fill_up)
                await trio.testing.wait_all_tasks_blocked()
                await connection.close()
            assert len(failed) == 1
            await assert_closed(connection)

        async def main() -> None:
            observed = Observed(on, serve)
            async with (
                self.serve(observed, subprotocols=[JSON], close_timeout=0.05) as url,
                await open_stream(url) as stream,
            ):
                await stream.send_all(HANDSHAKE)
                await observed.wait()

        on.run(main())

    def test_a_message_is_sent_whole_or_not_at_all(self, on) -> None:
        import trio
        import trio.testing

        long = 'x' * 10_000_000
        stuck = []

        async def serve(connection: Any) -> None:
            scope = trio.CancelScope()

            async def send_long() -> None:
                with scope:
                    await connection.send_msg([long])
                    await trio.lowlevel.checkpoint()
                stuck.append(scope.cancelled_caught)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(send_long)
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
                with scope_that_is_cancelled():
                    await connection.send_msg(['never sent'])
                await trio.testing.wait_all_tasks_blocked()
                assert not stuck
                reading.set()
            assert stuck == [True]
            await connection.send_msg(['the end'])

        def scope_that_is_cancelled() -> Any:
            scope = trio.CancelScope()
            scope.cancel()
            return scope

        async def main() -> None:
            nonlocal reading
            reading = trio.Event()
            observed = Observed(on, serve)
            async with (
                self.serve(observed, subprotocols=[JSON]) as url,
                await open_stream(url) as stream,
            ):
                await stream.send_all(HANDSHAKE)
                await reading.wait()
                received = bytearray()
                while b'["the end"]' not in received[-20:]:
                    received += await stream.receive_some()
                await observed.wait()
            _, _, frames = received.partition(b'\r\n\r\n')
            size = len(long) + 4
            assert frames.startswith(
                b'\x81\x7f%b["%b"]\x81\x0b["the end"]' % (size.to_bytes(8), long.encode())
            )

        reading: Any = None
        on.run(main())


async def open_stream(url: str) -> Any:
    import trio

    host, port = url.rstrip('/').split(':')
    return await trio.open_tcp_stream(host, int(port))
