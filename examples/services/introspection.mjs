// Asks Postern whether a token still works at this moment (RFC 7662).
//
// For the few acts that must not happen after a session has ended. The service has an account of
// its own, with a role that permits `tokens:introspect` and nothing else.

/** Postern cannot be asked, or does not let this service ask: nobody knows. */
export class IntrospectionUnavailable extends Error {}

/** Postern's `/introspect`, with the account of this service. */
export class Introspection {
  #url;
  #account;
  #ownToken = Promise.resolve("");

  constructor(url, { username, password }) {
    this.#url = url;
    this.#account = { grant_type: "password", username, password };
  }

  /** Whether the token works now. Throws IntrospectionUnavailable. */
  async isActive(token) {
    try {
      const own = this.#ownToken;
      let reply = await this.#post("/introspect", { token }, await own.catch(() => ""));
      if (reply.status === 401) {
        // Its own token has expired; many who notice at once log in once.
        if (this.#ownToken === own) this.#ownToken = this.#logIn();
        reply = await this.#post("/introspect", { token }, await this.#ownToken);
      }
      if (!reply.ok) throw new Error(`Postern answered ${reply.status}`);
      return (await reply.json()).active === true;
    } catch (error) {
      throw new IntrospectionUnavailable("Postern cannot be asked", { cause: error });
    }
  }

  async #logIn() {
    const reply = await this.#post("/token", this.#account);
    if (!reply.ok) throw new Error(`Postern answered ${reply.status}`);
    return (await reply.json()).access_token;
  }

  #post(path, form, bearer) {
    const headers = bearer === undefined ? {} : { Authorization: `Bearer ${bearer}` };
    const signal = AbortSignal.timeout(2_000);
    const body = new URLSearchParams(form);
    return fetch(this.#url + path, { method: "POST", headers, body, signal });
  }
}
