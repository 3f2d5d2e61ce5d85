// Apollo Server, standalone as in its documentation.
import { ApolloServer } from "@apollo/server";
import { startStandaloneServer } from "@apollo/server/standalone";
import jwt from "jsonwebtoken";

import { resolvers, secret, typeDefs } from "./resolvers.mjs";

const sign = (claims) => jwt.sign(claims, secret, { algorithm: "HS256", expiresIn: "30m" });

const viewerOf = (header) => {
  if (!header?.startsWith("Bearer ")) return null;
  try {
    return jwt.verify(header.slice(7), secret, { algorithms: ["HS256"] });
  } catch {
    return null;
  }
};

await startStandaloneServer(new ApolloServer({ typeDefs, resolvers: resolvers(sign) }), {
  listen: { host: "127.0.0.1", port: Number(process.env.PEER_PORT) },
  context: async ({ req }) => ({ viewer: viewerOf(req.headers.authorization) }),
});
