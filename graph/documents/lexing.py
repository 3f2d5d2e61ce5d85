"""Counts the tokens of a document without parsing it.

https://spec.graphql.org/September2025/#sec-Appendix-Grammar-Summary.Lexical-Tokens
"""

import re
from itertools import islice

# An unterminated string is one token up to the end of the text. Searching its end again from every
# later quote would take quadratic time.
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
    """Returns the number of tokens, comments included, but no more than `up_to`.

    Text that is not GraphQL gets some number: the parser rejects it later.
    """
    return sum(1 for _ in islice(_TOKEN.finditer(text), up_to))
