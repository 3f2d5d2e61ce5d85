// Sends the requests of a session, and reports whether the server answered.

const REPLIES_WITHIN_MS = 10_000;
// A refresh without a reply is repeated after this time.
const TRY_REPLIES_WITHIN_MS = 2_000;
const LONGEST_PAUSE_SECONDS = 10;
const PAUSES_SECONDS = [0.5, 1, 2];

/** The server did not answer, or is unavailable. The user stays signed in. */
export class Unavailable extends Error {
  /** @param {string} message @param {number} [retryAfter] in seconds */
  constructor(message, retryAfter) {
    super(message);
    this.retryAfter = retryAfter;
  }
}

/** The documents of a manifest by their IDs. @typedef {Record<string, string>} Manifest */
/**
 * @typedef {{ url: string, credentials: RequestCredentials, trustedDocuments: Manifest }} Server
 */

/**
 * Returns what to send for a document: its ID if the manifest has it, or its text.
 * @param {{ trustedDocuments: Manifest }} server @param {string} query
 * @returns {{ query: string } | { documentId: string }}
 */
export function documentOf({ trustedDocuments }, query) {
  const found = Object.entries(trustedDocuments).find(([, text]) => text === query);
  return found ? { documentId: found[0] } : { query };
}

/**
 * Runs an operation and returns `data` of the reply. Rejects with Unavailable.
 * @param {Server} server @param {string} query @param {object} variables
 * @param {{ token?: string | null, withinMs?: number, idempotencyKey?: string }} [options]
 */
export async function ask(server, query, variables, options = {}) {
  const { url, credentials } = server;
  const { token, withinMs = REPLIES_WITHIN_MS, idempotencyKey } = options;
  const request = {
    method: "POST",
    credentials,
    headers: {
      "Content-Type": "application/json",
      ...(token && { Authorization: `Bearer ${token}` }),
      ...(idempotencyKey && { "Idempotency-Key": idempotencyKey }),
    },
    body: JSON.stringify({ ...documentOf(server, query), variables }),
    signal: AbortSignal.timeout(withinMs),
  };
  const reply = await orUnavailable(fetch(url, request));
  const retryAfter = Number(reply.headers.get("Retry-After")) || undefined;
  if (!reply.ok) throw new Unavailable(`The server answered ${reply.status}.`, retryAfter);
  // A 200 may be incomplete, or the login page of a Wi-Fi network.
  const result = await orUnavailable(reply.json());
  if (result?.data) return result.data;
  const error = result?.errors?.[0];
  const message = error?.message ?? "The reply is not a GraphQL response.";
  throw new Unavailable(message, error?.extensions?.retryAfter);
}

/**
 * Runs an operation, and repeats it with the same key while the server is unavailable. Waits for
 * `Retry-After` between the tries. Rejects with Unavailable after a few tries.
 * @param {Server} server @param {string} query @param {object} variables
 * @param {string} idempotencyKey
 */
export async function askAgain(server, query, variables, idempotencyKey) {
  const options = { withinMs: TRY_REPLIES_WITHIN_MS, idempotencyKey };
  for (const pause of PAUSES_SECONDS) {
    try {
      return await ask(server, query, variables, options);
    } catch (error) {
      const seconds = (error instanceof Unavailable && error.retryAfter) || pause;
      if (seconds > LONGEST_PAUSE_SECONDS) throw error;
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    }
  }
  return ask(server, query, variables, options);
}

/** @template T @param {Promise<T>} answer */
function orUnavailable(answer) {
  return answer.catch((error) => {
    throw new Unavailable(String(error));
  });
}
