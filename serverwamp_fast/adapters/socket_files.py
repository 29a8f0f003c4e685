"""The file of a Unix socket that a server listens on."""

import contextlib
import errno
import os
import socket
import stat


class SocketFile:
    """A path to listen on, from bind() to remove(). Nobody else's socket is ever taken over or removed."""

    def __init__(self, path: str | os.PathLike[str], mode: int = 0o666) -> None:
        self.path = os.fspath(path)
        self.mode = mode
        self._identity: tuple[int, int] | None = None

    def bind(self) -> socket.socket:
        """Return a socket bound to the path; a file that a server left behind is replaced.

        Raises OSError, with the path, if somebody listens there, or if there can be no socket.
        """
        sock = socket.socket(socket.AF_UNIX)
        try:
            if not self.path.startswith('\0'):
                self._remove_stale()
            sock.bind(self.path)
            self._identity = self._identify()
            if self._identity is not None:
                # Before anybody can connect, because nobody listens yet. bind() has gone by the umask.
                os.chmod(self.path, self.mode)
        except OSError as error:
            sock.close()
            raise OSError(error.errno, error.strerror or str(error), self.path) from None
        return sock

    def remove(self) -> None:
        """Remove the file if it is still the one that bind() made."""
        if self._identity is not None and self._identify() == self._identity:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
        self._identity = None

    def _identify(self) -> tuple[int, int] | None:
        """Return what tells the file from another one at the same path; None where there is none."""
        try:
            found = os.stat(self.path)
        except (OSError, ValueError):
            # An abstract socket has a name, but no file.
            return None
        return found.st_dev, found.st_ino

    def _remove_stale(self) -> None:
        """Remove a socket that nobody listens on. Raises OSError if somebody does."""
        try:
            if not stat.S_ISSOCK(os.stat(self.path).st_mode):
                # bind() says what is wrong.
                return
        except FileNotFoundError:
            return
        with socket.socket(socket.AF_UNIX) as probe:
            # With its queue full a listener would keep the probe waiting.
            probe.setblocking(False)
            try:
                probe.connect(self.path)
            except ConnectionRefusedError:
                os.unlink(self.path)
                return
            except BlockingIOError:
                pass
        raise OSError(errno.EADDRINUSE, 'Somebody listens there already')
