// graphql-eslint with its strictest rules for Postern's schema and the documents of this example.
// Run it in the top folder:
// npx --prefix examples/typed eslint -c examples/typed/eslint.config.mjs schema.graphql \
//   examples/typed/documents

import graphql from "@graphql-eslint/eslint-plugin";

const { configs } = graphql;
const rule = (name) => `@graphql-eslint/${name}`;

const SCHEMA = {
  ...configs["flat/schema-all"].rules,
  ...configs["flat/schema-relay"].rules,

  // All elements of the schema need a description.
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
  // Connections have `nodes` and `edges`, and there is no `node(id:)`.
  [rule("relay-edge-types")]: [
    "error",
    { withEdgeSuffix: true, shouldImplementNode: false, listTypeCanWrapOnlyEdgeType: false },
  ],
  // Lists of sessions and invitations have forward pagination only.
  [rule("relay-arguments")]: ["error", { includeBoth: false }],
  // Results, pages and embedded values have no ID.
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
  // Deprecated names are removed in the next major version, which has no date yet.
  [rule("require-deprecation-date")]: "off",
  // `User.username` is the common name.
  [rule("no-typename-prefix")]: "off",
  // Fields have a reading order: the ID first, times last.
  [rule("alphabetize")]: "off",
  // The schema needs mutations.
  [rule("no-root-type")]: "off",
  // An old convention of Relay. A payload returns the changed object.
  [rule("require-field-of-type-query-in-mutation-result")]: "off",
  // Only fields that can be refused are nullable. Public payloads are not.
  [rule("require-nullable-result-in-root")]: "off",
};

const DOCUMENTS = {
  ...configs["flat/operations-all"].rules,

  // Off, and why: operations are in the order of their use, in one file.
  [rule("alphabetize")]: "off",
  [rule("lone-executable-definition")]: "off",
  [rule("match-document-filename")]: "off",
  [rule("require-import-fragment")]: "off",
  // A fragment gives a type a name, even if it is used once.
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
