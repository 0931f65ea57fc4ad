/**
 * The chain as nearly every driver makes it: a buffer to read (a request's header), one of data, one to write (its status), all below
 * 4 GiB, in the ring itself or in an indirect table. A queue can take such a chain, and give it back, without an element and in a
 * fraction of the time; whatever looks different goes the long way, which alone knows all the rules.
 */
export class PlainChain {
  /** Head or buffer id, and how many descriptors of the ring it takes. */
  head = 0;
  descriptors = 0;
  /** Where the three buffers lie in guest memory's host buffer, and their bytes. */
  header = 0;
  headerLength = 0;
  data = 0;
  dataLength = 0;
  /** The device may write the data. */
  writable = false;
  status = 0;
  statusLength = 0;
}
