/** Names one field of a header: a VMDK has several of one name. */
import type { HeaderField } from '#contract/images.ts';

export const fieldKey = ({ offset, name }: HeaderField): string => `${offset}:${name}`;
