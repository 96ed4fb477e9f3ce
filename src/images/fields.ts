// The shape of schema/generated/fields.ts: the schema as data. Only what prints images by name (crit) needs it.

/** How crit shows a field: see schema/options.proto. */
export interface FieldHints {
  readonly hex?: boolean;
  readonly ipadd?: boolean;
  readonly flags?: string;
  readonly dev?: boolean;
  readonly odev?: boolean;
  readonly dict?: string;
  readonly conv?: string;
}

export interface FieldInfo {
  readonly name: string;
  readonly id: number;
  readonly label: "required" | "optional" | "repeated";
  readonly kind: "scalar" | "enum" | "message";
  /** "uint32", "int32", "sint32", "uint64", "int64", "sint64", "fixed64", "bool", "string", "bytes"; else a key of MESSAGES or ENUMS. */
  readonly type: string;
  /** A repeated field whose numbers stand one behind the other; undefined where there are none. */
  readonly packed?: boolean;
  readonly hints?: FieldHints;
}

/** A message's fields, by number. */
export type MessageInfo = readonly FieldInfo[];

/** An enum's values by name. */
export type EnumInfo = Readonly<Record<string, number>>;
