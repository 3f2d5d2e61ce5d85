import type { GraphiQLPlugin } from "@graphiql/react";
import { GraphiQL, HISTORY_PLUGIN } from "graphiql";

import { fetcher } from "./fetcher";
import { AccountIcon } from "./panel/AccountIcon";
import { AccountPanel } from "./panel/AccountPanel";
import { SchemaProblem, useSchema } from "./schema";
import { storage } from "./storage";

const ACCOUNT: GraphiQLPlugin = { title: "Account", icon: AccountIcon, content: AccountPanel };
const PLUGINS = [ACCOUNT, HISTORY_PLUGIN];

const WELCOME = `# Welcome to Postern.
#
# 1. Sign in, at the left.
# 2. Play Me: the button.
#
# Point at a field to see
# what it requires.

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
          <span className="account-logo">Postern</span>
        </GraphiQL.Logo>
      </GraphiQL>
    </SchemaProblem>
  );
}
