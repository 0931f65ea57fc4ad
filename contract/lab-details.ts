/** The registers of the lab's device, each explained: what the Device view shows. Names are those of the specifications. */

/** Where a value lies, as the guest would reach it. */
export type DetailPlace =
  /** PCI configuration space, byte offset. */
  | { space: 'pci'; offset: number }
  /** A base address register and an offset in it; `address` is where that is mapped now, or null while it is not decoded. */
  | { space: 'bar'; bar: number; offset: number; address: number | null }
  /** Guest-physical memory or memory-mapped registers. */
  | { space: 'memory'; address: number }
  | { space: 'port'; port: number }
  /** The device keeps it to itself: no driver can read it. */
  | { space: 'device' };

/** `on` and `off`: a bit or a choice that is or is not taken. `bad`: something is wrong. */
export type DetailTone = 'plain' | 'on' | 'off' | 'bad';

export interface DetailField {
  /** The specification's name for it. */
  name: string;
  /** Indentation: bits below their register, descriptors below their chain. */
  level: number;
  /** As a number, or null when `text` is all there is. */
  value: number | null;
  /** Width, bytes; 0 for a single bit. */
  bytes: number;
  as: 'hex' | 'count' | 'bytes';
  /** What the number means in the specification's words (`IN`, `FLUSH`, `BAR 4`); may be empty. */
  text: string;
  /** Key of the explanation: `lab-details.<meaning>`. */
  meaning: string;
  /** Where it is defined: `virtio 1.2, 4.1.4.3`. */
  source: string;
  place: DetailPlace | null;
  tone: DetailTone;
  /** The request that it belongs to, 0 for none. */
  request: number;
}

export interface DetailSection {
  /** Stable: `pci`, `queue.0`. */
  id: string;
  /** Title: `lab-details.section.<key>`. */
  key: string;
  /** Behind the title, in words of the field; may be empty. */
  text: string;
}

export interface DetailView {
  sections: DetailSection[];
  /** The section whose fields follow; the first one when the wanted one does not exist. */
  section: string;
  fields: DetailField[];
}
