/** An AHCI controller: its own registers and those of the disk's port (AHCI 1.3.1, chapter 3). */
import type { DetailField } from '#contract/lab-details.ts';
import { AHCI_BAR, type Ahci } from '../../ide/ahci/hba.ts';
import type { AhciPort } from '../../ide/ahci/port.ts';
import { CAP, HBA, PORT, PORT_BYTES, PORTS_AT, PXCMD } from '../../ide/ahci/registers.ts';
import { commandSlots } from './ahci-commands.ts';
import { receivedFises } from './ahci-received.ts';
import { identitySection } from './identity.ts';
import { ERROR_BITS, STATUS_BITS } from './ide.ts';
import { bitFields, field, type BitName, type FieldOptions, type Section } from './section.ts';

const CAP_BITS: readonly BitName[] = [
  { bit: 31, name: 'S64A', meaning: 'ahci.cap.s64a' },
  { bit: 30, name: 'SNCQ', meaning: 'ahci.cap.sncq' },
  { bit: 27, name: 'SSS', meaning: 'ahci.cap.sss' },
  { bit: 26, name: 'SALP', meaning: 'ahci.cap.salp' },
  { bit: 24, name: 'SCLO', meaning: 'ahci.cap.sclo' },
  { bit: 18, name: 'SAM', meaning: 'ahci.cap.sam' },
  { bit: 17, name: 'SPM', meaning: 'ahci.cap.spm' },
];
const GHC_BITS: readonly BitName[] = [
  { bit: 31, name: 'AE', meaning: 'ahci.ghc.ae' },
  { bit: 2, name: 'MRSM', meaning: 'ahci.ghc.mrsm' },
  { bit: 1, name: 'IE', meaning: 'ahci.ghc.ie' },
  { bit: 0, name: 'HR', meaning: 'ahci.ghc.hr' },
];
/** Causes of interrupts: their bits in PxIS and in PxIE have names of their own, and mean the same. */
const CAUSES: readonly { bit: number; is: string; ie: string; bad?: boolean }[] = [
  { bit: 31, is: 'CPDS', ie: 'CPDE' },
  { bit: 30, is: 'TFES', ie: 'TFEE', bad: true },
  { bit: 29, is: 'HBFS', ie: 'HBFE', bad: true },
  { bit: 28, is: 'HBDS', ie: 'HBDE', bad: true },
  { bit: 27, is: 'IFS', ie: 'IFE', bad: true },
  { bit: 26, is: 'INFS', ie: 'INFE', bad: true },
  { bit: 24, is: 'OFS', ie: 'OFE', bad: true },
  { bit: 23, is: 'IPMS', ie: 'IPME', bad: true },
  { bit: 22, is: 'PRCS', ie: 'PRCE' },
  { bit: 7, is: 'DMPS', ie: 'DMPE' },
  { bit: 6, is: 'PCS', ie: 'PCE' },
  { bit: 5, is: 'DPS', ie: 'DPE' },
  { bit: 4, is: 'UFS', ie: 'UFE', bad: true },
  { bit: 3, is: 'SDBS', ie: 'SDBE' },
  { bit: 2, is: 'DSS', ie: 'DSE' },
  { bit: 1, is: 'PSS', ie: 'PSE' },
  { bit: 0, is: 'DHRS', ie: 'DHRE' },
];
const causeOf = (is: string): string => `ahci.cause.${is.toLowerCase()}`;
const IS_BITS = CAUSES.map(({ bit, is, bad = false }) => ({ bit, name: is, meaning: causeOf(is), bad }));
const IE_BITS = CAUSES.map(({ bit, is, ie }) => ({ bit, name: ie, meaning: causeOf(is) }));
const CMD_BITS: readonly BitName[] = [
  { bit: Math.log2(PXCMD.atapi), name: 'ATAPI', meaning: 'ahci.cmd.atapi' },
  { bit: Math.log2(PXCMD.listRunning), name: 'CR', meaning: 'ahci.cmd.cr' },
  { bit: Math.log2(PXCMD.fisRunning), name: 'FR', meaning: 'ahci.cmd.fr' },
  { bit: Math.log2(PXCMD.fisReceive), name: 'FRE', meaning: 'ahci.cmd.fre' },
  { bit: 3, name: 'CLO', meaning: 'ahci.cmd.clo' },
  { bit: Math.log2(PXCMD.powerOn), name: 'POD', meaning: 'ahci.cmd.pod' },
  { bit: Math.log2(PXCMD.spinUp), name: 'SUD', meaning: 'ahci.cmd.sud' },
  { bit: Math.log2(PXCMD.start), name: 'ST', meaning: 'ahci.cmd.st' },
];
/** The error register of the drive is the second byte of PxTFD. */
const TFD_BITS: readonly BitName[] = [
  ...STATUS_BITS,
  ...ERROR_BITS.map((bit) => ({ ...bit, bit: bit.bit + 8 })),
];
const SERR_BITS: readonly BitName[] = [
  { bit: 26, name: 'DIAG.X', meaning: 'ahci.serr.x' },
  { bit: 25, name: 'DIAG.F', meaning: 'ahci.serr.f', bad: true },
  { bit: 24, name: 'DIAG.T', meaning: 'ahci.serr.transport', bad: true },
  { bit: 23, name: 'DIAG.S', meaning: 'ahci.serr.s', bad: true },
  { bit: 22, name: 'DIAG.H', meaning: 'ahci.serr.h', bad: true },
  { bit: 21, name: 'DIAG.C', meaning: 'ahci.serr.crc', bad: true },
  { bit: 19, name: 'DIAG.B', meaning: 'ahci.serr.b', bad: true },
  { bit: 18, name: 'DIAG.W', meaning: 'ahci.serr.w' },
  { bit: 17, name: 'DIAG.I', meaning: 'ahci.serr.phy', bad: true },
  { bit: 16, name: 'DIAG.N', meaning: 'ahci.serr.n' },
  { bit: 11, name: 'ERR.E', meaning: 'ahci.serr.e', bad: true },
  { bit: 10, name: 'ERR.P', meaning: 'ahci.serr.p', bad: true },
  { bit: 9, name: 'ERR.C', meaning: 'ahci.serr.c', bad: true },
  { bit: 8, name: 'ERR.T', meaning: 'ahci.serr.t', bad: true },
  { bit: 1, name: 'ERR.M', meaning: 'ahci.serr.m' },
  { bit: 0, name: 'ERR.I', meaning: 'ahci.serr.i' },
];
/** PxSIG of the devices that there are (Serial ATA 3.2, section 11.2). */
const SIGNATURES = new Map([
  [0x0000_0101, 'ATA'],
  [0xeb14_0101, 'ATAPI'],
]);

