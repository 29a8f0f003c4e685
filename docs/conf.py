"""How Sphinx builds the documentation; `ci/docs` runs it."""

from pygments.lexers.special import TextLexer

import serverwamp_fast

project = 'serverwamp_fast'
version = release = serverwamp_fast.__version__
author = copyright = 'the contributors of serverwamp_fast'

extensions = ['myst_parser', 'sphinx.ext.autodoc']
html_theme = 'furo'
html_title = f'{project} {version}'
myst_heading_anchors = 3
# What docstrings have between backticks is code.
default_role = 'code'
autodoc_member_order = 'bysource'
autodoc_typehints_format = 'short'
autodoc_default_options = {'members': True, 'show-inheritance': True}


def setup(app):
    # A client's session; tests/support/conversations.py tells what is in these blocks.
    app.add_lexer('wamp', TextLexer)
