#!/usr/bin/env bun
// Makes src/images/schema/generated/*.ts from src/images/schema/*.proto: `npm run generate`.
//
// The parser is that of protobufjs. The code is printed here, because no generator at hand keeps proto2's promises:
// - ts-proto 2.18 and protobuf-ts 2.11 leave out a required field that is zero, and protobuf-c, so CRIU, refuses a
//   message without it; neither notices that a required field is missing. ts-proto leaves out an optional zero, too.
// - protobufjs' own static modules do both, but give absent optional fields a default value through the prototype,
//   64-bit numbers as Long objects, and need its library at run time.
// - @bufbuild/protoc-gen-es describes messages at load time and walks over the description.
// What is printed has no dependency but src/images/wire.ts, and a module for each .proto file.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import protobuf from "protobufjs";

const SCHEMA = join(import.meta.dirname, "../src/images/schema");

const WIRE: Record<string, number> = {
  uint32: 0,
  int32: 0,
  sint32: 0,
  uint64: 0,
  int64: 0,
  sint64: 0,
  bool: 0,
  fixed64: 1,
  string: 2,
  bytes: 2,
};

const TYPES: Record<string, string> = {
  uint32: "number",
  int32: "number",
  sint32: "number",
  uint64: "bigint",
  int64: "bigint",
  sint64: "bigint",
  fixed64: "bigint",
  bool: "boolean",
  string: "string",
  bytes: "Uint8Array",
};

