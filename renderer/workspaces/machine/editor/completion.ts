/** What can be written at the cursor, from the engine: options, properties, values, names of the line, attached files. */
import { autocompletion, type Completion, type CompletionContext } from '@codemirror/autocomplete';
import type { Extension } from '@codemirror/state';
import { complete } from '#engine/qemu/complete.ts';
import type { LintContext } from '#engine/qemu/model.ts';

export interface CompletionWords {
  context: () => LintContext;
  /** What the quieter word beside a label says; `!` stands for a key that must be given. */
  detail: (detail: string) => string;
}

/** Most that is offered at once; typing narrows it down. */
const MOST = 200;

/** A source for the editor's completion; the engine has sorted and filtered already. */
export function completionSource({ context, detail }: CompletionWords) {
  return (at: CompletionContext) => {
    const text = at.state.doc.toString();
    const before = text.slice(0, at.pos);
    // Unasked only where something has been begun: a letter, a comma, an equals sign, a dash.
    if (!at.explicit && !/[\w,=.:/-]$/.test(before)) return null;
    const offers = complete(text, at.pos, context()).slice(0, MOST);
    const span = offers.at(0)?.span;
    if (span === undefined) return null;
    const options = offers
      .filter((offer) => offer.span.start === span.start && offer.span.end === span.end)
      .map((offer): Completion => ({
        label: offer.label,
        apply: offer.insert,
        type: offer.kind,
        ...(offer.detail === undefined ? {} : { detail: detail(offer.detail) }),
      }));
    // Nothing to choose: the only offer stands there already.
    if (!at.explicit && options.length === 1 && text.slice(span.start, at.pos) === options[0].label)
      return null;
    return { from: span.start, to: Math.max(span.end, at.pos), options, filter: false };
  };
}

export function lineCompletion(words: CompletionWords): Extension {
  return autocompletion({
    override: [completionSource(words)],
    icons: false,
    addToOptions: [
      {
        position: 20,
        render: (completion) => {
          const mark = document.createElement('span');
          mark.className = `line-offer line-offer-${completion.type ?? 'value'}`;
          mark.setAttribute('aria-hidden', 'true');
          return mark;
        },
      },
    ],
  });
}
