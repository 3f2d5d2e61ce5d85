"""What is asked of the contenders."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchmarks.contenders import APOLLO, CONSTANT, MERCURIUS, PLAIN, POSTERN, Contender
from benchmarks.crowd import PASSWORD
from benchmarks.load import Exchange, Load, Storm

ME = "{ me { id username roles { name } } }"
LIST = "{ users(first: 50) { nodes { id username roles { name } } } }"
LOGIN = "mutation($input: LoginInput!) { login(input: $input) { %s } }"
TOKENS = LOGIN % "tokens { accessToken } errors { code }"
TOKENS_OR_WAIT = LOGIN % "tokens { accessToken } errors { code retryAfter }"
OBEDIENT = f"{POSTERN}, clients wait as told"
# More than a document may have; each alias is three of them.
TOO_MANY_TOKENS = "{ " + " ".join(f"a{number}: __typename" for number in range(400)) + " }"
CLIENTS = 16
PROBES_PER_SECOND = 50.0
# The clients' first logins, and what they wait for.
STORM_BEGINS_WITHIN_SECONDS = 2.0


def me(contenders: Mapping[str, Contender], connections: int, seconds: float) -> dict[str, Load]:
    """Everybody asks who they are, each person in turn."""
    return {
        name: Load(contender.port, contender.pid, _asking_me(contender), connections, seconds)
        for name, contender in contenders.items()
    }


def lists(contenders: Mapping[str, Contender], connections: int, seconds: float) -> dict[str, Load]:
    """An administrator reads the newest fifty accounts."""
    return {
        name: Load(contender.port, contender.pid, [asking_list(contender)], connections, seconds)
        for name, contender in contenders.items()
        if name != CONSTANT
    }


def floods(postern: Contender, connections: int, seconds: float) -> dict[str, Load]:
    """What costs nothing to send, beside what everybody sends."""
    floods = {
        "me": _asking_me(postern),
        "me, without a token": [postern.exchange({"query": ME}, "UNAUTHENTICATED")],
        "invalid, one document": _invalid(postern, 1),
        "invalid, a thousand documents": _invalid(postern, 1000),
        "too many tokens, one document": _too_long(postern, 1),
        "too many tokens, a thousand documents": _too_long(postern, 1000),
    }
    return {
        name: Load(postern.port, postern.pid, exchanges, connections, seconds)
        for name, exchanges in floods.items()
    }


def storms(contenders: Mapping[str, Contender], seconds: float) -> dict[str, Storm]:
    """Clients log in without pause while somebody asks who they are."""
    found = {
        name: _storm(contender, TOKENS, seconds)
        for name, contender in contenders.items()
        if name in {POSTERN, MERCURIUS, APOLLO, PLAIN}
    }
    obedient = replace(_storm(contenders[POSTERN], TOKENS_OR_WAIT, seconds), obedient=True)
    return {**found, OBEDIENT: obedient}


def _storm(contender: Contender, mutation: str, seconds: float) -> Storm:
    return Storm(
        contender.port,
        _logging_in(contender, mutation),
        CLIENTS,
        _asking_me(contender),
        PROBES_PER_SECOND,
        STORM_BEGINS_WITHIN_SECONDS,
        seconds,
    )


def asking_list(contender: Contender) -> Exchange:
    """The newest fifty accounts, as somebody who may read them."""
    newest = contender.people[-1].username
    return contender.asking(LIST, contender.people[0], f'"{newest}"')


def _asking_me(contender: Contender) -> Sequence[Exchange]:
    if contender.name == CONSTANT:
        return [contender.asking(ME, person, '"username"') for person in contender.people]
    return [contender.asking(ME, person, f'"{person.username}"') for person in contender.people]


def _logging_in(contender: Contender, mutation: str) -> Sequence[Exchange]:
    return [
        contender.exchange(
            {
                "query": mutation,
                "variables": {"input": {"username": person.username, "password": PASSWORD}},
            },
            '"accessToken"',
        )
        for person in contender.people
    ]


def _invalid(postern: Contender, documents: int) -> Sequence[Exchange]:
    return [
        postern.exchange({"query": f"{{ me {{ nothing{number} }} }}"}, f"nothing{number}")
        for number in range(documents)
    ]


def _too_long(postern: Contender, documents: int) -> Sequence[Exchange]:
    return [
        postern.exchange({"query": f"#{number}\n{TOO_MANY_TOKENS}"}, "LIMIT_EXCEEDED")
        for number in range(documents)
    ]
