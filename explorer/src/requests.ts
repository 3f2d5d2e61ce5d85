import { API } from "./page";

// For the mutations of the panel, which other requests wait for.
const TIMEOUT_MS = 5_000;

export interface GraphQLFailure {
  message: string;
  path?: (string | number)[];
  extensions?: { code?: string; reason?: string };
}

export interface Result<Data = Record<string, unknown>> {
  data?: Data | null;
  errors?: GraphQLFailure[];
}

export type Headers = Record<string, string>;

export interface Operation {
  query: string;
  variables?: unknown;
  operationName?: string | null;
}

/** Sends an operation. Throws if the response is not JSON. */
export async function post<Data = Record<string, unknown>>(
  operation: Operation,
  headers: Headers = {},
  init: RequestInit = {},
): Promise<Result<Data>> {
  const reply = await fetch(API, {
    method: "POST",
    credentials: "omit",
    ...init,
    headers: {
      Accept: "application/graphql-response+json, application/json;q=0.9",
      "Content-Type": "application/json",
      ...headers,
    },
    body: JSON.stringify(operation),
  });
  const body = await reply.text();
  try {
    return JSON.parse(body);
  } catch {
    throw new Error(`The server returned ${reply.status} without a GraphQL response.`);
  }
}

/** Sends a mutation of the panel. Throws if the response has no payload. */
export async function mutate<Payload>(
  query: string,
  variables: unknown,
  headers: Headers = {},
): Promise<Payload> {
  const operation = { query, variables };
  const { data, errors } = await post<Record<string, Payload | null>>(operation, headers, {
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const payload = data && Object.values(data)[0];
  if (payload) return payload;
  throw new Error(errors?.[0]?.message ?? "The server returned no data.");
}

export function bearer(token: string | undefined): Headers {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

export function hasAuthorization(headers: Headers): boolean {
  return Object.keys(headers).some((name) => name.toLowerCase() === "authorization");
}

export function messageOf(error: unknown): string {
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return `The server did not answer within ${TIMEOUT_MS / 1000} seconds.`;
  }
  return error instanceof Error ? error.message : String(error);
}
