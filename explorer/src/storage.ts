import type { Storage } from "@graphiql/toolkit";

// A bearer token must not stay behind in the browser. The page keeps its tabs and its theme; its
// history of requests, headers and all, lives as long as the page.
const kept = new Set(["graphiql:tabState", "graphiql:theme"]);
const memory = new Map<string, string>();

const place = (key: string) =>
  kept.has(key)
    ? {
        get: () => localStorage.getItem(key),
        set: (value: string) => localStorage.setItem(key, value),
        remove: () => localStorage.removeItem(key),
      }
    : {
        get: () => memory.get(key) ?? null,
        set: (value: string) => void memory.set(key, value),
        remove: () => void memory.delete(key),
      };

export const storage: Storage = {
  get length() {
    return memory.size;
  },
  getItem: (key) => place(key).get(),
  setItem: (key, value) => place(key).set(value),
  removeItem: (key) => place(key).remove(),
  clear: () => memory.clear(),
};
