// Schema and resolvers of both servers: accounts from the database file, and login.
import bcrypt from "bcrypt";
import Database from "better-sqlite3";

const WITH_ROLES = `
  SELECT users.id, users.username, roles.name AS role FROM users
  LEFT JOIN user_roles ON user_roles.user_id = users.id
  LEFT JOIN roles ON roles.id = user_roles.role_id`;

const db = new Database(process.env.PEER_DATABASE);
const byId = db.prepare(`${WITH_ROLES} WHERE users.id = ?`);
const page = db.prepare(
  `${WITH_ROLES} WHERE users.id IN (SELECT id FROM users ORDER BY id DESC LIMIT ?)
   ORDER BY users.id DESC`,
);
const credentials = db.prepare("SELECT id, password_hash FROM users WHERE username_key = ?");

export const secret = process.env.PEER_SECRET;

export const typeDefs = `
  type Role { name: String! }
  type User { id: ID! username: String! roles: [Role!]! }
  type UserConnection { nodes: [User!]! }
  type Tokens { accessToken: String! }
  type UserError { code: String! }
  type LoginPayload { tokens: Tokens errors: [UserError!]! }
  input LoginInput { username: String! password: String! }
  type Query { me: User users(first: Int!): UserConnection! }
  type Mutation { login(input: LoginInput!): LoginPayload! }
`;

export const resolvers = (sign) => ({
  Query: {
    me: (_, __, { viewer }) => (viewer ? users(byId.all(viewer.sub))[0] : null),
    users: (_, { first }, { viewer }) => {
      if (!viewer) throw new Error("Log in first.");
      return { nodes: users(page.all(first)) };
    },
  },
  Mutation: {
    login: async (_, { input }) => {
      const user = credentials.get(input.username);
      if (!user || !(await bcrypt.compare(input.password, user.password_hash))) {
        return { tokens: null, errors: [{ code: "INVALID_CREDENTIALS" }] };
      }
      return { tokens: { accessToken: sign({ sub: user.id }) }, errors: [] };
    },
  },
});

// One row per role; the rows of a user are adjacent.
function users(rows) {
  const found = [];
  let user;
  for (const { id, username, role } of rows) {
    if (user?.id !== id) found.push((user = { id, username, roles: [] }));
    if (role) user.roles.push({ name: role });
  }
  return found;
}
