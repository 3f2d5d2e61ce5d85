// graphql-eslint over Postern's schema and the documents beside this file, each by its strictest
// set. Run it in the top folder:
// npx --prefix examples/typed eslint -c examples/typed/eslint.config.mjs schema.graphql \
//   examples/typed/documents

import graphql from "@graphql-eslint/eslint-plugin";

const { configs } = graphql;
const rule = (name) => `@graphql-eslint/${name}`;

const SCHEMA = {
  ...configs["flat/schema-all"].rules,
  ...configs["flat/schema-relay"].rules,

  // Everything that a frontend can point at, root fields included.
  [rule("require-description")]: [
    "error",
    {
      types: true,
      rootField: true,
      FieldDefinition: true,
      InputValueDefinition: true,
      EnumValueDefinition: true,
      DirectiveDefinition: true,
    },
  ],
  // `nodes` stand beside the edges, and no object is fetched by its global id.
  [rule("relay-edge-types")]: [
    "error",
    { withEdgeSuffix: true, shouldImplementNode: false, listTypeCanWrapOnlyEdgeType: false },
  ],
  // Sessions and invitations page forwards only.
  [rule("relay-arguments")]: ["error", { includeBoth: false }],
  // What has no identity: results, pages, and values inside another object.
  [rule("strict-id-in-types")]: [
    "error",
    {
      exceptions: {
        suffixes: ["Payload", "Connection", "Edge"],
        types: ["AuditDetail", "PageInfo", "Permission", "SessionEvent", "Tokens", "UserError"],
      },
    },
  ],

  // Off, and why:
  // A deprecated name goes with the next major version, whose day is not known.
  [rule("require-deprecation-date")]: "off",
  // `User.username` is what everybody calls it.
  [rule("no-typename-prefix")]: "off",
  // Fields stand as people read them: the id first, times last.
  [rule("alphabetize")]: "off",
  // A server without mutations would log nobody in.
  [rule("no-root-type")]: "off",
  // A habit of the first Relay; a payload returns what it changed.
  [rule("require-field-of-type-query-in-mutation-result")]: "off",
  // Only what may be denied is nullable: a payload that anybody may have is always there.
  [rule("require-nullable-result-in-root")]: "off",
};

const DOCUMENTS = {
  ...configs["flat/operations-all"].rules,

  // Off, and why: an operation reads best in the order in which it is used, beside its kin.
  [rule("alphabetize")]: "off",
  [rule("lone-executable-definition")]: "off",
  [rule("match-document-filename")]: "off",
  [rule("require-import-fragment")]: "off",
  // A fragment gives a type its name, for one place too.
  [rule("no-one-place-fragments")]: "off",
};

const FILES = { schema: "schema.graphql", documents: "examples/typed/documents/*.graphql" };

export default [
  {
    files: ["**/*.graphql"],
    plugins: { "@graphql-eslint": graphql },
    languageOptions: { parser: graphql.parser, parserOptions: { graphQLConfig: FILES } },
  },
  { files: [FILES.schema], rules: SCHEMA },
  { files: [FILES.documents], rules: DOCUMENTS },
];
