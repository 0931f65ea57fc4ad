/** The tables of an image format as a tree, and who owns each byte of the file. Texts are keys in `resources/messages/<locale>/structure.json`. */

/** One part of a format: a header, a table, an entry that is a table itself. */
export interface StructureNode {
  /** Its place in the tree, e.g. `l1/5`; names it in every call. */
  path: string;
  /** `structure.node.<label>` with `params` is its name; also decides its icon. */
  label: string;
  params: Record<string, string | number>;
  /** Bytes in the file. */
  offset: number;
  length: number;
  /** Fields, or entries of a table. */
  fieldCount: number;
  /** Most children that there can be: of a sparse table fewer are there. 0: a leaf. */
  childCount: number;
}

/** A page of children in file order of their entries. */
export interface StructurePage {
  nodes: StructureNode[];
  /** Where to go on, or null when there are no more. */
  next: number | null;
}

/** Where a field points. */
export type StructureLink =
  | { to: 'node'; path: string }
  /** A byte of the guest's disk. */
  | { to: 'guest'; offset: number }
  /** A byte of the file. */
  | { to: 'host'; offset: number };

export interface StructureField {
  /** The specification's name, or the index of an entry. */
  name: string;
  /** Bytes in the file. */
  offset: number;
  length: number;
  value: string;
  /** `structure.say.<key>`: what the value means. */
  say?: { key: string; params: Record<string, string | number> };
  links?: StructureLink[];
}

export interface StructureFields {
  fields: StructureField[];
  /** Of all pages. */
  total: number;
}

export const OWNER_KINDS = [
  'header',
  'mapping',
  'refcount',
  'snapshot',
  'bitmap',
  'log',
  'other',
  'data',
  'compressed',
  'snapshot-data',
  'free',
] as const;
export type OwnerKind = (typeof OWNER_KINDS)[number];

/** A stretch of the file that belongs to one thing. Bytes. */
export interface OwnedExtent {
  offset: number;
  length: number;
  kind: OwnerKind;
  /** Of metadata: its node in the tree. */
  path?: string;
  /** Of metadata: `structure.node.<label>` and its parameters. */
  label?: string;
  params?: Record<string, string | number>;
  /** Of data: the byte of the guest's disk that stands first. */
  guest?: number;
}

export interface OwnersPage {
  extents: OwnedExtent[];
  next: number | null;
  /** The image has more stretches than are kept: what follows is not told. */
  cut: boolean;
}

/** A step of a search: where it was found, or how far it came. */
export interface SearchStep {
  found: number | null;
  /** Where to go on, or null at the end. */
  next: number | null;
}
