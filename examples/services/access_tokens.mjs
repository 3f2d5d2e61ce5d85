// Verifies Postern's access tokens with its public keys, without a call per request.
//
// A token contains the state at the time of issue. An ended session, a disabled user or a removed
// role is accepted here until the token expires, after half an hour by default. Use
// `introspection.mjs` for operations that must not accept them.

import { createLocalJWKSet, errors, jwtVerify } from "jose";

// RFC 8725, 3.1: the token must not choose the algorithm. None of these is symmetric, so a public
// key cannot be used as a secret.
const ALGORITHMS = ["ES256", "RS256", "EdDSA"];
const CLAIMS = ["iss", "aud", "exp", "iat", "sub", "sid", "jti"];

/** The token is not valid. */
export class InvalidToken extends Error {}

/** The keys cannot be loaded, so the token can be neither accepted nor refused. */
export class KeysUnavailable extends Error {}

/**
 * The public keys at a JWKS address, loaded when they are needed; all times in milliseconds.
 *
 * Keys are used for five minutes. While Postern is unavailable, known keys are used for up to an
 * hour: no access token lives longer. An unknown `kid` causes one request, and then none during the
 * cool-down, so that strangers cannot make this service call Postern all the time. (Unlike this
 * class, `createRemoteJWKSet` of jose does not use known keys during an outage.)
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

  /** Returns the key for a protected header, for `jwtVerify`. */
  async find(header, token) {
    const { kid } = header;
    if (typeof kid !== "string") throw new InvalidToken("The key ID is missing.");
    if (this.#needsFetching(kid)) this.#fetching ??= this.#fetch();
    await this.#fetching;
    if (age(this.#fetchedAt) < this.#times.known && this.#kids.has(kid)) {
      return this.#find(header, token);
    }
    if (this.#fetchedAt < this.#triedAt) throw new KeysUnavailable();
    throw new InvalidToken("The key is unknown.");
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
      // Missing keys were revoked, or all their tokens have expired.
      this.#find = createLocalJWKSet({ keys: usable });
      this.#kids = new Set(usable.map((key) => key.kid));
      this.#fetchedAt = triedAt;
    } catch {
      // Unavailable, or not a JWKS: the known keys are used.
    } finally {
      this.#fetching = undefined;
    }
  }
}

function age(since) {
  return performance.now() - since;
}

/** Verifies tokens of one issuer for one audience. */
export class Verifier {
  #keys;
  #expected;

  constructor(keys, { issuer, audience }) {
    this.#keys = keys;
    // RFC 9068, 4: other JWTs of the issuer are not access tokens.
    const fixed = { typ: "at+jwt", algorithms: ALGORITHMS, requiredClaims: CLAIMS };
    this.#expected = { issuer, audience, ...fixed };
  }

  /** Returns the claims of a valid token. Throws InvalidToken, KeysUnavailable. */
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
