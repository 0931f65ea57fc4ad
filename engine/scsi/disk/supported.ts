/** REPORT SUPPORTED OPERATION CODES (SPC-4 section 6.35). */
import type { Cdb } from '../cdb.ts';
import { cdbLength } from '../opcode.ts';
import { SENSE, type Sense } from '../sense.ts';

/** One supported command: its code and, where it has one, its service action. */
export interface SupportedCommand {
  opcode: number;
  serviceAction?: number;
}

/** RCTD: the command timeouts descriptor is wanted as well (section 6.35.4). Nothing is promised of time: both are 0. */
const TIMEOUTS = 0x80;
const TIMEOUTS_BYTES = 12;
const TIMEOUTS_LENGTH = 10;

/** All commands (reporting options 0), or one by code (1) or by code and service action (2, 3). */
export function reportSupportedOpcodes(commands: readonly SupportedCommand[], cdb: Cdb): Uint8Array | Sense {
  const option = cdb.bytes[2] & 7;
  const opcode = cdb.bytes[3];
  const serviceAction = (cdb.bytes[4] << 8) | cdb.bytes[5];
  const timeouts = (cdb.bytes[2] & TIMEOUTS) !== 0;
  if (option === 0) {
    return allCommands(commands, timeouts);
  }
  if (option > 3) {
    return SENSE.invalidField;
  }
  const known = commands.filter((command) => command.opcode === opcode);
  const hasActions = known.some((command) => command.serviceAction !== undefined);
  if ((option === 1 && hasActions) || (option === 2 && known.length > 0 && !hasActions)) {
    return SENSE.invalidField;
  }
  const wanted = option === 1 ? 0 : serviceAction;
  return oneCommand(
    known.find((command) => (command.serviceAction ?? 0) === wanted),
    timeouts,
  );
}

function allCommands(commands: readonly SupportedCommand[], timeouts: boolean): Uint8Array {
  const each = 8 + (timeouts ? TIMEOUTS_BYTES : 0);
  const data = new Uint8Array(4 + each * commands.length);
  const view = new DataView(data.buffer);
  view.setUint32(0, data.length - 4);
  commands.forEach(({ opcode, serviceAction }, index) => {
    const at = 4 + each * index;
    view.setUint8(at, opcode);
    view.setUint16(at + 2, serviceAction ?? 0);
    view.setUint8(at + 5, (serviceAction === undefined ? 0 : 1) | (timeouts ? 2 : 0)); // SERVACTV, CTDP
    view.setUint16(at + 6, cdbLength(opcode));
    if (timeouts) view.setUint16(at + 8, TIMEOUTS_LENGTH);
  });
  return data;
}

/** SUPPORT 3: as the standard says; 1: not supported. The usage map names opcode and service action only. */
function oneCommand(command: SupportedCommand | undefined, timeouts: boolean): Uint8Array {
  if (command === undefined) {
    return Uint8Array.of(0, 1, 0, 0);
  }
  const length = cdbLength(command.opcode);
  const data = new Uint8Array(4 + length + (timeouts ? TIMEOUTS_BYTES : 0));
  data[1] = 3 | (timeouts ? 0x80 : 0); // CTDP
  data[3] = length;
  data.fill(0xff, 4, 4 + length);
  data[4] = command.opcode;
  if (command.serviceAction !== undefined) {
    data[5] = command.serviceAction;
  }
  if (timeouts) data[4 + length + 1] = TIMEOUTS_LENGTH;
  return data;
}
