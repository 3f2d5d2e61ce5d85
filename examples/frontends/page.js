// A page where the user stays signed in after a reload.
import { createClient, me } from "./fetch.js";
import { listen } from "./session-events.js";
import { Session } from "./session.js";

// Never read the server from the URL of the page: a link could name a server of an attacker.
const { content } = /** @type {HTMLMetaElement} */ (document.querySelector("meta[name=postern]"));
const session = new Session(content, "COOKIE");
const ask = createClient(session);

const form = /** @type {HTMLFormElement} */ (element("sign-in"));

session.onChange(({ kind, reason }) => {
  show();
  if (kind !== "refreshed") showMessage(reason ? `Signed out: ${reason}` : "");
});
listen(session);

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const typed = new FormData(form);
  attempt(() => signIn(String(typed.get("username")), String(typed.get("password"))));
});
element("ask").addEventListener("click", () =>
  attempt(async () => showMessage(`The server says: ${(await me(ask))?.username ?? "signed out"}.`)),
);
element("sign-out").addEventListener("click", () => attempt(() => session.signOut()));

await attempt(() => session.resume());
show();

/** @param {string} username @param {string} password */
async function signIn(username, password) {
  const errors = await session.signIn(username, password);
  if (errors.length === 0) return form.reset();
  showMessage(errors.map(({ message }) => message).join(" "));
  const seconds = Math.max(...errors.map(({ retryAfter }) => retryAfter ?? 0));
  const button = /** @type {HTMLButtonElement} */ (form.querySelector("button"));
  button.disabled = seconds > 0;
  setTimeout(() => (button.disabled = false), seconds * 1000);
}

/**
 * Runs an action, and shows its error. The user stays signed in if the server is unavailable.
 * @param {() => unknown} action
 */
async function attempt(action) {
  try {
    await action();
  } catch (error) {
    showMessage(`That did not work: ${error instanceof Error ? error.message : error}`);
  }
}

function show() {
  form.hidden = session.user !== null;
  element("account").hidden = session.user === null;
  element("name").textContent = session.user?.username ?? "";
}

function showMessage(/** @type {string} */ text) {
  element("message").textContent = text;
}

function element(/** @type {string} */ id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}
