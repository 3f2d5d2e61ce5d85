// Asks Postern for what a session needs, and tells whether it answered at all.

const REPLIES_WITHIN_MS = 10_000;
// A reply that got lost is asked for again while the server still gives the same one (10 s).
const PAUSES_SECONDS = [0.5, 1, 2];
const LONGEST_PAUSE_SECONDS = 5;

/** The server gave no answer, or none that decides anything: nobody is signed out by that. */
export class Unavailable extends Error {
  /** @param {string} message @param {number} [retryAfter] in seconds */
  constructor(message, retryAfter) {
    super(message);
    this.retryAfter = retryAfter;
  }
}

/** @typedef {{ url: string, credentials: RequestCredentials }} Server */

/**
 * The `data` of the reply. Rejects with Unavailable.
 * @param {Server} server @param {string} query @param {object} variables
 * @param {string | null} [token]
 */
export async function ask({ url, credentials }, query, variables, token) {
  const reply = await fetch(url, {
    method: "POST",
    credentials,
    headers: {
      "Content-Type": "application/json",
      ...(token && { Authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ query, variables }),
    signal: AbortSignal.timeout(REPLIES_WITHIN_MS),
  }).catch((error) => {
    throw new Unavailable(String(error));
  });
  const retryAfter = Number(reply.headers.get("Retry-After")) || undefined;
  if (!reply.ok) throw new Unavailable(`The server answered ${reply.status}.`, retryAfter);
  const { data, errors } = await reply.json();
  if (!data) throw new Unavailable(errors[0].message, errors[0].extensions?.retryAfter);
  return data;
}

/**
 * The same, after a pause if the server is away: after the one that it names, if it names one.
 * @param {Server} server @param {string} query @param {object} variables
 */
export async function askAgain(server, query, variables) {
  for (const pause of PAUSES_SECONDS) {
    try {
      return await ask(server, query, variables);
    } catch (error) {
      const seconds = (error instanceof Unavailable && error.retryAfter) || pause;
      if (seconds > LONGEST_PAUSE_SECONDS) throw error;
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    }
  }
  return ask(server, query, variables);
}
