"""From a URI to what was registered for it: exactly, by prefix or by regular expression.

An exact route wins; among the others the one that was registered first. Prefixes are looked up by their
length, longest table walk = the number of different lengths, so that ten thousand prefixes cost what ten do.
"""

from cpython.unicode cimport PyUnicode_GET_LENGTH, PyUnicode_Substring

from serverwamp_fast.errors import NoSuchRouteError


cdef class RouteTable:
    """A table of routes. The values are any objects but None; a table doesn't know what they are for."""

    def __cinit__(self):
        self.exact = {}
        self.prefixes = {}
        self.prefix_lengths = []
        self.patterns = []
        self.count = 0

    def add_exact(self, str uri, object target):
        """Register `target` for one URI; a later registration replaces an earlier one."""
        self.exact[uri] = target

    def add_prefix(self, str prefix, object target):
        """Register `target` for all URIs that start with `prefix`."""
        self.count += 1
        # The first registration of a prefix wins for good: no later one can ever be reached.
        if prefix in self.prefixes:
            return
        self.prefixes[prefix] = (self.count, target)
        if len(prefix) not in self.prefix_lengths:
            self.prefix_lengths.append(len(prefix))
            self.prefix_lengths.sort()

    def add_pattern(self, object pattern, object target):
        """Register `target` for the URIs whose beginning `pattern`, a compiled expression, matches."""
        self.count += 1
        self.patterns.append((self.count, pattern.match, target))

    cdef object find(self, str uri):
        """Return the target for the URI, or None."""
        target = self.exact.get(uri)
        if target is not None:
            return target
        cdef Py_ssize_t size = PyUnicode_GET_LENGTH(uri), length
        cdef tuple entry
        cdef long long best = 0
        for wanted in self.prefix_lengths:
            length = wanted
            if length > size:
                break
            found = self.prefixes.get(PyUnicode_Substring(uri, 0, length))
            if found is not None:
                entry = <tuple> found
                if best == 0 or <long long> entry[0] < best:
                    best = entry[0]
                    target = entry[1]
        for candidate in self.patterns:
            entry = <tuple> candidate
            if best != 0 and <long long> entry[0] > best:
                break
            if entry[1](uri) is not None:
                return entry[2]
        return target

    def resolve(self, str uri not None):
        target = self.find(uri)
        if target is None:
            raise NoSuchRouteError(f'No route is registered for {uri!r}.')
        return target

    def __len__(self):
        return len(self.exact) + len(self.prefixes) + len(self.patterns)