export interface AhciParts {
  device: Ahci;
  /** The disk's. */
  port: AhciPort;
}

/** The numbers of the bits that are set: `0–3, 7`. */
export function bitNumbers(value: number): string {
  const runs: string[] = [];
  for (let bit = 0; bit < 32; bit++) {
    if (((value >>> bit) & 1) === 0) continue;
    const first = bit;
    while (bit < 31 && ((value >>> (bit + 1)) & 1) === 1) bit++;
    runs.push(first === bit ? `${bit}` : `${first}–${bit}`);
  }
  return runs.join(', ');
}

/** Where the word at this offset of the registers is, and in which section of AHCI 1.3.1 it is defined. */
function place({ pci }: Ahci, offset: number, section: string): FieldOptions {
  const base = pci.barBase(AHCI_BAR);
  const address = base === undefined ? null : base + offset;
  return { source: `AHCI 1.3.1, ${section}`, place: { space: 'bar', bar: AHCI_BAR, offset, address } };
}

/** Bits of a register that are a number together. */
function part(
  name: string,
  meaning: string,
  value: number,
  first: number,
  bits: number,
  at: FieldOptions,
): DetailField {
  const options = { ...at, level: 1, as: 'count' } as const;
  return field(
    `${first + bits - 1}:${first} ${name}`,
    meaning,
    (value >>> first) & (2 ** bits - 1),
    0,
    options,
  );
}

