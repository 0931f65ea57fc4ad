/** Machine type, vCPUs, memory and boot order. Source: hw/i386/pc_piix.c, pc_q35.c, microvm.c; softmmu/vl.c. */
import type { CommandLine, Option, Param } from '../model.ts';
import { keyTree, paramAt, type KeyTree } from './tree.ts';
import { readNumber, readSize } from './values.ts';

export type MachineFamily = 'pc' | 'q35' | 'microvm' | 'isapc' | 'none' | 'other';

export interface Machine {
  /** As written, or the default `pc`. */
  type: string;
  family: MachineFamily;
  option?: Option;
  typeParam?: Param;
  /** Architecture from the program's name; `x86_64` when it is not said. */
  arch: string;
  /** Accelerator, when it is said. */
  accel?: string;
  /** `maxcpus` or `cpus`. */
  cpus: number;
  /** Bytes. */
  memory: number;
  nodefaults: boolean;
  snapshot: boolean;
  /** Interface of a `-drive` without `if=`. */
  defaultInterface: 'ide' | 'virtio' | 'scsi' | 'sd' | 'none';
  /** Name of the first PCI bus, when the machine has one. */
  pciRoot?: 'pci.0' | 'pcie.0';
  /** IDE channels and the units on each (`units_per_default_bus`). */
  ide: { buses: number; units: number };
  tree: KeyTree;
  boot?: Option;
}

function familyOf(type: string, arch: string): MachineFamily {
  if (arch !== 'x86_64' && arch !== 'i386') return 'other';
  if (
    type === 'pc' ||
    /^pc-(?:i440fx-)?\d/.test(type) ||
    type.startsWith('pc-i440fx') ||
    type.startsWith('rhel6')
  )
    return 'pc';
  if (type === 'q35' || type.startsWith('pc-q35')) return 'q35';
  if (type === 'microvm' || type === 'isapc' || type === 'none') return type;
  return 'other';
}

/** Reads `-machine`, `-M`, `-accel`, `-smp`, `-m`, `-boot`, `-nodefaults` and `-snapshot`; later options win. */
export function readMachine(line: CommandLine): Machine {
  const arch = /qemu-system-([a-z0-9_]+)/.exec(line.program ?? '')?.[1] ?? 'x86_64';
  const microvm = line.program?.endsWith('-microvm') === true;
  const machine: Machine = {
    type: microvm ? 'microvm' : 'pc',
    family: 'pc',
    arch: arch.replace('-microvm', ''),
    cpus: 1,
    memory: 128 * 1024 * 1024,
    nodefaults: false,
    snapshot: false,
    defaultInterface: 'ide',
    ide: { buses: 2, units: 2 },
    tree: keyTree([]),
  };
  for (const option of line.options) readOption(machine, option);
  const family = (machine.family = familyOf(machine.type, machine.arch));
  if (family === 'pc') machine.pciRoot = 'pci.0';
  if (family === 'q35') {
    machine.pciRoot = 'pcie.0';
    machine.ide = { buses: 6, units: 1 };
  }
  if (family === 'microvm') {
    machine.defaultInterface = 'none';
    machine.ide = { buses: 0, units: 0 };
  }
  if (family === 'none') machine.ide = { buses: 0, units: 0 };
  if (family === 'other') {
    machine.defaultInterface = /^(?:aarch64|arm|riscv|loongarch|s390x)/.test(machine.arch) ? 'virtio' : 'ide';
  }
  return machine;
}

const READ = new Set(['machine', 'M', 'accel', 'enable-kvm', 'smp', 'm', 'boot', 'nodefaults', 'snapshot']);

function readOption(machine: Machine, option: Option): void {
  if (!READ.has(option.name)) return;
  const tree = keyTree(option.params);
  switch (option.name) {
    case 'machine':
    case 'M': {
      const type = paramAt(tree, 'type');
      if (type !== undefined) {
        machine.type = type.value;
        machine.typeParam = type;
        machine.option = option;
      }
      machine.accel = paramAt(tree, 'accel')?.value ?? machine.accel;
      machine.tree = keyTree([...option.params]);
      break;
    }
    case 'accel':
      machine.accel ??= paramAt(tree, 'accel')?.value;
      break;
    case 'enable-kvm':
      machine.accel = 'kvm';
      break;
    case 'smp': {
      const cpus = paramAt(tree, 'maxcpus') ?? paramAt(tree, 'cpus');
      machine.cpus = readNumber(cpus?.value) ?? topologyCpus(tree) ?? machine.cpus;
      break;
    }
    case 'm': {
      const size = paramAt(tree, 'size')?.value;
      const plain = readNumber(size);
      machine.memory = plain === undefined ? (readSize(size) ?? machine.memory) : plain * 1024 * 1024;
      break;
    }
    case 'boot':
      machine.boot = option;
      break;
    case 'nodefaults':
      machine.nodefaults = true;
      break;
    case 'snapshot':
      machine.snapshot = true;
      break;
    default:
  }
}

function topologyCpus(tree: KeyTree): number | undefined {
  let total = 1;
  let any = false;
  for (const key of ['sockets', 'dies', 'clusters', 'cores', 'threads']) {
    const count = readNumber(paramAt(tree, key)?.value);
    if (count === undefined) continue;
    any = true;
    total *= count;
  }
  return any ? total : undefined;
}
