/** Mistakes that no command line shows: errors of a running QEMU, of qemu-img and of the guest. They explain what was printed. */
import { rule } from './rule.ts';

export const runtimeRules = [
  rule({
    id: 'C05',
    severity: 'error',
    qemu: [
      "Cannot get 'write' permission without 'resize': Image size is not a multiple of request alignment",
    ],
  }),
  rule({
    id: 'L02',
    severity: 'error',
    qemu: [
      'qemu-img: Could not open \'{file}\': Failed to get shared "write" lock',
      'qemu-img: Could not open \'{file}\': Failed to get "write" lock',
    ],
  }),
  rule({
    id: 'B13',
    severity: 'error',
    qemu: [
      'The sum of offset ({offset}) and size ({size}) has to be smaller or equal to the  actual size of the containing file ({actual})',
    ],
  }),
  rule({ id: 'V11', severity: 'info', qemu: ['INACCESSIBLE BOOT DEVICE', 'INACCESSIBLE_BOOT_DEVICE'] }),
  rule({ id: 'P05', severity: 'error', qemu: ["Bus '{bus}' does not support hotplugging"] }),
  rule({
    id: 'P06',
    severity: 'error',
    qemu: ['Node {node} is in use', 'Device {device} is already in the process of unplug'],
  }),
  rule({
    id: 'Q01',
    severity: 'error',
    qemu: ['Backing file specified without backing format'],
  }),
  rule({
    id: 'Q02',
    severity: 'error',
    qemu: [
      'Use the --shrink option to perform a shrink operation.',
      'Backing file and preallocation can only be used at the same time if extended_l2 is on',
      'Lazy refcounts only supported with compatibility level 1.1 and above (use version=v3 or greater)',
      'Extended L2 entries are only supported with cluster sizes of at least 16384 bytes',
      'data-file-raw requires data-file',
    ],
  }),
  rule({
    id: 'Q03',
    severity: 'error',
    qemu: ["Device '{device}' is writable but does not support snapshots"],
  }),
  rule({
    id: 'Q04',
    severity: 'error',
    qemu: [
      "Could not open '{file}': No such file or directory",
      "Could not open '{file}': Permission denied",
      "'file' driver requires '{file}' to be a regular file",
      "Cannot access storage file '{file}'",
    ],
  }),
  rule({
    id: 'Q05',
    severity: 'error',
    qemu: ["Failed to connect to '{server}': {errno}", 'Failed to connect socket: {errno}'],
  }),
  rule({
    id: 'Q06',
    severity: 'error',
    qemu: [
      'module block-block-{driver} not found, do you want to install {package} package?',
      "Unknown driver '{driver}'",
    ],
  }),
  rule({
    id: 'Q07',
    severity: 'error',
    qemu: ['Could not access KVM kernel module: {errno}', 'failed to initialize kvm: {errno}'],
  }),
];
