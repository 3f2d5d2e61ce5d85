// What the server wrote into the page (graph/explorer/page.py).
const root = document.getElementById("explorer");
if (!root) throw new Error("The page has no place for the explorer.");

export const PLACE = root;
export const USERNAME = root.dataset.username ?? "";
export const PASSWORD = root.dataset.password ?? "";
export const SCHEMA_NEEDS_ACCOUNT = root.dataset.schemaNeeds === "account";

// The page is at the address of the API itself.
export const API = window.location.pathname;
export const SOCKET = `${window.location.origin.replace(/^http/, "ws")}${API}`;
export const SCHEMA = new URL("explorer/schema.graphql", window.location.href).href;
