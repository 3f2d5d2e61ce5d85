import { type GraphiQLPlugin, useGraphiQL, useGraphiQLActions } from "@graphiql/react";
import { GraphiQL, HISTORY_PLUGIN } from "graphiql";
import { useEffect } from "react";

import { fetcher } from "./fetcher";
import { AccountIcon } from "./panel/AccountIcon";
import { AccountPanel } from "./panel/AccountPanel";
import { SchemaProblem, useSchema } from "./schema";
import { storage } from "./storage";

const ACCOUNT: GraphiQLPlugin = { title: "Account", icon: AccountIcon, content: AccountPanel };
const PLUGINS = [ACCOUNT, HISTORY_PLUGIN];

const WELCOME = `# Welcome to Postern.
#
# 1. Sign in on the left.
# 2. Press the play button
#    to run this query.
#
# Hover over a field to see
# its requirements.

query Me {
  me {
    id
    username
    email
    roles { name }
    permissions
  }
}
`;

export function Explorer() {
  const { schema, problem } = useSchema();
  return (
    <SchemaProblem value={problem}>
      <GraphiQL
        fetcher={fetcher}
        schema={schema}
        plugins={PLUGINS}
        visiblePlugin={ACCOUNT}
        defaultQuery={WELCOME}
        storage={storage}
        shouldPersistHeaders={false}
        showPersistHeadersSettings={false}
      >
        <GraphiQL.Logo>
          <Logo />
        </GraphiQL.Logo>
      </GraphiQL>
    </SchemaProblem>
  );
}

function Logo() {
  useThemeOfSystem();
  return <span className="account-logo">Postern</span>;
}

// GraphiQL reads the system's theme only once, so its editors would not follow a change.
function useThemeOfSystem(): void {
  const chosen = useGraphiQL((state) => state.theme);
  const { setTheme } = useGraphiQLActions();
  useEffect(() => {
    if (chosen !== null) return;
    const system = window.matchMedia("(prefers-color-scheme: dark)");
    const follow = () => setTheme(null);
    system.addEventListener("change", follow);
    return () => system.removeEventListener("change", follow);
  }, [chosen, setTheme]);
}
