/** What a conversion could not carry over, or changed. */
import type { Span } from '../model.ts';

export interface ConversionNote {
  /** Key in `resources/messages/<locale>/convert.json`. */
  key: string;
  params: Record<string, string>;
  /** Place in the text that was converted. */
  span: Span;
}

export interface Conversion {
  text: string;
  notes: ConversionNote[];
}
