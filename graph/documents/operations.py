"""What clients ask for: each document is parsed, checked and compiled once, and then remembered."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from sys import getsizeof
from typing import Any

import strawberry
from graphql import (
    ExecutionResult,
    GraphQLError,
)

from auth.clients import Client
from auth.throttling.budgets import network_of, site_of
from graph.compiled.compiled_operation import CompiledOperation
from graph.documents.cache import DocumentCache
from graph.documents.costs import CostMeter
from graph.documents.introspection_limits import check_introspection
from graph.documents.limits import (
    LimitPolicy,
    check_shape,
    check_variables,
    exceeded,
)
from graph.documents.parsing import find_operation, parse_document, root_names
from graph.documents.preparation_budget import NETWORKS_PER_SITE, PreparationBudget
from graph.documents.trusted_documents import InvalidManifest, TrustedDocuments, names_of_operations
from graph.documents.validation import MAX_DOCUMENT_ERRORS, validate_document
from graph.errors.graphql_errors import (
    NO_SUCH_OPERATION,
    coded_error,
    format_document_errors,
    log_internal_errors,
)
from graph.statuses import Problem

# Estimates, in bytes: of a document, of a token (it becomes nodes), of a field (it becomes
# closures), of a character of what is wrong.
_BYTES_PER_DOCUMENT = 2_000
_BYTES_PER_TOKEN = 1_500
_BYTES_PER_FIELD = 4_000
_BYTES_PER_CHARACTER = 4
# graphql-core quotes what it complains of, however long that is.
_MAX_MESSAGE_LENGTH = 300
_MAX_REMEMBERED_BYTES = 32_000_000
# For how many combinations of page sizes an operation remembers that they are within its cost.
_MAX_REMEMBERED_SIZES = 200


Execute = Callable[..., ExecutionResult | Awaitable[ExecutionResult]]


class OperationRefused(Exception):
    """The document cannot be run; says why, as the reply tells it."""

    def __init__(
        self,
        errors: Sequence[Mapping[str, Any]],
        problem: Problem = Problem.DOCUMENT,
        *,
        may_change: bool = False,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__("operation refused")
        self.headers = headers
        self.errors = errors
        self.problem = problem
        # Whether a custom scalar refused a literal, which it may accept the next time.
        self.may_change = may_change


@dataclass(frozen=True, slots=True)
class OperationPolicy:
    """Which documents run, how much they may ask for, and by what they run."""

    introspection: bool = True
    compiled: bool = True
    trusted: TrustedDocuments = field(default_factory=TrustedDocuments)
    limits: LimitPolicy = field(default_factory=LimitPolicy)
    # Of processor time that one client network may spend at once on unknown documents.
    preparation_seconds: float = 2.0


class Operation:
    """An operation that may be run, as often as is wished."""

    def __init__(
        self,
        compiled: CompiledOperation,
        cost: CostMeter,
        policy: OperationPolicy,
        root_fields: frozenset[str],
        *,
        has_one_result: bool,
    ) -> None:
        """Raises GraphQLError if it costs too much whatever the variables are.

        An operation with the same result for every caller runs here, once.
        """
        self.type = compiled.type
        self.root_fields = root_fields
        self._compiled = compiled
        self._execute: Execute = (
            compiled.execute if policy.compiled else compiled.execute_uncompiled
        )
        self._limits = policy.limits
        self._cost = cost
        self._affordable: set[tuple[int | None, ...]] = set()
        self._is_always_affordable = not cost.size_variables
        if self._is_always_affordable:
            self._check_cost({})
        if has_one_result:
            self._run_once()

    def start(
        self,
        variables: dict[str, Any] | None,
        context: object,
        extensions: dict[str, Any] | None = None,
    ) -> ExecutionResult | Awaitable[ExecutionResult]:
        """Runs it: the result, or where something must be waited for, an awaitable of it."""
        if variables or not self._is_always_affordable:
            try:
                self._check(variables or {})
            except GraphQLError as error:
                return ExecutionResult(None, [error])
        return self._execute(variables, context, extensions)

    async def subscribe(
        self,
        variables: dict[str, Any] | None,
        context: object,
        extensions: dict[str, Any] | None = None,
    ) -> ExecutionResult | AsyncIterator[ExecutionResult]:
        """Subscribes to it: its results, or one result that tells why there are none."""
        try:
            self._check(variables or {})
        except GraphQLError as error:
            return ExecutionResult(None, [error])
        return await self._compiled.subscribe(variables, context, extensions)

    def _run_once(self) -> None:
        result = self._execute(None, None)
        if isinstance(result, ExecutionResult) and not result.errors:
            self._execute = lambda *_: result

    def _check(self, variables: Mapping[str, Any]) -> None:
        check_variables(variables, self._limits)
        sizes = self._cost.sizes(variables)
        if sizes not in self._affordable:
            self._check_cost(variables)

    def _check_cost(self, variables: Mapping[str, Any]) -> None:
        cost, maximum = self._cost.measure(variables), self._limits.cost
        if cost > maximum:
            raise exceeded("cost", maximum, cost, f"The operation may cost {cost}")
        if len(self._affordable) < _MAX_REMEMBERED_SIZES:
            self._affordable.add(self._cost.sizes(variables))


class Operations:
    """The operations of one schema, by document and name."""

    def __init__(self, schema: strawberry.Schema, policy: OperationPolicy) -> None:
        """Raises InvalidManifest for a trusted document that cannot be run."""
        self._schema = schema
        self._core_schema = schema._schema  # noqa: SLF001 - Strawberry has no public name for it
        self._policy = policy
        self._remembered = DocumentCache[Operation | OperationRefused](_MAX_REMEMBERED_BYTES)
        self._budget = PreparationBudget(policy.preparation_seconds)
        self._site_budget = PreparationBudget(policy.preparation_seconds * NETWORKS_PER_SITE)
        self._trusted: dict[tuple[str, str | None], Operation] = {}
        for document_id, text in policy.trusted.documents.items():
            self._trust(document_id, text)

    def __len__(self) -> int:
        return len(self._remembered)

    def find(
        self,
        query: str | None,
        document_id: str | None,
        name: str | None,
        client: Client | None = None,
    ) -> Operation:
        """The operation of this name; without a name, the only one. Raises OperationRefused.

        The document is given as it is, or by the id of a trusted one. Preparing one that is not
        known is charged to the network of the client.
        """
        if document_id is not None:
            return self._find_trusted(document_id, name)
        text = query or ""
        if not self._policy.trusted.allows_text(text):
            raise _refusal(Problem.NOT_TRUSTED, "Only trusted documents run: send `documentId`.")
        prepared = self._remembered.get((text, name))
        if prepared is None:
            prepared = self._prepare_for(client, text, name)
        if isinstance(prepared, OperationRefused):
            raise OperationRefused(prepared.errors, prepared.problem)
        return prepared

    def _prepare_for(
        self, client: Client | None, text: str, name: str | None
    ) -> Operation | OperationRefused:
        """Prepares a document that is not in the cache, and caches it. Raises OperationRefused."""
        address = client.address if client else None
        network, site = network_of(address), site_of(address) or network_of(address)
        seconds = max(self._budget.retry_after(network), self._site_budget.retry_after(site))
        if client and seconds:
            raise _too_many_documents(seconds)
        with self._budget.charged_to(network), self._site_budget.charged_to(site):
            prepared, weight = self._prepare(text, name)
        weight += _BYTES_PER_DOCUMENT + getsizeof(text)
        if not _may_change(prepared):
            self._remembered.put((text, name), prepared, weight)
        return prepared

    def _find_trusted(self, document_id: str, name: str | None) -> Operation:
        trusted = self._policy.trusted
        text = trusted.find(document_id)
        if text is None:
            raise _refusal(Problem.UNKNOWN_DOCUMENT, "No trusted document has this id.")
        operation = self._trusted.get((text, name))
        if operation is None:
            raise _refusal(Problem.DOCUMENT, NO_SUCH_OPERATION, "OPERATION_RESOLUTION_FAILURE")
        return operation

    def _trust(self, document_id: str, text: str) -> None:
        """Prepares every operation of a trusted document. Raises InvalidManifest."""
        names = names_of_operations(document_id, text)
        # The only one may go without its name.
        for name in names if len(names) > 1 else {*names, None}:
            prepared, _ = self._prepare(text, name)
            if isinstance(prepared, OperationRefused):
                why = "; ".join(error["message"] for error in prepared.errors)
                raise InvalidManifest(f"the document {document_id} cannot be run: {why}")
            self._trusted[text, name] = prepared

    def _prepare(self, text: str, name: str | None) -> tuple[Operation | OperationRefused, int]:
        """The operation or why there is none, and about how many bytes that takes."""
        limits = self._policy.limits
        try:
            document = parse_document(text, limits.tokens)
            definition = find_operation(document, name)
            check_shape(document, definition, limits)
            errors = validate_document(
                self._core_schema,
                document,
                definition,
                introspection=self._policy.introspection,
                suggestions=not self._schema.config.disable_field_suggestions,
            )
            if errors:
                return _refuse(errors)
            compiled = CompiledOperation(self._schema, document, definition, log_internal_errors)
            asks_for_schema = check_introspection(document, definition, compiled.fields)
            cost = CostMeter(self._core_schema, document, definition)
            operation = Operation(
                compiled,
                cost,
                self._policy,
                root_names(document, definition),
                has_one_result=asks_for_schema and not compiled.runs_extensions,
            )
        except GraphQLError as error:
            return _refuse([error])
        weight = document.token_count * _BYTES_PER_TOKEN
        return operation, weight + compiled.most_compiled_fields * _BYTES_PER_FIELD


def _refuse(errors: Sequence[GraphQLError]) -> tuple[OperationRefused, int]:
    """The refusal, and about how many bytes it takes."""
    told = format_document_errors(errors[:MAX_DOCUMENT_ERRORS])
    for error in told:
        if len(error["message"]) > _MAX_MESSAGE_LENGTH:
            error["message"] = error["message"][:_MAX_MESSAGE_LENGTH] + "…"
    characters = sum(len(error["message"]) for error in told)
    may_change = any(error.original_error for error in errors)
    return OperationRefused(told, may_change=may_change), characters * _BYTES_PER_CHARACTER


def _may_change(prepared: Operation | OperationRefused) -> bool:
    return isinstance(prepared, OperationRefused) and prepared.may_change


def _too_many_documents(seconds: int) -> OperationRefused:
    error = coded_error(
        Problem.RATE_LIMITED.code,
        "Too many new documents came from this network. Use documents that were sent before, with"
        f" variables, or try again in {seconds} seconds.",
        retryAfter=seconds,
    )
    headers = [(b"retry-after", str(seconds).encode())]
    return OperationRefused([error], Problem.RATE_LIMITED, headers=headers)


def _refusal(problem: Problem, message: str, code: str | None = None) -> OperationRefused:
    return OperationRefused([coded_error(code or problem.code, message)], problem)
