// node dist/src/main.js http://localhost:8000/graphql alice secret123

import { MeDocument, UsersDocument } from "../generated/client/graphql.js";
import type { UserErrorCode } from "../generated/client/graphql.js";
import { Client, Refusal } from "./client.js";

declare const process: { argv: string[] };

const [, , url = "", username = "", password = ""] = process.argv;
const client = new Client(url);

try {
  await client.logIn(username, password);
  await client.refresh();
  const me = await client.run(MeDocument, {});
  const users = await client.run(UsersDocument, { first: 2 });
  print({
    me: me.data?.me?.username,
    roles: me.data?.me?.roles.map((role) => role.name),
    users: users.data?.users?.nodes.map((user) => user.username),
    more: users.data?.users?.pageInfo.hasNextPage,
    denied: users.errors.map((error) => error.extensions.required),
  });
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  print({ refused: error.problems.map((problem) => inWords(problem.code)) });
}

function inWords(code: UserErrorCode): string {
  switch (code) {
    case "INVALID_CREDENTIALS":
      return "That is not your password.";
    case "RATE_LIMITED":
      return "Wait a little.";
    default:
      return code;
  }
}

function print(what: object): void {
  console.log(JSON.stringify(what));
}
