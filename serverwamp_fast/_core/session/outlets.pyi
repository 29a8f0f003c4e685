from ..base.deadlines import Timed

class Outlet(Timed):
    """Base of connections that take a payload at once and write it later, coalesced with others."""
