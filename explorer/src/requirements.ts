import {
  buildASTSchema,
  type ConstDirectiveNode,
  type FieldDefinitionNode,
  type GraphQLSchema,
  Kind,
  parse,
  print,
  visit,
} from "graphql";

/** Builds a schema from SDL, and explains the directives of a field in its description. */
export function schemaWithRequirements(sdl: string): GraphQLSchema {
  const document = visit(parse(sdl), { FieldDefinition: { leave: withRequirements } });
  return buildASTSchema(document, { assumeValidSDL: true });
}

function withRequirements(field: FieldDefinitionNode): FieldDefinitionNode {
  const lines = (field.directives ?? []).map(sentenceOf).filter((text) => text !== "");
  if (!lines.length) return field;
  // Field lists show the first paragraph only. A backslash breaks lines within a paragraph.
  const value = [field.description?.value, ...lines.sort().reverse()].filter(Boolean).join("\\\n");
  return { ...field, description: { kind: Kind.STRING, value, block: true } };
}

function sentenceOf(directive: ConstDirectiveNode): string {
  switch (directive.name.value) {
    case "deprecated":
      return "";
    case "public":
      return "**Requires** nothing: public.";
    case "authenticated":
      return "**Requires** a signed-in user.";
    case "requires":
      return `**Requires** the permission ${argument(directive)}.`;
    case "requiresRole":
      return `**Requires** the role ${argument(directive)}.`;
    case "requiresSelfOr":
      return `**Requires** the user's own account or the permission ${argument(directive)}.`;
    case "fails":
      return argument(directive) && `**May fail with** ${argument(directive)}.`;
    default:
      return `\`${print(directive)}\``;
  }
}

function argument(directive: ConstDirectiveNode): string {
  const value = directive.arguments?.[0]?.value;
  if (value?.kind === Kind.LIST) return value.values.map((item) => `\`${print(item)}\``).join(", ");
  return value?.kind === Kind.STRING ? `\`${value.value}\`` : "";
}
