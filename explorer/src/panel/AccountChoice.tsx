import { useGraphiQL } from "@graphiql/react";

import type { Session } from "../session";
import { useAccounts } from "../useAccounts";

/** The choice of the account for operations. */
export function AccountChoice() {
  const accounts = useAccounts();
  const subscribes = useGraphiQL((state) => state.subscription !== null);
  return (
    <fieldset>
      <legend>Operations are sent as</legend>
      {[...accounts.sessions, undefined].map((session) => (
        <label key={session?.user.id ?? ""} className="account-choice">
          <input
            type="radio"
            name="account"
            checked={accounts.active === session}
            onChange={() => accounts.choose(session)}
          />
          {session ? nameOf(session) : "no account"}
        </label>
      ))}
      {subscribes && <p>A running subscription keeps the account that started it.</p>}
    </fieldset>
  );
}

function nameOf(session: Session): string {
  return session.endedBecause === null ? session.user.username : `${session.user.username} (ended)`;
}
