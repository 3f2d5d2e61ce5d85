import { useSyncExternalStore } from "react";

import { accounts, type Accounts } from "./accounts";

/** The accounts; whoever uses them is drawn anew when they change. */
export function useAccounts(): Accounts {
  useSyncExternalStore(accounts.listen, () => accounts.version);
  return accounts;
}
