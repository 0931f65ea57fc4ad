/** A backing file's name as QEMU understands it (`block.c`, path_combine): relative to the folder of the image that names it. */

/** `base` as it was named, `reference` as it stands in the image. URLs and `protocol:` names are taken as they are. */
export function combinePath(base: string, reference: string): string {
  if (reference.startsWith('/') || hasProtocol(reference))
    return reference.startsWith('file:') ? reference.slice(5) : reference;
  const slash = base.lastIndexOf('/');
  return slash === -1 ? reference : base.slice(0, slash + 1) + reference;
}

/** A colon before the first slash. */
function hasProtocol(name: string): boolean {
  return /^[^/]*:/.test(name);
}
