/** A driver without manners of a CD-ROM on an IDE channel: PACKET, its byte count limit, and twelve bytes through the data port. */
import { CMD, REASON, STATUS } from '../../ide/ata.ts';
import { REGISTER } from '../../ide/channel.ts';
import { OPCODE } from '../../scsi/opcode.ts';
import { IdeHostile } from './ide-hostile.ts';

const PACKET_BYTES = 12;
const BLOCK = 2048;
/** Looks at the interrupt reason before an answer counts as endless. */
const MOST_WORDS = 0x1_0000;

export class AtapiHostile extends IdeHostile {
  /** PACKET with a byte count limit; `feature` 1 asks for DMA. */
  packet(cdb: readonly number[], limit: number, feature = 0): void {
    this.out(REGISTER.error, feature);
    this.out(REGISTER.lbaMid, limit & 0xff);
    this.out(REGISTER.lbaHigh, limit >> 8);
    this.out(REGISTER.status, CMD.packet);
    this.settle();
    for (let i = 0; i < PACKET_BYTES; i += 2) {
      this.out(REGISTER.data, (cdb[i] ?? 0) | ((cdb[i + 1] ?? 0) << 8), 2);
    }
    this.settle();
  }

  /** Everything that the drive offers: words, at most so many. */
  answer(most = MOST_WORDS): number[] {
    const words: number[] = [];
    while (words.length < most && (this.status & STATUS.drq) !== 0 && this.#toHost) {
      words.push(this.in(REGISTER.data, 2));
      this.settle();
    }
    return words;
  }
  get #toHost(): boolean {
    return (this.in(REGISTER.count) & REASON.toHost) !== 0;
  }

  /** Blocks of the disc, in bytes at most what the data have room for. */
  override read(lba: number, blocks: number): number {
    const high = [lba >>> 24, (lba >>> 16) & 0xff, (lba >>> 8) & 0xff, lba & 0xff];
    // A reset, and then a new disc, are told of first (MMC-6, section 4.1.6).
    for (let look = 0; look < 3; look++) this.packet([OPCODE.testUnitReady], 0);
    this.packet([OPCODE.read10, 0, ...high, 0, 0, blocks], BLOCK);
    const bytes = Uint8Array.from(this.answer().flatMap((word) => [word & 0xff, word >> 8]));
    this.memory.write(this.data, bytes.subarray(0, this.dataBytes));
    return this.status;
  }
}
