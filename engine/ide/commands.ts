/** The commands of ATA (ACS-2, table B.2) that QEMU's drives know, and what each does (hw/ide/core.c, `ide_cmd_table`). */
import { E } from '../trace/registry.ts';
import { identifyDisk, identifyPacket, enabledWord, patchIdentity, WORD } from './identify.ts';
import { CMD, DEVICE, DMA, STATUS } from './ata.ts';
import { packetArrived } from './atapi/packet.ts';
import { startSectors } from './dma.ts';
import { MAX_MULTIPLE, stopTransfer, type IdeDrive } from './drive.ts';
import { awaitSectors, flushCache, readSectors } from './pio.ts';
import { SMART } from './smart.ts';

const READY = STATUS.drdy | STATUS.dsc;
/** Bytes of a packet. */
export const PACKET_BYTES = 12;

/** True when the command is over and the guest is to be told; false when it goes on, or has told the guest itself. */
type Handler = (drive: IdeDrive, command: number) => boolean;

interface Command {
  run: Handler;
  disk: boolean;
  packet: boolean;
  /** Ends with "seek complete". */
  seeks: boolean;
}

const COMMANDS: (Command | undefined)[] = Array.from({ length: 256 }, () => undefined);

function define(kinds: 'disk' | 'packet' | 'both', seeks: boolean, run: Handler, ...codes: number[]): void {
  for (const code of codes) {
    COMMANDS[code] = { run, disk: kinds !== 'packet', packet: kinds !== 'disk', seeks };
  }
}

function aborted(drive: IdeDrive): true {
  drive.abort();
  return true;
}

const nothing: Handler = () => true;

/** One page of 512 bytes to the guest. */
function answer(drive: IdeDrive, page: Uint8Array): false {
  drive.buffer.set(page);
  drive.status = READY;
  drive.startTransfer(0, page.length, true, stopTransfer);
  drive.bus.raiseIrq();
  return false;
}

const readPio: Handler = (drive, command) => {
  if (drive.isCd) {
    // ATA-4, section 8.27.5.2: a packet device shows its signature.
    drive.setSignature();
    return aborted(drive);
  }
  if (!drive.present) return aborted(drive);
  drive.takeCount(command === CMD.readExt);
  drive.blockSectors = 1;
  readSectors(drive);
  return false;
};

const writePio: Handler = (drive, command) => {
  if (!drive.present) return aborted(drive);
  drive.takeCount(command === CMD.writeExt);
  drive.blockSectors = 1;
  awaitSectors(drive);
  return false;
};

const readMultiple: Handler = (drive, command) => {
  if (!drive.present || drive.multiple === 0) return aborted(drive);
  drive.takeCount(command === CMD.readMultipleExt);
  drive.blockSectors = drive.multiple;
  readSectors(drive);
  return false;
};

const writeMultiple: Handler = (drive, command) => {
  if (!drive.present || drive.multiple === 0) return aborted(drive);
  drive.takeCount(command === CMD.writeMultipleExt);
  drive.blockSectors = drive.multiple;
  awaitSectors(drive);
  return false;
};

const readDma: Handler = (drive, command) => {
  if (!drive.present) return aborted(drive);
  drive.takeCount(command === CMD.readDmaExt);
  startSectors(drive, DMA.read);
  return false;
};

const writeDma: Handler = (drive, command) => {
  if (!drive.present) return aborted(drive);
  drive.takeCount(command === CMD.writeDmaExt);
  startSectors(drive, DMA.write);
  return false;
};

/** TRIM is the only kind of data set management. */
const dataSetManagement: Handler = (drive) => {
  if (drive.feature !== 1 || !drive.present) return aborted(drive);
  startSectors(drive, DMA.trim);
  return false;
};

const verify: Handler = (drive, command) => {
  drive.takeCount(command === CMD.verifyExt);
  return true;
};

const flush: Handler = (drive) => {
  flushCache(drive);
  return false;
};

const identify: Handler = (drive) => {
  if (drive.present && !drive.isCd) return answer(drive, (drive.identity ??= identifyDisk(drive)));
  if (drive.isCd) drive.setSignature();
  return aborted(drive);
};

