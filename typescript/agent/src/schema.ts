/** JSON Schemas as `spec/schema` uses them: is a value one of these, and what of it travels. */

/** What of JSON Schema the wire's schemas are made of. */
export interface Schema {
  readonly $ref?: string;
  readonly anyOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly type?: string;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly default?: unknown;
}

/** The value does not fit its schema; the message says where and why. */
export class SchemaError extends Error {
  override readonly name: string = "SchemaError";
}

/**
 * `value` as it travels: members the schema does not know, that are undefined, or that have their default are left out.
 *
 * @throws SchemaError the value does not fit.
 */
export function converted(
  value: unknown,
  schema: Schema,
  definitions: Readonly<Record<string, Schema>>,
  path = "$",
): unknown {
  if (schema.$ref !== undefined) {
    const definition = definitions[schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1)];
    if (definition === undefined) throw new SchemaError(`there is no definition ${schema.$ref}`);
    return converted(value, definition, definitions, path);
  }
  if (schema.anyOf !== undefined) return oneOf(value, schema.anyOf, definitions, path);
  if (schema.enum !== undefined) {
    if (schema.enum.includes(value)) return value;
    throw new SchemaError(`${path}: expected one of ${schema.enum.join(", ")}, got ${shown(value)}`);
  }
  if (schema.type === undefined) return value;
  if (kindOf(value) !== schema.type && !(schema.type === "number" && kindOf(value) === "integer")) {
    throw new SchemaError(`${path}: expected ${schema.type}, got ${shown(value)}`);
  }
  if (schema.type === "array" && schema.items !== undefined) {
    const { items } = schema;
    return (value as unknown[]).map((item, index) => converted(item, items, definitions, `${path}[${index}]`));
  }
  return schema.type === "object" ? members(value as Record<string, unknown>, schema, definitions, path) : value;
}

function members(
  value: Record<string, unknown>,
  schema: Schema,
  definitions: Readonly<Record<string, Schema>>,
  path: string,
): unknown {
  if (schema.properties === undefined) {
    const extra = schema.additionalProperties;
    if (typeof extra !== "object") return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, converted(item, extra, definitions, `${path}.${key}`)]),
    );
  }
  const result: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(schema.properties)) {
    const given = value[name];
    const required = schema.required?.includes(name) === true;
    if (given === undefined) {
      if (required) throw new SchemaError(`${path}: \`${name}\` is missing`);
      continue;
    }
    const read = converted(given, member, definitions, `${path}.${name}`);
    if (required || read !== member.default) result[name] = read;
  }
  return result;
}

function oneOf(
  value: unknown,
  options: readonly Schema[],
  definitions: Readonly<Record<string, Schema>>,
  path: string,
): unknown {
  let last: unknown;
  for (const option of options) {
    try {
      return converted(value, option, definitions, path);
    } catch (error) {
      if (!(error instanceof SchemaError)) throw error;
      if (last === undefined || option.type !== "null") last = error;
    }
  }
  throw last;
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isSafeInteger(value) ? "integer" : "number";
  return typeof value;
}

function shown(value: unknown): string {
  return value !== null && typeof value === "object" ? kindOf(value) : `${kindOf(value)} ${String(value)}`;
}
