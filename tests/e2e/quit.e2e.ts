/** The application ends when it is told to, however early, and however little there is to be saved. */
import { expect, test } from '@playwright/test';
import { launch, type Launched } from './support/app.ts';

const ways: Record<string, (launched: Launched) => Promise<unknown>> = {
  'by closing its window': ({ page }) => page.close(),
  'by its menu': ({ app }) => app.evaluate(({ app }) => app.quit()),
};

for (const [name, quit] of Object.entries(ways)) {
  test(`ends ${name}, right after the start`, async () => {
    for (let round = 0; round < 3; round += 1) {
      const launched = await launch();
      await launched.page.locator('button:enabled').first().waitFor();
      const ended = new Promise<number | null>((done) => launched.app.process().once('exit', done));
      await quit(launched);
      expect(await ended).toBe(0);
      await launched.close();
    }
  });
}
