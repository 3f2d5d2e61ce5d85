// A typed client of Postern. It sends the hash of each document instead of its text.

import type { TypedDocumentString } from "../generated/client/graphql.js";
import type { PairFragment, ProblemFragment } from "../generated/client/graphql.js";
import { LogInDocument, RefreshDocument } from "../generated/client/graphql.js";

/** A GraphQL error, which the client must handle. */
export interface CodedError {
  message: string;
  path?: (string | number)[];
  extensions: { code: string; reason?: string; required?: string };
}

export interface Result<Data> {
  /** Partial if a field was refused: see `errors`. */
  data: Data | null;
  errors: CodedError[];
}

/** Errors that the user can fix; `code` is an enum. */
export class Refusal extends Error {
  readonly problems: ProblemFragment[];

  constructor(problems: ProblemFragment[]) {
    super(problems.map((problem) => problem.message).join(" "));
    this.problems = problems;
  }
}

export class Client {
  #tokens: PairFragment | undefined;
  // The key of a refresh without a reply: a repetition with this key returns the same tokens.
  #refreshKey: string | undefined;

  constructor(readonly url: string) {}

  async logIn(username: string, password: string): Promise<void> {
    // A refresh token of an earlier session proves a known device, so that wrong
    // passwords of strangers do not delay this sign-in.
    const refreshToken = this.#tokens?.refreshToken ?? null;
    const input = { username, password, refreshToken };
    const { data } = await this.run(LogInDocument, { input });
    this.#keep(data?.login);
  }

  /** Exchanges the refresh token. Call it before the access token expires (`expiresIn`). */
  async refresh(): Promise<void> {
    const refreshToken = this.#tokens?.refreshToken ?? null;
    this.#refreshKey ??= crypto.randomUUID();
    const headers = { "Idempotency-Key": this.#refreshKey };
    const { data } = await this.run(RefreshDocument, { input: { refreshToken } }, headers);
    this.#keep(data?.refreshTokens);
    this.#refreshKey = undefined;
  }

  async run<Data, Variables>(
    document: TypedDocumentString<Data, Variables>,
    variables: Variables,
    extraHeaders: Record<string, string> = {},
  ): Promise<Result<Data>> {
    const headers: Record<string, string> = { ...extraHeaders, "Content-Type": "application/json" };
    if (this.#tokens) headers["Authorization"] = `Bearer ${this.#tokens.accessToken}`;
    const body = JSON.stringify({ documentId: document.__meta__?.["hash"], variables });
    const reply = await fetch(this.url, { method: "POST", headers, body });
    const { data = null, errors = [] } = (await reply.json()) as Partial<Result<Data>>;
    return { data, errors };
  }

  #keep(payload?: { tokens: PairFragment | null; errors: ProblemFragment[] }): void {
    if (!payload) throw new Error("Postern did not answer.");
    if (!payload.tokens) throw new Refusal(payload.errors);
    this.#tokens = payload.tokens;
  }
}
