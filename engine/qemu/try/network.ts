/** Back ends of network cards, character devices and sound: a quiet one of the same id takes the place of each. */
import { optionText, type Changes } from './changes.ts';
import type { Words } from './words.ts';

/** A `-netdev`, `-nic`, `-net`, `-chardev` or `-audiodev` that opens nothing. */
export function trialNetwork(words: Words, changes: Changes): Words {
  const { option } = words;
  words.plain = true;
  const before = words.print();
  switch (option.name) {
    case 'chardev':
      words.remove((p) => p.key !== 'id' && p.key !== 'backend');
      words.set('backend', 'null');
      break;
    case 'audiodev':
      words.remove((p) => p.key !== 'id' && p.key !== 'driver');
      words.set('driver', 'none');
      break;
    case 'netdev':
      words.remove((p) => p.key !== 'id' && p.key !== 'type');
      quietUser(words);
      break;
    default: {
      // A card (`-net nic`) and no network at all (`none`) open nothing.
      const type = words.get('type')?.value;
      if (type === 'none' || (option.name === 'net' && type === 'nic')) return words;
      words.remove((p) => !/^(?:type|id|name|model|mac|macaddr|addr|vectors)$/.test(p.key));
      quietUser(words);
    }
  }
  if (words.print() !== before) {
    const reason = option.name === 'chardev' ? 'chardev' : option.name === 'audiodev' ? 'audio' : 'network';
    changes.add(option.span, optionText(option), reason, words.print());
  }
  return words;
}

/** QEMU's own network stack, closed to both sides; it opens nothing until the guest runs. */
function quietUser(words: Words): void {
  words.set('type', 'user');
  words.set('restrict', 'on', 'boolean');
}
