/** Files dropped on the window. */
import type { Launched } from './app.ts';

/** Drops real files: a file input gives the page the File objects that a file manager would. */
export async function drop({ page }: Launched, ...paths: string[]): Promise<void> {
  const input = await page.evaluateHandle(() => {
    const element = document.createElement('input');
    element.type = 'file';
    element.multiple = true;
    document.body.append(element);
    return element;
  });
  await input.setInputFiles(paths);
  await page.evaluate((element) => {
    const data = new DataTransfer();
    for (const file of element.files ?? []) data.items.add(file);
    element.remove();
    for (const type of ['dragenter', 'dragover', 'drop']) {
      document.body.dispatchEvent(
        new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }),
      );
    }
  }, input);
}
