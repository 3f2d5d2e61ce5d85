import { API } from "./page";

// What is never answered must not hold up what waits for it.
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

/** Sends an operation. Throws where no GraphQL comes back. */
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
    throw new Error(`The server answered ${reply.status}, and no GraphQL.`);
  }
}

/** Sends one of the panel's own mutations. Throws where its payload does not come back. */
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
  throw new Error(errors?.[0]?.message ?? "The server answered nothing.");
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
