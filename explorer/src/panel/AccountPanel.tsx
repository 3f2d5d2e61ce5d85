import { useContext, useEffect, useRef, useState } from "react";

import { SchemaProblem } from "../schema";
import { useAccounts } from "../useAccounts";
import { AccountChoice } from "./AccountChoice";
import { ActiveAccount } from "./ActiveAccount";
import { RegisterForm } from "./RegisterForm";
import { SignInForm } from "./SignInForm";

type Form = "sign in" | "register" | "none";

/** The pane "Account": who is signed in, and how one does. */
export function AccountPanel() {
  const { active, sessions, status } = useAccounts();
  const [form, setForm] = useState<Form>(sessions.length ? "none" : "sign in");
  const [focuses, setFocuses] = useState(false);
  const name = useRef<HTMLHeadingElement>(null);
  const problem = useContext(SchemaProblem);
  useEffect(() => {
    // The form took the focus with it.
    if (form === "none" && focuses) name.current?.focus();
  }, [form, focuses]);
  const show = (next: Form) => {
    setFocuses(true);
    setForm(next);
  };
  return (
    <section className="account" aria-labelledby="account-title">
      <h2 id="account-title">Account</h2>
      <p role="status" className="account-status">
        {status}
      </p>
      {problem && <p className="account-hint">{problem}</p>}
      {sessions.length > 0 && <AccountChoice />}
      {active && (
        <ActiveAccount session={active} heading={name} onEmpty={() => show("sign in")} />
      )}
      {form === "none" && (
        <button type="button" onClick={() => show("sign in")}>
          Add an account
        </button>
      )}
      {form === "sign in" && (
        <SignInForm
          focuses={focuses}
          onDone={() => show("none")}
          onRegister={() => show("register")}
        />
      )}
      {form === "register" && (
        <RegisterForm onDone={() => show("none")} onSignIn={() => show("sign in")} />
      )}
    </section>
  );
}
