// Verifies Postern's access tokens by its public keys: no database and no call per request.
//
// What this cannot see: a token says what was true when it was signed. A session that has ended, a
// disabled account or a role that was taken away stays good here until the token's `exp`, half an
// hour later at most by default. `introspection.mjs` asks for those acts that must not wait.

import { createLocalJWKSet, errors, jwtVerify } from "jose";

// RFC 8725, 3.1: the algorithms are ours to choose, never the token's. None of them is symmetric,
// so that a public key cannot pass for a secret.
const ALGORITHMS = ["ES256", "RS256", "EdDSA"];
const CLAIMS = ["iss", "aud", "exp", "iat", "sub", "sid", "jti"];

/** The token proves nothing. */
export class InvalidToken extends Error {}

/** Postern cannot be asked for the key: the token is neither good nor bad. */
export class KeysUnavailable extends Error {}

/**
 * The public keys at a JWKS address, fetched when they are needed; all times in milliseconds.
 *
 * Keys are fresh for five minutes. While Postern is away those that are known go on for an hour: no
 * token of its lives longer. An unknown `kid` makes one request, and then none for the cool-down,
 * so that strangers cannot make this service call Postern all the time. (`createRemoteJWKSet` of
 * jose does the same but for the hour: with it nothing is verified once its cache is old.)
 */
export class KeySet {
  #url;
  #times;
  #kids = new Set();
  #find;
  #fetchedAt = -Infinity;
  #triedAt = -Infinity;
  #fetching;

  constructor(url, { fresh = 300_000, known = 3_600_000, coolDown = 5_000 } = {}) {
    this.#url = url;
    this.#times = { fresh, known, coolDown };
  }

  /** The key for a protected header, as `jwtVerify` asks for it. */
  async find(header, token) {
    const { kid } = header;
    if (typeof kid !== "string") throw new InvalidToken("No key is named.");
    if (this.#needsFetching(kid)) this.#fetching ??= this.#fetch();
    await this.#fetching;
    if (age(this.#fetchedAt) < this.#times.known && this.#kids.has(kid)) {
      return this.#find(header, token);
    }
    if (this.#fetchedAt < this.#triedAt) throw new KeysUnavailable();
    throw new InvalidToken("The key is not known.");
  }

  #needsFetching(kid) {
    const isSettled = this.#kids.has(kid) && age(this.#fetchedAt) < this.#times.fresh;
    return !isSettled && age(this.#triedAt) >= this.#times.coolDown;
  }

  async #fetch() {
    const triedAt = performance.now();
    this.#triedAt = triedAt;
    try {
      const reply = await fetch(this.#url, { signal: AbortSignal.timeout(2_000) });
      if (!reply.ok) return;
      const { keys } = await reply.json();
      const usable = keys.filter((key) => ALGORITHMS.includes(key.alg) && key.use === "sig");
      // Keys that are gone were revoked, or have nothing left to verify.
      this.#find = createLocalJWKSet({ keys: usable });
      this.#kids = new Set(usable.map((key) => key.kid));
      this.#fetchedAt = triedAt;
    } catch {
      // Away, or no JWKS: what is known goes on.
    } finally {
      this.#fetching = undefined;
    }
  }
}

function age(since) {
  return performance.now() - since;
}

/** Verifies tokens of one issuer that are meant for one audience. */
export class Verifier {
  #keys;
  #expected;

  constructor(keys, { issuer, audience }) {
    this.#keys = keys;
    // RFC 9068, 4: no other JWT of the issuer passes for an access token.
    const fixed = { typ: "at+jwt", algorithms: ALGORITHMS, requiredClaims: CLAIMS };
    this.#expected = { issuer, audience, ...fixed };
  }

  /** What the token says, once it is proved. Throws InvalidToken, KeysUnavailable. */
  async verify(token) {
    try {
      const find = (header, jws) => this.#keys.find(header, jws);
      const { payload } = await jwtVerify(token, find, this.#expected);
      return {
        userId: payload.sub,
        sessionId: payload.sid,
        roles: new Set(payload.roles ?? []),
        scope: new Set((payload.scope ?? "").split(" ").filter(Boolean)),
      };
    } catch (error) {
      if (error instanceof errors.JOSEError) throw new InvalidToken(error.code);
      throw error;
    }
  }
}