function controller({ device }: AhciParts): DetailField[] {
  const at = (offset: number, section: string) => place(device, offset, section);
  const cap = device.globalValue(HBA.cap);
  const ghc = device.globalValue(HBA.ghc);
  const is = device.globalValue(HBA.is);
  const pi = device.globalValue(HBA.pi);
  const capAt = at(HBA.cap, '3.1.1');
  const ghcAt = at(HBA.ghc, '3.1.2');
  return [
    field('CAP', 'ahci.cap', cap, 4, capAt),
    ...bitFields(cap, CAP_BITS, capAt),
    part('ISS', 'ahci.cap.iss', cap, CAP.speed, 4, capAt),
    part('NCS', 'ahci.cap.ncs', cap, CAP.slots, 5, capAt),
    part('NP', 'ahci.cap.np', cap, 0, 5, capAt),
    field('GHC', 'ahci.ghc', ghc, 4, ghcAt),
    ...bitFields(ghc, GHC_BITS, ghcAt),
    field('IS', 'ahci.is', is, 4, { ...at(HBA.is, '3.1.3'), text: bitNumbers(is) }),
    field('PI', 'ahci.pi', pi, 4, { ...at(HBA.pi, '3.1.4'), text: bitNumbers(pi) }),
    field('VS', 'ahci.vs', device.globalValue(HBA.vs), 4, at(HBA.vs, '3.1.5')),
  ];
}

function portRegisters({ device, port }: AhciParts): DetailField[] {
  const { registers, number } = port;
  const row = (name: string, offset: number, section: number, text = '', bits: readonly BitName[] = []) => {
    const value = registers.value(offset);
    const at = place(device, PORTS_AT + number * PORT_BYTES + offset, `3.3.${section}`);
    const meaning = `ahci.port.${name.slice(2).toLowerCase()}`;
    return [field(name, meaning, value, 4, { ...at, text }), ...bitFields(value, bits, at)];
  };
  const link = (name: string, offset: number, section: number) => {
    const [whole] = row(name, offset, section);
    const value = registers.value(offset);
    const { source } = whole;
    const options = { source, place: whole.place };
    return [
      whole,
      part('IPM', 'ahci.link.ipm', value, 8, 4, options),
      part('SPD', 'ahci.link.spd', value, 4, 4, options),
      part('DET', `ahci.link.${name.slice(2).toLowerCase()}-det`, value, 0, 4, options),
    ];
  };
  return [
    ...row('PxCLB', PORT.clb, 1),
    ...row('PxCLBU', PORT.clbu, 2),
    ...row('PxFB', PORT.fb, 3),
    ...row('PxFBU', PORT.fbu, 4),
    ...row('PxIS', PORT.is, 5, '', IS_BITS),
    ...row('PxIE', PORT.ie, 6, '', IE_BITS),
    ...row('PxCMD', PORT.cmd, 7, '', CMD_BITS),
    ...row('PxTFD', PORT.tfd, 8, '', TFD_BITS),
    ...row('PxSIG', PORT.sig, 9, SIGNATURES.get(registers.sig) ?? ''),
    ...link('PxSSTS', PORT.ssts, 10),
    ...link('PxSCTL', PORT.sctl, 11),
    ...row('PxSERR', PORT.serr, 12, '', SERR_BITS),
    ...row('PxSACT', PORT.sact, 13, bitNumbers(registers.sact)),
    ...row('PxCI', PORT.ci, 14, bitNumbers(registers.ci)),
  ];
}

/** The controller, the disk's port, its command list, and the FISes that it received. */
export function ahciSections(parts: AhciParts): Section[] {
  const { port } = parts;
  const text = `${port.number}`;
  return [
    { id: 'ahci', key: 'ahci', text: '', fields: () => controller(parts) },
    { id: 'ahci-port', key: 'ahci-port', text, fields: () => portRegisters(parts) },
    { id: 'ahci-commands', key: 'ahci-commands', text: '', fields: () => commandSlots(port) },
    { id: 'ahci-received', key: 'ahci-received', text: '', fields: () => receivedFises(port) },
    identitySection(port.drive),
  ];
}
