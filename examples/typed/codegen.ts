import type { CodegenConfig } from "@graphql-codegen/cli";

const config: CodegenConfig = {
  // With custom fields, use the output of `postern schema export --app …`.
  schema: "../../schema.graphql",
  documents: "documents/*.graphql",
  importExtension: ".js",
  config: {
    strictScalars: true,
    scalars: { DateTime: "string" },
    enumType: "string-literal",
    useTypeImports: true,
  },
  generates: {
    // The client preset, which src/ uses. The manifest is for POSTERN_TRUSTED_DOCUMENTS.
    "generated/client/": {
      preset: "client",
      config: { documentMode: "string" },
      presetConfig: { fragmentMasking: false, persistedDocuments: true },
    },
    // The two plain plugins. Both write the enums, so each needs its own file.
    "generated/schema.ts": { plugins: ["typescript"] },
    "generated/operations.ts": { plugins: ["typescript-operations"] },
  },
};

export default config;
