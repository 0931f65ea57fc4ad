/** The LUKS2 header ("LUKS2 On-Disk Format Specification" 1.1): a binary header and JSON, both kept twice. Big-endian. */
import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { PlatterError } from '../../../errors.ts';
import { wait, type Steps } from '../../../maybe.ts';
import type { Storage } from '../../storage/storage.ts';
import { layout, raw, text, u16, u64, type Values } from '../shared/layout.ts';
import { readExactly } from '../shared/storage-window.ts';
import { hashName } from './ciphers.ts';
import { MAGIC } from './header1.ts';

const SECOND_MAGIC = Uint8Array.of(0x53, 0x4b, 0x55, 0x4c, 0xba, 0xbe);
const BINARY = 4096;
const MAX_HEADER = 4 << 20;
/** Where the second header may begin, by the size of the first (specification, section 2.1). */
const SECOND_OFFSETS = [16384, 32768, 65536, 131072, 262144, 524288, 1048576, 2097152, 4194304];

export const luks2Header = layout('big', {
  magic: raw(6),
  version: u16,
  hdr_size: u64,
  seqid: u64,
  label: text(48),
  csum_alg: text(32),
  salt: raw(64),
  uuid: text(40),
  subsystem: text(48),
  hdr_offset: u64,
  padding: raw(184),
  csum: raw(64),
});

/** Decimal text: JSON numbers cannot hold all offsets. */
const size = v.pipe(v.string(), v.regex(/^\d{1,15}$/), v.transform(Number));
const count = v.pipe(v.number(), v.integer(), v.minValue(1));
const keyslot = v.object({
  type: v.literal('luks2'),
  key_size: v.pipe(count, v.maxValue(128)),
  af: v.object({ type: v.literal('luks1'), stripes: v.pipe(count, v.maxValue(4000)), hash: v.string() }),
  area: v.object({
    type: v.literal('raw'),
    offset: size,
    size,
    encryption: v.string(),
    key_size: v.pipe(count, v.maxValue(128)),
  }),
  kdf: v.variant('type', [
    v.object({ type: v.literal('pbkdf2'), hash: v.string(), iterations: count, salt: v.string() }),
    v.object({
      type: v.picklist(['argon2i', 'argon2id']),
      time: count,
      memory: count,
      cpus: count,
      salt: v.string(),
    }),
  ]),
});
const segment = v.object({
  type: v.literal('crypt'),
  offset: size,
  size: v.union([v.literal('dynamic'), size]),
  iv_tweak: size,
  encryption: v.string(),
  sector_size: v.picklist([512, 1024, 2048, 4096]),
  integrity: v.optional(v.unknown()),
});
const digest = v.object({
  type: v.literal('pbkdf2'),
  keyslots: v.array(v.string()),
  segments: v.array(v.string()),
  hash: v.string(),
  iterations: count,
  salt: v.string(),
  digest: v.string(),
});
const metadata = v.object({
  keyslots: v.record(v.string(), v.unknown()),
  segments: v.record(v.string(), v.unknown()),
  digests: v.record(v.string(), v.unknown()),
});

export type Luks2Keyslot = v.InferOutput<typeof keyslot>;
export type Luks2Segment = v.InferOutput<typeof segment>;
export type Luks2Digest = v.InferOutput<typeof digest>;

export interface Luks2Header extends Values<(typeof luks2Header)['fields']> {
  keyslots: Map<string, Luks2Keyslot>;
  segment: Luks2Segment;
  digest: Luks2Digest;
}

/** The younger of the two valid headers. Throws `luks.no-header`, `luks.bad-field`, `luks.unsupported`, `luks.truncated`. */
export function* readLuks2(storage: Storage): Steps<Luks2Header> {
  const image = storage.name;
  const first = yield* readCopy(storage, 0, MAGIC);
  const offsets = first === undefined ? SECOND_OFFSETS : [first.header.hdr_size];
  let best = first;
  for (const offset of offsets) {
    const second = yield* readCopy(storage, offset, SECOND_MAGIC);
    if (second !== undefined && (best === undefined || second.header.seqid > best.header.seqid))
      best = second;
  }
  if (best === undefined) {
    throw new PlatterError('luks.no-header', `Neither of the two LUKS2 headers of "${image}" is valid`, {
      image,
      field: 'csum',
      hint: 'The header is damaged: restore a backup of it.',
    });
  }
  const parsed = parse(metadata, parseJson(best.json, image), 'metadata', image);
  const keyslots = new Map(
    Object.entries(parsed.keyslots).map(([id, value]) => [id, parse(keyslot, value, `keyslot ${id}`, image)]),
  );
  const segments = Object.entries(parsed.segments);
  if (segments.length !== 1) throw bad('segments', `${segments.length} segments`, 'one segment', image);
  const [id, found] = segments[0];
  const one = parse(segment, found, `segment ${id}`, image);
  if (one.integrity !== undefined)
    throw bad('integrity', 'dm-integrity', 'encryption alone', image, 'luks.unsupported');
  const digests = Object.entries(parsed.digests).map(([key, value]) =>
    parse(digest, value, `digest ${key}`, image),
  );
  const own = digests.find((candidate) => candidate.segments.includes(id));
  if (own === undefined) throw bad('digests', 'none for the data', 'a digest', image);
  return { ...best.header, keyslots, segment: one, digest: own };
}

function* readCopy(
  storage: Storage,
  offset: number,
  magic: Uint8Array,
): Steps<{ header: Values<(typeof luks2Header)['fields']>; json: string } | undefined> {
  const image = storage.name;
  const fileSize = yield* wait(storage.size());
  if (offset + BINARY > fileSize) return undefined;
  const start = yield* readExactly(storage, offset, BINARY, 'luks', 'header');
  if (Buffer.compare(start.subarray(0, 6), magic) !== 0) return undefined;
  const header = luks2Header.parse(start, image);
  const sane = header.version === 2 && header.hdr_size > BINARY && header.hdr_size <= MAX_HEADER;
  if (!sane || header.hdr_offset !== offset || offset + header.hdr_size > fileSize) return undefined;
  const bytes = yield* readExactly(storage, offset, header.hdr_size, 'luks', 'header');
  const at = luks2Header.offsetOf('csum');
  bytes.fill(0, at, at + 64);
  const sum = createHash(hashName(header.csum_alg, image)).update(bytes).digest();
  if (Buffer.compare(sum, header.csum.subarray(0, sum.length)) !== 0) return undefined;
  const json = bytes.subarray(BINARY);
  const end = json.indexOf(0);
  return { header, json: new TextDecoder().decode(end < 0 ? json : json.subarray(0, end)) };
}

function parseJson(json: string, image: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw bad('metadata', error instanceof Error ? error.message : 'broken', 'JSON', image);
  }
}

function parse<T extends v.GenericSchema>(
  schema: T,
  value: unknown,
  field: string,
  image: string,
): v.InferOutput<T> {
  const result = v.safeParse(schema, value);
  if (result.success) return result.output;
  const [issue] = result.issues;
  const place = [field, v.getDotPath(issue)].filter(Boolean).join('.');
  throw bad(place, issue.received, issue.expected ?? 'something else', image, 'luks.unsupported');
}

function bad(
  field: string,
  value: string,
  expected: string,
  image: string,
  code = 'luks.bad-field',
): PlatterError {
  return new PlatterError(code, `The LUKS2 ${field} of "${image}" is ${value}, expected ${expected}`, {
    image,
    field,
    value,
    expected,
  });
}
