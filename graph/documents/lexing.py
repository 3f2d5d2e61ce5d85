"""How many tokens a document has, told without reading it as GraphQL.

https://spec.graphql.org/September2025/#sec-Appendix-Grammar-Summary.Lexical-Tokens
"""

import re
from itertools import islice

# What has no end is a token to the end of the text: looking for one from every place in it would
# take quadratic time.
_TOKEN = re.compile(
    r'''
      \#[^\r\n]*
    | """ (?: \\""" | (?!""") . )* (?:""")?
    | " (?: \\. | [^"\\\r\n] )* "?
    | \.\.\.
    | [_A-Za-z] [_0-9A-Za-z]*
    | -? [0-9] [0-9.eE+-]*
    | [!$&()\[\]{}:=@|?]
    ''',
    re.VERBOSE | re.DOTALL | re.ASCII,
)


def count_tokens(text: str, up_to: int | None = None) -> int:
    """The number for a document, comments among them; of text that is none, some number.

    Counts no further than `up_to`.
    """
    return sum(1 for _ in islice(_TOKEN.finditer(text), up_to))
