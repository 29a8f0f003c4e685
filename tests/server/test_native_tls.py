"""The native server behind TLS."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import ssl
from typing import Any

import pytest
from support.certificates import make_contexts, only
from support.echo_servers import JSON, JSON_BATCHED, Wire, aiohttp_server
from support.raw_client import CLIENT_GOODBYE, HELLO, Served, make_app, serving
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedOK, InvalidHandshake

import serverwamp_fast as wamp

pytest.importorskip('cryptography', reason='cryptography is not installed')
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY = Ed25519PrivateKey.from_private_bytes(b'\x0a' * 32)


def connect_tls(server: Served, context: Any, subprotocol: str = JSON, **options: Any) -> Any:
    return connect(
        f'wss://127.0.0.1:{server.port}',
        ssl=context,
        subprotocols=[subprotocol],
        close_timeout=5,
        max_size=None,
        **options,
    )


async def ask(ws: Any, *message: Any) -> Any:
    wire = Wire(JSON)
    await ws.send(wire.encode(list(message)))
    return wire.decode(await ws.recv())[0]


def test_a_session_over_tls(run) -> None:
    server_context, client_context, _ = make_contexts()

    async def main() -> None:
        async with serving(make_app(), ssl=server_context) as server:
            async with connect_tls(server, client_context) as ws:
                assert (await ask(ws, *HELLO))[0] == 2
                # Larger than a record of TLS, and than what is read at a time.
                large = 'x' * 600_000
                assert await ask(ws, 48, 1, {}, 'echo', [large]) == [50, 1, {}, [large]]
                await (await ws.ping())
                assert (await ask(ws, *CLIENT_GOODBYE))[0] == 6
            assert ws.close_code == 1000
            await server.all_gone()

    run(main())


def test_peer_certificates_are_told_as_aiohttp_does(run) -> None:
    pytest.importorskip('aiohttp', reason='aiohttp is not installed')
    server_context, client_context, certificate = make_contexts()
    infos: list[dict[str, Any]] = []

    async def main() -> None:
        app = make_app()

        async def authenticate(session: Any) -> None:
            infos.append(dict(session.connection.transport_info))
            await session.mark_authenticated()

        app.set_authentication_handler(authenticate)
        async with (
            serving(app, ssl=server_context) as server,
            aiohttp_server(app.aiohttp_websocket_handler(), ssl_context=server_context) as url,
        ):
            for port in server.port, int(url.rstrip('/').rpartition(':')[2]):
                server.port = port
                async with connect_tls(server, client_context) as ws:
                    assert (await ask(ws, *HELLO))[0] == 2

    run(main())
    native, aiohttp = infos
    assert native['peer_certificate_raw'] == certificate
    assert ('commonName', 'loopback') in native['peer_certificate']['subject'][0]
    for key in 'peer_certificate', 'peer_certificate_raw', 'peer_address':
        assert native[key] == aiohttp[key]


def bound_app(find_binding: Any) -> Any:
    """Joe gets in by cryptosign or SCRAM. `find_binding` is called with what the server knows of the channel."""
    app = make_app()

    async def check_key(session: Any, public_key: str) -> Any:
        find_binding(session.connection.tls_unique())
        return 'joe' if public_key == KEY.public_key().public_bytes_raw().hex() else None

    async def find_credential(session: Any) -> Any:
        find_binding(session.connection.tls_unique())
        return wamp.derive_scram_credential('pencil', kdf='pbkdf2', salt=b'salt', iterations=1)

    async def identify(session: Any) -> Any:
        return session.auth_id

    app.set_cryptosign_authenticator(check_key)
    app.set_scram_handlers(find_credential, identify)
    return app


def sign(challenge: str, tls_unique: bytes) -> str:
    channel_id = hashlib.sha256(tls_unique).digest()
    pairs = zip(bytes.fromhex(challenge), channel_id, strict=True)
    message = bytes(left ^ right for left, right in pairs)
    return KEY.sign(message).hex() + message.hex()


def prove(challenge: dict[str, Any], tls_unique: bytes) -> tuple[str, dict[str, Any]]:
    salted = hashlib.pbkdf2_hmac('sha256', b'pencil', b'salt', 1)
    field = base64.b64encode(b'p=tls-unique,,' + tls_unique).decode()
    nonce = challenge['nonce']
    messages = f'n=joe,r=YWJj,r={nonce},s={challenge["salt"]},i=1,c={field},r={nonce}'.encode()
    client_key = hmac.digest(salted, b'Client Key', 'sha256')
    signature = hmac.digest(hashlib.sha256(client_key).digest(), messages, 'sha256')
    proof = bytes(left ^ right for left, right in zip(client_key, signature, strict=True))
    data = base64.b64encode(tls_unique).decode()
    return base64.b64encode(proof).decode(), {
        'nonce': nonce, 'channel_binding': 'tls-unique', 'cbind_data': data,
    }  # fmt: skip


@pytest.mark.parametrize('kind', ['native', 'aiohttp'])
@pytest.mark.parametrize('method', ['cryptosign', 'wamp-scram'])
@pytest.mark.parametrize('is_right', [True, False])
def test_authentication_that_is_bound_to_the_channel(
    run, kind: str, method: str, is_right: bool
) -> None:
    server_context, client_context, _ = make_contexts()
    bindings: list[Any] = []
    app = bound_app(bindings.append)
    extra = {'channel_binding': 'tls-unique', 'nonce': 'YWJj', 'pubkey': KEY.public_key().public_bytes_raw().hex()}
    hello = [1, 'realm1', {'roles': {}, 'authid': 'joe', 'authmethods': [method], 'authextra': extra}]

    async def talk(ws: Any) -> Any:
        own = ws.transport.get_extra_info('ssl_object').get_channel_binding('tls-unique')
        code, name, challenge = await ask(ws, *hello)
        assert (code, name) == (4, method), challenge
        seen = own if is_right else b'another channel'
        if method == 'cryptosign':
            assert challenge['channel_binding'] == 'tls-unique'
            answer = await ask(ws, 5, sign(challenge['challenge'], seen), {})
        else:
            answer = await ask(ws, 5, *prove(challenge, seen))
        assert set(bindings) <= {own}
        return answer

    async def main() -> Any:
        with only(client_context, ssl.TLSVersion.TLSv1_2):
            if kind == 'native':
                async with serving(app, ssl=server_context) as server:
                    async with connect_tls(server, client_context) as ws:
                        return await talk(ws)
            pytest.importorskip('aiohttp', reason='aiohttp is not installed')
            async with (
                aiohttp_server(app.aiohttp_websocket_handler(), ssl_context=server_context) as url,
                connect(f'wss://{url}', ssl=client_context, subprotocols=[JSON]) as ws,
            ):
                return await talk(ws)

    answer = run(main())
    if is_right:
        assert (answer[0], answer[2]['authid'], len(bindings)) == (2, 'joe', 1)
    else:
        assert (answer[0], answer[2]) == (3, 'wamp.error.authentication_failed')


def test_a_client_without_a_certificate_is_turned_away(run) -> None:
    server_context, client_context, _ = make_contexts()

    async def main() -> None:
        anonymous = ssl.create_default_context()
        anonymous.check_hostname = False
        anonymous.verify_mode = ssl.CERT_NONE
        async with serving(make_app(), ssl=server_context) as server:
            with pytest.raises((OSError, EOFError, InvalidHandshake)):
                async with connect_tls(server, anonymous):
                    pass
            async with connect_tls(server, client_context) as ws:
                assert (await ask(ws, *HELLO))[0] == 2

    run(main())


@pytest.mark.parametrize('sent', [b'', b'\x16\x03\x01\x02\x00', b'GET / HTTP/1.1\r\n\r\n'])
def test_a_client_that_does_not_finish_the_tls_handshake_is_cut_off(run, sent: bytes) -> None:
    server_context, _, _ = make_contexts()

    async def main() -> None:
        async with serving(make_app(open_timeout=0.05), ssl=server_context) as server:
            client = await server.connect_tcp()
            await client.send(sent)
            with contextlib.suppress(ConnectionResetError):
                await client.read_rest()

    run(main())
    # asyncio's debug mode would tell; it is no error of the server's.
    run.errors.clear()


@pytest.mark.parametrize(
    ('sent', 'code'), [(b'\x83\x80\x00\x00\x00\x00', 1002), (b'\x81\x81\x00\x00\x00\x00\xff', 1007)]
)
def test_close_codes_over_tls(run, sent: bytes, code: int) -> None:
    server_context, client_context, _ = make_contexts()

    async def main() -> None:
        async with serving(make_app(), ssl=server_context) as server:
            async with connect_tls(server, client_context) as ws:
                assert (await ask(ws, *HELLO))[0] == 2
                ws.transport.write(sent)
                await ws.wait_closed()
                assert ws.close_code == code
            await server.all_gone()

    run(main())


def test_many_calls_over_tls(run) -> None:
    """More than is handled in one turn, and in one read."""
    server_context, client_context, _ = make_contexts()
    count = 10_000

    async def main() -> None:
        wire = Wire(JSON_BATCHED)
        async with serving(make_app(), ssl=server_context) as server:
            async with connect_tls(server, client_context, JSON_BATCHED) as ws:
                await ws.send(wire.encode(HELLO))
                await ws.recv()
                calls = [[48, number, {}, 'echo', [number]] for number in range(1, count + 1)]
                for start in range(0, count, 1000):
                    await ws.send(wire.encode(*calls[start : start + 1000]))
                answers: list[Any] = []
                while len(answers) < count:
                    answers += wire.decode(await ws.recv())
                assert answers == [[50, number, {}, [number]] for number in range(1, count + 1)]

    run(main())


def test_a_client_that_does_not_read_over_tls(run) -> None:
    server_context, client_context, _ = make_contexts()
    count = 300

    async def main() -> None:
        app = make_app()
        routes = wamp.RPCRouteSet()
        started = 0

        @routes.route('large')
        async def large() -> str:
            nonlocal started
            started += 1
            return 'x' * 200_000

        app.add_rpc_routes(routes)
        async with serving(app, ssl=server_context) as server:
            async with (
                connect_tls(server, client_context) as other,
                connect_tls(server, client_context, max_queue=1) as ws,
            ):
                assert (await ask(other, *HELLO))[0] == 2
                assert (await ask(ws, *HELLO))[0] == 2
                for number in range(1, count + 1):
                    await ws.send(Wire(JSON).encode([48, number, {}, 'large']))
                for number in range(1, 100):
                    assert (await ask(other, 48, number, {}, 'echo'))[1] == number
                assert 0 < started < count
                for number in range(1, count + 1):
                    assert Wire(JSON).decode(await ws.recv())[0][1] == number
                assert started == count

    run(main())


def test_goodbye_over_tls_when_the_server_closes(run) -> None:
    server_context, client_context, _ = make_contexts()

    async def main() -> None:
        app = make_app()
        server = await app.serve('127.0.0.1', 0, ssl=server_context)
        async with connect_tls(Served(server), client_context) as ws:
            assert (await ask(ws, *HELLO))[0] == 2
            server.close()
            wire = Wire(JSON)
            assert wire.decode(await ws.recv()) == [[6, {}, 'wamp.close.system_shutdown']]
            await ws.send(wire.encode(CLIENT_GOODBYE))
            with pytest.raises(ConnectionClosedOK):
                await ws.recv()
            await server.wait_closed()

    run(main())


def test_a_client_that_vanishes_over_tls(run) -> None:
    server_context, client_context, _ = make_contexts()

    async def main() -> None:
        ended = asyncio.Event()

        async def lifespan() -> Any:
            yield
            ended.set()

        app = make_app()
        app.add_session_lifespan_handler(lifespan)
        async with serving(app, ssl=server_context) as server:
            ws = await connect_tls(server, client_context)
            assert (await ask(ws, *HELLO))[0] == 2
            ws.transport.abort()
            await ended.wait()
            await server.all_gone()

    run(main())


def test_the_clients_address_is_there_when_it_has_left(run) -> None:
    server_context, client_context, _ = make_contexts()
    infos = []

    async def main() -> None:
        app = make_app()

        async def lifespan(session: Any) -> Any:
            yield
            # Nobody has asked before, and TLS has forgotten it.
            infos.append(session.connection.transport_info)

        app.add_session_lifespan_handler(lifespan)
        async with serving(app, ssl=server_context) as server:
            for leave in ('close', 'abort'):
                ws = await connect_tls(server, client_context)
                assert (await ask(ws, *HELLO))[0] == 2
                await ws.close() if leave == 'close' else ws.transport.abort()
                await server.all_gone()

    run(main())
    assert [info['peer_address'] for info in infos] == ['127.0.0.1'] * 2
    assert all(info['peer_certificate']['subject'] for info in infos)
