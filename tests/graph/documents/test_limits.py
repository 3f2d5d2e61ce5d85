"""Limits for documents."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from graphql import GraphQLError, get_introspection_query, parse
from hypothesis import given, settings
from hypothesis import strategies as st

from auth.passwords.hashing import Passwords
from auth.permissions import PermissionRegistry
from graph.documents.lexing import count_tokens
from graph.documents.limits import LimitPolicy, check_shape, check_variables
from graph.documents.operations import OperationPolicy, OperationRefused, Operations
from graph.schema import build_schema, secret_checking_mutations
from tests.api import Api, denials

SCHEMA = build_schema(PermissionRegistry())
LOGIN = 'login(input: {username: "alice", password: "guess"}) { errors { code } }'
REGISTER = 'register(input: {username: "x", email: "x@y.zz", password: "p"}) { errors { code } }'


def operations(**limits: Any) -> Operations:
    one_at_a_time = secret_checking_mutations(SCHEMA)
    policy = LimitPolicy(**{"one_at_a_time": one_at_a_time, **limits})
    return Operations(SCHEMA, OperationPolicy(limits=policy))


def refusal(text: str, **limits: Any) -> Any:
    """Returns the extensions of the error; None if the document is accepted."""
    try:
        operations(**limits).get(text, None, None)
    except OperationRefused as refused:
        return refused.errors[0]["extensions"]
    return None


def create_role(permissions: str, declared: str = "") -> str:
    given = f'{{name: "x", permissions: {permissions}}}'
    return f"mutation {declared} {{ createRole(input: {given}) {{ role {{ id }} }} }}"


# By limit: its value, a document at the limit, one over the limit, and the count in the latter.
BOUNDS = {
    "tokens": (6, "{ me { id } }", "{ me { id version } }", 7),
    "depth": (2, "{ me { id } }", "{ me { roles { id } } }", 3),
    "depth through inline fragments": (
        2,
        "{ ... on Query { me { ... { id } } } }",
        "{ ... { me { ... on User { roles { ... { id } } } } } }",
        3,
    ),
    "depth through named fragments": (
        2,
        "{ ...A } fragment A on Query { me { ...B } } fragment B on User { id }",
        "{ me { ...B } } fragment A on Role { id } fragment B on User { roles { ...A } }",
        3,
    ),
    "aliases": (1, "{ a: me { id } }", "{ a: me { b: id c: version } }", 3),
    "aliases in fragments": (
        1,
        "{ me { ...F } } fragment F on User { a: id }",
        "{ me { ...F a: id } } fragment F on User { b: id }",
        2,
    ),
    "repeats": (1, "{ me { id id } }", "{ me { id id id } }", 2),
    "repeats of spreads": (
        1,
        "{ me { ...F ...F } } fragment F on User { id }",
        "{ me { ...F ...F ...F } } fragment F on User { id }",
        2,
    ),
    "repeats of keys": (0, "{ me { a: id b: id } }", "{ me { a: id a: id } }", 1),
    "repeats in inline fragments": (
        0,
        "{ me { id ... on User { id } } }",
        "{ me { ... on User { id } ... on User { id } } }",
        1,
    ),
    "directives": (
        1,
        "{ me @skip(if: false) { id } }",
        "{ me @skip(if: false) @include(if: true) { id } }",
        2,
    ),
    "directives on fragments": (
        1,
        "{ ... @skip(if: false) { me { id } } }",
        "{ ...F @skip(if: false) } fragment F on Query { me { id @include(if: true) } }",
        2,
    ),
    "fragments": (
        1,
        "{ me { ...F } } fragment F on User { id }",
        "{ me { ...F ...G } } fragment F on User { id } fragment G on User { id }",
        2,
    ),
    "root_fields": (1, "{ me { id } }", "{ me { id } roles { id } }", 2),
    "root_fields in fragments": (
        1,
        "{ ...F } fragment F on Query { ... { me { id } } }",
        "{ ...F ... { roles { id } } } fragment F on Query { me { id } }",
        2,
    ),
    "cost": (5, "{ users(first: 3) { nodes { id } } }", "{ users(first: 4) { nodes { id } } }", 6),
    "list_input": (1, create_role('["a"]'), create_role('["a", "b"]'), 2),
    "list_input in a default": (
        1,
        create_role("$p", '($p: [String!]! = ["a"])'),
        create_role("$p", '($p: [String!]! = ["a", "b"])'),
        2,
    ),
}


def limit_of(case: str) -> str:
    return case.partition(" ")[0]


@pytest.mark.parametrize("case", BOUNDS)
def test_document_at_a_limit_is_accepted(case: str) -> None:
    most, within, _, _ = BOUNDS[case]
    assert refusal(within, **{limit_of(case): most}) is None


@pytest.mark.parametrize("case", BOUNDS)
def test_document_over_a_limit_is_refused_with_the_limit_and_the_count(case: str) -> None:
    most, _, beyond, found = BOUNDS[case]
    limit = limit_of(case)
    assert refusal(beyond, **{limit: most}) == {
        "code": "LIMIT_EXCEEDED",
        "limit": limit,
        "maximum": most,
        "found": found,
    }


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({"p": ["a", "b"]}, 2),
        ({"p": [["a"], ["b"], ["c"]]}, 3),
        ({"p": ["a"], "unused": {"deep": {"deeper": [1, 2]}}}, 2),
        ({"p": [[[[1, 2]]]]}, 2),
    ],
)
def test_list_input_limit_holds_for_variables(variables: dict[str, Any], found: int) -> None:
    check_variables(variables, LimitPolicy(list_input=found))
    with pytest.raises(GraphQLError) as raised:
        check_variables(variables, LimitPolicy(list_input=1))
    assert raised.value.extensions == {
        "code": "LIMIT_EXCEEDED",
        "limit": "list_input",
        "maximum": 1,
        "found": found,
    }


async def test_long_list_in_a_variable_is_refused_before_execution(sqlite_api: Api) -> None:
    text = create_role("$p", "($p: [String!]!)")
    result = await sqlite_api.ask(text, {"p": ["users:read"] * 101})
    assert [denial["limit"] for denial in denials(result)] == ["list_input"]


@pytest.mark.parametrize(
    "document",
    [
        f"mutation {{ a: {LOGIN} b: {LOGIN} }}",
        f"mutation {{ {LOGIN} {REGISTER} }}",
        f"mutation {{ {LOGIN} ...F }} fragment F on Mutation {{ b: {LOGIN} }}",
        f"mutation {{ ...F ... {{ b: {LOGIN} }} }} fragment F on Mutation {{ {LOGIN} }}",
        f"mutation {{ ... on Mutation {{ {LOGIN} ... {{ b: {LOGIN} }} }} }}",
        (
            f"mutation {{ ...F }} fragment F on Mutation {{ ...G a: {LOGIN} }}"
            f" fragment G on Mutation {{ ... {{ b: {LOGIN} }} }}"
        ),
        "mutation { " + " ".join(f"a{n}: {LOGIN}" for n in range(100)) + " }",
    ],
)
async def test_several_credential_checks_in_one_operation_are_refused(
    sqlite_api: Api, monkeypatch: pytest.MonkeyPatch, document: str
) -> None:
    checked: list[str] = []

    async def verify(_self: Passwords, password: str, _stored: str | None) -> bool:
        checked.append(password)
        return False

    monkeypatch.setattr(Passwords, "verify", verify)
    result = await sqlite_api.ask(document)
    (error,) = denials(result)
    assert error["code"] == "LIMIT_EXCEEDED"
    assert "data" not in result
    # `data: null` alone would not prove that no password was checked.
    assert checked == []


async def test_hundred_logins_within_the_other_limits_are_refused(sqlite_api: Api) -> None:
    text = "mutation { " + " ".join(f"a{n}: {LOGIN}" for n in range(100)) + " }"
    assert refusal(text, tokens=10_000, aliases=1_000, root_fields=1_000) == {
        "code": "LIMIT_EXCEEDED",
        "limit": "credentials",
        "maximum": 1,
        "found": 100,
    }


async def test_single_login_runs(sqlite_api: Api) -> None:
    result = await sqlite_api.ask(f"mutation {{ {LOGIN} }}")
    assert result == {"data": {"login": {"errors": [{"code": "INVALID_CREDENTIALS"}]}}}


def doubled(k: int) -> str:
    """Fragments that contain 2 ** k fields if each spread is counted."""
    fragments = [f"fragment A{n} on Query{{...A{n + 1} ...A{n + 1}}}" for n in range(k)]
    return "\n".join(["{...A0}", *fragments, f"fragment A{k} on Query{{__typename}}"])


def overlapping(count: int) -> str:
    """Fields that give count ** 2 comparisons of pairs."""
    return "{me{" + "roles{id}" * count + "}}"


UNLIMITED = LimitPolicy(
    depth=10**9,
    aliases=10**9,
    repeats=10**9,
    directives=10**9,
    fragments=10**9,
    root_fields=10**9,
    list_input=10**9,
)


def seconds(work: Callable[[], object]) -> float:
    """Returns the processor time, which does not depend on other processes."""
    taken = []
    for _ in range(3):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)


@pytest.mark.parametrize("text", [doubled(18), doubled(26), overlapping(300)])
def test_small_document_with_exponential_work_is_refused_fast(text: str) -> None:
    assert len(text) < 3_000
    assert refusal(text)["code"] == "LIMIT_EXCEEDED"
    assert seconds(lambda: refusal(text)) < 0.1


def test_duplicate_definitions_are_both_counted() -> None:
    many = "roles{id} " * 200
    text = f"{{ me {{ ...F }} }} fragment F on User {{ {many} }} fragment F on User {{ id }}"
    assert refusal(text)["limit"] == "repeats"
    text = f"{{ me {{ ...F }} }} fragment F on User {{ id }} fragment F on User {{ {many} }}"
    assert refusal(text)["limit"] == "repeats"


SHAPES: dict[str, Callable[[int], str]] = {
    "nested spreads": doubled,
    "fields": overlapping,
    "aliases": lambda n: "{" + " ".join(f"a{k}:me{{id}}" for k in range(n)) + "}",
    "definitions": lambda n: " ".join(f"query Q{k}{{me{{id}}}}" for k in range(n)),
    "chained fragments": lambda n: (
        "{...F0}" + "".join(f"fragment F{k} on Query{{...F{k + 1}}}" for k in range(n))
    ),
    "spreads of each in each": lambda n: (
        "{a}" + "".join(f"fragment F{k} on Q{{...F{k + 1} ...F{k + 2}}}" for k in range(n))
    ),
    "one cycle": lambda n: (
        "{a}" + "".join(f"fragment F{k} on Q{{...F{(k + 1) % n}}}" for k in range(n))
    ),
    "directives": lambda n: "{me" + "@a" * n + "{id}}",
    "lists": lambda n: "{a(b:[" + "[]" * n + "])}",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_measuring_takes_linear_time(shape: str) -> None:
    short, long = (parse(SHAPES[shape](n), no_location=True) for n in (100, 800))
    # Calls instead of seconds: a busy machine does not change their number.
    assert steps(lambda: measure(long)) < 10 * steps(lambda: measure(short))


def measure(document: Any, limits: LimitPolicy = UNLIMITED) -> None:
    check_shape(document, document.definitions[0], limits)


def steps(work: Callable[[], object]) -> int:
    """Returns the number of function calls."""
    taken = 0

    def count(*_: object) -> None:
        nonlocal taken
        taken += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return taken


USER_FIELDS = "id username email fullName emailVerified createdAt version lastLoginAt"


def spread(count: int, body: str) -> str:
    """Fragments spread side by side: validation compares each pair."""
    spreads = " ".join(f"...F{k}" for k in range(count))
    fragments = " ".join(f"fragment F{k} on User {{ {body} }}" for k in range(count))
    return f"{{ me {{ {spreads} }} }} {fragments}"


def steps_per_token(text: str, **limits: Any) -> float:
    """Returns the function calls per token to prepare or refuse a document."""
    prepared = operations(**limits)

    def prepare() -> None:
        with suppress(OperationRefused):
            prepared.get(text, None, None)

    return steps(prepare) / count_tokens(text)


HEAVY = {
    "fragments": spread(30, USER_FIELDS),
    "fragments with lists": spread(30, "roles { id name permissions } sessions { nodes { id } }"),
    "chained fragments": "{ me { ...F0 } } "
    + " ".join(f"fragment F{k} on User {{ {USER_FIELDS} ...F{k + 1} }}" for k in range(29))
    + " fragment F29 on User { id }",
    "many fragments": spread(100, "id"),
    "repeated lists": "{ me { " + "roles { id name permissions description version } " * 20 + "} }",
    "aliases": "{" + " ".join(f"a{k}: me {{ {USER_FIELDS} }}" for k in range(20)) + "}",
    "unknown fields": "{ me { " + " ".join(f"usernam{k}" for k in range(300)) + " } }",
    "unknown arguments": "{ users(" + " ".join(f"firs{k}: 1" for k in range(300)) + ") { id } }",
    "unknown input fields": "mutation { createRole(input: {"
    + " ".join(f"nam{k}: 1" for k in range(240))
    + "}) { role { id } } }",
    "unused variables": "query ("
    + " ".join(f"$v{k}: Int" for k in range(240))
    + ") { a: me { id } }",
    "unknown types": "query ("
    + " ".join(f"$v{k}: Use{k}" for k in range(240))
    + ") { a: me { id } }",
}


@pytest.mark.parametrize("case", HEAVY)
def test_preparing_takes_linear_time(case: str) -> None:
    plain = "{ " + " ".join(f"a{k}: me {{ {USER_FIELDS} }}" for k in range(5)) + "}"
    assert steps_per_token(HEAVY[case]) < 3 * steps_per_token(plain)


def test_preparing_without_a_fragment_limit_takes_quadratic_time() -> None:
    text = spread(100, "id")
    without_limit = steps_per_token(text, fragments=10**9)
    assert without_limit > 1.5 * steps_per_token(spread(30, "id"))


@pytest.mark.parametrize("name", ["usernam", "x"])
async def test_unknown_fields_in_variables_give_few_errors(sqlite_api: Api, name: str) -> None:
    text = "mutation ($i: LoginInput!) { login(input: $i) { user { id } } }"
    variables = {"i": {f"{name}{k}": 1 for k in range(5_000)}}
    assert len((await sqlite_api.ask(text, variables))["errors"]) <= 5
    operation = operations().get(text, None, None)
    # Each error takes thousands of calls, because it quotes the value.
    assert steps(lambda: operation.start(variables, None)) < 200_000


LIMIT = {"LIMIT_EXCEEDED"}
CLIENT_ERRORS = {
    "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED",
    "OPERATION_RESOLUTION_FAILURE",
}

NAMES = st.sampled_from(["me", "roles", "id", "F", "G", "H", "login", "__schema"])
SPREADS = NAMES.map(lambda name: f"...{name}")
ARGUMENTS = st.sampled_from(["", "(first: 2)", "(a: [1, [$v]])", "(a: {b: [{c: []}]})"])
DIRECTIVES = st.sampled_from(["", "@skip(if: true)", "@nothing(a: [[]])"])


def selections(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(inner, min_size=1, max_size=4).map(lambda parts: "{" + " ".join(parts) + "}")


FIELDS = st.tuples(st.sampled_from(["", "a: "]), NAMES, ARGUMENTS, DIRECTIVES).map(" ".join)
SELECTED = st.recursive(
    FIELDS | SPREADS,
    lambda inner: st.tuples(
        FIELDS | st.sampled_from(["...", "... on User", "... on Nothing @skip(if: $v)"]),
        selections(inner),
    ).map(" ".join),
    max_leaves=12,
)
OPERATIONS = st.sampled_from(["", "query", "mutation M", "query Q($v: [Int] = [1])"])
FRAGMENTS = NAMES.map(lambda name: f"fragment {name} on Query")
DOCUMENTS = st.tuples(
    st.tuples(OPERATIONS, selections(SELECTED)).map(" ".join),
    st.lists(st.tuples(OPERATIONS | FRAGMENTS, selections(SELECTED)).map(" ".join), max_size=4),
).map(lambda parts: "\n".join([parts[0], *parts[1]]))


def exceeded_limit(text: str) -> Any:
    """Returns the extensions of the error of `check_shape`; None if there is no error."""
    try:
        measure(parse(text), LimitPolicy(depth=3, repeats=1, aliases=1))
    except GraphQLError as error:
        return error.extensions
    return None


@settings(max_examples=60, deadline=None)
@given(text=DOCUMENTS)
def test_measuring_random_documents_passes_or_reports_an_exceeded_limit(text: str) -> None:
    extensions = exceeded_limit(text)
    assert extensions is None or extensions["found"] > extensions["maximum"]


@settings(max_examples=30, deadline=None)
@given(text=DOCUMENTS)
def test_random_document_is_prepared_or_refused(text: str) -> None:
    extensions = refusal(text)
    assert extensions is None or extensions["code"] in LIMIT | CLIENT_ERRORS


def full_introspection_query() -> str:
    return get_introspection_query(
        descriptions=True,
        specified_by_url=True,
        directive_is_repeatable=True,
        schema_description=True,
        input_value_deprecation=True,
        one_of=True,
    )


async def test_standard_introspection_query_is_within_the_limits(sqlite_api: Api) -> None:
    result = await sqlite_api.ask(full_introspection_query())
    assert "errors" not in result
    assert result["data"]["__schema"]["queryType"]["name"] == "Query"


SCHEMA_TWICE = "{ a: __schema { queryType { name } } b: __schema { queryType { name } } }"
TOO_MUCH_INTROSPECTION = {
    SCHEMA_TWICE: "introspection",
    "{" + " ".join(f"a{k}: __schema {{ types {{ name }} }}" for k in range(20)) + "}": (
        "introspection"
    ),
    "{ __schema { queryType { name } } me { id } }": "introspection",
    "query ($d: Boolean) { __schema { types { fields(includeDeprecated: $d) { name } } } }": (
        "introspection"
    ),
    "{ __schema { types { fields { type { fields { name } } } } } }": "introspection",
    (
        "{ __schema { types { ...T } } }"
        " fragment T on __Type { interfaces { possibleTypes { name } } }"
    ): "introspection",
    "{ __schema { types { "
    + " ".join(f"a{k}: fields {{ name }}" for k in range(15))
    + " } } }": "introspection_lists",
    "{" + " ".join(f'a{k}: __type(name: "User") {{ name }}' for k in range(6)) + "}": (
        "introspection"
    ),
}


@pytest.mark.parametrize("text", TOO_MUCH_INTROSPECTION)
def test_excessive_introspection_is_refused(text: str) -> None:
    assert refusal(text)["limit"] == TOO_MUCH_INTROSPECTION[text]


@pytest.mark.parametrize("text", [get_introspection_query(), "{ __schema { queryType { name } } }"])
def test_introspection_result_is_cached(text: str) -> None:
    prepared = operations()
    operation = prepared.get(text, None, None)
    first = operation.start(None, None)
    assert operation.start(None, None) is first
    assert steps(lambda: prepared.get(text, None, None).start(None, None)) < 50


def test_repeated_introspection_is_refused() -> None:
    assert refusal("{" + "__schema{types{fields{type{name}}}}" * 60 + "}")["limit"] == "repeats"


@pytest.mark.parametrize("depth", [100, 400, 5_000])
@pytest.mark.parametrize(
    "nested",
    [
        lambda n: "{" + "... {" * n + "me { id }" + "}" * n + "}",
        lambda n: "{" + "me {" * n + "id" + "}" * n + "}",
        lambda n: "{ user(id: " + "[" * n + "]" * n + ") { id } }",
        lambda n: "query ($v: " + "[" * n + "Int" + "]" * n + ") { me { id } }",
        lambda n: (
            "{ ...F0 } "
            + " ".join(f"fragment F{k} on Query {{ ...F{k + 1} }}" for k in range(n))
            + f" fragment F{n} on Query {{ me {{ id }} }}"
        ),
    ],
)
def test_very_deep_nesting_is_refused_without_an_internal_error(
    nested: Callable[[int], str], depth: int
) -> None:
    extensions = refusal(nested(depth), tokens=100_000)
    assert extensions is None or extensions["code"] in LIMIT | CLIENT_ERRORS


def test_depth_limit_holds_for_literals() -> None:
    deep = "{a:" * 30 + "1" + "}" * 30
    assert refusal(f"mutation {{ login(input: {deep}) {{ user {{ id }} }} }}") == {
        "code": "LIMIT_EXCEEDED",
        "limit": "depth",
        "maximum": 20,
        "found": 31,
    }


def test_refusal_messages_are_truncated() -> None:
    with pytest.raises(OperationRefused) as refused:
        operations().get(f"{{ user(id: [{', '.join(['true'] * 90)}]) {{ id }} }}", None, None)
    assert all(len(error["message"]) <= 301 for error in refused.value.errors)


@pytest.mark.parametrize(
    "text",
    [
        "{ __schema { " + " ".join(f"a{n}: types {{ ...T }}" for n in range(25)) + " } }",
        "{ ...Q } fragment Q on Query { "
        + " ".join(f"a{n}: __schema {{ types {{ ...T }} }}" for n in range(15))
        + " }",
    ],
)
def test_introspection_with_too_many_fields_is_refused(text: str) -> None:
    fragment = " fragment T on __Type { kind name description fields { name " + "type { name } " * 9
    extensions = refusal(
        text + fragment + "} inputFields { name } enumValues { name } }", cost=10**9
    )
    assert extensions["limit"] == "introspection_fields"
