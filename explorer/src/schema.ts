import type { GraphQLSchema } from "graphql";
import { createContext, useEffect, useState } from "react";

import { accounts } from "./accounts";
import { SCHEMA, SCHEMA_NEEDS_ACCOUNT } from "./page";
import { bearer, messageOf } from "./requests";
import { schemaWithRequirements } from "./requirements";
import { useAccounts } from "./useAccounts";

/** Why the schema is missing; empty if it is loaded. */
export const SchemaProblem = createContext("");

/** Loads the schema as soon as it may be read. Returns it, or the problem. */
export function useSchema(): { schema: GraphQLSchema | null; problem: string } {
  const [schema, setSchema] = useState<GraphQLSchema | null>(null);
  const [problem, setProblem] = useState("");
  const { active } = useAccounts();
  const mayRead = !SCHEMA_NEEDS_ACCOUNT || active !== undefined;
  useEffect(() => {
    if (schema || !mayRead) return;
    read().then(
      (found) => {
        setSchema(found);
        setProblem("");
      },
      (error: unknown) => setProblem(`The schema could not be loaded: ${messageOf(error)}`),
    );
  }, [schema, mayRead, active]);
  return { schema, problem: mayRead ? problem : "Sign in to see the schema of this server." };
}

async function read(): Promise<GraphQLSchema> {
  const token = SCHEMA_NEEDS_ACCOUNT ? await accounts.active?.freshToken() : undefined;
  const reply = await fetch(SCHEMA, { headers: bearer(token), credentials: "omit" });
  if (!reply.ok) throw new Error(`the server returned ${reply.status}.`);
  return schemaWithRequirements(await reply.text());
}
