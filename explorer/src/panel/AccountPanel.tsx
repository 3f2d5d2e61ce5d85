import { useContext, useEffect, useRef, useState } from "react";

import { SchemaProblem } from "../schema";
import { useAccounts } from "../useAccounts";
import { AccountChoice } from "./AccountChoice";
import { ActiveAccount } from "./ActiveAccount";
import { RegisterForm } from "./RegisterForm";
import { SignInForm } from "./SignInForm";

type Form = "sign in" | "register" | "none";

/** The panel "Account": the signed-in accounts, and the forms to sign in and register. */
export function AccountPanel() {
  const { active, sessions, status } = useAccounts();
  const [form, setForm] = useState<Form>(sessions.length ? "none" : "sign in");
  const [focuses, setFocuses] = useState(false);
  const name = useRef<HTMLHeadingElement>(null);
  const problem = useContext(SchemaProblem);
  useEffect(() => {
    // The form that had the focus is gone.
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
      <AccountForm form={form} focuses={focuses} show={show} />
    </section>
  );
}

interface FormProps {
  form: Form;
  focuses: boolean;
  show: (next: Form) => void;
}

function AccountForm({ form, focuses, show }: FormProps) {
  const done = () => show("none");
  const signIn = () => show("sign in");
  switch (form) {
    case "none":
      return (
        <button type="button" onClick={signIn}>
          Add an account
        </button>
      );
    case "sign in":
      return <SignInForm focuses={focuses} onDone={done} onRegister={() => show("register")} />;
    case "register":
      return <RegisterForm onDone={done} onSignIn={signIn} />;
  }
}
