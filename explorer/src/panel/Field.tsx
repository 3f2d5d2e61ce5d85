import { useEffect, useId, useRef } from "react";

import type { Submission } from "./useSubmission";

interface Props {
  name: string;
  label: string;
  autoComplete: string;
  submission: Submission;
  problems: string;
  type?: "text" | "password" | "email";
  value?: string;
  required?: boolean;
  focuses?: boolean;
}

/** A labelled input. It takes the focus if its value was refused. */
export function Field({ name, label, submission, problems, value, focuses, ...input }: Props) {
  const id = useId();
  const element = useRef<HTMLInputElement>(null);
  const { errors } = submission;
  const wrong = errors.some(({ field }) => field?.at(-1) === name);
  const first = wrong && errors[0]?.field?.at(-1) === name;
  useEffect(() => {
    if (first || focuses) element.current?.focus();
  }, [first, focuses, errors]);
  return (
    <div className="account-field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        ref={element}
        name={name}
        defaultValue={value}
        aria-invalid={wrong}
        aria-describedby={wrong ? problems : undefined}
        autoCapitalize="none"
        spellCheck={false}
        {...input}
      />
    </div>
  );
}
