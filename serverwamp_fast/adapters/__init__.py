"""What joins the application to its surroundings: web servers on one side, async libraries on the
other.

Each module needs the library that it is named after, and nothing in the package imports it before
it is asked for.
"""