/** TypeScript's name: core_entry is CoreEntry, its enum march is CoreEntryMarch. */
function typeName(type: protobuf.ReflectionObject): string {
  const own = type.name.replace(/(?:^|_)([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  return type.parent instanceof protobuf.Type ? typeName(type.parent) + own : own;
}

function* typesIn(
  root: protobuf.NamespaceBase,
  file: string,
): Generator<protobuf.Type | protobuf.Enum, undefined> {
  for (const object of root.nestedArray) {
    if ((object instanceof protobuf.Type || object instanceof protobuf.Enum) && object.filename === file) {
      yield object;
    }
    if (object instanceof protobuf.Type) yield* typesIn(object, file);
  }
}

function printEnum(type: protobuf.Enum, print: (line: string) => void): void {
  const name = typeName(type);
  if (type.comment) print(`/** ${type.comment.replaceAll("\n", " ")} */`);
  print(`export const ${name} = {`);
  for (const [key, value] of Object.entries(type.values)) print(`  ${key}: ${value},`);
  print("} as const;");
  print(`export type ${name} = (typeof ${name})[keyof typeof ${name}];`);
  print(`export function is${name}(value: number): value is ${name} {`);
  const values = [...new Set(Object.values(type.values))].sort((a, b) => a - b);
  const ranges: [number, number][] = [];
  for (const value of values) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === value - 1) last[1] = value;
    else ranges.push([value, value]);
  }
  const tests = ranges.map(([from, to]) =>
    from === to ? `value === ${from}` : `(value >= ${from} && value <= ${to})`,
  );
  print(`  return ${tests.join(" || ")};`);
  print("}");
  print("");
}

function printMessage(type: protobuf.Type, print: (line: string) => void, uses: Set<string>): void {
  const name = typeName(type);
  const valueType = (field: protobuf.Field): string =>
    isNsPid(field)
      ? "NsPid"
      : field.resolvedType === null
        ? (TYPES[field.type] ?? "")
        : typeName(field.resolvedType);

  if (type.comment) print(`/** ${type.comment.replaceAll("\n", " ")} */`);
  print(`export interface ${name} {`);
  for (const field of type.fieldsArray) {
    if (field.resolvedType === null && WIRE[field.type] === undefined) {
      throw new Error(`${type.name}.${field.name}: ${field.type} is not provided for`);
    }
    if (field.comment) print(`  /** ${field.comment.replaceAll("\n", " ")} */`);
    if (isPacked(field)) print(`  ${field.name}?: ${valueType(field)}[] | undefined;`);
    else if (field.repeated) print(`  ${field.name}: ${valueType(field)}[];`);
    else if (field.required) print(`  ${field.name}: ${valueType(field)};`);
    else print(`  ${field.name}?: ${valueType(field)} | undefined;`);
  }
  print("}");
  print("");

  // Fields are written in the order of their numbers, as protobuf-c does: equal content, equal bytes.
  const fields = [...type.fieldsArray].sort((a, b) => a.id - b.id);
  for (const field of fields) if (field.resolvedType !== null) uses.add(valueType(field));
  print(`export const ${name}: Codec<${name}> = {`);
  print(`  name: "${type.name}",`);
  print(`  write(w: Writer, m: ${name}): void {`);
  for (const field of fields) {
    const at = `"${type.name}.${field.name}"`;
    const write = (value: string): string => {
      if (field.resolvedType instanceof protobuf.Type) {
        return `w.message(${field.id * 8 + 2}, ${valueType(field)}, ${value}, ${at})`;
      }
      const kind = field.resolvedType === null ? field.type : "int32";
      return `w.${kind}(${field.id * 8 + (WIRE[kind] ?? 0)}, ${value}, ${at})`;
    };
    if (isPacked(field))
      print(`    if (m.${field.name} !== undefined) w.packed(${field.id * 8 + 2}, m.${field.name}, ${at});`);
    else if (MANY.includes(field.type) && field.repeated)
      print(`    w.${field.type}s(${field.id * 8 + (WIRE[field.type] ?? 0)}, m.${field.name}, ${at});`);
    else if (field.repeated) print(`    for (const v of m.${field.name}) ${write("v")};`);
    else if (field.required) print(`    ${write(`m.${field.name}`)};`);
    else print(`    if (m.${field.name} !== undefined) ${write(`m.${field.name}`)};`);
  }
  print("  },");
  const wireOf = (field: protobuf.Field) =>
    field.resolvedType instanceof protobuf.Type
      ? 2
      : field.resolvedType === null
        ? (WIRE[field.type] ?? 0)
        : 0;
  const readOf = (field: protobuf.Field) => {
    if (field.resolvedType instanceof protobuf.Type) return `r.message(${valueType(field)})`;
    if (isNsPid(field)) {
      uses.add("NsPid").add("nsPid");
      return `nsPid(r.${field.type}())`;
    }
    if (field.resolvedType === null) return `r.${field.type}()`;
    uses.add(`is${valueType(field)}`);
    return `r.enumeration(is${valueType(field)}, "${type.name}.${field.name}")`;
  };
  const list = (field: protobuf.Field) => (isPacked(field) ? `(${local(field)} ??= [])` : local(field));
  const take = (field: protobuf.Field, value: string) =>
    field.repeated ? `${list(field)}.push(${value});` : `${local(field)} = ${value};`;
  const isPackable = (field: protobuf.Field) => {
    if (!field.repeated || wireOf(field) === 2) return false;
    if (field.resolvedType !== null) throw new Error(`${field.name}: repeated enums are not provided for`);
    return true;
  };
  const packedOf = (field: protobuf.Field) =>
    isNsPid(field)
      ? `r.packed(${list(field)}, () => nsPid(r.${field.type}()));`
      : `r.packed(${list(field)}, r.${field.type});`;
  const printLoop = () => {
    print("    while (r.pos < r.limit) {");
    print("      const tag = r.tag();");
    print("      switch (tag) {");
    for (const field of fields) {
      print(`        case ${field.id * 8 + wireOf(field)}:`);
      print(`          ${take(field, readOf(field))}`);
      print("          break;");
      if (isPackable(field)) {
        print(`        case ${field.id * 8 + 2}:`);
        print(`          ${packedOf(field)}`);
        print("          break;");
      }
    }
    print("        default:");
    print("          r.skip(tag);");
    print("      }");
    print("    }");
  };
  // Most tags, and most numbers, are one byte: those are taken in place, all others, and what is wrong, by the reader.
  const printHotLoop = () => {
    const byReader = (statement: string) => {
      print("          r.pos = at;");
      print(`          ${statement}`);
      print("          at = r.pos;");
      print("          break;");
    };
    print("    const { data, limit } = r;");
    print("    let at = r.pos;");
    print("    while (at < limit) {");
    print("      let tag = data[at] ?? 0;");
    print("      if (tag > 7 && tag < 0x80) at++;");
    print("      else {");
    print("        r.pos = at;");
    print("        tag = r.tag();");
    print("        at = r.pos;");
    print("      }");
    print("      switch (tag) {");
    for (const field of fields) {
      const short = shortValue(field, valueType(field));
      print(`        case ${field.id * 8 + wireOf(field)}:${short === undefined ? "" : " {"}`);
      if (short !== undefined) {
        print("          const byte = data[at] ?? 0x80;");
        print(`          if (byte < 0x80 && at < limit${short.check}) {`);
        print("            at++;");
        print(`            ${take(field, short.value)}`);
        print("            break;");
        print("          }");
      }
      byReader(take(field, readOf(field)));
      if (short !== undefined) print("        }");
      if (isPackable(field)) {
        print(`        case ${field.id * 8 + 2}:`);
        byReader(packedOf(field));
      }
    }
    print("        default:");
    print("          r.pos = at;");
    print("          r.skip(tag);");
    print("          at = r.pos;");
    print("      }");
    print("    }");
    print("    r.pos = at;");
  };
  print(`  read(r: Reader): ${name} {`);
  for (const field of fields) {
    if (isPacked(field)) print(`    let ${local(field)}: ${valueType(field)}[] | undefined;`);
    else if (field.repeated) print(`    const ${local(field)}: ${valueType(field)}[] = [];`);
    else print(`    let ${local(field)}: ${valueType(field)} | undefined;`);
  }
  if (HOT.includes(type.name)) printHotLoop();
  else printLoop();
  for (const field of fields) {
    if (field.required) {
      print(`    if (${local(field)} === undefined) return r.missing("${type.name}.${field.name}");`);
    }
  }
  const members = type.fieldsArray.map((f) => (local(f) === f.name ? f.name : `${f.name}: ${local(f)}`));
  print(`    return { ${members.join(", ")} };`);
  print("  },");
  print("};");
  print("");
}

/**
 * Messages that come by the thousand. Their functions are longer, to make fewer calls: for the others, which a run reads
 * once or twice, it is shorter functions that start faster.
 */
const HOT = ["fdinfo_entry", "file_entry", "reg_file_entry", "fown_entry", "vma_entry", "pagemap_entry"];

/** Repeated numbers that the writer takes all at once. */
const MANY = ["uint32", "uint64"];

/** What the generated functions call their own. */
const TAKEN = ["r", "data", "limit", "at", "tag", "byte", "enum", "new", "default"];

/**
 * Whether the numbers of a repeated field are written one behind the other; what is read may be either. Such a list is
 * undefined where it is empty: an entry of pagemap, which comes by the million, has one that most images have not.
 */
function isPacked(field: protobuf.Field): boolean {
  if (!field.repeated || field.options?.packed !== true) return false;
  if (field.type !== "uint32") throw new Error(`${field.name}: packed ${field.type} is not provided for`);
  return true;
}

/** Whether a field is the number of a task in the pid namespace of the images. */
function isNsPid(field: protobuf.Field): boolean {
  return field.options?.["(ns_pid)"] === true;
}

/** A field's name as a variable. */
function local(field: protobuf.Field): string {
  return TAKEN.includes(field.name) ? `${field.name}_` : field.name;
}

/** The value of a number whose one byte is `byte`, and what else it has to be; undefined for what is no such number. */
function shortValue(field: protobuf.Field, type: string): { value: string; check: string } | undefined {
  if (isNsPid(field)) return { value: "nsPid(byte)", check: "" };
  if (field.resolvedType instanceof protobuf.Type) return undefined;
  if (field.resolvedType !== null) return { value: "byte", check: ` && is${type}(byte)` };
  switch (field.type) {
    case "uint32":
    case "int32":
      return { value: "byte", check: "" };
    case "sint32":
      return { value: "(byte >>> 1) ^ -(byte & 1)", check: "" };
    case "uint64":
    case "int64":
      return { value: "BigInt(byte)", check: "" };
    case "bool":
      return { value: "byte !== 0", check: "" };
    default:
      return undefined;
  }
}

function printFile(root: protobuf.Root, file: string, imports: string[]): string {
  const body: string[] = [];
  const uses = new Set<string>();
  const types = [...typesIn(root, file)];
  for (const type of types) {
    if (type instanceof protobuf.Enum) printEnum(type, (line) => body.push(line));
    else printMessage(type, (line) => body.push(line), uses);
  }
  const lines = [`// Made from ${basename(file)} by scripts/generate-images.ts. Not to be edited.`, ""];
  if (uses.has("NsPid")) lines.push('import { type NsPid, nsPid } from "../../../linux/pid.ts";');
  lines.push('import type { Codec, Reader, Writer } from "../../wire.ts";');
  for (const other of imports.sort()) {
    const names = [...typesIn(root, other)].flatMap((type) =>
      type instanceof protobuf.Enum ? [typeName(type), `is${typeName(type)}`] : [typeName(type)],
    );
    const wanted = names.filter((name) => uses.has(name)).sort();
    if (wanted.length > 0) {
      lines.push(`import { ${wanted.join(", ")} } from "./${basename(other, ".proto")}.ts";`);
    }
  }
  return `${[...lines, "", ...body].join("\n").trimEnd()}\n`;
}

/** The field table that `crit` prints and parses by. */
function printFields(root: protobuf.Root, files: string[]): string {
  const lines = [
    "// Made from the .proto files by scripts/generate-images.ts. Not to be edited.",
    "// What the generated codecs do not need: the schema as data, for printing images by name.",
    "",
    'import type { EnumInfo, MessageInfo } from "../../fields.ts";',
    "",
    "export const MESSAGES: Readonly<Record<string, MessageInfo>> = {",
  ];
  const enums: string[] = [];
  const typeOf = (field: protobuf.Field): string => {
    if (field.resolvedType === null) return field.type;
    const parent = field.resolvedType.parent;
    return parent instanceof protobuf.Type
      ? `${parent.name}.${field.resolvedType.name}`
      : field.resolvedType.name;
  };
  for (const file of files) {
    for (const type of typesIn(root, file)) {
      if (type instanceof protobuf.Enum) {
        const name = type.parent instanceof protobuf.Type ? `${type.parent.name}.${type.name}` : type.name;
        const values = Object.entries(type.values).map(([key, value]) => `${key}: ${value}`);
        enums.push(`  "${name}": { ${values.join(", ")} },`);
        continue;
      }
      lines.push(`  ${type.name}: [`);
      for (const field of [...type.fieldsArray].sort((a, b) => a.id - b.id)) {
        const label = field.repeated ? "repeated" : field.required ? "required" : "optional";
        const kind =
          field.resolvedType === null
            ? "scalar"
            : field.resolvedType instanceof protobuf.Enum
              ? "enum"
              : "message";
        const hints: string[] = [];
        for (const [key, value] of Object.entries(field.options ?? {})) {
          const hint = /^\(criu\)\.(\w+)$/.exec(key)?.[1];
          if (hint !== undefined) hints.push(`${hint}: ${JSON.stringify(value)}`);
        }
        const packed = isPacked(field) ? ", packed: true" : "";
        const hint = hints.length > 0 ? `, hints: { ${hints.join(", ")} }` : "";
        lines.push(
          `    { name: "${field.name}", id: ${field.id}, label: "${label}", kind: "${kind}", type: "${typeOf(field)}"${packed}${hint} },`,
        );
      }
      lines.push("  ],");
    }
  }
  lines.push("};", "", "export const ENUMS: Readonly<Record<string, EnumInfo>> = {", ...enums, "};");
  return `${lines.join("\n")}\n`;
}

/** Everything that belongs into src/images/schema/generated/: file name to content. */
export function generate(): Map<string, string> {
  const files = readdirSync(SCHEMA)
    .filter((name) => name.endsWith(".proto") && name !== "options.proto")
    .sort();
  const root = new protobuf.Root();
  const imports = new Map<string, string[]>();
  for (const file of files) {
    // Missing in its type declarations; it is what tells in which file a type stands.
    Object.assign(protobuf.parse, { filename: file });
    const parsed = protobuf.parse(readFileSync(join(SCHEMA, file), "utf8"), root, {
      keepCase: true,
      alternateCommentMode: true,
      preferTrailingComment: true,
    });
    imports.set(
      file,
      (parsed.imports ?? []).filter((name) => name !== "options.proto"),
    );
  }
  root.resolveAll();
  const out = new Map<string, string>();
  for (const file of files) {
    out.set(file.replace(/\.proto$/, ".ts"), printFile(root, file, imports.get(file) ?? []));
  }
  out.set("fields.ts", printFields(root, files));
  return out;
}

if (import.meta.main) {
  const target = join(SCHEMA, "generated");
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target);
  for (const [name, content] of generate()) writeFileSync(join(target, name), content);
}
