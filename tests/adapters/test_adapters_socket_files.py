"""The file of a Unix socket: nobody's is taken over, and none is left behind."""

import errno
import os
import socket
import stat
from typing import Any

import pytest
from support.raw_client import make_app

pytestmark = pytest.mark.skipif(
    not hasattr(socket, 'AF_UNIX'), reason='there are no Unix sockets for asyncio on Windows'
)


@pytest.fixture
def path(tmp_path: Any) -> str:
    return str(tmp_path / 'wamp')


def exists(path: str) -> bool:
    return os.path.exists(path)


async def connects(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(path) == 0


def test_a_second_server_does_not_take_the_path_over(run, path: str) -> None:
    async def main() -> None:
        async with await make_app().serve(unix_path=path):
            with pytest.raises(OSError, match='listens') as raised:
                await make_app().serve(unix_path=path)
            assert raised.value.errno == errno.EADDRINUSE
            assert raised.value.filename == path
            assert await connects(path)
        assert not exists(path)
        async with await make_app().serve(unix_path=path):
            assert await connects(path)
        assert not exists(path)

    run(main())


def test_a_listener_whose_queue_is_full_is_one(run, path: str) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
            listener.bind(path)
            listener.listen(0)
            client.setblocking(False)
            client.connect(path)
            with pytest.raises(OSError, match='listens'):
                await make_app().serve(unix_path=path)
        assert exists(path)

    run(main())


def test_a_socket_that_was_left_behind_is_replaced(run, path: str) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_UNIX) as gone:
            gone.bind(path)
        async with await make_app().serve(unix_path=path):
            assert await connects(path)

    run(main())


def test_what_is_no_socket_stays(run, tmp_path: Any, path: str) -> None:
    async def main() -> None:
        (tmp_path / 'wamp').write_text('precious')
        with pytest.raises(OSError) as raised:
            await make_app().serve(unix_path=path)
        assert raised.value.filename == path
        assert (tmp_path / 'wamp').read_text() == 'precious'

    run(main())


def test_the_file_of_a_successor_is_not_removed(run, path: str) -> None:
    async def main() -> None:
        async with await make_app().serve(unix_path=path) as server:
            os.rename(path, f'{path}.old')
            async with await make_app().serve(unix_path=path):
                server.close()
                await server.wait_closed()
                assert await connects(path)
            assert not exists(path)

    run(main())


@pytest.mark.parametrize('name', ['nowhere/wamp', 'x' * 200])
def test_where_no_socket_can_be(run, tmp_path: Any, name: str) -> None:
    async def main() -> None:
        path = tmp_path / name
        with pytest.raises(OSError) as raised:
            await make_app().serve(unix_path=path)
        assert raised.value.filename == str(path)

    run(main())


@pytest.mark.skipif(not os.path.exists('/proc/net/unix'), reason='only Linux has abstract sockets')
def test_an_abstract_socket(run) -> None:
    async def main() -> None:
        path = f'\0serverwamp_fast {os.getpid()}'
        async with await make_app().serve(unix_path=path):
            assert await connects(path)

    run(main())


@pytest.mark.parametrize(('options', 'mode'), [({}, 0o666), ({'unix_mode': 0o600}, 0o600), ({'unix_mode': 0}, 0)])
def test_the_mode_does_not_depend_on_the_umask(run, path: str, options: dict[str, int], mode: int) -> None:
    async def main() -> None:
        async with await make_app().serve(unix_path=path, **options):
            assert stat.S_IMODE(os.stat(path).st_mode) == mode

    before = os.umask(0o077)
    try:
        run(main())
    finally:
        os.umask(before)


@pytest.mark.parametrize('mode', [-1, 0o1000, 0o100666, True, '666', None, 6.0])
def test_what_is_no_mode_is_refused(run, path: str, mode: object) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match='unix_mode'):
            await make_app().serve(unix_path=path, unix_mode=mode)
        assert not exists(path)

    run(main())
