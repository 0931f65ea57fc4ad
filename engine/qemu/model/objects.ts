/** `-object`: iothreads, throttle groups, secrets, memory back ends. */
import type { CommandLine, Option, Param, Span } from '../model.ts';
import { keyTree, paramAt, type KeyTree } from './tree.ts';

export interface QemuObject {
  option: Option;
  type: string;
  typeParam?: Param;
  id?: string;
  idParam?: Param;
  tree: KeyTree;
  span: Span;
}

/** Every `-object` of the line, in order. */
export function readObjects(line: CommandLine): QemuObject[] {
  return line.options
    .filter((o) => o.name === 'object')
    .map((option) => {
      const tree = keyTree(option.params);
      const type = paramAt(tree, 'qom-type');
      const id = paramAt(tree, 'id');
      return {
        option,
        type: type?.value ?? '',
        typeParam: type,
        id: id?.value,
        idParam: id,
        tree,
        span: option.span,
      };
    });
}
