import type { CodegenConfig } from "@graphql-codegen/cli";

const config: CodegenConfig = {
  // Or what `postern schema export` prints, with own fields in it.
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
    // The client preset: what src/ uses. The manifest is for POSTERN_TRUSTED_DOCUMENTS.
    "generated/client/": {
      preset: "client",
      config: { documentMode: "string" },
      presetConfig: { fragmentMasking: false, persistedDocuments: true },
    },
    // The two plain plugins, for those who use them. Each writes the enums: in one file they clash.
    "generated/schema.ts": { plugins: ["typescript"] },
    "generated/operations.ts": { plugins: ["typescript-operations"] },
  },
};

export default config;
