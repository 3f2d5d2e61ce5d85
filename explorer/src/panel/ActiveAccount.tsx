import { useGraphiQL } from "@graphiql/react";
import { type RefObject, useEffect, useState } from "react";

import { hasAuthorization, messageOf } from "../requests";
import type { Session } from "../session";
import { useAccounts } from "../useAccounts";
import { Countdown } from "./Countdown";
import { SignInForm } from "./SignInForm";

interface SignOutProps {
  session: Session;
  onEmpty: () => void;
}

interface Props extends SignOutProps {
  heading: RefObject<HTMLHeadingElement | null>;
}

/** The selected account: roles, expiry of the token, and the header that is sent. */
export function ActiveAccount({ session, heading, onEmpty }: Props) {
  useEffect(() => {
    // The button that had the focus is gone after signing out or in again.
    if (document.activeElement === document.body) heading.current?.focus();
  }, [session, heading]);
  const { username, roles } = session.user;
  return (
    <section className="account-active" aria-labelledby="account-active-title">
      <h3 id="account-active-title" ref={heading} tabIndex={-1}>
        {username}
      </h3>
      {session.endedBecause === null ? (
        <>
          <dl>
            <dt>Roles</dt>
            <dd>{roles.map(({ name }) => name).join(", ") || "none"}</dd>
            <dt>Token expires</dt>
            <dd>
              <Countdown until={session.expiresAt} />
            </dd>
            <dt>Sent header</dt>
            <dd>
              <SentHeader />
            </dd>
          </dl>
          <SignOut label="Sign out" session={session} onEmpty={onEmpty} />
        </>
      ) : (
        <>
          <p role="alert" className="account-problem">
            {session.endedBecause}
          </p>
          <SignInForm username={username} />
          <SignOut label="Remove" session={session} onEmpty={onEmpty} />
        </>
      )}
    </section>
  );
}

function SentHeader() {
  const typed = useGraphiQL((state) => state.tabs[state.activeTabIndex]?.headers ?? "");
  return writesAuthorization(typed) ? (
    <>Authorization of the Headers tab (overrides Account)</>
  ) : (
    <code>Authorization: Bearer … (from Account)</code>
  );
}

function writesAuthorization(headers: string): boolean {
  try {
    return hasAuthorization(JSON.parse(headers));
  } catch {
    return false;
  }
}

function SignOut({ label, session, onEmpty }: SignOutProps & { label: string }) {
  const accounts = useAccounts();
  const [problem, setProblem] = useState("");
  const signOut = async () => {
    try {
      await accounts.signOut(session);
      if (!accounts.sessions.length) onEmpty();
    } catch (error) {
      setProblem(messageOf(error));
    }
  };
  return (
    <>
      <button type="button" onClick={() => void signOut()}>
        {label} {session.user.username}
      </button>
      {problem && (
        <p role="alert" className="account-problem">
          {problem}
        </p>
      )}
    </>
  );
}
