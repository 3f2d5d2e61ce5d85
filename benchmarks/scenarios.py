"""The scenarios: the requests that are sent to the contenders."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchmarks.contenders import APOLLO, CONSTANT, MERCURIUS, PLAIN, POSTERN, Contender
from benchmarks.load import Exchange, Load, Storm
from benchmarks.users import PASSWORD

ME = "{ me { id username roles { name } } }"
LIST = "{ users(first: 50) { nodes { id username roles { name } } } }"
LOGIN = "mutation($input: LoginInput!) { login(input: $input) { %s } }"
TOKENS = LOGIN % "tokens { accessToken } errors { code }"
TOKENS_OR_WAIT = LOGIN % "tokens { accessToken } errors { code retryAfter }"
HONOURS_RETRY_AFTER = f"{POSTERN}, clients honour retryAfter"
# Exceeds the token limit of a document; each alias is three tokens.
TOO_MANY_TOKENS = "{ " + " ".join(f"a{number}: __typename" for number in range(400)) + " }"
CLIENTS = 16
PROBES_PER_SECOND = 50.0
# Time for the first logins of the clients.
STORM_WARM_UP_SECONDS = 2.0


def me(contenders: Mapping[str, Contender], connections: int, seconds: float) -> dict[str, Load]:
    """Returns loads of `me`, each user in turn."""
    return {
        name: Load(contender.port, contender.pid, _me_exchanges(contender), connections, seconds)
        for name, contender in contenders.items()
    }


def lists(contenders: Mapping[str, Contender], connections: int, seconds: float) -> dict[str, Load]:
    """Returns loads of the newest fifty accounts, read by an admin."""
    return {
        name: Load(contender.port, contender.pid, [list_exchange(contender)], connections, seconds)
        for name, contender in contenders.items()
        if name != CONSTANT
    }


def floods(postern: Contender, connections: int, seconds: float) -> dict[str, Load]:
    """Returns loads of rejected requests, and of `me` for comparison."""
    floods = {
        "me": _me_exchanges(postern),
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
    """Returns storms: clients log in without pause while `me` is requested at fixed times."""
    found = {
        name: _storm(contender, TOKENS, seconds)
        for name, contender in contenders.items()
        if name in {POSTERN, MERCURIUS, APOLLO, PLAIN}
    }
    honours_retry_after = replace(
        _storm(contenders[POSTERN], TOKENS_OR_WAIT, seconds), honours_retry_after=True
    )
    return {**found, HONOURS_RETRY_AFTER: honours_retry_after}


def _storm(contender: Contender, mutation: str, seconds: float) -> Storm:
    return Storm(
        contender.port,
        _login_exchanges(contender, mutation),
        CLIENTS,
        _me_exchanges(contender),
        PROBES_PER_SECOND,
        STORM_WARM_UP_SECONDS,
        seconds,
    )


def list_exchange(contender: Contender) -> Exchange:
    """Returns the exchange of the newest fifty accounts, with the token of an admin."""
    newest = contender.users[-1].username
    return contender.query(LIST, contender.users[0], f'"{newest}"')


def _me_exchanges(contender: Contender) -> Sequence[Exchange]:
    if contender.name == CONSTANT:
        return [contender.query(ME, user, '"username"') for user in contender.users]
    return [contender.query(ME, user, f'"{user.username}"') for user in contender.users]


def _login_exchanges(contender: Contender, mutation: str) -> Sequence[Exchange]:
    return [
        contender.exchange(
            {
                "query": mutation,
                "variables": {"input": {"username": user.username, "password": PASSWORD}},
            },
            '"accessToken"',
        )
        for user in contender.users
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