const identifyPacketDevice: Handler = (drive) => answer(drive, (drive.identity ??= identifyPacket(drive)));

const setMultiple: Handler = (drive) => {
  const wanted = drive.count & 0xff;
  if (wanted !== 0 && (wanted > MAX_MULTIPLE || (drive.count & (drive.count - 1)) !== 0))
    return aborted(drive);
  drive.multiple = wanted;
  return true;
};

const readNativeMax: Handler = (drive, command) => {
  // Without a geometry there is no last cylinder (QEMU divides by it).
  const nowhere = (drive.device & DEVICE.lba) === 0 && drive.heads * drive.track === 0;
  if (drive.sectors === 0 || nowhere) return aborted(drive);
  drive.takeCount(command === CMD.readNativeMaxExt);
  drive.sector = drive.sectors - 1;
  return true;
};

const checkPower: Handler = (drive) => {
  drive.count = 0xff;
  return true;
};

const initializeParameters: Handler = (drive) => {
  if (!drive.present || drive.isCd) return aborted(drive);
  drive.heads = (drive.device & DEVICE.head) + 1;
  drive.track = drive.count;
  drive.bus.raiseIrq();
  return true;
};

const securityFreeze: Handler = (drive) => {
  drive.count = 0;
  return true;
};

const deviceReset: Handler = (drive) => {
  drive.haltTransfer();
  drive.cancelDma(() => {
    drive.reset();
    drive.status = 0;
  });
  return false;
};

/** EXECUTE DEVICE DIAGNOSTIC, and the end of SRST. Error code 1: both drives passed. */
export const diagnose: Handler = (drive) => {
  drive.device = DEVICE.obsolete;
  drive.setSignature();
  drive.error = 1;
  drive.status = drive.isCd ? 0 : READY;
  if (!drive.isCd) drive.bus.raiseIrq();
  return false;
};

const packet: Handler = (drive) => {
  if ((drive.feature & 2) !== 0) return aborted(drive);
  drive.status = READY;
  drive.packetDma = (drive.feature & 1) !== 0;
  if (drive.packetDma) drive.dma = DMA.packet;
  drive.count = 1;
  drive.startTransfer(0, PACKET_BYTES, false, packetArrived);
  return false;
};

/** SET FEATURES, subcommands that change nothing here. */
const IDLE_FEATURES = new Set([0xaa, 0x55, 0x05, 0x85, 0x69, 0x67, 0x96, 0x9a, 0x42, 0xc2]);
const ULTRA = 0x3f;

const setFeatures: Handler = (drive) => {
  if (!drive.present) return aborted(drive);
  switch (drive.feature) {
    case 0x02:
    case 0x82:
      drive.writeCache = drive.feature === 0x02;
      patchIdentity(drive, WORD.enabled85, enabledWord(drive));
      if (drive.writeCache) return true;
      flushCache(drive);
      return false;
    case 0xcc:
    case 0x66:
      drive.revertOnReset = drive.feature === 0xcc;
      return true;
    case 0x03:
      return setTransferMode(drive);
    default:
      return IDLE_FEATURES.has(drive.feature) ? true : aborted(drive);
  }
};

/** Mode in the upper five bits of the count, its number in the lower three. */
function setTransferMode(drive: IdeDrive): boolean {
  const chosen = 1 << ((drive.count & 7) + 8);
  const mode = drive.count >>> 3;
  if (![0, 1, 2, 4, 8].includes(mode)) return aborted(drive);
  patchIdentity(drive, WORD.singleDma, 7 | (mode === 2 ? chosen : 0));
  patchIdentity(drive, WORD.multiDma, 7 | (mode === 4 ? chosen : 0));
  patchIdentity(drive, WORD.ultraDma, ULTRA | (mode === 8 ? chosen : 0));
  return true;
}

