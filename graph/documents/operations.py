"""Prepares operations: parses, checks and compiles each document once, and caches the result."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from sys import getsizeof
from typing import Any

import strawberry
from graphql import ExecutionResult, GraphQLError

from auth.clients import Client
from auth.throttling.budgets import network_of, site_of
from graph.compiled.compiled_operation import CompiledOperation
from graph.documents.cache import DocumentCache
from graph.documents.costs import CostMeter
from graph.documents.introspection_limits import check_introspection
from graph.documents.limits import LimitPolicy, check_shape, check_variables, exceeded
from graph.documents.parsing import get_operation, parse_document, root_names
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

# Estimated memory of a cache entry: per document, per token (AST nodes), per field (closures), per
# character of an error message.
_BYTES_PER_DOCUMENT = 2_000
_BYTES_PER_TOKEN = 1_500
_BYTES_PER_FIELD = 4_000
_BYTES_PER_CHARACTER = 4
# graphql-core quotes values of any length in its messages.
_MAX_MESSAGE_LENGTH = 300
_MAX_CACHED_BYTES = 32_000_000
# Combinations of page sizes per operation that are cached as within the cost limit.
_MAX_CACHED_SIZES = 200


Execute = Callable[..., ExecutionResult | Awaitable[ExecutionResult]]


class OperationRefused(Exception):
    """The document cannot run. `errors` are in the format of the reply."""

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
        # Whether a custom scalar refused a literal. It may accept it the next time.
        self.may_change = may_change


@dataclass(frozen=True, slots=True)
class OperationPolicy:
    """Which documents run, their limits, and how they are executed."""

    introspection: bool = True
    compiled: bool = True
    trusted: TrustedDocuments = field(default_factory=TrustedDocuments)
    limits: LimitPolicy = field(default_factory=LimitPolicy)
    # The burst of processor time that one client network may use for new documents.
    preparation_seconds: float = 2.0


class Operation:
    """A prepared operation. Safe to share between requests."""

    def __init__(
        self,
        compiled: CompiledOperation,
        cost: CostMeter,
        policy: OperationPolicy,
        root_fields: frozenset[str],
        *,
        has_one_result: bool,
    ) -> None:
        """Raises GraphQLError if the cost exceeds the limit with any variables.

        An operation with the same result for every caller is run here, once.
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
        """Runs the operation. Returns its result, or an awaitable of it."""
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
        """Starts a subscription. Returns its results, or one result with the errors."""
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
            raise exceeded("cost", maximum, cost, f"The operation has a cost of {cost}")
        if len(self._affordable) < _MAX_CACHED_SIZES:
            self._affordable.add(self._cost.sizes(variables))


class Operations:
    """Prepares and caches the operations of one schema."""

    def __init__(self, schema: strawberry.Schema, policy: OperationPolicy) -> None:
        """Prepares the trusted documents. Raises InvalidManifest if one cannot run."""
        self._schema = schema
        self._core_schema = schema._schema  # noqa: SLF001 - Strawberry has no public name for it
        self._policy = policy
        self._cache = DocumentCache[Operation | OperationRefused](_MAX_CACHED_BYTES)
        self._budget = PreparationBudget(policy.preparation_seconds)
        self._site_budget = PreparationBudget(policy.preparation_seconds * NETWORKS_PER_SITE)
        self._trusted: dict[tuple[str, str | None], Operation] = {}
        for document_id, text in policy.trusted.documents.items():
            self._prepare_trusted(document_id, text)

    def __len__(self) -> int:
        return len(self._cache)

    def get(
        self,
        query: str | None,
        document_id: str | None,
        name: str | None,
        client: Client | None = None,
    ) -> Operation:
        """Returns the operation with this name, or the only one. Raises OperationRefused.

        The document is given as text, or by the ID of a trusted document. Preparing a document that
        is not in the cache is charged to the network of the client.
        """
        if document_id is not None:
            return self._get_trusted(document_id, name)
        text = query or ""
        if not self._policy.trusted.allows_text(text):
            raise _refusal(
                Problem.NOT_TRUSTED, "Only trusted documents are allowed. Send `documentId`."
            )
        prepared = self._cache.get((text, name))
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
            self._cache.put((text, name), prepared, weight)
        return prepared

    def _get_trusted(self, document_id: str, name: str | None) -> Operation:
        trusted = self._policy.trusted
        text = trusted.find(document_id)
        if text is None:
            raise _refusal(Problem.UNKNOWN_DOCUMENT, "No trusted document has this ID.")
        operation = self._trusted.get((text, name))
        if operation is None:
            raise _refusal(Problem.DOCUMENT, NO_SUCH_OPERATION, "OPERATION_RESOLUTION_FAILURE")
        return operation

    def _prepare_trusted(self, document_id: str, text: str) -> None:
        """Prepares every operation of a trusted document. Raises InvalidManifest."""
        names = names_of_operations(document_id, text)
        # Clients may omit the name of the only operation.
        for name in names if len(names) > 1 else {*names, None}:
            prepared, _ = self._prepare(text, name)
            if isinstance(prepared, OperationRefused):
                reasons = "; ".join(error["message"] for error in prepared.errors)
                raise InvalidManifest(f"the document {document_id} cannot run: {reasons}")
            self._trusted[text, name] = prepared

    def _prepare(self, text: str, name: str | None) -> tuple[Operation | OperationRefused, int]:
        """Returns the operation or its refusal, and the estimated memory in bytes."""
        limits = self._policy.limits
        try:
            document = parse_document(text, limits.tokens)
            definition = get_operation(document, name)
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
            selects_schema = check_introspection(document, definition, compiled.fields)
            cost = CostMeter(self._core_schema, document, definition)
            operation = Operation(
                compiled,
                cost,
                self._policy,
                root_names(document, definition),
                has_one_result=selects_schema and not compiled.runs_extensions,
            )
        except GraphQLError as error:
            return _refuse([error])
        weight = document.token_count * _BYTES_PER_TOKEN
        return operation, weight + compiled.max_compiled_fields * _BYTES_PER_FIELD


def _refuse(errors: Sequence[GraphQLError]) -> tuple[OperationRefused, int]:
    """Returns the refusal, and its estimated memory in bytes."""
    formatted = format_document_errors(errors[:MAX_DOCUMENT_ERRORS])
    for error in formatted:
        if len(error["message"]) > _MAX_MESSAGE_LENGTH:
            error["message"] = error["message"][:_MAX_MESSAGE_LENGTH] + "…"
    characters = sum(len(error["message"]) for error in formatted)
    may_change = any(error.original_error for error in errors)
    return OperationRefused(formatted, may_change=may_change), characters * _BYTES_PER_CHARACTER


def _may_change(prepared: Operation | OperationRefused) -> bool:
    return isinstance(prepared, OperationRefused) and prepared.may_change


def _too_many_documents(seconds: int) -> OperationRefused:
    error = coded_error(
        Problem.RATE_LIMITED.code,
        "Too many new documents from this network. Send the same documents with other variables, or"
        f" try again in {seconds} seconds.",
        retryAfter=seconds,
    )
    headers = [(b"retry-after", str(seconds).encode())]
    return OperationRefused([error], Problem.RATE_LIMITED, headers=headers)


def _refusal(problem: Problem, message: str, code: str | None = None) -> OperationRefused:
    return OperationRefused([coded_error(code or problem.code, message)], problem)
