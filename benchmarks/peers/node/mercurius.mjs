// mercurius on Fastify, with compiled queries.
import fastifyJwt from "@fastify/jwt";
import Fastify from "fastify";
import mercurius from "mercurius";

import { resolvers, secret, typeDefs } from "./resolvers.mjs";

const app = Fastify();
app.register(fastifyJwt, { secret, sign: { algorithm: "HS256", expiresIn: "30m" } });
app.register(mercurius, {
  schema: typeDefs,
  resolvers: resolvers((claims) => app.jwt.sign(claims)),
  context: async (request) => ({ viewer: await viewerOf(request) }),
  jit: 1,
});

async function viewerOf(request) {
  try {
    return await request.jwtVerify();
  } catch {
    return null;
  }
}

await app.listen({ host: "127.0.0.1", port: Number(process.env.PEER_PORT) });
