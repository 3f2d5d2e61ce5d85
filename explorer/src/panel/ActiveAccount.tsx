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

/** The chosen account: its roles, until when its token lasts, and what goes along. */
export function ActiveAccount({ session, heading, onEmpty }: Props) {
  useEffect(() => {
    // Whoever signed out, or in again, had the focus on what is gone now.
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
            <dt>Access until</dt>
            <dd>
              <Countdown until={session.expiresAt} />
            </dd>
            <dt>Sent along</dt>
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
          <SignOut label="Forget" session={session} onEmpty={onEmpty} />
        </>
      )}
    </section>
  );
}

function SentHeader() {
  const typed = useGraphiQL((state) => state.tabs[state.activeTabIndex]?.headers ?? "");
  return writesAuthorization(typed) ? (
    <>the Authorization of the Headers tab, which wins over Account</>
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