const smart: Handler = (drive) => {
  const { smart: state, feature } = drive;
  const key = drive.lbaHigh === 0xc2 && drive.lbaMid === 0x4f;
  if (!key || (!state.enabled && feature !== SMART.enable)) return aborted(drive);
  switch (feature) {
    case SMART.enable:
    case SMART.disable:
      state.enabled = feature === SMART.enable;
      return true;
    case SMART.autosave:
      if (drive.lbaLow !== 0 && drive.lbaLow !== 0xf1) return aborted(drive);
      state.autosave = drive.lbaLow === 0xf1;
      return true;
    case SMART.status:
      // The key unchanged says that no threshold is exceeded.
      return true;
    case SMART.readThresholds:
      return answer(drive, state.thresholds());
    case SMART.readData:
      return answer(drive, state.data());
    case SMART.readLog: {
      const log = state.log(drive.lbaLow);
      return log === undefined ? aborted(drive) : answer(drive, log);
    }
    case SMART.executeOffline:
      return state.test(drive.lbaLow) ? true : aborted(drive);
    default:
      return aborted(drive);
  }
};

define('disk', false, dataSetManagement, CMD.dataSetManagement);
define('packet', false, deviceReset, CMD.deviceReset);
define('disk', true, nothing, CMD.recalibrate, CMD.seek);
define('both', false, readPio, CMD.read);
define('disk', false, readPio, CMD.readOnce, CMD.readExt);
define('disk', false, readMultiple, CMD.readMultiple, CMD.readMultipleExt);
define('disk', false, readDma, CMD.readDma, CMD.readDmaOnce, CMD.readDmaExt);
define('disk', false, writePio, CMD.write, CMD.writeOnce, CMD.writeExt, CMD.writeVerify);
define('disk', false, writeMultiple, CMD.writeMultiple, CMD.writeMultipleExt);
define('disk', false, writeDma, CMD.writeDma, CMD.writeDmaOnce, CMD.writeDmaExt);
define('disk', true, readNativeMax, CMD.readNativeMax, CMD.readNativeMaxExt);
define('disk', true, verify, CMD.verify, CMD.verifyOnce, CMD.verifyExt);
define('both', false, diagnose, CMD.diagnose);
define('disk', true, initializeParameters, CMD.initializeParameters);
define('disk', false, nothing, CMD.standbyNow, CMD.standbyNow2, CMD.standby, CMD.standby2);
define('disk', false, nothing, CMD.idleNow, CMD.idleNow2, CMD.idle, CMD.idle2, CMD.sleep, CMD.sleep2);
define('disk', true, checkPower, CMD.checkPower, CMD.checkPower2);
define('packet', false, packet, CMD.packet);
define('packet', false, identifyPacketDevice, CMD.identifyPacket);
define('disk', true, smart, CMD.smart);
define('disk', true, setMultiple, CMD.setMultiple);
define('both', false, flush, CMD.flushCache);
define('disk', false, flush, CMD.flushCacheExt);
define('both', false, identify, CMD.identify);
define('both', true, setFeatures, CMD.setFeatures);
define('disk', true, securityFreeze, CMD.securityFreeze);

/** Runs a command that was written to the command register; a drive takes only those of its own kind (CVE-2015-6855). */
export function execute(drive: IdeDrive, code: number): void {
  drive.emit(E.ide_exec_cmd, drive.unit, code);
  // The place of a second drive that is not there.
  if (drive.unit === 1 && !drive.present) return;
  const busy = (drive.status & (STATUS.bsy | STATUS.drq)) !== 0;
  if (busy && (code !== CMD.deviceReset || !drive.isCd)) return;
  const command = COMMANDS[code];
  if (command === undefined || !(drive.isCd ? command.packet : command.disk)) {
    drive.abort();
    drive.bus.raiseIrq();
    return;
  }
  drive.status = STATUS.drdy | STATUS.bsy;
  drive.error = 0;
  drive.ioDone = 0;
  if (!command.run(drive, code)) return;
  drive.status &= ~STATUS.bsy;
  if (command.seeks && drive.error === 0) drive.status |= STATUS.dsc;
  drive.bus.dma.commandDone(drive);
  drive.bus.raiseIrq();
}
